-- Workers and what they own. Times are the caller's or, for null, the server's.

-- name: owner_join
-- $1 name, $2 host, $3 pid, $4 queues, $5 handlers, $6 slots, $7 lease, $8 now
insert into holdfast.worker (name, host, pid, queues, handlers, slots, slots_free, lease_us, since,
                             expires_at)
select $1::text, $2::text, $3::bigint, $4::text, $5::text, $6::integer, $6::integer, $7::bigint,
       timestamptz 'epoch' + n.us * interval '1 microsecond',
       timestamptz 'epoch' + (n.us + $7::bigint) * interval '1 microsecond'
  from (select holdfast.now_us($8::bigint) as us offset 0) n
returning id;

-- name: owner_take_free
-- $1 worker
select holdfast.take_free($1::bigint);

-- name: owner_partitions
-- $1 worker
-- index: partition_owner
select id, queue, crashes, crashed_us from holdfast.partition where owner = $1::bigint order by id;

-- name: owner_restamp
-- $1 worker, $2 partitions, $3 rows
select holdfast.restamp($1::bigint, $2::smallint[], $3::integer);

-- name: owner_renew
-- $1 worker, $2 free slots, $3 now, $4 stats, null: as they were
-- index: worker_pkey
update holdfast.worker
   set expires_at = timestamptz 'epoch'
                    + (holdfast.now_us($3::bigint) + lease_us) * interval '1 microsecond',
       slots_free = $2::integer, stats = coalesce($4::text, stats)
 where id = $1::bigint
returning id;

-- name: owner_census
-- Renews, and who else is there: no row if the worker is not. $1 worker, $2 free slots, $3 now,
-- $4 stats, null: as they were
-- index: worker_pkey
with n as materialized (
    select holdfast.now_us($3::bigint) as us
), renewed as (
    update holdfast.worker w
       set expires_at = timestamptz 'epoch' + (n.us + w.lease_us) * interval '1 microsecond',
           slots_free = $2::integer, stats = coalesce($4::text, w.stats)
      from n
     where w.id = $1::bigint
    returning w.id, w.queues
), held as materialized (
    select owner, count(*) as partitions from holdfast.partition where owner is not null
     group by owner
), free as materialized (
    select count(*) as partitions
      from renewed r, holdfast.partition p
      join holdfast.queue q on q.name = p.queue
     where q.served_by = 'worker'
       and (r.queues is null or p.queue = any (regexp_split_to_array(btrim(r.queues), '\s*,\s*')))
       and (p.owner is null or not exists (select 1 from holdfast.worker w where w.id = p.owner))
)
select n.us, (select partitions from free), w.id, w.name, w.host, w.pid, w.queues, w.handlers,
       (extract(epoch from w.since) * 1000000)::bigint, w.slots,
       case when w.id = $1::bigint then $2::integer else w.slots_free end,
       coalesce((select partitions from held where held.owner = w.id), 0), w.lease_us,
       case when w.id = $1::bigint then n.us + w.lease_us
            else (extract(epoch from w.expires_at) * 1000000)::bigint end
  from n
 cross join holdfast.worker w
 where exists (select 1 from renewed)
 order by w.id;

-- name: owner_takeover
-- $1 worker, $2 the dead one, $3 now
select holdfast.takeover($1::bigint, $2::bigint, $3::bigint);

-- name: owner_end_backends
-- A half-sent pipeline holds its locks for ever, and no timeout of the session ends it. $1 the dead
-- worker's name
select pg_terminate_backend(pid)
  from pg_stat_activity
 where application_name = $1::text and datname = current_database()
   and usename = current_user and pid <> pg_backend_pid();

-- name: owner_leave
-- $1 worker
select holdfast.leave($1::bigint);

-- name: load_runs
-- In the order of the numbers: $1
-- index: run_pkey
select u.at::integer, r.no, r.id, r.workflow, r.input, r.token, r.parent_no, r.parent_ref,
       r.parent_execution, r.started_us, r.status, r.version, r.execution, r.wake_us, r.crashes,
       r.claimed, r.custom, r.output, r.error_name, r.error_message, r.ended_us
  from unnest($1::bigint[]) with ordinality as u (no, at)
  join holdfast.run r on r.no = u.no;

-- name: load_history
-- Of the present execution, run by run in the order of the numbers: $1
-- index: history_key run_pkey
select u.at::integer, h.execution, h.seq, h.events
  from unnest($1::bigint[]) with ordinality as u (no, at)
  join holdfast.run r on r.no = u.no
 cross join lateral (
       select h.execution, h.seq, h.events
         from holdfast.history h
        where h.run_no = r.no and h.execution = r.execution
        order by h.seq) h;

-- name: load_tasks
-- In the order of the numbers: $1
-- index: task_pkey
select u.at::integer, t.no, t.id, t.name, t.payload, t.opts, t.run_no, t.execution, t.ref,
       t.created_us, t.attempt, t.run_at_us, t.claimed_by, t.crashes, t.error_name, t.error_message
  from unnest($1::bigint[]) with ordinality as u (no, at)
  join holdfast.task t on t.no = u.no;
