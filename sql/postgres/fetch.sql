-- What the owner reads, in one read-only transaction of one snapshot. docs/internals.md says why
-- (xid, no) is exact.
--
-- Streams are (partition, class) with the position that has been read: $1 to $5. Late transactions
-- are those that were under way when something beyond them was read: $6 to $10, for the streams
-- from $6 to $7, of class $8 (-1: all), with the number up to which they have been read. Those that
-- have ended are read now, then what is beyond the position; each stream until it has given $11
-- rows. In rows of more than $12 bytes the payload is left out.

-- name: fetch_begin
-- $1 worker, $2 now. In a transaction of one snapshot, now() is not later than it. The sums change
-- with the partitions that nobody owns, and with the worker's own.
-- index: partition_owner
select pg_current_snapshot()::text,
       coalesce($2::bigint, (extract(epoch from now()) * 1000000)::bigint),
       (select coalesce(sum(id::bigint * id + 1), 0)::bigint
          from holdfast.partition where owner is null),
       (select coalesce(sum(id::bigint * id + 1), 0)::bigint
          from holdfast.partition where owner = $1::bigint);

-- name: fetch_last_number
-- Runs with a greater number are stored by transactions that are still to come.
select last_value from holdfast.row_seq;

-- name: fetch_tasks
-- $13 worker, $14 and $15 the time and number up to which due tasks have been read: delayed ones
-- are brought only behind it, the rest when they are due
-- index: task_fetch
with now as materialized (
    select pg_current_snapshot() as snapshot
), late as materialized (
    select l.first_at, l.last_at, l.class, l.xid, l.no
      from now cross join unnest($6::integer[], $7::integer[], $8::smallint[], $9::xid8[],
                                 $10::bigint[]) as l (first_at, last_at, class, xid, no)
     where pg_visible_in_snapshot(l.xid, now.snapshot)
)
select r.no, r.xid, r.bytes,
       case when r.bytes <= $12::integer then r.payload end,
       r.id, r.name, r.opts, r.run_no, r.execution, r.ref, r.created_us, r.attempt, r.run_at_us,
       r.claimed_by, r.crashes, r.error_name, r.error_message
  from now
 cross join unnest($1::integer[], $2::smallint[], $3::smallint[], $4::xid8[], $5::bigint[],
                   $14::bigint[], $15::bigint[])
       as s (at, partition_id, class, xid, no, due_us, due_no)
 cross join lateral (
       select k.*
         from (select l.xid as low_xid, l.no as low_no, l.xid as high_xid
                 from late l
                where s.at between l.first_at and l.last_at
                  and (l.class < 0 or l.class = s.class) and l.xid < s.xid
                union all
               select s.xid, s.no, pg_snapshot_xmax(now.snapshot)) e
        cross join lateral (
              select t.no, t.xid, coalesce(octet_length(t.payload), 0) as bytes, t.payload, t.id,
                     t.name, t.opts, t.run_no, t.execution, t.ref, t.created_us, t.attempt,
                     t.run_at_us, t.claimed_by, t.crashes, t.error_name, t.error_message
                from holdfast.task t
               where t.partition_id = s.partition_id and t.class = s.class
                 and (t.xid, t.no) > (e.low_xid, e.low_no) and t.xid <= e.high_xid
                 and (t.run_at_us is null or t.class = 3)
                 and (t.class <> 3 or (t.run_at_us, t.no) <= (s.due_us, s.due_no))
                 and coalesce(t.claimed_by, 0) in (0, $13::bigint)
               order by t.xid, t.no limit $11::integer) k
        limit $11::integer) r;

-- name: fetch_runs
-- index: run_fetch
with now as materialized (
    select pg_current_snapshot() as snapshot
), late as materialized (
    select l.first_at, l.last_at, l.class, l.xid, l.no
      from now cross join unnest($6::integer[], $7::integer[], $8::smallint[], $9::xid8[],
                                 $10::bigint[]) as l (first_at, last_at, class, xid, no)
     where pg_visible_in_snapshot(l.xid, now.snapshot)
)
select r.no, r.xid, r.bytes,
       case when r.bytes <= $12::integer then r.input end,
       r.id, r.workflow, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us,
       r.status, r.version, r.execution, r.wake_us, r.crashes, r.claimed,
       case when r.bytes <= $12::integer then r.custom end,
       r.error_name, r.error_message
  from now
 cross join unnest($1::integer[], $2::smallint[], $3::smallint[], $4::xid8[], $5::bigint[])
       as s (at, partition_id, class, xid, no)
 cross join lateral (
       select k.*
         from (select l.xid as low_xid, l.no as low_no, l.xid as high_xid
                 from late l
                where s.at between l.first_at and l.last_at
                  and (l.class < 0 or l.class = s.class) and l.xid < s.xid
                union all
               select s.xid, s.no, pg_snapshot_xmax(now.snapshot)) e
        cross join lateral (
              select r.*,
                     coalesce(octet_length(r.input), 0) + coalesce(octet_length(r.custom), 0)
                     as bytes
                from holdfast.run r
               where r.partition_id = s.partition_id and r.class = s.class
                 and (r.xid, r.no) > (e.low_xid, e.low_no) and r.xid <= e.high_xid
                 and r.status = 0
               order by r.xid, r.no limit $11::integer) k
        limit $11::integer) r;

