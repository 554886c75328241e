-- When a task that has failed is tried again, us; null: not any more. As workers do: attempts and
-- names of final errors, exponential waits with jitter, the deadline of all attempts together.
create or replace function holdfast.sql_retry_at(task holdfast.task, attempts integer, error text,
                                                 retry_after interval, now_us bigint)
returns bigint language plpgsql volatile as $$
declare
    o         jsonb := coalesce(task.opts, '{}')::jsonb;
    max_      integer := coalesce(nullif((o ->> 'max_attempts')::integer, 0), 5);
    max_delay double precision := coalesce(nullif((o ->> 'max_delay_ms')::bigint, 0), 60000);
    jitter    double precision := coalesce(nullif((o ->> 'jitter')::double precision, 0), 0.1);
    factor    double precision := coalesce(nullif((o ->> 'factor')::double precision, 0), 2);
    wait_ms   double precision := coalesce(nullif((o ->> 'first_delay_ms')::bigint, 0), 1000);
    at_us     bigint;
begin
    if (max_ >= 0 and attempts >= max_)
       or error = any (regexp_split_to_array(coalesce(o ->> 'no_retry', ''), ', *')) then
        return null;
    elsif retry_after >= '0' then
        wait_ms := least(extract(epoch from retry_after) * 1000, 3162240000000);
    else -- the growth is capped before it can overflow
        wait_ms := case when factor > 1 and (attempts - 1) * ln(factor) > ln(max_delay + 1)
                        then max_delay else least(wait_ms * factor ^ (attempts - 1), max_delay) end
                   * (1 + greatest(jitter, 0) * (2 * random() - 1));
    end if;
    at_us := now_us + (wait_ms * 1000)::bigint;
    if at_us >= task.created_us + (o ->> 'deadline_ms')::bigint * 1000 then
        return null;
    end if;
    return at_us;
end
$$;
