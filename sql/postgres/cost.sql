-- What the server has done so far in this database, and what its durability and speed depend on.

-- name: cost_counts
-- Commits, rows written, bytes of log (null on a standby), and the process that serves this
-- connection if it is on the client's machine.
select d.xact_commit, d.tup_inserted + d.tup_updated + d.tup_deleted,
       case when not pg_is_in_recovery()
            then pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint end,
       case when coalesce(inet_server_addr() = inet_client_addr(), true) then pg_backend_pid() end
  from pg_stat_database d where d.datname = current_database();

-- name: cost_statements
-- Statements, if they are counted. The text is made when it is known that the view is there; it may
-- fail all the same, if the server has not loaded what counts.
select (xpath('//n/text()', query_to_xml(
            format('select sum(calls)::bigint as n from %s
                     where dbid = (select oid from pg_database where datname = current_database())',
                   v.oid::regclass), true, false, '')))[1]::text::bigint
  from pg_class v join pg_extension e on e.extname = 'pg_stat_statements'
   and e.extnamespace = v.relnamespace
 where v.relname = 'pg_stat_statements';

-- name: cost_times
select t.name, t.calls, t.total_us, t.rows, t.since_us from holdfast.server_times() t;

-- name: cost_settings
-- $1 names, in the order in which they are told
select s.name, current_setting(s.name)
  from unnest($1::text[]) with ordinality as u (name, position)
  join pg_settings s on s.name = u.name order by u.position;

-- name: pin_begin
begin isolation level repeatable read read only;

-- name: pin_snapshot
-- From here on to the end of the transaction no row that is deleted can be taken away.
select set_config('idle_in_transaction_session_timeout', '0', true), pg_current_snapshot();
