-- Reading for people. Rows bring the name of their queue along. The columns
-- stand in the order of postgres_row.c. A partition's rows are those whose number is between
-- partition << 48 and that | 281474976710655; a class's between (partition * 4 + class) << 46 and
-- that | 70368744177663.

-- name: run_by_id
-- index: run_id
select r.no, (select p.queue from holdfast.partition p where p.id = r.partition_id), r.id, r.workflow,
       r.input, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us, r.status,
       r.version, r.execution, r.wake_us, r.crashes, r.claimed, r.custom, r.output, r.error_name,
       r.error_message, r.ended_us
  from holdfast.run r where r.id = $1::text;

-- name: run_list
-- Newest first, without an index by time: the newest numbers of each class, put in order. $1 started
-- before, $2 status or -1, $3 workflow, $4 queue, $5 limit
-- index: run_pkey
select r.no, (select p.queue from holdfast.partition p where p.id = r.partition_id), r.id, r.workflow,
       r.input, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us, r.status,
       r.version, r.execution, r.wake_us, r.crashes, r.claimed, r.custom, r.output, r.error_name,
       r.error_message, r.ended_us
  from holdfast.partition q
 cross join generate_series(0, 2) as c (class)
 cross join lateral (
       select x.* from holdfast.run x
        where x.no >= (q.id::bigint * 4 + c.class << 46)
          and x.no <= (q.id::bigint * 4 + c.class << 46 | 70368744177663)
          and x.started_us < $1::bigint and ($2::integer < 0 or x.status = $2::integer)
          and ($3::text is null or x.workflow = $3::text)
        order by x.no desc limit $5::bigint) r
 where $4::text is null or q.queue = $4::text
 order by r.started_us desc, r.no desc limit $5::bigint;

-- name: run_list_running
-- The same for running ones, of which there are few beside those that have ended.
-- index: run_fetch
select r.no, (select p.queue from holdfast.partition p where p.id = r.partition_id), r.id, r.workflow,
       r.input, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us, r.status,
       r.version, r.execution, r.wake_us, r.crashes, r.claimed, r.custom, r.output, r.error_name,
       r.error_message, r.ended_us
  from holdfast.partition q
 cross join generate_series(0, 2) as c (class)
 cross join lateral (
       select x.* from holdfast.run x
        where x.partition_id = q.id and x.class = c.class and x.status = 0
          and x.started_us < $1::bigint and $2::integer >= 0
          and ($3::text is null or x.workflow = $3::text)
        order by x.xid desc, x.no desc limit $5::bigint) r
 where $4::text is null or q.queue = $4::text
 order by r.started_us desc, r.no desc limit $5::bigint;

-- name: run_list_paused
-- index: run_paused
select r.no, (select p.queue from holdfast.partition p where p.id = r.partition_id), r.id, r.workflow,
       r.input, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us, r.status,
       r.version, r.execution, r.wake_us, r.crashes, r.claimed, r.custom, r.output, r.error_name,
       r.error_message, r.ended_us
  from holdfast.partition q
 cross join lateral (
       select x.* from holdfast.run x
        where x.partition_id = q.id and x.status = 2
          and x.started_us < $1::bigint and $2::integer >= 0
          and ($3::text is null or x.workflow = $3::text)
        order by x.no desc limit $5::bigint) r
 where $4::text is null or q.queue = $4::text
 order by r.started_us desc, r.no desc limit $5::bigint;

-- name: run_list_blocked
-- index: run_blocked
select r.no, (select p.queue from holdfast.partition p where p.id = r.partition_id), r.id, r.workflow,
       r.input, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us, r.status,
       r.version, r.execution, r.wake_us, r.crashes, r.claimed, r.custom, r.output, r.error_name,
       r.error_message, r.ended_us
  from holdfast.partition q
 cross join lateral (
       select x.* from holdfast.run x
        where x.partition_id = q.id and x.status = 3
          and x.started_us < $1::bigint and $2::integer >= 0
          and ($3::text is null or x.workflow = $3::text)
        order by x.no desc limit $5::bigint) r
 where $4::text is null or q.queue = $4::text
 order by r.started_us desc, r.no desc limit $5::bigint;

-- name: run_children
-- index: run_parent
select r.no, (select p.queue from holdfast.partition p where p.id = r.partition_id), r.id, r.workflow,
       r.input, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us, r.status,
       r.version, r.execution, r.wake_us, r.crashes, r.claimed, r.custom, r.output, r.error_name,
       r.error_message, r.ended_us
  from holdfast.run r where r.parent_no = $1::bigint
 order by r.no;

