#!/bin/bash
# The commands on a PostgreSQL store: migrate, what reads, retention, doctor.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"

pg_start --tcp
url=$(pg_database orders)
export HOLDFAST_STORE=$url

# ---- migrate
run list
exits 66 'a database without the schema'
complains '.*run `holdfast migrate`' 'says what to do'
run doctor
exits 1 'doctor: no schema'
says '^ +run `holdfast migrate` with this store' 'doctor says so, too'
run migrate --check
exits 1 'migrate --check: something is missing'
says '^missing 001_' 'and what'
run migrate --sql
exits 0 'migrate --sql'
says '^create table "holdfast".run ' 'is a script'
pg_sql "$url" "select to_regnamespace('holdfast') is null" | grep -qx t; result $? 'that is not run'
by_script=$(pg_database by_script)
psql -XAtq -v ON_ERROR_STOP=1 -d "$by_script" <<< "$out" > /dev/null; result $? 'psql runs it'
run list --store "$by_script"
prints 'no runs' 'and it makes a store'
run migrate
exits 0 'migrate'
run migrate
prints 'the schema is up to date' 'migrate again does nothing'
run migrate --check
exits 0 'migrate --check: nothing is missing'
run migrate --check --sql
exits 64 'one of the two'
run start w --store file.db --id x
run migrate --store file.db
says 'brought up to date whenever it is opened' 'an SQLite store needs no migrate'
run migrate --store file.db --sql
exits 64 'and has no script'
run migrate --store nowhere.db --check
exits 69 '--check makes no store'

# ---- reading
run start order --id o1 --input '{"a":1}' --queue mail
run start order --id o2
run start other --id o3
run list --json
has 'scalar @{$j->{runs}}' 3 'list'
has '$j->{runs}[0]{id}' o3 'the newest first'
run list --workflow order --json
has 'join ",", map { $_->{id} } @{$j->{runs}}' o2,o1 'list --workflow'
run list --queue mail --json
has 'join ",", map { $_->{id} } @{$j->{runs}}' o1 'list --queue'
run list --queue nowhere
prints 'no runs' 'list of a queue that is not there'
run list --limit 1 --json
has '$j->{runs}[0]{id}' o3 'list --limit'
for status in paused:2 blocked:3 completed:4 waiting:1; do
    pg_sql "$url" "update holdfast.run set status = ${status#*:} where id = 'o2'"
    run list --status "${status%:*}" --json
    has 'join ",", map { $_->{id} } @{$j->{runs}}' o2 "list --status ${status%:*}"
done
run list --status running --json
has 'join ",", map { $_->{id} } @{$j->{runs}}' o3,o1 'list --status running'
run show o1 --json
has '$j->{input}' '{"a":1}' 'show: input'
has '$j->{queue}' mail 'show: queue'
run signal o1 go '{"n":1}'
run show o1
says '^  go  \{"n":1\}' 'a signal that nobody has read'
run show nobody
exits 66 'show of an unknown run'
run enqueue t --id t1 --queue mail
run enqueue t --in 1h
made=$out
run task list --live --json
has 'scalar @{$j->{tasks}}' 2 'task list --live'
run task list --live --queue mail --json
has '$j->{tasks}[0]{id}' t1 'of a queue'
run task show "$made" --json
has '$j->{name}' t 'a task is found by the id that was made for it'
run task show t1 --json
has '$j->{queue}' mail 'and by its own'
run task show nobody
exits 66 'task show of an unknown id'
run task list
prints 'no dead letters' 'dead letters'
run why o1
prints 'run o1 waits for a worker: no worker is running' 'why'
run workers
prints 'no workers' 'workers'
run queues --json
has 'scalar @{$j->{queues}}' 2 'queues'
has '$j->{queues}[0]{partitions}' 8 'of eight partitions'
has '$j->{queues}[0]{unowned}' 8 'which nobody serves'
has '$j->{queues}[0]{delayed}' 1 'a delayed task'
has '$j->{queues}[1]{tasks}' 1 'a task'
has '$j->{queues}[1]{runs}' 1 'a run'

