-- Workers that have joined and not left. live: the lease stands. stats: what it has counted, as it
-- last said. Columns are only ever added at the end.
create or replace view holdfast.workers as
select w.id, w.name, w.host, w.pid, w.queues, w.handlers, w.slots, w.slots_free,
       (select count(*) from holdfast.partition p where p.owner = w.id) as partitions,
       w.since, w.lease_us * interval '1 microsecond' as lease, w.expires_at,
       w.expires_at > clock_timestamp() as live, w.stats::jsonb as stats
  from holdfast.worker w;
