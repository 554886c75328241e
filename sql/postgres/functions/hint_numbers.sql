-- Hints the owners of the partitions that these rows are in.
create or replace function holdfast.hint_numbers(nos bigint[])
returns void language sql volatile as $$
    select holdfast.hint(array(select distinct (u.no >> 48)::smallint from unnest(nos) u(no)))
$$;