-- name: history_of
-- $1 run, $2 execution
-- index: history_key
select h.run_no, h.execution, h.seq, h.events
  from holdfast.history h where h.run_no = $1::bigint and h.execution = $2::integer
 order by h.seq;

-- name: inbox_of_run
-- index: inbox_run
select i.no, i.run_no, i.task_no, i.kind, i.name, i.payload, i.key, i.aux, i.code, i.attempt,
       i.sender, i.time_us
  from holdfast.inbox i where i.run_no = $1::bigint
 order by i.no;

-- name: task_by_id
-- $1 the id that it was given, $2 the number that the id says, which counts if it was given none
-- index: task_id task_pkey
select t.no, (select p.queue from holdfast.partition p where p.id = t.partition_id), t.id, t.name,
       t.payload, t.opts, t.run_no, t.execution, t.ref, t.created_us, t.attempt, t.run_at_us,
       t.claimed_by, t.crashes, t.error_name, t.error_message
  from holdfast.task t
 where t.no = coalesce((select x.no from holdfast.task x where x.id = $1::text),
                       (select x.no from holdfast.task x where x.no = $2::bigint and x.id is null));

-- name: task_list
-- $1 after this number, $2 name, $3 queue, $4 limit
-- index: task_pkey
select t.no, (select p.queue from holdfast.partition p where p.id = t.partition_id), t.id, t.name,
       t.payload, t.opts, t.run_no, t.execution, t.ref, t.created_us, t.attempt, t.run_at_us,
       t.claimed_by, t.crashes, t.error_name, t.error_message
  from holdfast.partition q
 cross join lateral (
       select x.* from holdfast.task x
        where x.no > greatest($1::bigint, (q.id::bigint << 48))
          and x.no <= (q.id::bigint << 48 | 281474976710655)
          and ($2::text is null or x.name = $2::text)
        order by x.no limit $4::bigint) t
 where $3::text is null or q.queue = $3::text
 order by t.no limit $4::bigint;

-- name: task_list_of_run
-- The same, and $5 run.
-- index: task_run
select t.no, (select p.queue from holdfast.partition p where p.id = t.partition_id), t.id, t.name,
       t.payload, t.opts, t.run_no, t.execution, t.ref, t.created_us, t.attempt, t.run_at_us,
       t.claimed_by, t.crashes, t.error_name, t.error_message
  from holdfast.task t
 where t.run_no = $5::bigint and t.no > $1::bigint and ($2::text is null or t.name = $2::text)
   and ($3::text is null or exists (select from holdfast.partition p
                                     where p.id = t.partition_id and p.queue = $3::text))
 order by t.no limit $4::bigint;

-- name: dead_by_id
-- index: dead_id
select d.no, (select p.queue from holdfast.partition p where p.id = (d.no >> 48)::smallint), d.id,
       d.name, d.payload, d.opts, d.attempts, d.crashes, d.error_name, d.error_message,
       d.created_us, d.died_us
  from holdfast.dead d where d.id = $1::text;

-- name: dead_list
-- As task_list.
-- index: dead_pkey
select d.no, (select p.queue from holdfast.partition p where p.id = (d.no >> 48)::smallint), d.id,
       d.name, d.payload, d.opts, d.attempts, d.crashes, d.error_name, d.error_message,
       d.created_us, d.died_us
  from holdfast.partition q
 cross join lateral (
       select x.* from holdfast.dead x
        where x.no > greatest($1::bigint, (q.id::bigint << 48))
          and x.no <= (q.id::bigint << 48 | 281474976710655)
          and ($2::text is null or x.name = $2::text)
        order by x.no limit $4::bigint) d
 where $3::text is null or q.queue = $3::text
 order by d.no limit $4::bigint;

-- name: worker_list
-- $1 now
select w.id, w.name, w.host, w.pid, w.queues, w.handlers,
       (extract(epoch from w.since) * 1000000)::bigint,
       (extract(epoch from w.expires_at) * 1000000)::bigint
       > coalesce($1::bigint, (extract(epoch from clock_timestamp()) * 1000000)::bigint),
       w.slots, w.slots_free,
       (select count(*) from holdfast.partition p where p.owner = w.id), w.lease_us,
       (extract(epoch from w.expires_at) * 1000000)::bigint, w.stats
  from holdfast.worker w
 order by w.id;