-- name: fetch_inbox
-- Rows have no class here: one stream a partition.
-- index: inbox_fetch
with now as materialized (
    select pg_current_snapshot() as snapshot
), late as materialized (
    select l.first_at, l.last_at, l.class, l.xid, l.no
      from now cross join unnest($6::integer[], $7::integer[], $8::smallint[], $9::xid8[],
                                 $10::bigint[]) as l (first_at, last_at, class, xid, no)
     where pg_visible_in_snapshot(l.xid, now.snapshot)
)
select r.no, r.xid, r.bytes,
       case when r.bytes <= $12::integer then r.payload end,
       r.run_no, r.task_no, r.kind, r.name, r.key, r.aux, r.code, r.attempt, r.sender, r.time_us
  from now
 cross join unnest($1::integer[], $2::smallint[], $3::smallint[], $4::xid8[], $5::bigint[])
       as s (at, partition_id, class, xid, no)
 cross join lateral (
       select k.*
         from (select l.xid as low_xid, l.no as low_no, l.xid as high_xid
                 from late l
                where s.at between l.first_at and l.last_at
                  and (l.class < 0 or l.class = s.class) and l.xid < s.xid
                union all
               select s.xid, s.no, pg_snapshot_xmax(now.snapshot)) e
        cross join lateral (
              select i.*, coalesce(octet_length(i.payload), 0) as bytes
                from holdfast.inbox i
               where i.partition_id = s.partition_id
                 and (i.xid, i.no) > (e.low_xid, e.low_no) and i.xid <= e.high_xid
                 and i.kind >= 0
               order by i.xid, i.no limit $11::integer) k
        limit $11::integer) r;

-- name: fetch_due_tasks
-- $1 partitions, $2 and $3 the time and number up to which they have been read, $4 now, $5 rows a
-- partition, $6 bytes, $7 worker
-- index: task_due
select r.no, r.xid, r.bytes,
       case when r.bytes <= $6::integer then r.payload end,
       r.id, r.name, r.opts, r.run_no, r.execution, r.ref, r.created_us, r.attempt, r.run_at_us,
       r.claimed_by, r.crashes, r.error_name, r.error_message
  from (select coalesce($4::bigint, (extract(epoch from now()) * 1000000)::bigint) as us) n
 cross join unnest($1::smallint[], $2::bigint[], $3::bigint[]) as s (partition_id, us, no)
 cross join lateral (
       select t.*, coalesce(octet_length(t.payload), 0) as bytes
         from holdfast.task t
        where t.partition_id = s.partition_id
          and (t.run_at_us, t.no) > (s.us, s.no) and t.run_at_us <= n.us
          and t.run_at_us is not null
          and coalesce(t.claimed_by, 0) in (0, $7::bigint)
        order by t.run_at_us, t.no limit $5::integer) r;

-- name: fetch_due_runs
-- $1 partitions, $2 and $3 the time and number up to which they have been read, $4 now, $5 rows a
-- partition, $6 bytes
-- index: run_wake
select r.no, r.xid, r.bytes,
       case when r.bytes <= $6::integer then r.input end,
       r.id, r.workflow, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us,
       r.status, r.version, r.execution, r.wake_us, r.crashes, r.claimed,
       case when r.bytes <= $6::integer then r.custom end,
       r.error_name, r.error_message
  from (select coalesce($4::bigint, (extract(epoch from now()) * 1000000)::bigint) as us) n
 cross join unnest($1::smallint[], $2::bigint[], $3::bigint[]) as s (partition_id, us, no)
 cross join lateral (
       select r.*,
              coalesce(octet_length(r.input), 0) + coalesce(octet_length(r.custom), 0) as bytes
         from holdfast.run r
        where r.partition_id = s.partition_id
          and (r.wake_us, r.no) > (s.us, s.no) and r.wake_us <= n.us
          and r.wake_us is not null and r.status <= 1
        order by r.wake_us, r.no limit $5::integer) r;

-- name: fetch_next_due
-- The earliest time of each partition that has not come. $1 partitions, $2 now
-- index: task_due run_wake
select s.partition_id, least(t.us, r.us)
  from (select coalesce($2::bigint, (extract(epoch from now()) * 1000000)::bigint) as us) n
 cross join unnest($1::smallint[]) as s (partition_id)
  left join lateral (
       select t.run_at_us as us
         from holdfast.task t
        where t.partition_id = s.partition_id and t.run_at_us > n.us and t.run_at_us is not null
        order by t.run_at_us limit 1) t on true
  left join lateral (
       select r.wake_us as us
         from holdfast.run r
        where r.partition_id = s.partition_id and r.wake_us > n.us and r.wake_us is not null
          and r.status <= 1
        order by r.wake_us limit 1) r on true;

