-- holdfast.signal for a payload that is jsonb already.
create or replace function holdfast.signal(run text, name text, payload jsonb,
                                           key text default null)
returns void language sql volatile as $$
    select holdfast.signal(run, name, payload::text, key)
$$;
revoke all on function holdfast.signal(text, text, jsonb, text) from public;
