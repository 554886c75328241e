-- Queues. Counts stop at 10,000 a partition; they are of what is stored now: tasks to be had, tasks
-- with a time to come, tasks claimed (of workers: those that were slow, or written down before they
-- began), runs that can go on. done_per_s: tasks done and runs ended, as live workers last said; null
-- if none has said. Columns are only ever added at the end.
create or replace view holdfast.queues as
select q.name, q.served_by, count(p.id) as partitions,
       count(p.id) filter (where p.owner is null and q.served_by = 'worker') as unowned,
       sum(n.waiting)::bigint as waiting, sum(n.delayed)::bigint as delayed,
       sum(n.claimed)::bigint as claimed, sum(n.running)::bigint as running,
       min(n.oldest) as oldest_at, nullif(q.retain_us, 0) * interval '1 microsecond' as retain,
       sum(p.crashes)::bigint as crashes,
       (select round(sum((w.stats::jsonb -> 'queues' -> q.name ->> 'tasks_per_s')::numeric
                         + (w.stats::jsonb -> 'queues' -> q.name ->> 'runs_per_s')::numeric), 1)
          from holdfast.worker w
         where w.expires_at > clock_timestamp()) as done_per_s
  from holdfast.queue q
  left join holdfast.partition p on p.queue = q.name
  left join lateral (
      select count(*) filter (where t.claimed_by is null and t.due <= clock_timestamp()) as waiting,
             count(*) filter (where t.claimed_by is null and t.due > clock_timestamp()) as delayed,
             count(*) filter (where t.claimed_by is not null) as claimed,
             to_timestamp(min(t.created_us) filter (where t.claimed_by is null
                                                      and t.due <= clock_timestamp())
                          / 1000000.0) as oldest,
             (select count(*) from (select from holdfast.run r
                                     where r.partition_id = p.id and r.status = 0
                                     limit 10000) r) as running
        from (select t.claimed_by, t.created_us,
                     coalesce(t.claimed_until, to_timestamp(t.run_at_us / 1000000.0),
                              '-infinity') as due
                from holdfast.task t
               where t.no >= p.id::bigint << 48 and t.no < (p.id + 1)::bigint << 48
               order by t.no limit 10000) t) n on true
 group by q.name, q.served_by, q.retain_us;
