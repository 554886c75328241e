-- holdfast.start for an input that is jsonb already.
create or replace function holdfast.start(
    workflow text, inout id text, input jsonb, queue text default 'default',
    class text default 'normal', version integer default 0, if_exists text default 'fail',
    out outcome text)
language sql volatile as $$
    select s.id, s.outcome
      from holdfast.start(workflow, start.id, input::text, queue, class, version, if_exists) s
$$;
revoke all on function holdfast.start(text, text, jsonb, text, text, integer, text) from public;
