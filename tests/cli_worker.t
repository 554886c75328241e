#!/bin/bash
# The worker, and what runs look like while it serves them.
. "$(dirname "$0")/cli.bash"

# ---- refusals
run worker
exits 64 'a worker without anything to offer is refused'
run worker --builtin nop
exits 64 'an unknown built-in is refused'
complains '.*nop is not one of' 'and the message lists them'
run worker --module ./missing.so
exits 64 'a module that is not there exits 64'
complains 'module ./missing.so does not load' 'and says why'
echo 'int x;' > empty.c && cc -shared -fPIC -o empty.so empty.c
run worker --module empty.so
complains 'module empty.so has no function holdfast_module' 'a module without its function'
echo 'struct hf; int holdfast_module(struct hf *h) { return h ? 7 : 0; }' > refuses.c
cc -shared -fPIC -o refuses.so refuses.c
run worker --module refuses.so
complains 'module refuses.so: holdfast_module returned 7' 'a module that refuses'
run worker --exec 'name'
exits 64 '--exec without a command is refused'
run worker --builtin noop --slots 0
exits 64 '--slots 0 is refused'

# ---- draining
run start noop --id n1
run start fan-out --id f1 --input '{"n":7}'
run start steps --id s1 --input '{"n":3}'
run enqueue noop --count 20
run worker --builtin all --drain --slots 4
exits 0 'a worker that drains exits 0'
says '^drained: 0 runs wait' 'and prints what is left'
run show f1 --json
has '$j->{status}' completed 'fan-out is completed'
has 'scalar grep { $_->{kind} eq "done" } @{$j->{history}}' 7 'with seven results'
has 'join ",", map { $_->{seq} } @{$j->{history}}[0..2]' 1,2,3 'events are numbered from 1'
has '$j->{history}[0]{time} =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ ? 1 : 0' 1 'times are RFC 3339'
run show s1 --json
has 'scalar grep { $_->{kind} eq "step" } @{$j->{history}}' 3 'steps are recorded'
run task list --live
prints 'no tasks' 'no task is left'
run wait n1
exits 0 'wait exits 0 for a completed run'
run why n1
says 'run n1 is done: completed at' 'why of a completed run'
run cancel n1
exits 7 'a run that has ended takes no cancel'

# ---- waiting and signals, live
cat > waits.c << 'END'
#include <holdfast.h>
static int two(hf_wf *wf) {
    const char *first;
    HF_TRY(hf_status(wf, "between"));
    HF_TRY(hf_signal(wf, "go", &first, HF_OPT(.timeout_ms = HF_HOUR)));
    return hf_return(wf, first);
}
static int fails(hf_wf *wf) { return hf_fail(wf, "broken", "as it should"); }
int holdfast_module(hf *h);
int holdfast_module(hf *h) {
    HF_TRY(hf_workflow(h, "fails", 1, fails));
    return hf_workflow(h, "two", 3, two);
}
END
cc -std=c11 -shared -fPIC -I"$root/include" -o waits.so waits.c
worker --module waits.so --builtin all --slots 4 --lease 5s --grace 1s
run start two --id w1
until_true 10 sh -c "'$holdfast' why w1 | grep -q 'signal go'"
run why w1
says '^run w1 waits for signal go \(until .* in 59m' 'why of a run that waits for a signal'
run show w1 --json
has '$j->{status} . $j->{version}' waiting3 'it is waiting, in version 3'
has '$j->{custom_status}' between 'with its status text'
has '$j->{waits_for}[0]{kind}' signal 'and what it waits for'
run signal w1 go '{"n":42}'
run wait w1 --timeout 10s
exits 0 'a signal wakes it'
prints '{"n":42}' 'wait prints the output'
run start fails --wait
exits 1 'start --wait exits as the run ended'
complains 'run .* failed: broken: as it should' 'with its error'
run start fails --wait --json
has '$j->{error}{name}' broken 'as JSON too'
run start two --id w2
run cancel w2 --reason 'not needed'
run wait w2 --timeout 10s
exits 4 'a cancelled run exits 4'
run start two --id w3
run terminate w3 --reason 'broken'
run wait w3 --timeout 10s
exits 5 'a terminated run exits 5'
run start two --id w4
until_true 10 sh -c "'$holdfast' why w4 | grep -q 'signal go'"
run pause w4
until_true 10 sh -c "'$holdfast' why w4 | grep -q paused"
run why w4
says 'run w4 is paused' 'why of a paused run'
run wait w4 --timeout 600ms
exits 3 'wait goes on for a paused run'
grep -qx 'holdfast: run w4 is paused; still waiting' err.txt; result $? 'and says once that it is paused'
[ "$(grep -c paused\; err.txt)" = 1 ]; result $? 'once'
run doctor
says '^note  paused      1 run: w4$' 'doctor names paused runs'
run resume w4
run signal w4 go 1
run wait w4 --timeout 10s
prints 1 'a resumed run goes on'
run start sleep --id t1 --input '{"ms":600000}'
until_true 10 sh -c "'$holdfast' why t1 | grep -q timer"
run why t1
says 'run t1 waits for a timer until .* \(in 9m' 'why of a run that sleeps'
run start noop --id t1 --if-exists replace --wait
exits 0 'replace --wait waits for the new life'
run show t1 --json
has '$j->{workflow}' noop 'which took the place of the old'
run show t1
says 'execution 2; the previous life was replaced' 'show says that it did'
says 'holdfast show t1 --execution 1' 'and how to see the old one'
run show t1 --execution 1
says '^t1  terminated after' 'whose history is there'
says 'timer .* cancelled' 'with what it waited for'
run show t1 --json
has '$j->{replaced} && $j->{executions} == 2 ? 1 : 0' 1 'as JSON, too'
run start nobody-has-it --id u1
run why u1
says 'no live worker offers workflow nobody-has-it' 'why names the workflow that nobody offers'
run why u1 --json
has '$j->{kind}' no_worker 'and its kind'
run doctor
exits 1 'doctor sees it'
run terminate u1
run enqueue noop --id elsewhere --queue other

