#!/bin/bash
# `holdfast bench`: the shape of what it prints, that its sums are plausible, and what it leaves.
# Tiny sizes: the times themselves mean nothing here.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"

# ---- bad input
run bench speed
exits 64 'an unknown scenario'
complains 'bench: speed is not one of default, high-throughput, fan-out,.* mixed' 'names those there are'
run bench --workers 0
exits 64 'no workers'
run bench --repeat 0
exits 64 'no repeats'
run bench --tasks 0
exits 64 'no tasks'
run bench --duration soon
exits 64 'a duration that is none'
run bench quick --store mysql://localhost
exits 64 'a store of another kind'
run bench quick --store postgresql://127.0.0.1:1/none
exits 69 'a server that is not there'
complains 'bench: .*127.0.0.1' 'which is named'
run bench quick --store sqlite:x.db --json /nowhere/x.json
exits 64 'a file that cannot be written'
complains 'bench: --json: /nowhere/x.json' 'is named before anything is measured'
run bench remote --store sqlite:x.db
exits 64 'a network for a file'
run bench quick --compare /nowhere/x.json --store sqlite:x.db
exits 64 'nothing to compare with'
echo '{"a":1}' > other.json
run bench quick --compare other.json --store sqlite:x.db
exits 64 'another JSON'
complains 'bench: --compare: other.json is no result of a benchmark' 'is named'
[ "$(ls | tr '\n' ' ')" = 'err.txt other.json ' ]; result $? 'nothing is left of all this'

# ---- the list
run bench --list
exits 0 'the list'
for name in default high-throughput fan-out with-steps io-bound scale-1 scale-2 scale-4 scale-8 scale-20 \
    scale-50 latency backlog pinned-horizon idle crash remote quick low-latency cpu-bound fan-out-1000 \
    sequence sequence-1000 children signal-pingpong continue-as-new timers payload mixed; do
    says "^$name +[a-z0-9]" "has $name"
done

keys='join(",", sort keys %$j) . ";" . join(",", sort keys %{$j->{results}[0]})'
result_keys='backlog,cpu_s_per_1000,drift,duplicates,enqueue_per_s,histogram_ms,in_flight,latency_ms,lost,parked,payload,peak_rss_mb,per_unit,recovery_ms,rtt_ms,runs,scenario,series_per_s,slots,spread,startup_ms,store,throughput_per_s,units,variant,workers'
ordered='my $l = $_->{latency_ms}; my $n = 0;
    for (grep { defined $_->{p50} } values %$l) { $n++ if 0 <= $_->{p50} && $_->{p50} <= $_->{p95} && $_->{p95} <= $_->{p99} && $_->{p99} <= $_->{max} } $n'

# ---- an SQLite file of the user's: beside it
run start sleep --id mine --store sqlite:mine.db
run bench quick --tasks 60 --repeat 2 --slots 2 --in-flight 20 --json - --store sqlite:mine.db
exits 0 'quick, on SQLite'
[ -z "$err" ]; result $? 'progress is for terminals'
has "$keys" "results,settings,version;$result_keys" 'the shape'
has '$j->{version}' 1 'version'
has 'join ",", map { $_->{variant} . "/" . ($_->{in_flight} // "-") } @{$j->{results}}' \
    'tasks/-,fan-outs/20,steps/20,alone/1' 'each point'
has 'join ",", map { $_->{store} . $_->{workers} . scalar @{$_->{runs}} } @{$j->{results}}' \
    'sqlite12,sqlite12,sqlite12,sqlite12' 'store, workers, repeats'
has 'scalar grep { $_->{units} == 60 && $_->{throughput_per_s} > 0 } @{$j->{results}}' 4 'units'
has '$j->{results}[0]{enqueue_per_s} > 0 ? 1 : 0' 1 'a backlog tells how fast tasks are stored'
has '$j->{results}[1]{enqueue_per_s}' null 'others do not'
has 'scalar grep { $_->{per_unit}{wal_bytes} > 50 && !defined $_->{per_unit}{statements} } @{$j->{results}}' \
    4 'on SQLite bytes are known, statements not'
has "join ',', map { $ordered } @{\$j->{results}}" '0,1,1,3' 'percentiles are in order'
has 'my $l = $j->{results}[3]{latency_ms}; $l->{start}{p50} < $l->{result}{p50} ? 1 : 0' 1 \
    'a task begins before its result is there'
