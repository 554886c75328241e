-- Asks a run to stop, in the caller's transaction: it may clean up. Repeating it is safe. The run's
-- owner acts on it after the commit.
-- HF004: there is no such run; HF006: it has ended.
create or replace function holdfast.cancel(run text, reason text default null)
returns void language plpgsql security definer
set search_path = holdfast, pg_temp as $$
begin
    perform holdfast.hint_numbers(holdfast.submit_messages('{1}', array[run], null, array[reason],
                                                           null));
end
$$;
revoke all on function holdfast.cancel(text, text) from public;
