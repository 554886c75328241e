-- Adds a standalone task in the caller's transaction and returns its id: it commits or rolls back
-- with it. What is committed survives any crash, and runs at least once.
--
-- run_at: not before; a time that has passed is at once. timeout: of one attempt. deadline: all
-- attempts and waits together. max_attempts: 5 by default, -1 without limit. first_delay (1 s),
-- factor (2), max_delay (60 s), jitter (0.1, below 0: none): waits between attempts. no_retry:
-- names of final errors, with commas. on_crash: retry, or fail: never started twice.
-- HF003: a bad argument; HF005: the id is that of a live task or a dead letter; HF007: the payload
-- is over 1 MiB.
create or replace function holdfast.enqueue(
    task text, payload text default null, queue text default 'default', id text default null,
    class text default 'normal', run_at timestamptz default null,
    max_attempts integer default null, timeout interval default null,
    deadline interval default null, first_delay interval default null,
    max_delay interval default null, factor double precision default null,
    jitter double precision default null, no_retry text default null,
    on_crash text default null)
returns text language plpgsql security definer
set search_path = holdfast, pg_temp as $$
declare
    nos bigint[];
begin
    nos := holdfast.enqueue_rows(task, array[payload], queue,
        case when id is not null then array[id] end, class, run_at,
        holdfast.task_opts(max_attempts, timeout, deadline, first_delay, max_delay, factor, jitter,
                           no_retry, on_crash));
    return coalesce(id, holdfast.task_id(nos[1]));
end
$$;
revoke all on function holdfast.enqueue(text, text, text, text, text, timestamptz, integer,
    interval, interval, interval, interval, double precision, double precision, text, text) from
    public;
