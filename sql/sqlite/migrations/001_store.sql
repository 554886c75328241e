-- The whole store, first edition. Row numbers (partition | stream | sequence) are rowids, so the
-- b-tree of hf_run, hf_task and hf_inbox is the order in which their owner reads them.
-- The names carry a prefix because an application may keep its own tables in the same file.
-- 0x486f6c64 is "Hold"; the file of an application that has an id of its own keeps that.

create table hf_counter (
    only integer primary key constraint hf_counter_one check (only = 1),
    seq  integer not null
) strict;
insert into hf_counter (only, seq) values (1, 0);

create table hf_owner (
    only     integer primary key constraint hf_owner_one check (only = 1),
    epoch    integer not null,
    has_left integer not null,
    name     text,
    host     text,
    pid      integer not null,
    queues   text,
    handlers text,
    since_us integer not null
) strict;
insert into hf_owner (only, epoch, has_left, pid, since_us) values (1, 0, 1, 0, 0);

create table hf_partition (
    id         integer primary key constraint hf_partition_range check (id between 1 and 32767),
    queue      text    not null,
    crashes    integer not null default 0,
    crashed_us integer not null default 0
) strict;
create unique index hf_partition_queue on hf_partition (queue);
insert into hf_partition (id, queue) values (1, 'default');

create table hf_run (
    no               integer primary key,
    id               text    not null,
    workflow         text    not null,
    input            text,
    token            text,
    parent_no        integer,
    parent_ref       text,
    parent_execution integer not null default 0,
    started_us       integer not null,
    status           integer not null default 0
        constraint hf_run_status check (status between 0 and 7),
    version          integer not null default 0,
    execution        integer not null default 1,
    wake_us          integer,
    crashes          integer not null default 0,
    claimed          integer not null default 0,
    custom           text,
    output           text,
    error_name       text,
    error_message    text,
    ended_us         integer not null default 0,
    attributes       text,                       -- the last three are for later releases: for
    meta             text,                       -- finding runs, for headers and trace context, and
    engine_flags     integer not null default 0  -- for what an old history needs of a new engine
) strict;
create unique index hf_run_id on hf_run (id);
create index hf_run_live on hf_run (status, no) where status <= 3;
create index hf_run_wake on hf_run (no >> 48, wake_us, no) where wake_us is not null and status <= 1;
create index hf_run_started on hf_run (started_us, no);
create index hf_run_parent on hf_run (parent_no, no) where parent_no is not null;
create index hf_run_claimed on hf_run (no) where claimed = 1;

create table hf_history (
    run_no    integer not null,
    execution integer not null,
    seq       integer not null,
    events    text    not null,
    constraint hf_history_key primary key (run_no, execution, seq)
) strict, without rowid;

create table hf_task (
    no            integer primary key,
    id            text,
    name          text    not null,
    payload       text,
    opts          text,
    run_no        integer,
    execution     integer not null default 0,
    ref           text,
    created_us    integer not null,
    attempt       integer not null default 0,
    run_at_us     integer,
    claimed       integer not null default 0,
    crashes       integer not null default 0,
    error_name    text,
    error_message text,
    meta          text
) strict;
create unique index hf_task_id on hf_task (id) where id is not null;
create index hf_task_due on hf_task (no >> 48, run_at_us, no) where run_at_us is not null;
create index hf_task_run on hf_task (run_no, no) where run_no is not null;
create index hf_task_claimed on hf_task (no) where claimed = 1;

create table hf_dead (
    no            integer primary key,
    id            text    not null,
    name          text    not null,
    payload       text,
    opts          text,
    attempts      integer not null,
    crashes       integer not null,
    error_name    text,
    error_message text,
    created_us    integer not null,
    died_us       integer not null,
    meta          text
) strict;
create unique index hf_dead_id on hf_dead (id);

create table hf_inbox (
    no      integer primary key,
    run_no  integer not null,
    kind    integer not null,
    name    text,
    payload text,
    key     text,
    aux     integer not null default 0,
    code    integer not null default 0,
    time_us integer not null
) strict;
create index hf_inbox_run on hf_inbox (run_no, kind, key);
