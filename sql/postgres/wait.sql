-- Hints: nobody needs them on the disk, and they are transactions of their own.

-- name: hint
-- To the owners of partitions. $1 partitions
select set_config('synchronous_commit', 'off', true), holdfast.hint($1::smallint[]);

-- name: hint_workers
-- To all: workers or partitions changed.
select set_config('synchronous_commit', 'off', true), pg_notify('holdfast', 'w');

-- name: hint_owner
-- To one: it owns more. $1 worker
select set_config('synchronous_commit', 'off', true),
       pg_notify('holdfast' || ':' || $1::bigint, 'o');

-- name: tell
-- To those who wait for results. $1 channels
select set_config('synchronous_commit', 'off', true), pg_notify(u.channel, 'e')
  from unnest($1::text[]) u(channel);

-- name: enlist_waiter
-- Asks a run's owner to tell of its end. $1 id, $2 channel
-- index: run_id
select set_config('synchronous_commit', 'off', true),
       pg_notify('holdfast' || ':' || p.owner, 'r ' || r.no || ' ' || $2::text)
  from holdfast.run r join holdfast.partition p on p.id = r.partition_id
 where r.id = $1::text and r.status < 4 and p.owner is not null;

-- name: run_if_ended
-- As run_by_id, for one who waits: what can be big only of a run that has ended. $1 id
-- index: run_id
select r.no, (select p.queue from holdfast.partition p where p.id = r.partition_id), r.id, r.workflow,
       case when r.status >= 4 then r.input end, r.token, r.parent_no, r.parent_ref,
       r.parent_execution, r.started_us, r.status, r.version, r.execution, r.wake_us, r.crashes,
       r.claimed, case when r.status >= 4 then r.custom end, r.output, r.error_name,
       r.error_message, r.ended_us
  from holdfast.run r where r.id = $1::text;
