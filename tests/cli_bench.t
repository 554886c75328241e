#!/bin/bash
# `holdfast bench`: the shape of what it prints, and that its sums are plausible. Tiny units: the
# numbers themselves mean nothing here.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"

# ---- arguments
run bench speed
exits 64 'an unknown scenario'
complains 'bench: speed is not one of noop, fan-out' 'names those there are'
run bench --workers 0
exits 64 'no workers'
run bench --in-flight 20,many
exits 64 'a list that is none'
run bench --repeat 0
exits 64 'no repeats'
run bench --units 0
exits 64 'no units'
run bench fan-out --backlog 5
exits 64 '--backlog goes with noop'
run bench --rtt 10ms --store sqlite:x.db
exits 64 'a network for a file'
run bench --workers 2
exits 64 'two workers on one file'
complains 'bench: one worker at a time' 'says why'
rm -f x.db*
[ -z "$(ls -d holdfast-bench-* 2> /dev/null)" ]; result $? 'directories of benchmarks that failed are gone'

shape='join(",", sort keys %$j) . ";" . join(",", sort keys %{$j->{results}[0]})'
result_keys='cpu_s_per_1000,enqueue_per_s,in_flight,latency_ms,peak_rss_mb,per_unit,runs,scenario,store,throughput_per_s,units,workers'

# ---- all scenarios, with a store of its own
run bench --units 60 --repeat 2 --slots 2 --in-flight 5,20 --parked 3 --json
exits 0 'all scenarios'
[ -z "$err" ]; result $? 'progress is for terminals'
has "$shape" "results,settings,version;$result_keys" 'the shape'
has '$j->{version}' 1 'version'
has 'join ",", map { $_->{scenario} . "/" . ($_->{in_flight} // "-") } @{$j->{results}}' \
    'noop/-,fan-out/5,fan-out/20,latency/1,latency-fan-out/1' 'each scenario, fan-out twice'
has 'join ",", map { $_->{store} . $_->{workers} . scalar @{$_->{runs}} } @{$j->{results}}' \
    'sqlite12,sqlite12,sqlite12,sqlite12,sqlite12' 'store, workers, runs'
has 'scalar grep { $_->{units} == 60 && $_->{throughput_per_s} > 0 } @{$j->{results}}' 5 'units'
has '$j->{results}[0]{enqueue_per_s} > 0 ? 1 : 0' 1 'noop tells how fast tasks are stored'
has '$j->{results}[1]{enqueue_per_s}' null 'others do not'
has 'join ",", sort keys %{$j->{results}[1]{per_unit}}' \
    'commits,roundtrips,rows_written,statements,wal_bytes' 'costs of a unit'
has 'scalar grep { $_->{per_unit}{wal_bytes} > 100 && !defined $_->{per_unit}{statements} } @{$j->{results}}' \
    5 'on SQLite bytes are known, statements not'
has 'join ",", sort keys %{$j->{results}[3]{latency_ms}}' 'result,start' 'latencies'
ordered='my $l = $_->{latency_ms}; my $n = 0;
    for (grep { defined $_->{p50} } values %$l) { $n++ if 0 <= $_->{p50} && $_->{p50} <= $_->{p95} && $_->{p95} <= $_->{p99} && $_->{p99} <= $_->{max} } $n'
has "join ',', map { $ordered } @{\$j->{results}}" '0,1,1,2,2' 'percentiles are in order'
has 'my $l = $j->{results}[3]{latency_ms}; $l->{start}{p50} < $l->{result}{p50} ? 1 : 0' 1 \
    'a task begins before its result is there'
has 'my $r = $j->{results}[2]; my @v = map { $_->{throughput_per_s} } @{$r->{runs}};
    abs(($v[0] + $v[1]) / 2 - $r->{throughput_per_s}) < 0.001 * $v[0] ? 1 : 0' 1 'medians'
