#!/bin/bash
# Modules and stores that a worker cannot use: one line that says why, and an exit code of its own.
. "$(dirname "$0")/cli.bash"

# Each of these ends the worker at once, and writes nothing but its one line.
echo 'this is no library' > text.so
run worker --module ./text.so
exits 64 'a module that is no library exits 64'
complains 'module ./text.so does not load: .*' 'and says what the loader said'

echo 'int undefined_function(void); int holdfast_module(void *h); int holdfast_module(void *h) { return h ? undefined_function() : 0; }' > lacks.c
cc -shared -fPIC -o lacks.so lacks.c
run worker --module ./lacks.so
exits 64 'a module that lacks a symbol exits 64'
complains 'module ./lacks.so does not load: .*undefined_function' 'and names the symbol'

echo '#include <holdfast.h>
int holdfast_module(hf *h) { return hf_workflow(h, "", 1, 0); }' > bad.c
cc -std=c11 -shared -fPIC -I"$root/include" -o bad.so bad.c
run worker --module ./bad.so
[ "$code" != 0 ]; result $? 'a module whose offer is refused stops the worker'
complains 'module ./bad.so: .*(workflow|returned)' 'and says which'

# ---- stores
mkdir directory
run start noop --store sqlite:directory
[ "$code" != 0 ]; result $? 'a directory is no store'
complains '.*directory' 'and the message names it'

head -c 20000 /dev/urandom > garbage.db
cp garbage.db as-it-was
run worker --builtin noop --store sqlite:garbage.db
[ "$code" != 0 ]; result $? 'a file that is no database is refused'
complains '.*garbage.db' 'and the message names it'
cmp -s as-it-was garbage.db; result $? 'and is left as it was'

run start noop --store sqlite:newer.db
if command -v sqlite3 > /dev/null; then
    sqlite3 newer.db "insert into hf_migration (number, checksum, applied_us) values (9999, 'x', 1)"
    run worker --builtin noop --store sqlite:newer.db
    [ "$code" != 0 ]; result $? 'a store of a newer version is refused'
    complains '.*9999' 'and says which it is'
else
    tests=$((tests + 1))
    echo "ok $tests - a store of a newer version # SKIP no sqlite3 command"
fi
