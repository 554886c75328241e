-- Clients' writes. Numbers (?1) are made by the caller from take_numbers.

-- name: run_find
-- Whether an id is taken. ?1 id
-- index: hf_run_id
select no, status, token from hf_run where id = ?1;

-- name: run_status
-- ?1 number
-- index: primary key
select status from hf_run where no = ?1;

-- name: insert_run
-- ?1 number, ?2 id, ?3 workflow, ?4 input, ?5 token, ?6 parent number, ?7 parent ref, ?8 parent
-- execution, ?9 time, ?10 version
insert into hf_run (no, id, workflow, input, token, parent_no, parent_ref, parent_execution,
                    started_us, version)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10);

-- name: insert_task
-- A new task without what only its owner writes. ?1 number, ?2 id, ?3 name, ?4 payload, ?5 options,
-- ?6 time, ?7 not before
insert into hf_task (no, id, name, payload, opts, created_us, run_at_us)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: insert_inbox
-- ?1 number, ?2 run, ?3 kind, ?4 name, ?5 payload, ?6 key, ?7 aux, ?8 code, ?9 time
insert into hf_inbox (no, run_no, kind, name, payload, key, aux, code, time_us)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: inbox_has_key
-- An unread row of run ?1 of kind ?2 with key ?3.
-- index: hf_inbox_run
select no from hf_inbox where run_no = ?1 and kind = ?2 and key = ?3 limit 1;

-- name: inbox_has_kind
-- An unread row of run ?1 of kind ?2.
-- index: hf_inbox_run
select no from hf_inbox where run_no = ?1 and kind = ?2 limit 1;

-- name: task_has_id
-- index: hf_task_id
select 1 from hf_task where id = ?1;

-- name: dead_has_id
-- index: hf_dead_id
select no from hf_dead where id = ?1;

-- name: dead_to_task
-- A dead letter begins anew. ?1 new number, ?2 number of the dead letter, ?3 the id that it has if
-- it was given none
-- index: primary key
insert into hf_task (no, id, name, payload, opts, created_us)
select ?1, nullif(id, ?3), name, payload, opts, created_us from hf_dead where no = ?2;

-- name: delete_dead
-- ?1 number
-- index: primary key
delete from hf_dead where no = ?1;
