-- The store's time, microseconds since 1970: the server's clock as it is now (not as it was when the
-- transaction began), or the one given, if tests stand it still.
create or replace function holdfast.now_us(given bigint default null)
returns bigint language sql volatile as $$
    select coalesce(given, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
$$;
