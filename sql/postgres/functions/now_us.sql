-- Microseconds since 1970: the given ones, else those of the server's clock. Tests give their own.
create or replace function holdfast.now_us(given bigint default null)
returns bigint language sql volatile as $$
    select coalesce(given, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
$$;
