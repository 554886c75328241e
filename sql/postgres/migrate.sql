-- What a migration does around its steps. All of it is one transaction.

-- name: migrate_lock
-- One at a time, whoever migrates which schema of this database.
select pg_advisory_xact_lock(hashtextextended('holdfast' || ' migrate', 0));

-- name: has_schema
select exists (select from pg_namespace where nspname = 'holdfast');

-- name: make_schema
create schema if not exists holdfast;

-- name: drop_schema
drop schema if exists holdfast cascade;

-- name: make_migrations
create table if not exists holdfast.migration (
    version    integer     primary key,
    name       text        not null,
    checksum   text        not null,
    applied_at timestamptz not null default clock_timestamp()
);

-- name: add_migration
-- $1 version, $2 name, $3 checksum
insert into holdfast.migration (version, name, checksum)
values ($1::integer, $2::text, $3::text);

-- name: unchecked_bodies
-- Functions name others that come later.
set local check_function_bodies = off;

-- name: default_queue
select holdfast.need_queue('default');
