-- The id of a task that was given none: t, its partition, its class, its number, as in t1.1.42.
create or replace function holdfast.task_id(no bigint)
returns text language sql immutable as $$
    select 't' || (no >> 48) || '.' || (no >> 46 & 3) || '.' || (no & 70368744177663)
$$;
