-- Makes a dead letter a task again, under its id, with attempts and crashes forgotten, in the
-- caller's transaction. Returns the task's id: a new one if it had been given none. For operators.
-- HF004: there is no such dead letter.
create or replace function holdfast.retry(dead_letter text)
returns text language plpgsql security definer
set search_path = holdfast, pg_temp as $$
declare
    made bigint := (holdfast.submit_dead('{true}', array[dead_letter]))[1];
begin
    perform holdfast.hint_numbers(array[made]);
    return (select coalesce(t.id, holdfast.task_id(t.no)) from holdfast.task t where t.no = made);
end
$$;
revoke all on function holdfast.retry(text) from public;
