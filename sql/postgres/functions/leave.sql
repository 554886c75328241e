-- Gives all partitions back to nobody, without counting a crash. Task rows that the worker still
-- holds stay claimed, by nobody (0), and are brought to their owners: what was begun has no result.
-- False: the worker is not there any more.
create or replace function holdfast.leave(leaving_worker bigint)
returns boolean language plpgsql as $$
declare
    left_ids smallint[];
begin
    delete from holdfast.worker w where w.id = leaving_worker;
    if not found then
        return false;
    end if;
    left_ids := array(select p.id from holdfast.partition p where p.owner = leaving_worker
                       order by p.id for update);
    update holdfast.partition set owner = null, busy_until = null where id = any (left_ids);
    update holdfast.run set claimed = false where partition_id = any (left_ids) and claimed;
    update holdfast.task
       set claimed_by = 0, xid = pg_current_xact_id(),
           run_at_us = case when class = 3 then run_at_us end
     where claimed_by = leaving_worker;
    return true;
end
$$;
