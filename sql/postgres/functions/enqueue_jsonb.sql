-- holdfast.enqueue for a payload that is jsonb already.
create or replace function holdfast.enqueue(
    task text, payload jsonb, queue text default 'default', id text default null,
    class text default 'normal', run_at timestamptz default null,
    max_attempts integer default null, timeout interval default null,
    deadline interval default null, first_delay interval default null,
    max_delay interval default null, factor double precision default null,
    jitter double precision default null, no_retry text default null,
    on_crash text default null)
returns text language sql volatile as $$
    select holdfast.enqueue(task, payload::text, queue, id, class, run_at, max_attempts, timeout,
                            deadline, first_delay, max_delay, factor, jitter, no_retry, on_crash)
$$;
revoke all on function holdfast.enqueue(text, jsonb, text, text, text, timestamptz, integer,
    interval, interval, interval, interval, double precision, double precision, text, text) from
    public;
