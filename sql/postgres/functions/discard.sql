-- Deletes a dead letter, in the caller's transaction. For operators.
-- HF004: there is no such dead letter.
create or replace function holdfast.discard(dead_letter text)
returns void language plpgsql security definer
set search_path = holdfast, pg_temp as $$
begin
    perform holdfast.submit_dead('{false}', array[dead_letter]);
end
$$;
revoke all on function holdfast.discard(text) from public;
