-- Reading for people and for loading runs.

-- name: run_by_no
-- index: primary key
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run where no = ?1;

-- name: run_by_id
-- index: hf_run_id
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run where id = ?1;

-- name: run_list
-- Newest first. ?1 started before, ?2 status or -1, ?3 workflow, ?4 partition or 0, ?5 limit
-- index: hf_run_started
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run indexed by hf_run_started
 where started_us < ?1 and (?2 < 0 or status = ?2) and (?3 is null or workflow = ?3)
   and (?4 = 0 or no >> 48 = ?4)
 order by started_us desc, no desc limit ?5;

-- name: run_list_live
-- The same for one state of live runs, of which there are few beside those that have ended.
-- index: hf_run_live
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run indexed by hf_run_live
 where started_us < ?1 and status = ?2 and status <= 3 and (?3 is null or workflow = ?3)
   and (?4 = 0 or no >> 48 = ?4)
 order by started_us desc, no desc limit ?5;

-- name: run_children
-- index: hf_run_parent
select no, id, workflow, input, token, parent_no, parent_ref, parent_execution, started_us, status,
       version, execution, wake_us, crashes, claimed, custom, output, error_name, error_message,
       ended_us
  from hf_run where parent_no = ?1
 order by no;

-- name: history_of
-- ?1 run, ?2 execution
-- index: primary key
select run_no, execution, seq, events from hf_history where run_no = ?1 and execution = ?2
 order by seq;

-- name: inbox_of_run
-- index: hf_inbox_run
select no, run_no, kind, name, payload, key, aux, code, time_us
  from hf_inbox where run_no = ?1
 order by no;

-- name: task_by_no
-- index: primary key
select no, id, name, payload, opts, run_no, execution, ref, created_us, attempt, run_at_us, claimed,
       crashes, error_name, error_message
  from hf_task where no = ?1;

-- name: task_by_id
-- index: hf_task_id
select no, id, name, payload, opts, run_no, execution, ref, created_us, attempt, run_at_us, claimed,
       crashes, error_name, error_message
  from hf_task where id = ?1;

-- name: task_list
-- ?1 after this number, ?2 name, ?3 partition or 0, ?4 limit
-- index: primary key
select no, id, name, payload, opts, run_no, execution, ref, created_us, attempt, run_at_us, claimed,
       crashes, error_name, error_message
  from hf_task where no > ?1 and (?2 is null or name = ?2) and (?3 = 0 or no >> 48 = ?3)
 order by no limit ?4;

-- name: task_list_of_run
-- The same, and ?5 run.
-- index: hf_task_run
select no, id, name, payload, opts, run_no, execution, ref, created_us, attempt, run_at_us, claimed,
       crashes, error_name, error_message
  from hf_task indexed by hf_task_run
 where run_no = ?5 and no > ?1 and run_no is not null and (?2 is null or name = ?2)
   and (?3 = 0 or no >> 48 = ?3)
 order by no limit ?4;

-- name: dead_by_id
-- index: hf_dead_id
select no, id, name, payload, opts, attempts, crashes, error_name, error_message, created_us, died_us
  from hf_dead where id = ?1;

-- name: dead_list
-- As task_list.
-- index: primary key
select no, id, name, payload, opts, attempts, crashes, error_name, error_message, created_us, died_us
  from hf_dead where no > ?1 and (?2 is null or name = ?2) and (?3 = 0 or no >> 48 = ?3)
 order by no limit ?4;

-- name: count_tasks
-- Counts stop at ?3. ?1 from this number, ?2 up to
-- index: primary key
select count(*) from (select 1 from hf_task where no >= ?1 and no <= ?2 limit ?3);

-- name: count_dead
-- index: primary key
select count(*) from (select 1 from hf_dead where no >= ?1 and no <= ?2 limit ?3);

-- name: count_inbox
-- Rows of live runs.
-- index: primary key
select count(*)
  from (select 1 from hf_inbox
         where hf_inbox.no >= ?1 and hf_inbox.no <= ?2
           and (select status from hf_run where hf_run.no = hf_inbox.run_no) <= 3
         limit ?3);

-- name: count_runs
-- ?4 status of live runs
-- index: hf_run_live
select count(*)
  from (select 1 from hf_run indexed by hf_run_live
         where status = ?4 and no >= ?1 and no <= ?2 and status <= 3 limit ?3);

-- name: count_due
-- Waiting runs with a timer. ?1 partition, ?2 up to this time, ?3 limit
-- index: hf_run_wake
select count(*)
  from (select 1 from hf_run indexed by hf_run_wake
         where no >> 48 = ?1 and wake_us <= ?2 and wake_us is not null and status <= 1
           and status = 1 limit ?3);
