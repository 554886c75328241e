-- The owner's writes. A batch's writes are grouped by kind, each kind is one statement over arrays,
-- and all follow the fence in one transaction.

-- name: commit_fence
-- $1 worker, $2 the partitions in which the batch changes rows
select holdfast.fence($1::bigint, $2::smallint[]);

-- name: commit_history
-- The primary key says whether somebody else has written here. $1 runs, $2 executions, $3 seqs,
-- $4 events
insert into holdfast.history (partition_id, run_no, execution, seq, events)
select (u.no >> 48)::smallint, u.no, u.execution, u.seq, u.events
  from unnest($1::bigint[], $2::integer[], $3::integer[], $4::text[])
       as u (no, execution, seq, events);

-- name: commit_prune
-- $1 runs, $2 the executions that stay
-- index: history_key
delete from holdfast.history h
 using unnest($1::bigint[], $2::integer[]) as u (no, execution)
 where h.run_no = u.no and h.execution < u.execution;

-- name: commit_runs
-- $1 numbers, then the mutable columns; $13 now
-- index: run_pkey
update holdfast.run r
   set status = u.status, version = u.version, execution = u.execution, wake_us = u.wake_us,
       crashes = u.crashes, claimed = u.claimed, custom = u.custom, output = u.output,
       error_name = u.error_name, error_message = u.error_message,
       ended_us = case when u.status < 4 then 0
                       else coalesce(u.ended_us, holdfast.now_us($13::bigint)) end
  from unnest($1::bigint[], $2::smallint[], $3::integer[], $4::integer[], $5::bigint[],
              $6::integer[], $7::boolean[], $8::text[], $9::text[], $10::text[], $11::text[],
              $12::bigint[])
       as u (no, status, version, execution, wake_us, crashes, claimed, custom, output, error_name,
             error_message, ended_us)
 where r.no = u.no;

-- name: commit_restarts
-- Another life. As commit_runs, then $14 workflows, $15 inputs, $16 tokens, $17 times of start
-- index: run_pkey
update holdfast.run r
   set status = u.status, version = u.version, execution = u.execution, wake_us = u.wake_us,
       crashes = u.crashes, claimed = u.claimed, custom = u.custom, output = u.output,
       error_name = u.error_name, error_message = u.error_message,
       ended_us = case when u.status < 4 then 0
                       else coalesce(u.ended_us, holdfast.now_us($13::bigint)) end,
       workflow = u.workflow, input = u.input, token = u.token, started_us = u.started_us
  from unnest($1::bigint[], $2::smallint[], $3::integer[], $4::integer[], $5::bigint[],
              $6::integer[], $7::boolean[], $8::text[], $9::text[], $10::text[], $11::text[],
              $12::bigint[], $14::text[], $15::text[], $16::text[], $17::bigint[])
       as u (no, status, version, execution, wake_us, crashes, claimed, custom, output, error_name,
             error_message, ended_us, workflow, input, token, started_us)
 where r.no = u.no;

-- name: commit_starts
-- Runs by runs; a taken id is left as it is. In the order of the arrays: $1 ids, $2 workflows,
-- $3 queues, $4 classes, $5 versions, $6 inputs, $7 tokens, $8 parents, $9 refs, $10 executions of
-- the parents; $11 now
insert into holdfast.run (no, partition_id, class, id, workflow, version, input, token, parent_no,
                          parent_ref, parent_execution, started_us)
select (p.id::bigint << 48) | (u.class::bigint << 46) | nextval('holdfast.row_seq'), p.id,
       u.class, u.id, u.workflow, u.version, u.input, u.token, u.parent_no, u.parent_ref, u.parent_execution,
       holdfast.now_us($11::bigint)
  from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::integer[], $6::text[],
              $7::text[], $8::bigint[], $9::text[], $10::integer[]) with ordinality
       as u (id, workflow, queue, class, version, input, token, parent_no, parent_ref,
             parent_execution, at)
 cross join lateral (select holdfast.place(u.queue, u.id) as id offset 0) p
 order by u.at
on conflict (id) do nothing;

-- name: commit_started
-- What has become of the starts, in their order. $1 ids, $2 tokens
-- index: run_id
select r.no,
       not (r.xid = pg_current_xact_id() and r.token is not distinct from u.token) as existed
  from unnest($1::text[], $2::text[]) with ordinality as u (id, token, at)
  left join holdfast.run r on r.id = u.id
 order by u.at;

-- name: commit_taken
-- Parents of starts whose id is taken by another run are told. $1 ids, $2 tokens, $3 parents,
-- $4 refs, $5 executions of the parents, $6 kind, $7 code, $8 now
-- index: run_id
insert into holdfast.inbox (no, partition_id, run_no, kind, name, payload, key, aux, code, time_us)
select (u.parent_no >> 48 << 48) | nextval('holdfast.row_seq'), (u.parent_no >> 48)::smallint,
       u.parent_no, $6::smallint, u.parent_ref, 'a run with this id is there already', 'exists',
       u.parent_execution, $7::integer, holdfast.now_us($8::bigint)
  from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::integer[]) with ordinality
       as u (id, token, parent_no, parent_ref, parent_execution, at)
  join holdfast.run r on r.id = u.id
 where u.parent_no is not null
   and (r.token is distinct from u.token
        or (u.token is null and r.xid <> pg_current_xact_id()))
 order by u.at;

