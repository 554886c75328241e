#!/bin/bash
# Commands that need no worker: what they print, how they fail.
. "$(dirname "$0")/cli.bash"

# ---- the command line itself
run
exits 64 'no command is a mistake'
grep -q '^usage: holdfast' err.txt; result $? 'and prints the usage'
run --help
exits 0 'help is no mistake'
for name in demo worker start wait signal cancel terminate pause resume enqueue show list why task \
    migrate workers queues stats purge doctor bench version help completion; do
    says "^  $name " "help lists $name"
    "$holdfast" "$name" --help > help.txt 2>&1 && grep -q "^usage: holdfast $name" help.txt
    result $? "$name --help"
done
run shwo
exits 64 'an unknown command exits 64'
complains 'unknown command shwo; did you mean show\?' 'and names the nearest'
run list --jsno
exits 64 'an unknown option exits 64'
complains 'list: unknown option --jsno; did you mean --json\?' 'and names the nearest'
run list --limit
complains 'list: --limit needs a value' 'an option without its value'
run list --limit many
complains 'list: --limit: many is no whole number' 'a value of the wrong type'
run show
exits 64 'a missing argument exits 64'
run version
says '^holdfast [0-9]+\.[0-9]+\.[0-9]+$' 'version'
run completion bash
bash -n <<< "$out"; result $? 'the completion is a bash script'
says 'complete .* holdfast' 'and is bound to the command'
run help --man
says '^\.Cm enqueue' 'the synopsis for the manual'
run list
exits 69 'a store that is not there is not made by reading'
complains 'no store at holdfast.db' 'and the message says where it was looked for'
[ ! -e holdfast.db ]; result $? 'nothing was made'

# ---- starting
run start order --id o1 --input '{"a":1}' --json
prints '{"id":"o1"}' 'start --json prints the id'
run start order
says '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]' 'a made id is a UUIDv7'
run start order --id o1
exits 6 'a taken id exits 6'
complains '.*o1' 'and is named'
run start order --id o1 --if-exists use
prints o1 '--if-exists use leaves the run that is there'
run start order --if-exists perhaps
exits 64 '--if-exists has three values'
run start order --timeout 1s
exits 64 '--timeout goes with --wait'
run start order --id "$(printf 'a\tb')"
exits 64 'a control character in an id is refused'
run start order --input "$(printf 'a\377b')"
exits 64 'an input that is not UTF-8 is refused'
run --store sqlite:other.db start w --id x
exits 0 '--store before the command'
run list --store other.db
says '^x  ' '--store after it, as a path'
HOLDFAST_STORE=sqlite:other.db run list
says '^x  ' 'the store from the environment'

# ---- many at once
printf '{"n":1}\n{"n":2}\n' > lines
run start w --store many.db --lines lines
prints '2 runs' 'start --lines makes a run of each line'
run start w --store many.db --count 3 --json
has 'scalar @{$j->{ids}}' 3 'start --count; --json prints the ids'
run list --store many.db --json
has 'scalar @{$j->{runs}}' 5 'all are there'
run start w --store many.db --count 2 --id x
exits 64 '--id goes with one run only'
run start w --store many.db --count 2 --if-exists replace
exits 64 'many runs cannot be replaced at once'
run start w --store many.db --count 2 --wait
exits 64 '--wait goes with one run only'

# ---- looking
run show o1 --json
has '$j->{id}' o1 'show --json: id'
has '$j->{input}' '{"a":1}' 'an input that is JSON is shown as JSON'
has '$j->{status}' running 'a new run is running'
has '$j->{history}' '[]' 'without a history'
has '$j->{error}' null 'without an error'
has '$j->{queue}' default 'in the default queue'
run start order --id text --input 'no json'
run show text --json
has '$j->{input}' 'no json' 'an input that is not JSON is shown as a string'
run show o1
says '^o1  order' 'show names run and workflow'
says 'no worker is running' 'and says that no worker is there'
run show nobody
exits 66 'show of an unknown run exits 66'
run why o1
prints 'run o1 waits for a worker: no worker is running' 'why: no worker'
run why o1 --json
has '$j->{kind}' no_worker 'why --json: the kind'
run why nobody
exits 66 'why of an unknown id exits 66'
run list --workflow other
prints 'no runs' 'list --workflow'
run list --status completed --json
prints '{"runs":[]}' 'list --status'
run list --limit 1 --json
has 'scalar @{$j->{runs}}' 1 'list --limit'
run wait o1 --timeout 50ms
exits 3 'wait exits 3 when its time is up'
complains 'run o1 has not ended, it is running' 'and says how the run is'
run wait nobody
exits 66 'wait for an unknown run exits 66'

run start order --id solo --store ages.db
run show solo --store ages.db
says '^solo  order  running, started [0-9.]+ m?s ago$' 'show: the age of a run that lives'
run list --store ages.db
says '^solo .* [0-9.]+ m?s so far$' 'list: what it took so far'
says_not ' $' 'no line ends with a blank'
run show solo --execution 2 --store ages.db
exits 66 'show of an execution that is not there exits 66'
complains 'run solo: there is no execution 2, the present one is 1' 'and says which is'

