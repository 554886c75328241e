-- What claimed_until of a new task is: of queues served by SQL the time since when it may be
-- claimed (-infinity: at once), of workers' queues null. run_at: us, null: at once.
create or replace function holdfast.sql_since(no bigint, run_at bigint)
returns timestamptz language sql stable as $$
    select case when run_at is null then '-infinity'::timestamptz
                else to_timestamp(run_at / 1000000.0) end
      from holdfast.partition p join holdfast.queue q on q.name = p.queue
     where p.id = (no >> 48)::smallint and q.served_by = 'sql'
$$;
