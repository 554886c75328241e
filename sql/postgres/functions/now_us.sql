-- The time that a statement works with, microseconds since 1970: the caller's, or for null the
-- server's, which goes on within a transaction.
create or replace function holdfast.now_us(given_us bigint)
returns bigint language sql volatile as $$
    select coalesce(given_us, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
$$;
