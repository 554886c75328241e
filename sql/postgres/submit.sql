-- Clients' writes: functions that SQL clients use too. An array has an element for each item, or one
-- for all, or is null: null for all. The last parameter is the time if it is a test's.

-- name: submit_tasks
-- $1 ids, $2 names, $3 payloads, $4 queues, $5 classes, $6 not before, $7 options, $8 now
select holdfast.submit_tasks($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[],
                             $6::bigint[], $7::text[], $8::bigint);

-- name: submit_runs
-- $1 ids, $2 workflows, $3 inputs, $4 queues, $5 classes, $6 versions, $7 if_exists, $8 tokens, $9
-- now
select nos, outcomes
  from holdfast.submit_runs($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[],
                            $6::integer[], $7::smallint[], $8::text[], $9::bigint);

-- name: submit_messages
-- $1 kinds, $2 ids, $3 names, $4 payloads, $5 keys, $6 now
select holdfast.submit_messages($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[],
                                $6::bigint);

-- name: submit_orders
-- $1 kinds, $2 ids, $3 reasons, $4 now
select holdfast.submit_orders($1::smallint[], $2::text[], $3::text[], $4::bigint);

-- name: submit_dead
-- $1 true: retry, false: discard; $2 ids, $3 now
select holdfast.submit_dead($1::boolean[], $2::text[], $3::bigint);

-- name: hint_submitted
-- $1 ids of runs, $2 ids of tasks, $3 queues, $4 the queue of the only task, or null
select holdfast.hint_submitted($1::text[], $2::text[], $3::text[], $4::text);
