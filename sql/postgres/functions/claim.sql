-- Claims up to n tasks of a queue served by SQL, urgent ones first, then in order of number; those
-- that others are claiming are passed over. A claim stands for the lease: then, or if this
-- transaction rolls back, others may claim the task. Its number has to be given to complete, fail
-- and heartbeat, which refuse one that is over: so of several claimers one alone settles a task.
--
-- attempt: 1 for the first. key: the same for all attempts. claimer: a name, shown in the view
-- tasks.
-- HF003: a bad argument, or workers serve the queue; HF004: there is no such queue.
create or replace function holdfast.claim(queue text, n integer default 1,
                                          lease interval default '1 minute',
                                          claimer text default null)
returns table (id text, claim bigint, task text, payload text, attempt integer, key text,
               claimed_until timestamptz, created_at timestamptz)
language plpgsql security definer
set search_path = holdfast, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    part    smallint := holdfast.sql_queue(claim.queue);
    now_us  bigint := holdfast.now_us(null);
    nos     bigint[];
    overdue holdfast.task;
    late    integer;
begin
    perform holdfast.sql_lease(lease);
    if coalesce(n, 0) not between 1 and 10000 then
        raise exception using errcode = 'HF003', message = format('n: %s, 1 to 10000', n);
    end if;
    perform holdfast.sql_release(part, greatest(n, 100), now_us);
    for round in 1..100 loop -- written so that only the index of this order can be used
        nos := array(
            select t.no from holdfast.task t
             where t.partition_id = part and t.claimed_until <= '-infinity'
             order by t.claimed_until, t.no limit n for update skip locked);
        late := 0;
        for overdue in select t.* from holdfast.task t
                        where t.no = any (nos) and t.opts like '%"deadline_ms"%'
                          and t.created_us + (t.opts::jsonb ->> 'deadline_ms')::bigint * 1000
                              <= now_us loop
            perform holdfast.sql_settle(overdue, 2, 'timeout', format(
                'not done within %s ms', overdue.opts::jsonb ->> 'deadline_ms'), overdue.attempt,
                now_us);
            late := late + 1;
        end loop;
        exit when late < n;
    end loop;
    return query
        with claimed as (
            update holdfast.task t
               set claimed_by = - nextval('holdfast.row_seq'),
                   claimed_until = clock_timestamp() + lease, claimed_name = claimer
             where t.no = any (nos)
            returning t.*)
        select coalesce(c.id, holdfast.task_id(c.no)), - c.claimed_by, c.name, c.payload,
               c.attempt + 1, holdfast.task_key(c), c.claimed_until,
               to_timestamp(c.created_us / 1000000.0)
          from claimed c order by c.no;
end
$$;
revoke all on function holdfast.claim(text, integer, interval, text) from public;
