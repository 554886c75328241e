-- The number of a live task by its id, null if there is none. It may be one that was given, or one
-- like t1.1.42, which is read only if the task has no other.
create or replace function holdfast.task_find(wanted text)
returns bigint language plpgsql stable
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
    part  text[] := regexp_match(wanted,
                                 '^t(0|[1-9]\d{0,4})\.([0-3])\.(0|[1-9]\d{0,13})$');
    found bigint;
begin
    if part is not null and part[1]::integer <= 32767 and part[3]::bigint < 1::bigint << 46 then
        select t.no into found from holdfast.task t
         where t.no = (part[1]::bigint << 48) | (part[2]::bigint << 46) | part[3]::bigint
           and t.id is null;
    end if;
    if found is null then
        select t.no into found from holdfast.task t where t.id = wanted;
    end if;
    return found;
end
$$;
