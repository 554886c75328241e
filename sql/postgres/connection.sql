-- What every connection does and asks.

-- name: identify
-- Before anything else, since it tells whether a pooler is between: then it is another backend than
-- the connection was given.
select pg_backend_pid();

-- name: settings
-- Plans must not depend on what the planner believes of tables that it has seen empty. No time
-- limits but ours. $1 partitions of queues that are made, '' for the usual number
select set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false), set_config('enable_bitmapscan', 'off', false),
       set_config('jit', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false),
       set_config('idle_in_transaction_session_timeout', '0', false),
       set_config('search_path', 'pg_catalog', false), set_config('hf.partitions', $1::text, false);

-- name: local_settings
-- The same through a pooler, for one transaction. $1 as there, $2 the connection's name
select set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('jit', 'off', true), set_config('statement_timeout', '0', true),
       set_config('lock_timeout', '0', true), set_config('search_path', 'pg_catalog', true),
       set_config('hf.partitions', $1::text, true), set_config('application_name', $2::text, true);

-- name: begin
-- Not `read write`: default_transaction_read_only is how people and providers stop writers.
begin isolation level read committed;

-- name: begin_read
begin isolation level repeatable read read only;

-- name: commit
commit;

-- name: rollback
rollback;

-- name: listen
-- The channel is put behind it.
listen

-- name: take_name
-- $1 the name, which tells others whose connection this is
select set_config('application_name', $1::text, false);

-- name: end_backend
-- A backend of ours that was lost with a commit in flight: what it does it has done when this
-- returns. $1 pid, $2 its name
select count(pg_terminate_backend(pid, 2000)) from pg_stat_activity
  where pid = $1::integer and application_name = $2::text and usename = current_user;

-- name: read_clock
-- $1 the time if it is a test's
select holdfast.now_us($1::bigint);

-- name: schema_exists
select to_regclass('holdfast.migration') is not null;

-- name: schema_steps
-- What has been applied.
select version, checksum from holdfast.migration order by version;

-- name: partition_queues
-- $1 partitions
-- index: partition_pkey
select id, queue from holdfast.partition where id = any ($1::smallint[]);

-- name: unlisten
unlisten *;
