-- Makes tasks of a queue served by SQL ready whose time has come, so that they are claimed in their
-- order: delayed ones, and those whose claim is over. The latter have a crash counted; after 5, or
-- with on_crash fail after the first, the task is settled. Calls that their run does not want any
-- more go. At most n of each kind, so that a claim is never long.
create or replace function holdfast.sql_release(queue_partition smallint, n integer, now_us bigint)
returns void language plpgsql as $$
declare
    now_at constant timestamptz := to_timestamp(now_us / 1000000.0);
    task   holdfast.task;
    max_crashes constant integer := 5;
begin
    if exists (select from holdfast.inbox x where x.partition_id = queue_partition and x.kind >= 0)
    then
        delete from holdfast.task t
         where t.no = any (array(select x.task_no from holdfast.inbox x
                                  where x.partition_id = queue_partition and x.kind = 9));
        delete from holdfast.inbox x where x.partition_id = queue_partition and x.kind = 9;
    end if;
    for task in
        select t.* from holdfast.task t
         where t.partition_id = queue_partition and t.claimed_until > '-infinity'
           and t.claimed_until <= now_at
         order by t.claimed_until, t.no limit n for update skip locked loop
        task.crashes := task.crashes + (task.claimed_by is not null)::integer;
        if task.claimed_by is not null and task.crashes >= max_crashes then
            perform holdfast.sql_settle(task, 5, 'crashed', format(
                'its claim ran out %s times', task.crashes), task.attempt, now_us);
        elsif task.claimed_by is not null and task.opts::jsonb ->> 'on_crash' = '1' then
            perform holdfast.sql_settle(task, 6, 'lost',
                'its claim ran out, and it is not to be repeated', task.attempt, now_us);
        else
            update holdfast.task t
               set claimed_until = '-infinity', claimed_by = null, claimed_name = null,
                   crashes = task.crashes
             where t.no = task.no;
        end if;
    end loop;
end
$$;
