#!/bin/bash
# `holdfast explain`: the shape of what it prints, on both stores with few rows, that every hot
# statement is explained, and that nothing is left behind.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"

# ---- arguments
run explain --scenario busy
exits 64 'an unknown scenario'
complains '.*heavy-single-queue\|many-queues-sparse' 'names those there are'
run explain --rows 0
exits 64 'no rows'
run explain --sqlite --store postgresql://localhost/x
exits 64 '--sqlite with another store'
touch file
run explain --sqlite --out file
exits 64 '--out is a file'
complains 'explain: --out file: ' 'says which'
run explain --store postgresql://localhost:1/x --rows 10
exits 69 'a server that is not there'
complains 'explain: .*localhost' 'says which'

# ---- SQLite
run explain --sqlite --rows 2000 --out plans
exits 0 'SQLite'
says '^heavy-single-queue: 2000 tasks wait in one queue$' 'each scenario has a title'
says '^STATEMENT +TIMES +EXEC ms +STEPS +INDEX' 'a table, without what is unknown'
says '^fetch_runs +[0-9]+ +[0-9.]+ +[0-9]+ +hf_run_live$' 'a statement and its index'
[ "$(grep -c '^[a-z-]*: [0-9]* ' <<< "$out")" = 6 ]; result $? 'six scenarios'
grep -q 'SEARCH hf_run' plans/sleepers/run_by_id.txt; result $? 'a file for each plan'
out=$(cat plans/summary.json)
has '$j->{store} . scalar @{$j->{scenarios}}' sqlite6 'the summary is written'
[ -z "$(ls -d holdfast-bench-* 2> /dev/null)" ]; result $? 'the file is gone'

# ---- PostgreSQL
pg_start --fast
database=$(pg_database explain)
run explain --store "$database" --rows 3000 --json
exits 0 'PostgreSQL'
[ -z "$err" ]; result $? 'nothing to complain of'
has 'join ",", map { $_->{count} } @{$j->{scenarios}}' '3000,150,300,3000,3000,2700' 'counts'
has 'join ",", sort keys %{$j->{scenarios}[0]{statements}[0]}' \
    'buffers,exec_ms,flags,hot,indexes,inside_function,plan_ms,rows,statement,times' 'the shape'
has 'scalar grep { $_->{inside_function} && $_->{statement} =~ /^place:\d+$/ } @{$j->{scenarios}[0]{statements}}' \
    1 'statements inside functions'
has 'my ($f) = grep { $_->{statement} eq "fetch_tasks" } @{$j->{scenarios}[0]{statements}};
    ($f->{rows} >= 3000 && $f->{buffers} > 0 && $f->{plan_ms} > 0 && $f->{hot} ? 1 : 0) . $f->{indexes}' \
    '1task_fetch' 'a fetch of real rows'
has 'scalar grep { $_->{bad} } map { @{$_->{flags}} } map { @{$_->{statements}} } @{$j->{scenarios}}' \
    0 'nothing is bad'
[ "$(pg_sql "$database" "select count(*) from pg_namespace where nspname like 'holdfast%'")" = 0 ]
result $? 'the schema is gone'

# Every statement of the hot path that demands an index, but for those of rare moments.
json 'my %s; $s{$_->{statement}} = 1 for map { @{$_->{statements}} } @{$j->{scenarios}};
    join "\n", sort keys %s' > told.txt
perl -ne '$n = $1 if /^-- name: (\w+)/; print "$n\n" if /^-- index:/' \
    "$root"/sql/postgres/{fetch,commit,owner,wait,purge}.sql | sort > hot.txt
prints_missing=$(comm -23 hot.txt told.txt | tr '\n' ' ')
[ -z "$prints_missing" ]; result $? "every hot statement is explained: $prints_missing"

for state in never empty; do
    run explain --store "$database" --rows 3000 --scenario mixed-states --statistics $state --json
    exits 0 "statistics: $state"
done

# ---- without rights
pg_sql "$database" "create role plain login"
plain=${database/postgres@/plain@}
run explain --store "$plain" --rows 100
exits 64 'a user who may not make a schema'
complains 'explain: .*(permission|right|may not)' 'says so'
pg_sql "$database" "grant create on database explain to plain"
run explain --store "$plain" --rows 100 --scenario sleepers
exits 0 'a user who is no superuser'
complains 'explain: the plans of statements inside functions are not shown' 'says what is missing'
says_not '^  ' 'and does not show it'

# ---- through a pooler, where each statement is planned each time
run explain --store "$database&poll_only=1" --rows 100 --scenario sleepers
exits 0 'poll-only'
says 'fetch_runs .*run_fetch' 'plans'

# ---- an interrupt
"$holdfast" explain --store "$database" --scenario heavy-single-queue > /dev/null 2> err.txt &
pid=$!
until_true 10 pg_sql "$database" "select 1 / count(*) from pg_namespace where nspname like 'holdfast%'"
sleep 0.5
kill -INT $pid
wait $pid
code=$?
exits 4 'an interrupt'
complains 'explain: stopped' 'says so'
[ "$(pg_sql "$database" "select count(*) from pg_namespace where nspname like 'holdfast%'")" = 0 ]
result $? 'the schema is gone'