# ---- failing tasks
run enqueue fail --id d1 --max-attempts 2 --first-delay 100ms
until_true 10 "$holdfast" task show d1
until_true 10 sh -c "'$holdfast' task list | grep -q d1"
run task show d1 --json
has '$j->{status} . $j->{attempts}' dead2 'a task that failed for good is a dead letter'
has '$j->{error}{name}' fail 'with its last error'
run why d1 --json
has '$j->{kind}' dead 'why of a dead letter'
run task retry d1
until_true 10 sh -c "'$holdfast' task list | grep -q d1"
run task show d1 --json
has '$j->{attempts}' 2 'retry gives it all its attempts again'
run task discard d1
run task list
prints 'no dead letters' 'discard deletes it'
run enqueue fail --id r1 --max-attempts 4 --first-delay 1h --max-delay 1h
until_true 10 sh -c "'$holdfast' why r1 | grep -q retry"
run why r1
says 'a retry of task fail at .*attempt 2 of 4, last error fail' 'why of a task that is tried again'

# ---- one owner
"$holdfast" worker --builtin noop 2> second.log &
second=$!
workers+=("$second")
until_true 10 grep -q '"owner"' second.log
grep -q "\"event\":\"owner\".*$worker" second.log; result $? 'a second worker says who owns the file'
perl -MJSON::PP -ne 'decode_json($_)' second.log; result $? 'the log is JSON when it is no terminal'
stop_worker
exits 0 'SIGTERM stops a worker, which exits 0'
run start noop --wait --timeout 10s
exits 0 'the second one takes over'
kill -9 "$second"; wait "$second" 2> /dev/null

# ---- a blocked run, and the log on a terminal
cat > turns.c << 'END'
#include <holdfast.h>
#include <unistd.h>
static int fickle(hf_wf *wf) {
    if (access("changed", F_OK) == 0)
        HF_TRY(hf_sleep(wf, 10));
    else
        HF_TRY(hf_task(wf, "noop", NULL, NULL));
    return hf_signal(wf, "go", NULL);
}
int holdfast_module(hf *h);
int holdfast_module(hf *h) { return hf_workflow(h, "fickle", 1, fickle); }
END
cc -std=c11 -shared -fPIC -I"$root/include" -o turns.so turns.c
export HOLDFAST_STORE=blocked.db
run start fickle --id b1
worker --module turns.so --builtin noop
until_true 10 sh -c "'$holdfast' why b1 | grep -q 'signal go'"
stop_worker
touch changed
run signal b1 go
run enqueue unknown-task
if command -v script > /dev/null; then
    script -qfc "exec '$holdfast' worker --module turns.so --builtin noop" pty.log < /dev/null > /dev/null &
    workers+=("$!")
    until_true 10 grep -q 'info    serving 1 queue with 16 slots, process [0-9]' pty.log
    result $? 'on a terminal the log is sentences: it started'
    until_true 10 grep -q 'error   run b1 (fickle) is blocked by HF_MISMATCH: .*; mend it' pty.log
    result $? 'a run is blocked'
    until_true 10 grep -q 'warning this worker does not offer task unknown-task' pty.log
    result $? 'a task is not offered'
    run wait b1 --timeout 400ms
    exits 3 'wait goes on for a blocked run'
    grep -qE '^holdfast: run b1 is blocked: .*; still waiting$' err.txt
    result $? 'and says that it is blocked'
    run doctor
    says '^note  blocked     1 run: b1$' 'doctor names blocked runs'
    kill -TERM "$(sed -n 's/.*process \([0-9]*\).*/\1/p' pty.log)"
    until_true 10 grep -q 'info    stopped after ' pty.log
    result $? 'it stopped'
fi