has 'my $r = $j->{results}[1]; my @v = map { $_->{throughput_per_s} } @{$r->{runs}};
    abs(($v[0] + $v[1]) / 2 - $r->{throughput_per_s}) < 0.001 * $v[0] ? 1 : 0' 1 'medians'
has 'my $r = $j->{results}[1]; my @v = sort { $a <=> $b } map { $_->{throughput_per_s} } @{$r->{runs}};
    abs(($v[1] - $v[0]) / $r->{throughput_per_s} - $r->{spread}) < 0.001 ? 1 : 0' 1 'and their spread'
has 'my $n = 0; $n += $_->[1] for @{$j->{results}[1]{histogram_ms}}; $n' 63 \
    'the histogram has every run, those of the warm-up too'
has 'scalar grep { $_->{startup_ms} > 0 && $_->{peak_rss_mb} > 1 } @{$j->{results}}' 4 'start-up, memory'
has '$j->{settings}{stores}{sqlite}{synchronous}' full 'settings: durability'
has '$j->{results}[0]{slots}' 2 '--slots'
[ "$(ls | tr '\n' ' ')" = 'err.txt mine.db other.json ' ]; result $? 'the files that were made are gone'
run list --store sqlite:mine.db --json
has 'join ",", map { $_->{id} } @{$j->{runs}}' mine 'and nothing was done in the file itself'

# ---- in print, and compared
run bench quick --tasks 60 --repeat 1 --json before.json --store sqlite:x.db
exits 0 'a table beside the JSON'
says '^sqlite: version .*synchronous full' 'says how durable it is'
says '^quick alone +sqlite +1 ' 'has a row for each point'
says 'latency +[0-9.]+ ms .* ms$' 'and the shape of latencies'
run bench quick --tasks 60 --repeat 1 --compare before.json --store sqlite:x.db
exits 0 'compared with itself it is not worse'
says '^quick tasks +sqlite +[0-9]+\.[0-9]+ ' 'a ratio for each'
perl -MJSON::PP -e 'local $/; open F, "before.json"; $j = decode_json(<F>); $_->{per_unit}{wal_bytes} /= 2 for @{$j->{results}};
    open F, ">", "half.json"; print F encode_json($j)'
run bench quick --tasks 60 --repeat 1 --compare half.json --store sqlite:x.db
exits 1 'worse than one that wrote half'
says 'quick alone .* wal_bytes [0-9.]+, was [0-9.]+' 'says what has grown'
run bench low-latency --tasks 20 --repeat 1 --compare before.json --store sqlite:x.db
exits 64 'other scenarios have nothing to compare'
run bench quick --tasks 20 --payload 5000 --repeat 1 --json - --store sqlite:x.db
has '$j->{results}[0]{per_unit}{wal_bytes} > 5000 ? 1 : 0' 1 '--payload is stored'
run bench fan-out --in-flight 30 --duration 300ms --repeat 1 --json - --store sqlite:x.db
has 'scalar grep { $_->{units} >= 30 && $_->{units} < 40000 } @{$j->{results}}' 6 '--duration: what was done in it'

# ---- PostgreSQL of the user's, whose server counts
pg_start --settings "shared_preload_libraries='pg_stat_statements'"
url=$(pg_database bench)
pg_sql "$url" 'create extension pg_stat_statements'
run bench quick --store "$url&schema=mine" --tasks 100 --repeat 1 --workers 2 --json - --svg plots
exits 0 'on PostgreSQL'
has "$keys" "results,settings,version;$result_keys" 'the same shape'
has 'join ",", map { $_->{store} . $_->{workers} } @{$j->{results}}' \
    'postgresql2,postgresql2,postgresql2,postgresql2' '--workers'
has 'scalar grep { my $p = $_->{per_unit}; $p->{statements} > 0 && $p->{commits} > 0 && $p->{wal_bytes} > 100 } @{$j->{results}}' \
    4 'statements, commits and bytes of log'
has 'my $n = $j->{results}[0]{per_unit}{rows_written}; $n >= 2 && $n < 4 ? 1 : 0' 1 \
    'a task is written and deleted'
