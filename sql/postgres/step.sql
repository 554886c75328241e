-- SQL steps: what stands before a statement of the user's. Behind it stand the fence and the history
-- row, as in a batch.

-- name: step_settings
-- The user's statements are planned as he has set it up, and find his tables. $1 true: only for this
-- transaction
select count(set_config(name, case name when 'bytea_output' then 'hex' else reset_val end,
                        $1::boolean))
  from pg_settings
 where name in ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_bitmapscan', 'jit',
                'plan_cache_mode', 'search_path', 'bytea_output');

-- name: step_timeout
-- $1 milliseconds
select set_config('statement_timeout', $1::bigint::text, true);

-- name: step_execution
-- Of a run that has not ended. $1 run
-- index: run_pkey
select execution from holdfast.run where no = $1::bigint and status < 4;
