-- Makes the worker the owner of what a dead one had, if that one's lease is over: false if it
-- lives, or is gone already. Partitions of queues that it does not serve belong to nobody then. Locking the partitions waits for the dead worker's commits in flight;
-- whoever comes later finds another owner. The crash is counted, and what the dead one had claimed
-- is released: with a new transaction id, so that its owner finds it.
create or replace function holdfast.takeover(taking_worker bigint, dead_worker bigint,
                                             given_us bigint)
returns boolean language plpgsql set lock_timeout = '500ms' as $$
declare
    current_us bigint := holdfast.now_us(given_us);
    taken      smallint[];
    served     text;
begin
    select w.queues into served from holdfast.worker w where w.id = taking_worker for key share;
    if not found then
        raise exception using errcode = 'HF001',
            message = format('worker %s is not there any more', taking_worker);
    end if;
    delete from holdfast.worker w
     where w.id = dead_worker
       and w.expires_at < timestamptz 'epoch' + current_us * interval '1 microsecond';
    if not found then
        return false;
    end if;
    taken := array(select p.id from holdfast.partition p where p.owner = dead_worker
                    order by p.id for update);
    update holdfast.partition
       set owner = case when served is null or queue = any (regexp_split_to_array(btrim(served), '\s*,\s*'))
                        then taking_worker end,
           crashes = crashes + 1, crashed_us = current_us, busy_until = null
     where id = any (taken);
    update holdfast.run
       set claimed = false, crashes = crashes + 1
     where partition_id = any (taken) and claimed;
    update holdfast.task
       set claimed_by = null, crashes = crashes + 1, xid = pg_current_xact_id(),
           run_at_us = case when class = 3 then run_at_us end
     where claimed_by = dead_worker;
    return true;
end
$$;