# ---- telling runs something
run signal o1 go '{"x":1}' --key k
exits 0 'signal'
run signal o1 go '{"x":1}' --key k
exits 0 'a repeated signal with its key is fine'
run show o1 --json
has '$j->{unread_signals}[0]{name}' go 'an unread signal is shown'
has '$j->{unread_signals}[0]{payload}' '{"x":1}' 'with its payload'
run signal nobody go
exits 66 'a signal to an unknown run exits 66'
run signal fresh go 1 --start order --input 2 --queue q2
exits 0 'signal --start'
run show fresh --json
has '$j->{queue} . $j->{input}' q22 'starts the run with input and queue'
for verb in cancel terminate pause resume; do
    run $verb nobody
    exits 66 "$verb of an unknown run exits 66"
    run $verb o1
    exits 0 "$verb"
done

# ---- tasks
run enqueue t --json
says '^\{"ids":\["[^"]+"\]\}$' 'enqueue --json prints the ids'
run enqueue t --count 3 --input '{"n":1}'
[ "$out" = '3 tasks' ]; result $? '--count makes so many'
printf 'a\nb\nc' > lines.txt
run enqueue t --lines lines.txt --json --queue q3
has 'scalar @{$j->{ids}}' 3 '--lines makes one of each line, the last without a line end too'
input=lines.txt run enqueue t --lines - --json
has 'scalar @{$j->{ids}}' 3 '--lines - reads standard input'
printf 'good\nb\0ad\n' > bad.txt
run enqueue t --lines bad.txt --queue q4
exits 64 'a NUL byte in a line exits 64'
complains '.*bad.txt: line 2: .*NUL' 'and names file and line'
printf 'good\nb\377d\n' > bad.txt
run enqueue t --lines bad.txt --queue q4
complains '.*line 2: not UTF-8' 'a line that is not UTF-8'
{ echo good; head -c 1048577 /dev/zero | tr '\0' x; echo; } > bad.txt
run enqueue t --lines bad.txt --queue q4
exits 65 'a line over the limit exits 65'
complains '.*line 2: over 1048576 bytes' 'and is named'
run task list --live --queue q4
prints 'no tasks' 'nothing of such a batch is stored'
{ seq 5001; printf 'b\0d\n'; } > bad.txt
run enqueue t --lines bad.txt --queue q5 --json
has 'scalar @{$j->{ids}}' 5000 'the batches before it are, and their ids are printed'
complains '.*5000 tasks before it are enqueued' 'the message says so'
run enqueue t --lines lines.txt --count 2
exits 64 '--lines and --count do not go together'
run enqueue t --id mine --in 5m
prints mine 'enqueue --id'
run enqueue t --id mine
exits 6 'a taken id exits 6'
run why mine
says 'waits for task t, delayed until .* \(in 4m 5[0-9]s\)' 'why of a delayed task'
run task show mine --json
has '$j->{status}' delayed 'task show'
run enqueue t --at 2100-01-01T01:00:00+01:00 --id later
run task show later --json
has '$j->{due}' 2100-01-01T00:00:00.000Z '--at takes RFC 3339'
run enqueue t --at 4102444800 --id later2
run task show later2 --json
has '$j->{due}' 2100-01-01T00:00:00.000Z '--at takes Unix seconds'
for bad in '--in 5x' '--in -5s' '--at yesterday' '--at 2030-02-30T00:00:00Z' '--class middling' \
    '--max-attempts 0' '--max-attempts -2' '--in 1s --at 0' '--count -1' '--count 2 --id x'; do
    run enqueue t $bad
    exits 64 "enqueue $bad is refused"
done
run enqueue ''
exits 64 'an empty task name is refused'
run enqueue t --queue a,b
complains 'queue: comma in it' 'a comma in a queue is refused'
run task list
prints 'no dead letters' 'task list'
run task lits
complains 'task: unknown verb lits; did you mean list\?' 'an unknown verb'
run task retry nobody
exits 66 'retry of an unknown dead letter exits 66'
run task retry
exits 64 'retry of nothing is refused'

# ---- doctor
run doctor
exits 1 'doctor is not content with work that nobody can do'
says 'no worker is running' 'and says why'
run doctor --json
has '$j->{ok} ? 1 : 0' 0 'doctor --json'
run start w --store clean.db --id x
run terminate x --store clean.db
run doctor --store nowhere/x.db
exits 1 'doctor: no store there'
says '^BAD   store       no store at nowhere/x.db' 'is a finding'
says '^ +check the path' 'with advice'
run doctor --store clean.db
says '1 run and 0 tasks to do' 'counts agree with their nouns'
truncate -s 300M clean.db-wal
run doctor --store clean.db
says '^BAD   size .* the log is very large$' 'a log that has grown very large is bad'
cat > newer.c << 'END'
#include <sqlite3.h>
int main(int argc, char **argv) {
    sqlite3 *db;
    return argc != 2 || sqlite3_open(argv[1], &db) ||
           sqlite3_exec(db, "update hf_migration set number = number + 1000", 0, 0, 0) ||
           sqlite3_close(db);
}
END
if cc -o newer newer.c -lsqlite3 2> /dev/null; then
    run start w --store newer.db --id x
    ./newer newer.db
    run doctor --store newer.db
    exits 1 'doctor: a newer schema'
    says '^ +use the version of holdfast that made it' 'says what to do'
fi
run enqueue t --count 1 --store one.db
prints '1 task' 'one task is not 1 tasks'
run task show nobody
exits 66 'task show of an unknown id exits 66'
complains 'task nobody: not found' 'and says so'
echo 'this is no database, and it is long enough to be looked at' > junk.db
run list --store junk.db
exits 74 'a file that is no store exits 74'
run doctor --store junk.db
exits 1 'doctor: no database'
says '^BAD   store .*not a database' 'is a finding, too'
run doctor --store junk.db --json
has '$j->{checks}[0]{status}' bad 'as JSON'