# ---- retention
run queues retain mail 7d
exits 0 'retain'
run queues --json
has '$j->{queues}[1]{retain_ms}' 604800000 'is kept'
run queues retain nowhere 7d
exits 66 'of an unknown queue'
pg_sql "$url" "update holdfast.run set status = 4,
    ended_us = started_us + 1 where id in ('o1', 'o2');
    insert into holdfast.history select partition_id, no, 1, 1, '[]' from holdfast.run"
run purge --older-than 1d
prints '0 runs deleted' 'nothing is so old'
run purge --older-than 0s --dry-run
prints '2 runs would be deleted' '--dry-run'
run purge --older-than 0s --queue mail
prints '1 run deleted' 'purge --queue'
[ "$(pg_sql "$url" 'select count(*) from holdfast.history')/$(pg_sql "$url" 'select count(*) from holdfast.inbox')" = 2/0 ]
result $? 'with its history and messages'
pg_sql "$url" "insert into holdfast.inbox (no, time_us, partition_id, kind, run_no)
    select no + 1000, 0, partition_id, 5, no from holdfast.run where id = 'o2'"
run purge --older-than 0s
prints '0 runs deleted' 'what is about to begin anew stays'
pg_sql "$url" "delete from holdfast.inbox"
run start order --id o2 --if-exists replace
exits 0 'an ended run is replaced'
run purge --older-than 0s
prints '0 runs deleted' 'and not purged before its owner has seen that'
pg_sql "$url" "delete from holdfast.inbox"
run purge --older-than 0s --status failed
prints '0 runs deleted' 'purge --status'
pg_sql "$url" "begin; select no from holdfast.run where id = 'o2' for key share;
    select pg_sleep(1000)" > /dev/null 2>&1 &
sleeper=$!
until_true 10 sh -c "[ \"\$(psql -XAtq -d '$url' -c \"select count(*) from pg_stat_activity
    where query like '%pg_sleep(1000)%' and pid <> pg_backend_pid()\")\" = 1 ]"
run purge --older-than 0s
prints '0 runs deleted' 'what somebody is replacing is skipped'
pg_sql "$url" "select pg_terminate_backend(pid) from pg_stat_activity
    where query like '%pg_sleep(1000)%' and pid <> pg_backend_pid()" > /dev/null
wait "$sleeper" 2> /dev/null
run purge --older-than 0s --batch 1
prints '1 run deleted' 'and deleted when he has gone'
run list --json
has 'join ",", map { $_->{id} } @{$j->{runs}}' o3 'live runs stay'

# ---- doctor
fresh=$(pg_database fresh)
run migrate --store "$fresh"
run doctor --store "$fresh"
exits 0 'doctor: all is well'
says '^ok    server      PostgreSQL ' 'server'
says '^ok    durability  fsync on, full_page_writes on, synchronous_commit on' 'durability'
says '^note  role        postgres, a superuser' 'a superuser is more than is needed'
says '^ok    hints       a NOTIFY took' 'a hint arrives'
says '^ok    schema      version ' 'schema'
run doctor --store "$fresh" --json
has '$j->{ok} ? 1 : 0' 1 'as JSON'
run doctor --store "$fresh&poll_only=1"
says '^note  hints       a pooler' 'poll-only mode is noted'
pg_sql "$fresh" "create role reader login; grant usage on schema holdfast to reader;
    grant select on all tables in schema holdfast to reader"
run doctor --store "${fresh/postgres@/reader@}"
exits 1 'a role that may only read'
says '^BAD   role        reader may neither' 'is bad'
pg_sql "$fresh" "alter database fresh set synchronous_commit = off;
    alter table holdfast.task set (autovacuum_enabled = false)"
run doctor --store "$fresh"
exits 1 'a table without autovacuum'
says 'autovacuum is off for task' 'is bad, and named'
says '^note  durability .* synchronous_commit off' 'a commit that does not wait is noted'
pg_ask stop fast
run doctor --store "$fresh"
exits 1 'doctor: no server'
says '^BAD   store ' 'is a finding'
