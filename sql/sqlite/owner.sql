-- Ownership of the file: one row, whose epoch each commit of the owner compares with its own.

-- name: owner_epoch
-- 0 when nobody owns the file: who has left is not the owner any more.
-- index: primary key
select iif(has_left, 0, epoch) from hf_owner where only = 1;

-- name: owner_get
-- index: primary key
select epoch, has_left, name, host, pid, queues, handlers, since_us, stats
  from hf_owner where only = 1;

-- name: owner_join
-- ?1 name, ?2 host, ?3 pid, ?4 queues, ?5 handlers, ?6 time
-- index: primary key
update hf_owner
   set epoch = epoch + 1, has_left = 0, name = ?1, host = ?2, pid = ?3, queues = ?4, handlers = ?5,
       since_us = ?6, stats = null
 where only = 1
returning epoch;

-- name: owner_publish
-- ?1 epoch, ?2 stats
-- index: primary key
update hf_owner set stats = ?2 where only = 1 and epoch = ?1;

-- name: owner_leave
-- ?1 epoch
-- index: primary key
update hf_owner set has_left = 1 where only = 1 and epoch = ?1;

-- name: count_crash
-- ?1 partition, ?2 time
-- index: primary key
update hf_partition set crashes = crashes + 1, crashed_us = ?2 where id = ?1;

-- name: calm
-- ?1 partition
-- index: primary key
update hf_partition set crashes = 0 where id = ?1;

-- name: release_runs
-- What the dead owner had said it was executing.
-- index: hf_run_claimed
update hf_run indexed by hf_run_claimed set crashes = crashes + 1, claimed = 0 where claimed = 1;

-- name: release_tasks
-- index: hf_task_claimed
update hf_task indexed by hf_task_claimed set crashes = crashes + 1, claimed = 0 where claimed = 1;
