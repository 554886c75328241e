-- Retention: how long ended runs are kept, and their deletion.

-- name: set_retention
-- $1 queue, $2 us
-- index: queue_pkey
update holdfast.queue set retain_us = $2::bigint where name = $1::text returning 1;

-- name: purge_find
-- $1 queue or null, $2 ended before, $3 status or -1, $4 limit
select f.no from holdfast.purge_find($1::text, $2::bigint, $3::integer, $4::integer) as f (no);

-- name: purge_count
-- The same, only counted.
select count(*) from holdfast.purge_find($1::text, $2::bigint, $3::integer, $4::integer);

-- name: purge_runs
-- $1 numbers, $2 ended before
select holdfast.purge_runs($1::bigint[], $2::bigint);
