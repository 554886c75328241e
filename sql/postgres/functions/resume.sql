-- Lets a paused or blocked run go on. In the caller's transaction; the run's owner acts on it after
-- the commit. For operators.
-- HF004: there is no such run; HF006: it has ended.
create or replace function holdfast.resume(run text)
returns void language plpgsql security definer
set search_path = holdfast, pg_temp as $$
begin
    perform holdfast.hint_numbers(holdfast.submit_orders('{4}', array[run], null));
end
$$;
revoke all on function holdfast.resume(text) from public;
