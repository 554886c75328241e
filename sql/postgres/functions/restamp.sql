-- Rows that were restored from another server may carry transaction ids that are still to come
-- here, and a fetch would not read them. Gives up to `row_limit` of each kind a new one; how many
-- were found. Under the fence.
create or replace function holdfast.restamp(stamping_worker bigint, stamped_partitions smallint[],
                                            row_limit integer)
returns bigint language plpgsql as $$
declare
    total bigint := 0;
    n     bigint;
begin
    perform holdfast.fence(stamping_worker, stamped_partitions);
    update holdfast.run
       set xid = pg_current_xact_id()
     where no in (
           select r.no
             from unnest(stamped_partitions) as s (id)
            cross join unnest('{0,1,2}'::smallint[]) as c (class)
            cross join lateral (
                  select r.no from holdfast.run r
                   where r.partition_id = s.id and r.class = c.class and r.status = 0
                     and r.xid >= pg_snapshot_xmax(pg_current_snapshot())
                   limit row_limit) r);
    get diagnostics n = row_count;
    total := total + n;
    update holdfast.task
       set xid = pg_current_xact_id()
     where no in (
           select t.no
             from unnest(stamped_partitions) as s (id)
            cross join unnest('{0,1,2,3}'::smallint[]) as c (class)
            cross join lateral (
                  select t.no from holdfast.task t
                   where t.partition_id = s.id and t.class = c.class
                     and (t.run_at_us is null or t.class = 3)
                     and t.xid >= pg_snapshot_xmax(pg_current_snapshot())
                   limit row_limit) t);
    get diagnostics n = row_count;
    total := total + n;
    update holdfast.inbox
       set xid = pg_current_xact_id()
     where no in (
           select i.no
             from unnest(stamped_partitions) as s (id)
            cross join lateral (
                  select i.no from holdfast.inbox i
                   where i.partition_id = s.id and i.kind >= 0
                     and i.xid >= pg_snapshot_xmax(pg_current_snapshot())
                   limit row_limit) i);
    get diagnostics n = row_count;
    return total + n;
end
$$;
