-- Adds a task for each payload, all or none, in the caller's transaction; their ids in the order of
-- the payloads. ids: null: made. The rest as holdfast.enqueue; the column field of an error is the
-- number of the bad task.
create or replace function holdfast.enqueue_many(
    task text, payloads text[], queue text default 'default', ids text[] default null,
    class text default 'normal', run_at timestamptz default null,
    max_attempts integer default null, timeout interval default null,
    deadline interval default null, first_delay interval default null,
    max_delay interval default null, factor double precision default null,
    jitter double precision default null, no_retry text default null,
    on_crash text default null)
returns setof text language plpgsql security definer
set search_path = holdfast, pg_temp as $$
#variable_conflict use_variable
declare
    nos bigint[];
begin
    nos := holdfast.enqueue_rows(task, payloads, queue, ids, class, run_at,
        holdfast.task_opts(max_attempts, timeout, deadline, first_delay, max_delay, factor, jitter,
                           no_retry, on_crash));
    if ids is null then
        return query select holdfast.task_id(u.no) from unnest(nos) u(no);
    else
        return query select coalesce(u.id, holdfast.task_id(u.no)) from unnest(nos, ids) u(no, id);
    end if;
end
$$;
revoke all on function holdfast.enqueue_many(text, text[], text, text[], text, timestamptz, integer,
    interval, interval, interval, interval, double precision, double precision, text, text) from
    public;
