-- holdfast.start_signal for a payload and an input that are jsonb already.
create or replace function holdfast.start_signal(
    workflow text, inout id text, signal text, payload jsonb, input jsonb default null,
    queue text default 'default', class text default 'normal', version integer default 0,
    key text default null, out outcome text)
language sql volatile as $$
    select s.id, s.outcome
      from holdfast.start_signal(workflow, start_signal.id, signal, payload::text, input::text, queue,
                                 class, version, key) s
$$;
revoke all on function holdfast.start_signal(text, text, text, jsonb, jsonb, text, text, integer,
    text) from public;