has 'scalar grep { $_->{cpu_s_per_1000}{worker} > 0 && $_->{peak_rss_mb} > 1 } @{$j->{results}}' 5 \
    'CPU and memory'
has '$j->{settings}{server}{synchronous}' full 'settings: durability'
has '"$j->{settings}{slots} $j->{settings}{parked} $j->{settings}{queue}"' '2 3 bench' 'settings'
[ -z "$(ls -d holdfast-bench-* 2> /dev/null)" ]; result $? 'its store is gone'

# ---- on a store of the user's
run start sleep --id mine --input '{"ms":600000}'
run bench noop --units 300 --backlog 100 --repeat 1 --store holdfast.db
exits 0 'a table'
says '^version .*synchronous full.* medians of 1' 'says how durable it is'
says '^noop +1 ' 'and has a row for each scenario'
run queues --json
has 'my ($q) = grep { $_->{name} eq "bench" } @{$j->{queues}}; $q->{tasks} + $q->{runs}' 0 'nothing is left'
run list --json
has 'join ",", map { $_->{id} } @{$j->{runs}}' mine 'but for what was there'
run bench fan-out --units 30 --repeat 1 --keep --store holdfast.db
run list --queue bench --status completed --json
has 'scalar @{$j->{runs}}' 30 '--keep leaves the last runs'
run bench noop --duration 200ms --units 400000 --repeat 1 --json
has '$j->{results}[0]{units} > 0 && $j->{results}[0]{units} <= 400000 ? 1 : 0' 1 \
    '--duration: what was done in it' 
worker --builtin all
until_true 10 sh -c "'$holdfast' workers | grep -q ' on '"
run bench noop --units 10 --store holdfast.db
exits 75 'not beside a worker that serves everything'
complains 'bench: process [0-9]+ on .* serves queue bench too' 'which is named'
stop_worker

# ---- on PostgreSQL, whose server counts
pg_start --settings "shared_preload_libraries='pg_stat_statements'"
url=$(pg_database bench)
pg_sql "$url" 'create extension pg_stat_statements'
run migrate --store "$url"
run bench --store "$url" --units 40 --repeat 1 --workers 1,2 --slots 2 --in-flight 20 --json
exits 0 'all scenarios on PostgreSQL'
has "$shape" "results,settings,version;$result_keys" 'the same shape'
has 'join ",", map { $_->{store} . $_->{workers} } @{$j->{results}}' \
    'postgresql1,postgresql2,postgresql1,postgresql2,postgresql1,postgresql2,postgresql1,postgresql2' \
    'each with one worker and with two'
has 'scalar grep { my $p = $_->{per_unit}; $p->{statements} > 0 && $p->{commits} > 0 && $p->{wal_bytes} > 100 } @{$j->{results}}' \
    8 'statements, commits and bytes of log'
has 'my $n = $j->{results}[0]{per_unit}{rows_written}; $n >= 2 && $n < 8 ? 1 : 0' 1 \
    'a task is written and deleted'
has 'scalar grep { defined $_->{cpu_s_per_1000}{server} } @{$j->{results}}' 8 'the CPU of the server'
has '$j->{results}[0]{per_unit}{roundtrips}' null 'without a relay nobody counts round trips'
has 'join ",", map { $j->{settings}{server}{$_} } qw(fsync synchronous_commit)' on,on 'durability'
run bench latency --store "$url" --units 5 --repeat 1 --rtt 30ms --json
exits 0 'over a network with a delay'
has '$j->{results}[0]{latency_ms}{result}{p50} > 60 ? 1 : 0' 1 'which is felt'
has '$j->{results}[0]{per_unit}{roundtrips} >= 2 ? 1 : 0' 1 'and whose round trips are counted'
run queues --store "$url" --json
has 'my ($q) = grep { $_->{name} eq "bench" } @{$j->{queues}}; $q->{tasks} + $q->{runs}' 0 'nothing is left'
