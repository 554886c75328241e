#!/bin/bash
# What docs/sql-api.md shows in SQL runs, block after block, in one session.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"
. "$root/tests/sql_api.bash"
pg_start --fast
schema docs
awk '/^```sql$/ { on = 1; next } /^```/ { on = 0 } on' "$root/docs/sql-api.md" > examples.sql
[ "$(wc -l < examples.sql)" -gt 30 ]
result $? 'there are examples'
ask "$(cat examples.sql)"
result "$code" 'and they run'
is 'order-42|order-43|order-50|order-51' 'and do what is said' \
    "select string_agg(id, '|' order by id) from holdfast.runs where workflow = 'order'"
is '1003|1' 'with tasks' "select count(*), count(*) filter (where state = 'running') from holdfast.tasks"
for f in $(cd "$root/sql/postgres/functions" && grep -l '^revoke all' ./*.sql); do
    name=$(basename "$f" .sql)
    case $name in *_jsonb | submit_* | hint | hint_* | purge_*) continue ;; esac
    grep -qE "\b$name\(" "$root/docs/sql-api.md" || missing="${missing:-} $name"
done
out=${missing:-}
[ -z "$out" ]; result $? 'every function for callers is documented'
