#!/bin/bash
# Tasks that are shell commands: input, output, exit codes, environment, killing.
. "$(dirname "$0")/cli.bash"

cat > module.c << 'END'
#include <holdfast.h>
static int call(hf_wf *wf) {
    const char *out, *task = hf_get(wf, hf_input(wf), "task");
    HF_TRY(hf_task(wf, task, hf_get(wf, hf_input(wf), "input"), &out,
                   HF_OPT(.max_attempts = 2, .first_delay_ms = 50)));
    return hf_return(wf, out);
}
static int slow(hf_wf *wf) {
    const char *out;
    return hf_task(wf, "slow", "1", &out, HF_OPT(.timeout_ms = 300, .max_attempts = 1));
}
int holdfast_module(hf *h);
int holdfast_module(hf *h) {
    HF_TRY(hf_workflow(h, "slow", 1, slow));
    return hf_workflow(h, "call", 1, call);
}
END
cc -std=c11 -shared -fPIC -I"$root/include" -o module.so module.c
worker --module module.so --slots 4 \
    --exec 'upper=tr a-z A-Z' \
    --exec 'quiet=cat > /dev/null' \
    --exec 'env=echo "$HOLDFAST_TASK $HOLDFAST_ATTEMPT $HOLDFAST_TASK_ID"' \
    --exec 'three=echo one >&2; echo "no such customer" >&2; exit 3' \
    --exec 'mute=cat > /dev/null; exit 4' \
    --exec 'again=echo x >> tries; [ $(wc -l < tries) -ge 2 ] || exit 75' \
    --exec 'suicide=echo y >> deaths; [ $(wc -l < deaths) -ge 2 ] || kill -9 $$' \
    --exec 'binary=printf "a\377b"' \
    --exec 'nul=printf "a\000b"' \
    --exec 'flood=head -c 1100000 /dev/zero | tr "\000" x' \
    --exec 'full=head -c 1048576 /dev/zero | tr "\000" x' \
    --exec 'deaf=exit 0' \
    --exec 'slow=sleep 60 & echo $! > slow.pid; trap "" TERM; wait; sleep 60' \
    --exec 'background=sleep 5 & echo started'

# call TASK [INPUT]: a run that calls it
call() { run start call --input "{\"task\":\"$1\",\"input\":\"${2:-}\"}" --wait --timeout 20s --json; }

call upper 'gr\u00fc\u00df dich'
has '$j->{output}' 'GRüß DICH' 'input on standard input, output the result'
call quiet hello
has '$j->{status} . ($j->{output} // "null")' completednull 'no output is none'
call env
has '$j->{output} =~ /^env 1 \S+$/ ? 1 : 0' 1 'task, attempt and id are in the environment'
call three
has '$j->{error}{name}' exit 'another exit code fails the call'
has '$j->{error}{message} =~ /exit code 3.*no such customer/ ? 1 : 0' 1 'with code and last words'
call mute
has '$j->{error}{message}' 'exit code 4 from `sh -c cat > /dev/null; exit 4`' 'without a word, the command is named'
call again
has '$j->{status}' completed 'exit code 75 is tried again'
[ "$(wc -l < tries)" = 2 ]; result $? 'once'
call suicide
has '$j->{status}' completed 'a command that is killed is tried again'
call binary
has '$j->{error}{name}' output 'output that is not UTF-8 fails the call'
call nul
has '$j->{error}{name}' output 'output with a NUL byte too'
call flood
has '$j->{error}{name}' output 'output over the limit too'
call full
has 'length $j->{output}' 1048576 'output at the limit is taken whole'
perl -e 'print "{\"task\":\"deaf\",\"input\":\"", "x" x 1000000, "\"}"' > big.json
"$holdfast" enqueue deaf --lines big.json > /dev/null
until_true 10 sh -c "'$holdfast' task list --live | grep -q 'no tasks'"
result $? 'a command that does not read its input does well'
run task list
prints 'no dead letters' 'and is no dead letter'
begin=$SECONDS
call background
[ $((SECONDS - begin)) -lt 4 ]; result $? 'what stays in the background holds nothing up'

run start slow --wait --timeout 20s --json
has '$j->{error}{name}' timeout 'a timeout ends the call'
gone() { ! kill -0 "$(cat slow.pid)" 2> /dev/null; }
until_true 5 gone; result $? 'and the whole process group, though it ignores SIGTERM'

# ---- the worker's end
rm -f slow.pid
run enqueue slow
until_true 10 test -s slow.pid; result $? 'a slow command runs'
kill -9 "$worker"
wait "$worker" 2> /dev/null
shell_gone() { ! pgrep -f 'trap "" TERM; wait' > /dev/null; }
until_true 5 shell_gone; result $? 'the shell dies with a worker that is killed'
kill -9 "$(cat slow.pid)" 2> /dev/null

# ---- the example
run task list > /dev/null
PATH=$(dirname "$holdfast"):$PATH HOLDFAST=$holdfast "$root/examples/shell/run.sh" > example.out 2>&1
out=$(cat example.out)
says '^words: 6$' 'examples/shell runs'
says 'the second try did well' 'its second try does well'
says 'broken .*dead .*exit code 3 from .*: no such customer' 'its last task is a dead letter'
