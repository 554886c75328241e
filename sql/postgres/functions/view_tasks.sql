-- Live tasks: waiting, delayed (its time is to come), running (claimed). A quick task that a run
-- called is in its worker's memory and not here, see holdfast.events. A standalone task that a
-- worker's owner has read and executes is waiting here, unless it is claimed. Columns are only ever
-- added at the end.
create or replace view holdfast.tasks as
select coalesce(t.id, holdfast.task_id(t.no)) as id, t.name, t.payload, p.queue,
       case when t.claimed_by is not null then 'running'
            when coalesce(t.claimed_until, to_timestamp(t.run_at_us / 1000000.0))
                 > clock_timestamp() then 'delayed'
            else 'waiting' end as state,
       (array['urgent', 'normal', 'bulk', 'delayed'])[1 + t.class] as class,
       (select r.id from holdfast.run r where r.no = t.run_no) as run, t.execution, t.ref,
       t.attempt as attempts, t.crashes, t.error_name, t.error_message,
       to_timestamp(t.created_us / 1000000.0) as created_at,
       to_timestamp(t.run_at_us / 1000000.0) as run_at,
       case when t.claimed_by > 0 then t.claimed_by end as worker,
       case when t.claimed_by < 0 then - t.claimed_by end as claim, t.claimed_name as claimer,
       case when t.claimed_by < 0 then t.claimed_until end as claimed_until, t.opts
  from holdfast.task t
  join holdfast.partition p on p.id = t.partition_id;
