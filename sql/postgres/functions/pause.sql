-- Holds a run before its next turn. In the caller's transaction; the run's owner acts on it after
-- the commit. For operators.
-- HF004: there is no such run; HF006: it has ended.
create or replace function holdfast.pause(run text)
returns void language plpgsql security definer
set search_path = holdfast, pg_temp as $$
begin
    perform holdfast.hint_numbers(holdfast.submit_orders('{3}', array[run], null));
end
$$;
revoke all on function holdfast.pause(text) from public;
