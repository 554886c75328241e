-- For `holdfast explain`: tables in the states that hurt, and the plans of the statements that are
-- sent. Only stores that are made to be thrown away are filled.

-- name: explain_plan
-- The statement is put behind it.
explain (analyze, buffers, format json)

-- name: explain_mark
savepoint before_plan;

-- name: explain_undo
rollback to savepoint before_plan;

-- name: explain_load
-- What tells the plans of statements inside functions; only a superuser may have it.
load 'auto_explain';

-- name: explain_inside
-- They come as notices, until the savepoint.
select set_config('auto_explain.log_min_duration', '0', true),
       set_config('auto_explain.log_nested_statements', 'on', true),
       set_config('auto_explain.log_analyze', 'on', true),
       set_config('auto_explain.log_buffers', 'on', true),
       set_config('auto_explain.log_format', 'json', true),
       set_config('auto_explain.log_level', 'notice', true),
       set_config('client_min_messages', 'notice', true);

-- name: explain_quiet
-- Nobody vacuums or analyses but us.
do $$
begin
    alter table holdfast.run set (autovacuum_enabled = off);
    alter table holdfast.task set (autovacuum_enabled = off);
    alter table holdfast.inbox set (autovacuum_enabled = off);
    alter table holdfast.history set (autovacuum_enabled = off);
    alter table holdfast.dead set (autovacuum_enabled = off);
end
$$;

-- name: explain_vacuum
-- On empty tables: the planner believes then that they stay so.
vacuum (analyze) holdfast.run, holdfast.task, holdfast.inbox, holdfast.history, holdfast.dead;

-- name: explain_analyse
analyze holdfast.run, holdfast.task, holdfast.inbox, holdfast.history, holdfast.dead,
        holdfast.partition, holdfast.queue, holdfast.worker;

-- name: explain_queues
-- The rest is spread over their partitions. $1 and $2 first and last number
select holdfast.create_queue('filled-' || g, 'worker', 8)
  from generate_series($1::bigint, $2::bigint) g;

-- name: explain_tasks
-- $1 and $2 first and last number; $3 us from now until each is due, the g-th g us later, null: at
-- once; $4 claimed by
insert into holdfast.task (no, partition_id, class, name, payload, created_us, run_at_us, claimed_by)
select (p.id::bigint << 48) | (p.class::bigint << 46) | nextval('holdfast.row_seq'), p.id, p.class,
       'noop', '{"filled":true}', n.us, n.us + $3::bigint + g, $4::bigint
  from (select holdfast.now_us(null) as us offset 0) n
 cross join (select array_agg(id order by id) as ids from holdfast.partition) q
 cross join generate_series($1::bigint, $2::bigint) g
 cross join lateral (select q.ids[1 + g % cardinality(q.ids)] as id,
                            case when $3::bigint is null then 1 else 3 end as class) p;

-- name: explain_dead
-- $1 and $2 first and last number
insert into holdfast.dead (no, id, name, payload, attempts, crashes, error_name, created_us, died_us)
select (p.id::bigint << 48) | (1::bigint << 46) | nextval('holdfast.row_seq'), 'dead-' || g, 'noop',
       '{"filled":true}', 5, 0, 'failed', 1, 2
  from (select array_agg(id order by id) as ids from holdfast.partition) q
 cross join generate_series($1::bigint, $2::bigint) g
 cross join lateral (select q.ids[1 + g % cardinality(q.ids)] as id) p;

-- name: explain_runs
-- $1 and $2 first and last number, $3 status, $4 us until its timer, the g-th g us later, or null
insert into holdfast.run (no, partition_id, class, id, workflow, input, status, version, wake_us,
                          started_us, ended_us, output)
select (p.id::bigint << 48) | (1::bigint << 46) | nextval('holdfast.row_seq'), p.id, 1,
       'filled-' || g, 'filled', '{"filled":true}', $3::smallint, 1, n.us + $4::bigint + g,
       n.us, case when $3::smallint < 4 then 0 else n.us end,
       case when $3::smallint >= 4 then '{"done":true}' end
  from (select holdfast.now_us(null) as us offset 0) n
 cross join (select array_agg(id order by id) as ids from holdfast.partition) q
 cross join generate_series($1::bigint, $2::bigint) g
 cross join lateral (select q.ids[1 + g % cardinality(q.ids)] as id) p;

-- name: explain_history
-- $1 and $2 first and last number of runs, $3 rows of each
-- index: run_id
insert into holdfast.history (partition_id, run_no, execution, seq, events)
select r.partition_id, r.no, 1, seq, '[]'
  from generate_series($1::bigint, $2::bigint) g
  join holdfast.run r on r.id = 'filled-' || g
 cross join generate_series(1, $3::integer) seq;

-- name: explain_inbox
-- Signals that nobody reads. $1 and $2 first and last number of runs
-- index: run_id
insert into holdfast.inbox (no, partition_id, run_no, kind, name, payload, time_us)
select (r.partition_id::bigint << 48) | nextval('holdfast.row_seq'), r.partition_id, r.no, 0,
       'filled', '{}', 1
  from generate_series($1::bigint, $2::bigint) g
  join holdfast.run r on r.id = 'filled-' || g;

-- name: explain_owner
-- A worker that died: it owns every second partition, and what was claimed there is its.
with w as (
    insert into holdfast.worker (name, host, pid, handlers, slots, slots_free, lease_us, expires_at)
    values ('died', 'nowhere', 1, '', 16, 0, 1000000, clock_timestamp() - interval '1 hour')
    returning id
), p as (
    update holdfast.partition set owner = w.id from w where partition.id % 2 = 0
)
select id from w;
