-- What the owner reads. Every one is a range of an index that begins where the last read ended, so
-- its cost is that of the rows it returns.

-- name: fetch_runs
-- New runs of one stream. ?1 after this number, ?2 up to this one
-- index: hf_run_live
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run indexed by hf_run_live
 where status = 0 and no > ?1 and no <= ?2 and status <= 3
 order by no;

-- name: fetch_blocked
-- For a new owner: runs that a fixed program could take up again. ?1 after, ?2 up to
-- index: hf_run_live
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run indexed by hf_run_live
 where status = 3 and no > ?1 and no <= ?2 and status <= 3
   and coalesce(error_name, '') <> 'crashed'
 order by no;

-- name: fetch_due_runs_same
-- The rest of one microsecond that a full page has cut. ?1 partition, ?2 time, ?3 after this number
-- index: hf_run_wake
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run indexed by hf_run_wake
 where no >> 48 = ?1 and wake_us = ?2 and no > ?3 and wake_us is not null and status <= 1
 order by no;

-- name: fetch_due_runs
-- ?1 partition, ?2 after this time, ?3 up to this one
-- index: hf_run_wake
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run indexed by hf_run_wake
 where no >> 48 = ?1 and wake_us > ?2 and wake_us <= ?3 and wake_us is not null and status <= 1
 order by wake_us, no;

-- name: next_due_run
-- ?1 partition, ?2 after this time
-- index: hf_run_wake
select wake_us
  from hf_run indexed by hf_run_wake
 where no >> 48 = ?1 and wake_us > ?2 and wake_us is not null and status <= 1
 order by wake_us limit 1;

-- name: fetch_tasks
-- New tasks of one stream; those with a time are brought when they are due. ?1 after, ?2 up to
-- index: primary key
select no, id, name, payload, opts, run_no, execution, ref, created_us, attempt, run_at_us, claimed,
       crashes, error_name, error_message
  from hf_task where no > ?1 and no <= ?2 and run_at_us is null
 order by no;

-- name: fetch_late_tasks
-- Delayed tasks that were stored with a time that had been read already. ?1 after, ?2 up to,
-- ?3 and ?4 the time and number up to which due tasks have been read
-- index: primary key
select no, id, name, payload, opts, run_no, execution, ref, created_us, attempt, run_at_us, claimed,
       crashes, error_name, error_message
  from hf_task
 where no > ?1 and no <= ?2 and (run_at_us < ?3 or (run_at_us = ?3 and no <= ?4))
 order by no;

-- name: fetch_due_tasks_same
-- As for runs.
-- index: hf_task_due
select no, id, name, payload, opts, run_no, execution, ref, created_us, attempt, run_at_us, claimed,
       crashes, error_name, error_message
  from hf_task indexed by hf_task_due
 where no >> 48 = ?1 and run_at_us = ?2 and no > ?3 and run_at_us is not null
 order by no;

-- name: fetch_due_tasks
-- index: hf_task_due
select no, id, name, payload, opts, run_no, execution, ref, created_us, attempt, run_at_us, claimed,
       crashes, error_name, error_message
  from hf_task indexed by hf_task_due
 where no >> 48 = ?1 and run_at_us > ?2 and run_at_us <= ?3 and run_at_us is not null
 order by run_at_us, no;

-- name: next_due_task
-- index: hf_task_due
select run_at_us
  from hf_task indexed by hf_task_due
 where no >> 48 = ?1 and run_at_us > ?2 and run_at_us is not null
 order by run_at_us limit 1;

-- name: fetch_inbox
-- ?1 after, ?2 up to
-- index: primary key
select no, run_no, kind, name, payload, key, aux, code, time_us
  from hf_inbox where no > ?1 and no <= ?2
 order by no;
