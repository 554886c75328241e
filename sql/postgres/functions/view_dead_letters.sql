-- Standalone tasks that have failed for good: see holdfast.retry and holdfast.discard. Columns are
-- only ever added at the end.
create or replace view holdfast.dead_letters as
select d.id, d.name, d.payload, p.queue, d.attempts, d.crashes, d.error_name, d.error_message,
       to_timestamp(d.created_us / 1000000.0) as created_at,
       to_timestamp(d.died_us / 1000000.0) as died_at, d.opts
  from holdfast.dead d
  join holdfast.partition p on p.id = (d.no >> 48)::smallint;
