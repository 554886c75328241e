-- Queues for people, how long their ended runs are kept, and the deletion of those.

-- name: queue_list
select id, queue, crashes, retain_us from hf_partition order by id;

-- name: queue_tasks
-- One class of one partition, counted up to a limit: what may run, what has a time to come, since
-- when the oldest waits. ?1 from this number, ?2 up to, ?3 limit, ?4 now
-- index: primary key
select count(*) filter (where coalesce(run_at_us, 0) <= ?4),
       count(*) filter (where run_at_us > ?4),
       coalesce(min(iif(coalesce(run_at_us, 0) <= ?4, max(created_us, coalesce(run_at_us, 0)), null)),
                0)
  from (select created_us, run_at_us from hf_task where no >= ?1 and no <= ?2 order by no limit ?3);

-- name: set_retention
-- ?1 queue, ?2 us
-- index: hf_partition_queue
update hf_partition set retain_us = ?2 where queue = ?1;

-- name: purge_find
-- The oldest first. A run that is about to begin anew, or has called a task that is still there,
-- stays. ?1 ended before, ?2 status or -1, ?3 partition or 0, ?4 limit
-- index: hf_run_started
select no
  from hf_run indexed by hf_run_started
 where started_us < ?1 and ended_us < ?1 and status >= 4 and (?2 < 0 or status = ?2)
   and (?3 = 0 or no >> 48 = ?3)
   and not exists (select 1 from hf_inbox where hf_inbox.run_no = hf_run.no and kind = 5)
   and not exists (select 1 from hf_task where hf_task.run_no = hf_run.no)
 order by started_us, no limit ?4;

-- name: purge_run
-- What has changed since it was found stays. ?1 number, ?2 ended before
-- index: primary key
delete from hf_run
 where no = ?1 and status >= 4 and ended_us < ?2
   and not exists (select 1 from hf_inbox where hf_inbox.run_no = hf_run.no and kind = 5)
   and not exists (select 1 from hf_task where hf_task.run_no = hf_run.no);

-- name: purge_history
-- index: primary key
delete from hf_history where run_no = ?1;

-- name: purge_inbox
-- index: hf_inbox_run
delete from hf_inbox where run_no = ?1;
