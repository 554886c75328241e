-- What doctor asks a server about itself.

-- name: doctor_server
-- Its time, us, is the first column.
select (extract(epoch from clock_timestamp()) * 1000000)::bigint,
       current_setting('server_version'), current_setting('synchronous_commit'),
       current_setting('fsync'), current_setting('full_page_writes'), current_setting('wal_level'),
       current_setting('autovacuum'), pg_is_in_recovery(),
       current_setting('max_connections')::integer
       - current_setting('superuser_reserved_connections')::integer,
       (select count(*) from pg_stat_activity a where a.backend_type = 'client backend'),
       (select max(age(d.datfrozenxid))::bigint from pg_database d
         where d.datname = current_database()),
       current_setting('autovacuum_freeze_max_age')::bigint;

-- name: doctor_role
-- The role, whether it is a superuser, owns the tables, may operate, may do a worker's work, may
-- start runs.
select current_user::text, (select r.rolsuper from pg_roles r where r.rolname = current_user),
       (select pg_has_role(c.relowner, 'usage') from pg_class c
         where c.oid = 'holdfast.run'::regclass),
       has_table_privilege('holdfast.queue', 'update'),
       has_table_privilege('holdfast.run', 'update')
       and has_table_privilege('holdfast.history', 'insert')
       and has_table_privilege('holdfast.worker', 'insert'),
       has_table_privilege('holdfast.run', 'insert')
       or exists (select from pg_proc p where p.pronamespace = 'holdfast'::regnamespace
                     and p.proname = 'submit_runs' and has_function_privilege(p.oid, 'execute'));

-- name: doctor_tables
-- Our tables: bytes, rows that are dead, and the names of those that are not vacuumed by themselves.
select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint,
       coalesce(sum(pg_stat_get_dead_tuples(c.oid)), 0)::bigint,
       string_agg(c.relname, ', ') filter (where 'autovacuum_enabled=false' = any (c.reloptions))
  from pg_class c
 where c.relnamespace = 'holdfast'::regnamespace and c.relkind = 'r';

-- name: doctor_horizon
-- What keeps vacuum from taking dead rows away, the oldest first: kind, name, age in transactions,
-- seconds.
select h.kind, h.name, h.xids, h.seconds
  from (select 'transaction' as kind,
               format('pid %s, %s, %s', a.pid, a.application_name, a.state) as name,
               greatest(age(a.backend_xmin), age(a.backend_xid))::bigint as xids,
               extract(epoch from clock_timestamp() - a.xact_start)::bigint as seconds
          from pg_stat_activity a
         where a.pid <> pg_backend_pid() and a.xact_start is not null
           and a.backend_type = 'client backend' and a.datname = current_database()
         union all
        select 'prepared transaction', p.gid, age(p.transaction)::bigint,
               extract(epoch from clock_timestamp() - p.prepared)::bigint
          from pg_prepared_xacts p where p.database = current_database()
         union all
        select 'replication slot', s.slot_name, age(s.xmin)::bigint, null
          from pg_replication_slots s where s.xmin is not null) h
 order by h.seconds desc nulls last, h.xids desc nulls last
 limit 3;

-- name: doctor_notify
-- As one worker hints another. $1 channel
select pg_notify($1::text, 'w');

-- name: schema_number
-- And how many workers there are.
select max(m.version)::bigint, (select count(*) from holdfast.worker) from holdfast.migration m;
