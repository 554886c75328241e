-- The last of a task of a queue served by SQL: it goes. A run that called it is told the result; a
-- standalone task that has not done well becomes a dead letter. code: 0 or a positive code of the
-- library; text: output or error message; attempts: so many have ended.
create or replace function holdfast.sql_settle(task holdfast.task, code integer, error text,
                                               text text, attempts integer, now_us bigint)
returns void language plpgsql as $$
#variable_conflict use_variable
declare
    to_run smallint := task.run_no >> 48;
begin
    if task.run_no is not null then
        insert into holdfast.inbox (no, partition_id, run_no, task_no, kind, name, payload, key, aux,
                                    code, attempt, time_us)
        select (task.run_no >> 48 << 48) | nextval('holdfast.row_seq'), to_run, r.no, task.no, 7,
               task.ref, text, error, task.execution, code, attempts, now_us
          from holdfast.run r where r.no = task.run_no and r.status < 4;
        perform holdfast.hint(array[to_run]);
    elsif code <> 0 then
        insert into holdfast.dead (no, id, name, payload, opts, attempts, crashes, error_name,
                                   error_message, created_us, died_us, meta)
        values (task.no, coalesce(task.id, holdfast.task_id(task.no)), task.name, task.payload,
                task.opts, attempts, task.crashes, error, text, task.created_us, now_us, task.meta);
    end if;
    delete from holdfast.task t where t.no = task.no;
end
$$;
