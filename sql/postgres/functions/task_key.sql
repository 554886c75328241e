-- The idempotency key of a task: the same for all attempts, different for all others. As hf_tk_key.
create or replace function holdfast.task_key(task holdfast.task)
returns text language sql stable as $$
    select case when task.run_no is null then coalesce(task.id, holdfast.task_id(task.no))
                else (select r.id from holdfast.run r where r.no = task.run_no)
                     || '/' || task.execution || '/' || task.ref end
$$;