-- name: pending
-- What is left to do, each count up to $3 in a partition. Waiting runs have no index but for those
-- with a timer: the others are counted among the newest thousand of each class. $1 queues or null,
-- $2 due until, $3 limit
select coalesce(sum(k.tasks), 0)::bigint, coalesce(sum(k.running), 0)::bigint,
       coalesce(sum(k.due), 0)::bigint, coalesce(sum(k.timers + k.resting), 0)::bigint,
       coalesce(sum(k.paused), 0)::bigint, coalesce(sum(k.blocked), 0)::bigint,
       coalesce(sum(k.inbox), 0)::bigint, coalesce(sum(k.dead), 0)::bigint
  from holdfast.partition q
 cross join lateral (select
       (select count(*)
          from (select from holdfast.task t
                 where t.no >= (q.id::bigint << 48)
                   and t.no <= (q.id::bigint << 48 | 281474976710655) limit $3::bigint) x) as tasks,
       (select count(*)
          from (select from holdfast.run r where r.partition_id = q.id and r.status = 0
                 limit $3::bigint) x) as running,
       (select count(*)
          from (select from holdfast.run r
                 where r.partition_id = q.id and r.wake_us <= $2::bigint and r.wake_us is not null
                   and r.status = 1 limit $3::bigint) x) as due,
       (select count(*)
          from (select from holdfast.run r
                 where r.partition_id = q.id and r.wake_us > $2::bigint and r.wake_us is not null
                   and r.status = 1 limit $3::bigint) x) as timers,
       (select coalesce(sum((x.status = 1 and x.wake_us is null)::integer), 0)
          from generate_series(0, 2) as c (class)
         cross join lateral (
               select r.status, r.wake_us from holdfast.run r
                where r.no >= (q.id::bigint * 4 + c.class << 46)
                  and r.no <= (q.id::bigint * 4 + c.class << 46 | 70368744177663)
                order by r.no desc limit 1000) x) as resting,
       (select count(*)
          from (select from holdfast.run r where r.partition_id = q.id and r.status = 2
                 limit $3::bigint) x) as paused,
       (select count(*)
          from (select from holdfast.run r where r.partition_id = q.id and r.status = 3
                 limit $3::bigint) x) as blocked,
       (select count(*)
          from (select from holdfast.inbox i
                 where i.partition_id = q.id and i.kind >= 0
                   and (select r.status from holdfast.run r where r.no = i.run_no) <= 3
                 limit $3::bigint) x) as inbox,
       (select count(*)
          from (select from holdfast.dead d
                 where d.no >= (q.id::bigint << 48)
                   and d.no <= (q.id::bigint << 48 | 281474976710655) limit $3::bigint) x) as dead)
       as k
 where $1::text[] is null or q.queue = any ($1::text[]);

-- name: queue_list
-- $1 now, $2 limit of counts
select w.name, count(q.id), count(q.id) filter (where q.owner is null and w.served_by = 'worker'),
       w.served_by = 'sql', coalesce(bool_or(k.more), false), coalesce(sum(k.tasks), 0)::bigint,
       coalesce(sum(k.delayed), 0)::bigint, coalesce(sum(k.running + k.due), 0)::bigint,
       coalesce(min(k.oldest_us), 0)::bigint, w.retain_us, coalesce(sum(q.crashes), 0)::bigint
  from (select coalesce($1::bigint, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
               as us) n
 cross join holdfast.queue w
  left join holdfast.partition q on q.queue = w.name
  left join lateral (
       select coalesce(t.tasks, 0) as tasks, coalesce(t.delayed, 0) as delayed, t.oldest_us,
              r.running, d.due,
              coalesce(t.more, false) or r.running >= $2::bigint or d.due >= $2::bigint as more
         from (select sum(y.due)::bigint as tasks, sum(y.n - y.due)::bigint as delayed,
                      min(y.oldest_us) as oldest_us, bool_or(y.n >= $2::bigint) as more
                 from generate_series(0, 3) as c (class)
                cross join lateral (
                      select count(*) as n,
                             count(*) filter (where coalesce(x.run_at_us, 0) <= n.us) as due,
                             min(greatest(x.created_us, x.run_at_us))
                             filter (where coalesce(x.run_at_us, 0) <= n.us) as oldest_us
                        from (select a.created_us, a.run_at_us from holdfast.task a
                               where a.no >= (q.id::bigint * 4 + c.class << 46)
                                 and a.no <= (q.id::bigint * 4 + c.class << 46 | 70368744177663)
                               order by a.no limit $2::bigint) x) y) t,
              (select count(*) as running
                 from (select from holdfast.run b where b.partition_id = q.id and b.status = 0
                        limit $2::bigint) x) r,
              (select count(*) as due
                 from (select from holdfast.run b
                        where b.partition_id = q.id and b.wake_us <= n.us and b.wake_us is not null
                          and b.status = 1 limit $2::bigint) x) d) k on true
 group by w.name, w.served_by, w.retain_us
 order by min(q.id), w.name;
