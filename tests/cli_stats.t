#!/bin/bash
# `holdfast stats` and the rate of `holdfast queues`, on both stores.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"

# Whether the only worker has said that so many tasks are done: rates of the moment are there with it.
has_said()
{
    "$holdfast" stats --json | perl -MJSON::PP -e 'my $j = decode_json(<STDIN>);
        exit(($j->{workers}[0]{stats}{engine}{tasks} // 0) < $ARGV[0])' "$1"
}
# Whether the rate of the first queue is 0.
rests()
{
    "$holdfast" queues --json | perl -MJSON::PP -e 'my $j = decode_json(<STDIN>);
        exit(($j->{queues}[0]{done_per_s} // 1) != 0)'
}

# ---- nobody is there
run stats
exits 69 'stats does not make a store'
run enqueue noop --count 500
run stats
exits 0 'stats without workers'
prints 'no workers' 'says so'
run queues --json
has '$j->{queues}[0]{done_per_s}' null 'the rate of a queue of which nobody has said anything is unknown'
run queues
says_not 'RATE' 'and has no column'

# ---- a worker on SQLite
worker --builtin all --lease 3s
until_true 20 has_said 500; result $? 'a worker says what it has done'
run queues
says '^default  1 of 1 +.*[1-9][0-9.]*/s' 'queues shows the rate'
run queues --json
has '$j->{queues}[0]{tasks_per_s} > 1 ? 1 : 0' 1 'as JSON'
has '$j->{queues}[0]{done_per_s} == $j->{queues}[0]{tasks_per_s}' 1 'all of it tasks'
run start fan-out --input '{"n":5}' --wait
run start steps --input '{"n":3}' --wait
run enqueue fail --max-attempts 1
until_true 20 has_said 505; result $? 'then it says more'
until_true 20 rests; result $? 'and that it has nothing to do'
run stats --json
has '$j->{version}' 1 'stats --json: version'
has '$j->{store}' sqlite 'store'
has '$j->{workers}[0]{pid}' "$worker" 'the worker'
has '$j->{workers}[0]{stats}{engine}{tasks}' 505 'tasks that were done'
has '$j->{workers}[0]{stats}{engine}{failed}' 1 'attempts that failed'
has '$j->{workers}[0]{stats}{engine}{runs}' 2 'runs that have ended'
has '$j->{workers}[0]{stats}{engine}{steps}' 3 'steps'
has '$j->{workers}[0]{stats}{queues}{default}{tasks}' 505 'the same of its queue'
has '$j->{workers}[0]{stats}{operations}{cycle}{errors}' 0 'cycles'
has 'my $c = $j->{workers}[0]{stats}{operations}{cycle}; $c->{p50_us} <= $c->{p99_us} && $c->{p99_us} <= $c->{max_us}' 1 'and their times'
has '$j->{server}' null 'there is no server'
has '$j->{roundtrip}' null 'and no way to it'
run stats
says '^OPERATION +COUNT +PER SECOND +MEAN +P50 +P99 +MAX' 'a table of operations'
says '^cycle +[0-9]+ ' 'with cycles'
says '^runs ended 2   turns [0-9]+, ' 'what the engine did'
says '^tasks done 505   failed attempts 1 ' 'tasks'
says_not 'roundtrip|server' 'nothing of a server'
host=$(hostname)
for who in 1 "$host:$worker"; do
    run stats "$who"
    exits 0 "a worker is chosen by ${who%%:*}"
done
run stats nobody
exits 66 'one that is not there'
complains 'stats: there is no worker nobody' 'is an error'
before=$(md5sum < holdfast.db-wal)
sleep 4
[ "$before" = "$(md5sum < holdfast.db-wal)" ]; result $? 'a worker that rests writes nothing'
stop_worker

# ---- a worker on PostgreSQL
pg_start --tcp --settings "shared_preload_libraries = 'pg_stat_statements'"
url=$(pg_database orders)
export HOLDFAST_STORE=$url
run migrate
run stats
says '^roundtrip from here: [0-9]+ us' 'the roundtrip is measured'
says '^time in the server: not known: .*create extension pg_stat_statements' 'without the extension it says how to get it'
pg_sql "$url" 'create extension pg_stat_statements'
run enqueue noop --count 500
worker --builtin all --lease 3s
until_true 20 has_said 500; result $? 'a worker says what it has done, on PostgreSQL'
run queues --json
has '$j->{queues}[0]{tasks_per_s} > 1 ? 1 : 0' 1 'queues has the rate'
pg_sql "$url" "select done_per_s > 1 from holdfast.queues where name = 'default'" | grep -qx t
result $? 'SQL has it, too'
pg_sql "$url" "select stats #>> '{engine,tasks}' from holdfast.workers" | grep -qx 500
result $? 'and all that the worker has said'
until_true 20 sh -c "'$holdfast' stats --json | grep -q '\"network_us\"'"
run stats --json
has '$j->{roundtrip}{min_us} > 0 && $j->{roundtrip}{min_us} <= $j->{roundtrip}{median_us}' 1 'roundtrip'
has '$j->{server}{unknown}' null 'the server is known'
has 'join ",", map { $_->{calls} } grep { $_->{name} eq "submit_tasks" } @{$j->{server}{statements}}' 1 'calls of a statement'
has 'my $c = $j->{workers}[0]{cycle}; $c->{mean_us} == $c->{server_us} + $c->{network_us} + $c->{rest_us}' 1 'the parts of a cycle add up'
run stats
says '^a cycle: .* = server .* \+ network .* \+ rest ' 'and are printed'
says '^STATEMENT +CALLS +MEAN +TOTAL +ROWS' 'statements'
says '^submit_tasks +1 ' 'by their names'
pg_sql "$url" "create role reader login; grant usage on schema holdfast to reader;
    grant select on all tables in schema holdfast to reader;
    grant execute on function holdfast.server_times(), holdfast.now_us(bigint) to reader"
run stats --store "${url/postgres@/reader@}"
says 'calls are hidden from this role: grant it pg_read_all_stats' 'a role that may not see them is told'
pg_sql "$url" "update holdfast.worker set stats = 'no JSON'"
run stats
says '^it has not said anything yet' 'what cannot be read is not said'
run stats --json
has '$j->{workers}[0]{stats}' null 'as JSON'
stop_worker