-- name: commit_new_tasks
-- In the partition of their run, or of their queue if one is given; one served by SQL is told when
-- the task may be claimed. The numbers come back in the order of the arrays. $1 ids, $2 names,
-- $3 payloads, $4 options, $5 queues, $6 classes, $7 runs, $8 executions, $9 refs, $10 created,
-- $11 not before, $12 attempts, $13 crashes, $14 claimed by, $15 error names, $16 error messages,
-- $17 now
insert into holdfast.task (no, partition_id, class, id, name, payload, opts, run_no, execution, ref,
                           created_us, run_at_us, attempt, crashes, claimed_by, claimed_until,
                           error_name, error_message)
select k.no, k.no >> 48, k.no >> 46 & 3, k.id, k.name, k.payload, k.opts, k.run_no, k.execution,
       k.ref, k.created_us, k.run_at_us, k.attempt, k.crashes, k.claimed_by,
       case when k.by_sql then holdfast.sql_since(k.no, k.run_at_us) end, k.error_name,
       k.error_message
  from (select (p.id::bigint << 48)
               | (case when u.run_at_us > n.us and not s.by_sql then 3
                       else u.class end::bigint << 46)
               | nextval('holdfast.row_seq') as no,
               u.id, u.name, u.payload, u.opts, u.run_no, u.execution, u.ref,
               coalesce(u.created_us, n.us) as created_us,
               case when u.run_at_us > n.us then u.run_at_us end as run_at_us, u.attempt, u.crashes,
               u.claimed_by, u.error_name, u.error_message, s.by_sql, u.at
          from (select holdfast.now_us($17::bigint) as us offset 0) n
         cross join unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                           $6::smallint[], $7::bigint[], $8::integer[], $9::text[], $10::bigint[],
                           $11::bigint[], $12::integer[], $13::integer[], $14::bigint[],
                           $15::text[], $16::text[]) with ordinality
               as u (id, name, payload, opts, queue, class, run_no, execution, ref, created_us,
                     run_at_us, attempt, crashes, claimed_by, error_name, error_message, at)
         cross join lateral (select case when u.queue is null then (u.run_no >> 48)::smallint
                                         else holdfast.place(u.queue, u.id) end as id offset 0) p
         cross join lateral (select exists (select 1 from holdfast.queue q
                                             where q.name = u.queue and q.served_by = 'sql')
                                    as by_sql offset 0) s
         order by u.at) k
 order by k.at
returning no;

-- name: commit_tasks
-- A row of class 3 is found by its time alone, so it must keep one. $1 numbers, then the mutable
-- columns, claimed as the worker or null
-- index: task_pkey
update holdfast.task t
   set attempt = u.attempt, crashes = u.crashes, claimed_by = u.claimed_by,
       run_at_us = case when t.class = 3 then coalesce(u.run_at_us, 1) else u.run_at_us end,
       error_name = u.error_name, error_message = u.error_message
  from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::integer[], $5::bigint[], $6::text[],
              $7::text[])
       as u (no, attempt, run_at_us, crashes, claimed_by, error_name, error_message)
 where t.no = u.no;

-- name: commit_dead
-- Before commit_task_deletes. $1 numbers, $2 the ids of those that were given none, $3 attempts,
-- $4 crashes, $5 error names, $6 error messages, $7 now
-- index: task_pkey
insert into holdfast.dead (no, id, name, payload, opts, meta, attempts, crashes, error_name,
                           error_message, created_us, died_us)
select t.no, coalesce(t.id, u.id), t.name, t.payload, t.opts, t.meta, u.attempts, u.crashes,
       u.error_name, u.error_message, t.created_us, holdfast.now_us($7::bigint)
  from unnest($1::bigint[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::text[])
       as u (no, id, attempts, crashes, error_name, error_message)
  join holdfast.task t on t.no = u.no;

-- name: commit_task_deletes
-- index: task_pkey
delete from holdfast.task where no = any ($1::bigint[]);

-- name: commit_inbox
-- To runs that have not ended, by number or id, and to tasks, also those that are gone. Their
-- numbers come back, so that the owners can be hinted. In the order of the arrays: $1 runs, $2 ids of runs, $3 tasks, $4 kinds, $5 names, $6 payloads, $7 keys, $8 aux,
-- $9 codes, $10 attempts, $11 senders, $12 times; $13 now
-- index: run_pkey run_id
insert into holdfast.inbox (no, partition_id, run_no, task_no, kind, name, payload, key, aux, code,
                            attempt, sender, time_us)
select (o.no >> 48 << 48) | nextval('holdfast.row_seq'), (o.no >> 48)::smallint, o.run_no,
       u.task_no, u.kind, u.name, u.payload, u.key, u.aux, u.code, u.attempt, u.sender,
       coalesce(u.time_us, holdfast.now_us($13::bigint))
  from unnest($1::bigint[], $2::text[], $3::bigint[], $4::smallint[], $5::text[], $6::text[],
              $7::text[], $8::integer[], $9::integer[], $10::integer[], $11::bigint[],
              $12::bigint[]) with ordinality
       as u (run_no, run_id, task_no, kind, name, payload, key, aux, code, attempt, sender, time_us,
             at)
 cross join lateral (
       select r.no, r.no as run_no from holdfast.run r
        where r.no = u.run_no and r.status < 4
       union all
       select r.no, r.no from holdfast.run r
        where r.id = u.run_id and r.status < 4
       union all
       select u.task_no, null
        where u.task_no is not null and u.run_no is null and u.run_id is null) o
 order by u.at
returning no;

-- name: commit_inbox_deletes
-- index: inbox_pkey
delete from holdfast.inbox where no = any ($1::bigint[]);

-- name: commit_calm
-- $1 partitions
update holdfast.partition set crashes = 0 where id = any ($1::smallint[]) and crashes > 0;

-- name: commit_hand_over
-- $1 worker, $2 partitions, $3 their new owners, 0: nobody
select holdfast.hand_over($1::bigint, $2::smallint[], $3::bigint[]);
