-- Raises HF003 unless all are task options as workers read them: a JSON object, or null. Ranges are
-- those of the C library. The column field of the error is the number of the bad one.
create or replace function holdfast.check_opts(opts text[])
returns void language plpgsql as $$
declare
    each   record;
    bad    text;
    parsed jsonb;
begin
    for each in select u.opts, min(u.i) as i from unnest(check_opts.opts) with ordinality u(opts, i)
                 where u.opts is not null group by u.opts loop
        begin
            parsed := each.opts::jsonb;
            if jsonb_typeof(parsed) <> 'object' then
                parsed := null;
            end if;
        exception when others then
            parsed := null;
        end;
        if parsed is null then
            bad := 'task options: no JSON object';
        else
            select case
                when o.key = 'no_retry' then
                    case when jsonb_typeof(o.value) <> 'string' then 'no_retry: no text' end
                when jsonb_typeof(o.value) <> 'number' then format('%s: no number', o.key)
                when o.key = 'max_attempts' and o.value::numeric not between -1 and 2147483647 then
                    format('max_attempts: %s, at least -1', o.value)
                when o.key = 'factor' and o.value::numeric <> 0
                     and o.value::numeric not between 1 and 1000 then
                    format('factor: %s, 1 to 1000', o.value)
                when o.key = 'jitter' and o.value::numeric > 1 then
                    format('jitter: %s, at most 1', o.value)
                when o.key = 'on_crash' and o.value::numeric not in (0, 1) then
                    'on_crash: retry or fail'
                when o.key like '%\_ms' and o.value::numeric not between 0 and 3162240000000 then
                    format('%s: %s ms, 0 to 100 years', replace(o.key, '_ms', ''), o.value)
                end into bad
              from jsonb_each(parsed) o(key, value)
             order by 1 limit 1;
        end if;
        if bad is not null then
            raise exception using errcode = 'HF003', message = bad, column = each.i::text;
        end if;
    end loop;
end
$$;
