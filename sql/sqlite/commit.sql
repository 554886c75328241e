-- The owner's writes, each inside a commit that has compared the epoch.

-- name: insert_history
-- The primary key says whether somebody else has written here. ?1 run, ?2 execution, ?3 seq,
-- ?4 events
insert into hf_history (run_no, execution, seq, events) values (?1, ?2, ?3, ?4);

-- name: run_execution
-- Of a run that has not ended. ?1 run
-- index: primary key
select execution from hf_run where no = ?1 and status < 4;

-- name: prune_history
-- ?1 run, ?2 the execution that stays
-- index: primary key
delete from hf_history where run_no = ?1 and execution < ?2;

-- name: update_run
-- ?1 number, then the mutable columns in order
-- index: primary key
update hf_run
   set status = ?2, version = ?3, execution = ?4, wake_us = ?5, crashes = ?6, claimed = ?7,
       custom = ?8, output = ?9, error_name = ?10, error_message = ?11, ended_us = ?12
 where no = ?1;

-- name: restart_run
-- Another life. As update_run, then ?13 workflow, ?14 input, ?15 token, ?16 started
-- index: primary key
update hf_run
   set status = ?2, version = ?3, execution = ?4, wake_us = ?5, crashes = ?6, claimed = ?7,
       custom = ?8, output = ?9, error_name = ?10, error_message = ?11, ended_us = ?12,
       workflow = ?13, input = ?14, token = ?15, started_us = ?16
 where no = ?1;

-- name: insert_called_task
-- ?1 number, ?2 id, ?3 name, ?4 payload, ?5 options, ?6 time, ?7 not before, ?8 run, ?9 execution,
-- ?10 ref, ?11 attempt, ?12 claimed, ?13 crashes, ?14 error name, ?15 error message
insert into hf_task (no, id, name, payload, opts, created_us, run_at_us, run_no, execution, ref,
                     attempt, claimed, crashes, error_name, error_message)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15);

-- name: update_task
-- ?1 number, then the mutable columns in order
-- index: primary key
update hf_task
   set attempt = ?2, run_at_us = ?3, claimed = ?4, crashes = ?5, error_name = ?6,
       error_message = ?7
 where no = ?1;

-- name: delete_task
-- index: primary key
delete from hf_task where no = ?1;

-- name: task_to_dead
-- ?1 number, ?2 its id if it was given none, ?3 attempts, ?4 crashes, ?5 error name, ?6 error
-- message, ?7 time
-- index: primary key
insert into hf_dead (no, id, name, payload, opts, attempts, crashes, error_name, error_message,
                     created_us, died_us)
select no, coalesce(id, ?2), name, payload, opts, ?3, ?4, ?5, ?6, created_us, ?7
  from hf_task where no = ?1;

-- name: delete_inbox
-- index: primary key
delete from hf_inbox where no = ?1;
