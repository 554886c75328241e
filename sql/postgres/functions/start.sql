-- Starts a run in the caller's transaction: it commits or rolls back with it, and no worker sees it
-- before. What is committed survives any crash. A run without an id is given a UUIDv7.
--
-- version: 0: the newest that a worker has. class: urgent, normal or bulk. if_exists: what if the
-- id is taken. fail: HF005. use: the run that is there stays as it is. replace: a live run is
-- terminated, and it begins anew under the same id, by its owner after the commit. outcome:
-- started, existed, replaced.
-- HF003: a bad argument; HF005: the id is taken; HF007: the input is over 1 MiB.
create or replace function holdfast.start(
    workflow text, inout id text default null, input text default null,
    queue text default 'default', class text default 'normal', version integer default 0,
    if_exists text default 'fail', out outcome text)
language plpgsql security definer
set search_path = holdfast, pg_temp as $$
begin
    select s.id, s.outcome into id, outcome
      from holdfast.start_many(workflow, array[coalesce(id, holdfast.uuid7())], array[input], queue,
                               class, version, if_exists) s;
end
$$;
revoke all on function holdfast.start(text, text, text, text, text, integer, text) from public;