has 'scalar grep { defined $_->{cpu_s_per_1000}{server} } @{$j->{results}}' 4 'the CPU of the server'
has '$j->{results}[0]{per_unit}{roundtrips}' null 'without a relay nobody counts round trips'
has 'join ",", map { $j->{settings}{stores}{postgresql}{$_} } qw(fsync synchronous_commit)' on,on 'durability'
run bench latency --store "$url" --tasks 5 --repeat 1 --rtt 30 --json -
exits 0 'over a network with a delay'
has '$j->{results}[0]{latency_ms}{result}{p50} > 60 ? 1 : 0' 1 'which is felt'
has '$j->{results}[0]{per_unit}{roundtrips} >= 2 ? 1 : 0' 1 'and whose round trips are counted'
run bench crash --tasks 20 --repeat 1 --store sqlite:crash.db
[ "$code" = 0 ] || { [ "$code" = 64 ] && grep -q 'all was done before .* more --tasks' <<< "$err"; }
result $? 'few tasks may be done before anybody is killed: then it says so'
run bench crash --tasks 20000 --workers 2 --repeat 1 --json - --store "$url"
exits 0 'a worker is killed'
has 'my $r = $j->{results}[0]; $r->{lost} == 0 && $r->{recovery_ms} > 1000 && $r->{recovery_ms} < 13000 ? 1 : 0' 1 \
    'nothing is lost, and others go on within 1.2 leases'
run bench pinned-horizon --duration 3s --json - --svg plots --store "$url"
exits 0 'a stream'
has 'join ",", map { scalar @{$_->{series_per_s}} >= 2 ? 1 : 0 } @{$j->{results}}' 1,1 'is told by the second'
grep -q '<polyline' plots/pinned-horizon.svg; result $? 'and plotted'
for scenario in timers children signal-pingpong continue-as-new mixed sequence; do
    run bench $scenario --tasks 200 --repeat 1 --json - --store "$url"
    exits 0 "$scenario"
    has 'scalar grep { $_->{units} < 200 || $_->{throughput_per_s} <= 0 } @{$j->{results}}' 0 \
        "$scenario does what it was asked to"
done
[ "$(pg_sql "$url" "select count(*) from pg_namespace where nspname like 'holdfast%' or nspname = 'mine'")" = 0 ]
result $? 'no schema is left, and none of the user was made'

run bench latency --tasks 3 --repeat 1 --keep --store "$url"
grep -q '^kept postgresql://.*schema=holdfast_bench_' <<< "$err"; result $? '--keep says which stores are left'
kept=$(sed -n 's/^kept .*schema=//p' err.txt | tail -n 1)
[ "$(pg_sql "$url" "select count(*) from $kept.runs where status = 'completed'")" -ge 3 ]
result $? 'and what was done is there'
for schema in $(sed -n 's/^kept .*schema=//p' err.txt); do pg_sql "$url" "drop schema $schema cascade" 2> /dev/null; done

# ---- an interrupt
"$holdfast" bench default fan-out --repeat 1 --workers 1 --tasks 2000 --duration 60 --in-flight 10 --store "$url" > out.txt 2> err.txt &
pid=$!
sleep 5
kill -INT $pid
wait $pid
[ $? -ne 0 ]; result $? 'an interrupted benchmark does not end well'
grep -q '^default ' out.txt; result $? 'prints what it has'
[ "$(pg_sql "$url" "select count(*) from pg_namespace where nspname like 'holdfast%'")" = 0 ]
result $? 'and drops its schema'

# ---- no rights
pg_sql "$url" 'create role guest login; revoke create on database bench from public'
run bench quick --tasks 10 --store "${url/postgres@/guest@}"
[ "$code" != 0 ]; result $? 'a role without rights cannot make a schema'
complains 'bench: .*permission denied' 'and is told so'

# ---- a server of its own
run bench quick --tasks 50 --repeat 1 --json -
exits 0 'without a store: both'
has 'join ",", map { $_->{store} } @{$j->{results}}' \
    'sqlite,postgresql,sqlite,postgresql,sqlite,postgresql,sqlite,postgresql' 'one after the other'
TEST_PG_BIN=/nowhere run bench quick --tasks 50 --repeat 1 --json -
exits 0 'without a server: SQLite'
has 'join ",", map { $_->{store} } @{$j->{results}}' 'sqlite,sqlite,sqlite,sqlite' 'alone'
complains 'bench: .*only SQLite is measured' 'and it is said'
[ -z "$(ls -d holdfast-bench-* hf-pg-* 2> /dev/null)" ]; result $? 'directories and servers are gone'