-- name: fetch_blocked
-- For a new owner: runs that a fixed program could take up again. $1 partitions, $2 numbers up to
-- which they have been read, $3 rows a partition, $4 bytes. The order is one that no other index has:
-- with partition_id = ... the planner may walk the primary key, past all runs that have ended.
-- index: run_blocked
select r.no, r.xid, r.bytes,
       case when r.bytes <= $4::integer then r.input end,
       r.id, r.workflow, r.token, r.parent_no, r.parent_ref, r.parent_execution, r.started_us,
       r.status, r.version, r.execution, r.wake_us, r.crashes, r.claimed,
       case when r.bytes <= $4::integer then r.custom end,
       r.error_name, r.error_message
  from unnest($1::smallint[], $2::bigint[]) as s (partition_id, no)
 cross join lateral (
       select r.*,
              coalesce(octet_length(r.input), 0) + coalesce(octet_length(r.custom), 0) as bytes
         from holdfast.run r
        where (r.partition_id, r.no) > (s.partition_id, s.no) and r.partition_id <= s.partition_id
          and r.status = 3 and coalesce(r.error_name, '') <> 'crashed'
        order by r.partition_id, r.no limit $3::integer) r;

-- name: fetch_peek
-- Whether a fetch would bring anything: one statement for a poll that very likely finds nothing.
-- Streams of runs as $1 to $5, of tasks as $6 to $10, of inbox rows as $11 to $15; $16 to $20 late
-- transactions, $21 worker, $22 now
-- index: run_fetch task_fetch inbox_fetch
with now as materialized (
    select pg_current_snapshot() as snapshot
), late as materialized (
    select l.first_at, l.last_at, l.class, l.xid, l.no
      from now cross join unnest($16::integer[], $17::integer[], $18::smallint[], $19::xid8[],
                                 $20::bigint[]) as l (first_at, last_at, class, xid, no)
     where pg_visible_in_snapshot(l.xid, now.snapshot)
)
select exists (
           select 1
             from unnest($1::integer[], $2::smallint[], $3::smallint[], $4::xid8[], $5::bigint[])
                  as s (at, partition_id, class, xid, no)
            cross join lateral (
                  select l.xid as low_xid, l.no as low_no, l.xid as high_xid
                    from late l where s.at between l.first_at and l.last_at and l.xid < s.xid
                   union all
                  select s.xid, s.no, pg_snapshot_xmax(now.snapshot)) e
            cross join lateral (
                  select 1 from holdfast.run r
                   where r.partition_id = s.partition_id and r.class = s.class
                     and (r.xid, r.no) > (e.low_xid, e.low_no) and r.xid <= e.high_xid
                     and r.status = 0
                   limit 1) r)
       or exists (
           select 1
             from unnest($6::integer[], $7::smallint[], $8::smallint[], $9::xid8[], $10::bigint[])
                  as s (at, partition_id, class, xid, no)
            cross join lateral (
                  select l.xid as low_xid, l.no as low_no, l.xid as high_xid
                    from late l where s.at between l.first_at and l.last_at and l.xid < s.xid
                   union all
                  select s.xid, s.no, pg_snapshot_xmax(now.snapshot)) e
            cross join lateral (
                  select 1 from holdfast.task t
                   where t.partition_id = s.partition_id and t.class = s.class
                     and (t.xid, t.no) > (e.low_xid, e.low_no) and t.xid <= e.high_xid
                     and (t.run_at_us is null or t.class = 3)
                     and coalesce(t.claimed_by, 0) in (0, $21::bigint)
                   limit 1) t)
       or exists (
           select 1
             from unnest($11::integer[], $12::smallint[], $13::smallint[], $14::xid8[],
                         $15::bigint[])
                  as s (at, partition_id, class, xid, no)
            cross join lateral (
                  select l.xid as low_xid, l.no as low_no, l.xid as high_xid
                    from late l where s.at between l.first_at and l.last_at and l.xid < s.xid
                   union all
                  select s.xid, s.no, pg_snapshot_xmax(now.snapshot)) e
            cross join lateral (
                  select 1 from holdfast.inbox i
                   where i.partition_id = s.partition_id
                     and (i.xid, i.no) > (e.low_xid, e.low_no) and i.xid <= e.high_xid
                     and i.kind >= 0
                   limit 1) i),
       now.snapshot::text,
       coalesce($22::bigint, (extract(epoch from statement_timestamp()) * 1000000)::bigint),
       (select coalesce(sum(id::bigint * id + 1), 0)::bigint
          from holdfast.partition where owner is null),
       (select coalesce(sum(id::bigint * id + 1), 0)::bigint
          from holdfast.partition where owner = $21::bigint)
  from now;

-- name: fetch_busy
-- While it stands nobody needs to hint: the owner looks by itself. $1 worker, $2 partitions,
-- $3 microseconds
update holdfast.partition
   set busy_until = clock_timestamp() + $3::bigint * interval '1 microsecond'
 where id in (select id from holdfast.partition
               where id = any ($2::smallint[]) and owner = $1::bigint
                 for no key update skip locked);
