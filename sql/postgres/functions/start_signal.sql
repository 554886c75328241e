-- Sends a signal to run id, which is started with it if there is no live one: both or none, in the
-- caller's transaction. A run that has ended begins anew under its id. outcome: started, existed
-- (only the signal was sent), replaced (it begins anew).
-- Errors as those of holdfast.start and holdfast.signal, but for HF004, HF005 and HF006.
create or replace function holdfast.start_signal(
    workflow text, inout id text, signal text, payload text default null, input text default null,
    queue text default 'default', class text default 'normal', version integer default 0,
    key text default null, out outcome text)
language plpgsql security definer
set search_path = holdfast, pg_temp as $$
declare
    started record;
begin
    perform holdfast.check_names('signal', array[signal]);
    id := coalesce(id, holdfast.uuid7());
    select s.nos, s.outcomes[1] as outcome into started
      from holdfast.submit_runs(array[id], array[workflow], array[input], array[queue],
                                array[holdfast.class_no(class)], array[version], array[3::smallint],
                                null) s;
    outcome := (array['started', 'existed', 'replaced'])[1 + started.outcome];
    perform holdfast.submit_messages('{0}', array[id], array[signal], array[payload], array[key]);
    perform holdfast.hint_numbers(started.nos);
end
$$;
revoke all on function holdfast.start_signal(text, text, text, text, text, text, text, integer,
    text) from public;
