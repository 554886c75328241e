#!/bin/bash
# Commands for those who look after a store: workers, queues, purge.
. "$(dirname "$0")/cli.bash"

run queues
exits 69 'queues does not make a store'

# ---- workers
run start sleep --id s1 --input '{"ms":600000}'
run workers
exits 0 'workers without any'
prints 'no workers' 'says so'
run workers --json
prints '{"workers":[]}' 'also as JSON'
worker --builtin all
until_true 10 sh -c "'$holdfast' workers | grep -q ' on '"
run workers
says '^1 +[0-9]+ on .* all +1 .*live$' 'a worker is listed with its process, queues and partitions'
run workers --json
has '$j->{workers}[0]{pid}' "$worker" 'workers --json: pid'
has '$j->{workers}[0]{queues}' null 'all queues'
has '$j->{workers}[0]{handlers}[0]' task:fail 'handlers'
has '$j->{workers}[0]{live} ? 1 : 0' 1 'live'
has '$j->{workers}[0]{lease_left_ms}' null 'no lease on an exclusive store'
run queues
says '^default  1 of 1 ' 'its queue is served'

# ---- purge
for i in 1 2 3 4 5; do run start noop --id "n$i"; done
run start steps --id keep --input '{"n":1}'
until_true 10 sh -c "[ \$('$holdfast' list --status completed --json | grep -o '\"id\"' | wc -l) = 6 ]"
run purge
exits 64 'purge without --older-than'
complains 'purge: --older-than says which runs may go' 'is told what is missing'
run purge --older-than 0s --batch 0
exits 64 'a batch of nothing'
run purge --older-than 0s --status running
exits 64 'live runs cannot be chosen'
run purge --older-than 0s --queue nowhere
exits 66 'a queue that is not there'
run purge --older-than 1d
prints '0 runs deleted' 'nothing is so old'
run purge --older-than 0s --dry-run
prints '6 runs would be deleted' '--dry-run counts'
run purge --older-than 0s --dry-run --json
has '$j->{would_delete}' 6 'as JSON'
run purge --older-than 0s --status failed
prints '0 runs deleted' '--status'
run purge --older-than 0s --batch 2 --json
prints '{"deleted":6}' 'all batches, with a worker beside'
[ -z "$err" ]; result $? 'progress is for terminals'
run show n1
exits 66 'a deleted run is gone'
run show s1
exits 0 'the live run is there'
stop_worker
[ "$code" = 0 ]; result $? 'the worker did not mind'

# ---- queues
run enqueue t --queue mail
run enqueue t --queue mail --in 1h
run queues
says '^default  0 of 1 ' 'nobody serves it'
says '^mail +0 of 1  1 +1 ' 'tasks and delayed tasks'
run queues retain mail 7d
exits 0 'retain'
run queues --json
has 'scalar @{$j->{queues}}' 2 'queues --json'
has '$j->{queues}[1]{name}' mail 'name'
has '$j->{queues}[1]{retain_ms}' 604800000 'retention'
has '$j->{queues}[1]{tasks}' 1 'tasks'
has '$j->{queues}[1]{delayed}' 1 'delayed'
has '$j->{queues}[1]{served_by}' worker 'served by workers'
run queues
says '^mail .* 7d 0h$' 'retention in the table'
run queues retain mail forever
run queues --json
has '$j->{queues}[1]{retain_ms}' 0 'forever'
run queues retain nowhere 7d
exits 66 'retain of an unknown queue exits 66'
run queues retain mail soon
exits 64 'no duration'
run queues retain mail 0s
exits 64 'a retention of nothing is refused'
run queues retain mail
exits 64 'retain needs a duration'
run queues list
exits 64 'there is no other verb'
