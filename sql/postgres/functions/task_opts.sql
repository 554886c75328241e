-- Options of a task as workers read them, null if none is given. Intervals become milliseconds;
-- what is null or zero takes its default. HF003: on_crash is neither retry nor fail.
create or replace function holdfast.task_opts(
    max_attempts integer, timeout interval, deadline interval, first_delay interval,
    max_delay interval, factor double precision, jitter double precision, no_retry text,
    on_crash text)
returns text language plpgsql immutable as $$
declare
    made jsonb;
begin
    if on_crash not in ('retry', 'fail') then
        raise exception using errcode = 'HF003',
            message = format('on_crash: %s, not retry or fail', on_crash);
    end if;
    made := jsonb_strip_nulls(jsonb_build_object(
        'max_attempts', nullif(max_attempts, 0),
        'on_crash', case when on_crash = 'fail' then 1 end,
        'timeout_ms', nullif((extract(epoch from timeout) * 1000)::bigint, 0),
        'deadline_ms', nullif((extract(epoch from deadline) * 1000)::bigint, 0),
        'first_delay_ms', nullif((extract(epoch from first_delay) * 1000)::bigint, 0),
        'max_delay_ms', nullif((extract(epoch from max_delay) * 1000)::bigint, 0),
        'factor', nullif(factor, 0),
        'jitter', nullif(jitter, 0),
        'no_retry', no_retry));
    return nullif(made::text, '{}');
end
$$;
