-- What every connection does and asks. "index:" names the index (or the primary key) that the plan
-- must use; a test holds all of them to it.

-- name: setup
-- The log is synced at each commit: what returned success survives a power cut. Checkpoints have a
-- thread of their own. No foreign keys: the owner deletes in the order it likes.
pragma journal_mode = wal;
pragma synchronous = full;
pragma wal_autocheckpoint = 0;
pragma foreign_keys = off;
pragma temp_store = memory;
pragma mmap_size = 0;
pragma secure_delete = off;
pragma trusted_schema = off;

-- name: owner_cache
-- The owner's page cache: 64 MiB.
pragma cache_size = -65536;

-- name: keep_foreign_keys
-- For statements of the user's: what his tables declare holds. Ours declare none.
pragma foreign_keys = on;

-- name: limit_pages
-- For tests of a full disk; the number is put behind it.
pragma max_page_count =

-- name: mark_file
-- Only where the file has no application of its own.
pragma application_id = 1215261796;

-- name: file_application
select application_id from pragma_application_id;

-- name: begin_read
begin;

-- name: begin_write
begin immediate;

-- name: commit
commit;

-- name: rollback
rollback;

-- name: data_version
-- Changes when another connection has committed.
pragma data_version;

-- name: quick_check
select quick_check from pragma_quick_check(1);

-- name: journal_mode
select journal_mode from pragma_journal_mode;

-- name: synchronous
select case synchronous when 0 then 'off' when 1 then 'normal' when 2 then 'full' else 'extra' end
  from pragma_synchronous;

-- name: has_migrations
select count(*) from sqlite_schema where type = 'table' and name = 'hf_migration';

-- name: make_migrations
create table hf_migration (
    number     integer primary key,
    checksum   text    not null,
    applied_us integer not null
) strict;

-- name: schema_version
select max(number) from hf_migration;

-- name: migration_checksum
-- ?1 number
select checksum from hf_migration where number = ?1;

-- name: add_migration
-- ?1 number, ?2 checksum, ?3 time
insert into hf_migration (number, checksum, applied_us) values (?1, ?2, ?3);

-- name: take_numbers
-- Once per commit: reserves ?1 sequence numbers, the last of which is returned.
-- index: primary key
update hf_counter set seq = seq + ?1 where only = 1 returning seq;

-- name: last_number
-- index: primary key
select seq from hf_counter where only = 1;

-- name: partition_list
select id, queue, crashes, crashed_us from hf_partition order by id;

-- name: partition_of
-- ?1 queue
-- index: hf_partition_queue
select id from hf_partition where queue = ?1;

-- name: partition_count
select count(*) from hf_partition;

-- name: add_partition
-- ?1 queue
insert into hf_partition (id, queue) values ((select max(id) + 1 from hf_partition), ?1)
returning id;
