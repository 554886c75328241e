#!/usr/bin/env bash
# The server of transcripts (pg.bash) does what tests/unit_pg.c says of the one of C programs.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"

pg_start --tcp --settings "work_mem = '7MB'"
url=$(pg_database orders)
out=$(pg_sql "$url" 'show work_mem')
prints 7MB 'a transcript has a server of its own'

pg_sql "$url" 'create table t (a int); insert into t values (7)'
pg_ask stop kill
pg_ask start
out=$(pg_sql "$url" 'select a from t')
prints 7 'it can be killed and started again'

pg_ask bouncer 'default_pool_size=2'
out=$(pg_sql "$(pg_bouncer_url orders)" 'select a from t')
prints 7 'and has PgBouncer before it'

directory=$pg_dir
cat > killed.bash <<END
. '$root/tests/cli.bash'
. '$root/tests/pg.bash'
pg_start --fast
echo \$pg_dir > '$dir/other'
kill -9 \$\$
END
{ bash killed.bash; } > /dev/null 2>&1
read -r other < other
for _ in {1..200}; do [ ! -e "$other" ] && break; sleep 0.1; done
[ -n "$other" ] && [ ! -e "$other" ] && [ -e "$directory" ]
result $? 'it ends with a script that is killed'
