-- The task that this claim stands for, locked. HF001: the claim is over: somebody else has the
-- task, or it is settled, or its run does not want it any more.
create or replace function holdfast.sql_claimed(wanted text, claim bigint)
returns holdfast.task language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
    found_ holdfast.task;
    of_run boolean;
begin
    select t.* into found_ from holdfast.task t
     where t.no = holdfast.task_find(wanted) and t.claimed_by = - claim
       and t.claimed_until is not null
       for update;
    of_run := found_.run_no is not null and exists (
        select from holdfast.inbox x where x.partition_id = found_.partition_id and x.kind >= 0
           and x.kind = 9 and x.task_no = found_.no);
    if found_.no is null or of_run then
        raise exception using errcode = 'HF001',
            message = format('task %s: claim %s is over', wanted, coalesce(claim::text, 'null'));
    end if;
    return found_;
end
$$;
