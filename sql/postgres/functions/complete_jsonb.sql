-- holdfast.complete for a result that is jsonb already.
create or replace function holdfast.complete(task text, claim bigint, result jsonb)
returns void language sql volatile as $$
    select holdfast.complete(task, claim, result::text)
$$;
revoke all on function holdfast.complete(text, bigint, jsonb) from public;
