-- Runs, one a row: words and times instead of numbers. Columns are only ever added at the end.
create or replace view holdfast.runs as
select r.id, r.workflow, r.version, p.queue,
       (array['running', 'waiting', 'paused', 'blocked', 'completed', 'failed', 'cancelled',
              'terminated'])[1 + r.status] as status,
       r.status >= 4 as ended, r.input, r.output, r.error_name, r.error_message,
       r.custom as custom_status, to_timestamp(r.started_us / 1000000.0) as started_at,
       case when r.ended_us > 0 then to_timestamp(r.ended_us / 1000000.0) end as ended_at,
       to_timestamp(r.wake_us / 1000000.0) as wake_at, r.execution, r.crashes,
       (select parent.id from holdfast.run parent where parent.no = r.parent_no) as parent,
       (array['urgent', 'normal', 'bulk', 'delayed'])[1 + r.class] as class
  from holdfast.run r
  join holdfast.partition p on p.id = r.partition_id;
