-- Ends a run as it is: no clean-up, no compensation. In the caller's transaction; the run's owner
-- acts on it after the commit. For operators.
-- HF004: there is no such run; HF006: it has ended.
create or replace function holdfast.terminate(run text, reason text default null)
returns void language plpgsql security definer
set search_path = holdfast, pg_temp as $$
begin
    perform holdfast.hint_numbers(holdfast.submit_orders('{2}', array[run], array[reason]));
end
$$;
revoke all on function holdfast.terminate(text, text) from public;
