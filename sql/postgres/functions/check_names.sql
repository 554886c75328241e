-- Raises HF003 unless all are names: 1 to 255 bytes, no control characters. what: said in the
-- message. may_miss: nulls are fine. The column field of the error is the number of the bad one.
create or replace function holdfast.check_names(what text, names text[],
                                                may_miss boolean default false)
returns void language plpgsql as $$
declare
    bad record;
begin
    select u.name, u.i into bad
      from unnest(names) with ordinality u(name, i)
     where octet_length(u.name) not between 1 and 255 or u.name ~ '[\x01-\x1f\x7f]'
        or (u.name is null and not may_miss)
     order by u.i limit 1;
    if not found then
        return;
    end if;
    raise exception using errcode = 'HF003', column = bad.i::text, message =
        case when coalesce(bad.name, '') = '' then format('%s: empty', what)
             when octet_length(bad.name) > 255
                 then format('%s: over 255 bytes: %s...', what, left(bad.name, 40))
             else format('%s: control character in it', what) end;
end
$$;
