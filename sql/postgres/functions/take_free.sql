-- Makes the worker the owner of all partitions of its queues that nobody owns, and of those whose
-- owner is not there any more. The worker's row is locked so that a takeover of it waits, and then
-- sees these partitions.
create or replace function holdfast.take_free(taking_worker bigint)
returns void language plpgsql as $$
declare
    names text;
begin
    select w.queues into names from holdfast.worker w where w.id = taking_worker for key share;
    if not found then
        raise exception using errcode = 'HF001',
            message = format('worker %s is not there any more', taking_worker);
    end if;
    update holdfast.partition
       set owner = taking_worker, busy_until = null
     where id in (
           select p.id
             from holdfast.partition p
             join holdfast.queue q on q.name = p.queue
            where q.served_by = 'worker'
              and (names is null or p.queue = any (regexp_split_to_array(btrim(names), '\s*,\s*')))
              and (p.owner is null
                   or not exists (select 1 from holdfast.worker w where w.id = p.owner))
            order by p.id
              for update of p skip locked);
end
$$;
