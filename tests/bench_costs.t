#!/bin/bash
# A little of each scenario, and what it cost in statements, commits, rows and bytes: no more than
# bench/costs.json says. Times do not matter. A second time if a busy machine was in the way.
. "$(dirname "$0")/cli.bash"

for _ in 1 2; do
    run bench quick --repeat 1 --compare "$root/bench/costs.json"
    [ "$code" != 1 ] || continue
    break
done
exits 0 'exact costs are within their bounds'
[ "$(grep -c '^quick .*postgresql' <<< "$out")" -ge 8 ]; result $? 'of each point, measured and compared'
sed 's/"rows_written": 4.0/"rows_written": 3.0/' "$root/bench/costs.json" > tighter.json
run bench quick --repeat 1 --compare tighter.json
exits 1 'one row more for a run would be found'
says '^quick fan-outs +postgresql .*rows_written 4[0-9.]*, was 3' 'and named'
