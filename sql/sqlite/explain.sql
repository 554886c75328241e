-- For `holdfast explain`: tables in the states that hurt. Only files that are made to be thrown away
-- are filled. ?1 and ?2 are always the first and last number.

-- name: explain_queues
insert into hf_partition (queue)
with recursive g (n) as (select ?1 union all select n + 1 from g where n < ?2)
select 'filled-' || n from g;

-- name: explain_tasks
-- ?3 us from now until each is due, the n-th n us later, null: at once; ?4 claimed, ?5 now
insert into hf_task (no, name, payload, created_us, run_at_us, claimed)
with recursive g (n) as (select ?1 union all select n + 1 from g where n < ?2)
select ((1 + n % (select count(*) from hf_partition)) << 48) | (iif(?3 is null, 1, 3) << 46)
       | (select seq from hf_counter where only = 1) + n - ?1 + 1,
       'noop', '{"filled":true}', ?5, ?5 + ?3 + n, ?4
  from g;

-- name: explain_dead
insert into hf_dead (no, id, name, payload, attempts, crashes, error_name, created_us, died_us)
with recursive g (n) as (select ?1 union all select n + 1 from g where n < ?2)
select ((1 + n % (select count(*) from hf_partition)) << 48) | (1 << 46)
       | (select seq from hf_counter where only = 1) + n - ?1 + 1,
       'dead-' || n, 'noop', '{"filled":true}', 5, 0, 'failed', 1, 2
  from g;

-- name: explain_runs
-- ?3 status, ?4 us until its timer, the n-th n us later, or null; ?5 now
insert into hf_run (no, id, workflow, input, status, version, wake_us, started_us, ended_us, output)
with recursive g (n) as (select ?1 union all select n + 1 from g where n < ?2)
select ((1 + n % (select count(*) from hf_partition)) << 48) | (1 << 46)
       | (select seq from hf_counter where only = 1) + n - ?1 + 1,
       'filled-' || n, 'filled', '{"filled":true}', ?3, 1, ?5 + ?4 + n, ?5, iif(?3 < 4, 0, ?5),
       iif(?3 >= 4, '{"done":true}', null)
  from g;

-- name: explain_history
-- ?3 rows of each run
-- index: hf_run_id
insert into hf_history (run_no, execution, seq, events)
with recursive g (n) as (select ?1 union all select n + 1 from g where n < ?2),
     s (n) as (select 1 union all select n + 1 from s where n < ?3)
select r.no, 1, s.n, '[]' from g cross join hf_run r on r.id = 'filled-' || g.n cross join s;

-- name: explain_inbox
-- index: hf_run_id
insert into hf_inbox (no, run_no, kind, name, payload, time_us)
with recursive g (n) as (select ?1 union all select n + 1 from g where n < ?2)
select (r.no >> 48 << 48) | (select seq from hf_counter where only = 1) + g.n - ?1 + 1, r.no, 0, 'filled', '{}', 1
  from g cross join hf_run r on r.id = 'filled-' || g.n;

-- name: explain_numbers
-- What was given away.
-- index: primary key
update hf_counter set seq = seq + ?2 - ?1 + 1 where only = 1;

-- name: explain_died
-- The owner has not left.
-- index: primary key
update hf_owner set has_left = 0 where only = 1;

-- name: explain_analyse
analyze;

-- name: explain_plan
-- The statement is put behind it.
explain query plan
