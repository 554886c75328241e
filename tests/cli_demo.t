#!/bin/bash
# The demonstration and the other examples, as a user would run them.
. "$(dirname "$0")/cli.bash"

run worker --module "$BUILD/examples/hello.so" --drain
exits 0 'hello loads'
worker --module "$BUILD/examples/hello.so"
run start hello --input '{"name":"Ada"}' --wait --timeout 10s
says '^"Hello, Ada!"$' 'hello greets'
stop_worker

"$root/examples/orders/make-orders.sh" | cmp -s - "$root/examples/orders/orders.jsonl"
result $? 'orders.jsonl is what its script makes'

run demo --orders 200 --kills 3 --dir shop
exits 0 'two hundred orders survive three kills'
says '^200 orders: [0-9]+ completed, 8 declined, 4 rejected' 'each ends as it should'
says 'killed 3 times' 'the worker was killed three times'
says '^  *\+.*task charge.*2 attempts' 'the timeline of an order is shown'
says_not '^WRONG' 'nothing is wrong'
run list --store shop/demo.db --status failed --limit 1000 --json
has 'scalar @{$j->{runs}}' 12 'with --dir the store stays'
run demo --orders 5 --dir shop
exits 64 'a directory that is not empty is refused'
run demo --orders 100000
exits 64 'there are a thousand orders'
run demo --orders 5 --kills 0
exits 0 'without kills'
says 'killed 0 times' 'the worker lives'
made=$(sed -n 's/^5 orders in //p' <<< "$out")
[ -n "$made" ] && [ ! -e "$made" ]; result $? 'its directory is gone'
run demo --orders 5 --kills 1 --keep
made=$(sed -n 's/^5 orders in //p' <<< "$out")
[ -s "$made/ledger.jsonl" ]; result $? '--keep leaves it'
rm -rf "$made"
