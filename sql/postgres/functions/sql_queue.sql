-- The partition of a queue served by SQL. HF004: there is no such queue; HF003: workers serve it.
create or replace function holdfast.sql_queue(wanted text)
returns smallint language plpgsql stable as $$
declare
    found_ record;
begin
    select p.id, q.served_by into found_
      from holdfast.queue q join holdfast.partition p on p.queue = q.name
     where q.name = wanted order by p.id limit 1;
    if found_.id is null then
        raise exception using errcode = 'HF004', message = format('queue %s: not found', wanted);
    elsif found_.served_by <> 'sql' then
        raise exception using errcode = 'HF003',
            message = format('queue %s: it is served by workers', wanted);
    end if;
    return found_.id;
end
$$;
