-- A new UUID of version 7, as text: its order is that of time, to the millisecond.
create or replace function holdfast.uuid7()
returns text language sql volatile as $$
    select format('%s-%s-7%s-%s-%s', left(t, 8), right(t, 4), substr(r, 16, 3), substr(r, 20, 4),
                  right(r, 12))
      from (select lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') as t,
                   gen_random_uuid()::text as r) x
$$;
