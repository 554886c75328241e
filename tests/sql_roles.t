#!/bin/bash
# The roles: each may do what is said of it, and nothing else. And the views, which all may read.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"
. "$root/tests/sql_api.bash"
pg_start --fast
schema roles
admin_db=$db
ask "select holdfast.grant_roles(); select holdfast.grant_roles();"
result "$code" 'the roles are made, and given their rights again'
ask "create role ann login in role holdfast_client; create role bob login in role holdfast_worker;
     create role eve login in role holdfast_admin; create role zed login;
     select holdfast.create_queue('sql', 'sql');
     insert into holdfast.dead values ((1::bigint << 48) | 77, 'dl', 't', null, null, 5, 0, 'e', 'm', 0, 0);
     insert into holdfast.dead values ((1::bigint << 48) | 78, 'dl2', 't', null, null, 5, 0, 'e', 'm', 0, 0)"
as() { db=${admin_db/postgres@/$1@}; }
may() { ask "begin; $2; rollback"; [ "$code" = 0 ]; result $? "$1 may: $2"; }
may_not() { ask "begin; $2; rollback"; grep -q 'ERROR:  42501' err.txt; result $? "$1 may not: $2"; }
pg_sql "$admin_db" "select holdfast.start('order', 'r'); select holdfast.enqueue('t', queue => 'sql')" > /dev/null

client=("select holdfast.start('order')" "select holdfast.start('order', 'x', jsonb '1')"
    "select holdfast.start_many('order', '{a,b}')" "select holdfast.start('order', queue => 'new')"
    "select holdfast.signal('r', 's')" "select holdfast.signal('r', 's', jsonb '1')"
    "select holdfast.start_signal('order', 'q', 's')" "select holdfast.cancel('r')"
    "select holdfast.enqueue('t')" "select holdfast.enqueue('t', jsonb '1')"
    "select holdfast.enqueue_many('t', '{1,2}')" "select holdfast.result('r')"
    "select holdfast.submit_runs('{i}', '{w}', null, '{default}', '{1}', '{0}', '{0}', null)"
    "select holdfast.submit_tasks(null, '{w}', '{x}', '{default}', '{1}', null, null)"
    "select holdfast.submit_messages('{0}', '{r}', '{s}', null, null)" "select holdfast.hint('{1}')"
    "select * from holdfast.runs, holdfast.events" "select * from holdfast.tasks, holdfast.dead_letters"
    "select * from holdfast.queues, holdfast.workers, holdfast.unread" "select * from holdfast.run")
worker=("select holdfast.claim('sql')" "select holdfast.create_queue('n', 'sql')"
    "select holdfast.fail(id, claim) from holdfast.claim('sql')"
    "select holdfast.heartbeat(id, claim) from holdfast.claim('sql')"
    "select holdfast.complete(id, claim) from holdfast.claim('sql')"
    "select holdfast.complete(id, claim, jsonb '1') from holdfast.claim('sql')"
    "update holdfast.run set status = 1" "delete from holdfast.task" "delete from holdfast.inbox"
    "insert into holdfast.queue (name) values ('w')" "select nextval('holdfast.row_seq')"
    "select holdfast.fence(1, '{}')" "insert into holdfast.worker (host, pid, handlers, slots, slots_free, lease_us, expires_at) values ('h', 1, '', 1, 1, 1, now())")
admin=("select holdfast.terminate('r')" "select holdfast.pause('r')" "select holdfast.resume('r')"
    "select holdfast.retry('dl')" "select holdfast.discard('dl')"
    "select holdfast.submit_orders('{2}', '{r}', null)" "select holdfast.submit_dead('{true}', '{dl}')"
    "update holdfast.queue set retain_us = 1")
nobody=("drop table holdfast.dead" "select holdfast.grant_roles()" "create table holdfast.mine (a int)"
    "truncate holdfast.run")

as ann; for s in "${client[@]}"; do may client "$s"; done
for s in "${worker[@]}" "${admin[@]}" "${nobody[@]}"; do may_not client "$s"; done
as bob; for s in "${client[@]}" "${worker[@]}"; do may worker "$s"; done
for s in "${admin[@]}" "${nobody[@]}"; do may_not worker "$s"; done
as eve; for s in "${client[@]}" "${worker[@]}" "${admin[@]}"; do may admin "$s"; done
for s in "${nobody[@]}"; do may_not admin "$s"; done
as zed; for s in "${client[@]}"; do may_not 'who has no role' "$s"; done
as ann
fails HF003 'a client gives no orders by way of messages' "select holdfast.submit_messages('{2}', '{r}', null, null, null)"
is 't' 'a definer function looks nowhere else' "select bool_and('search_path=holdfast, pg_temp' = any (proconfig))
      from pg_proc where pronamespace = 'holdfast'::regnamespace and prosecdef"
is 't' 'and is nothing that the public may call' "select not bool_or(has_function_privilege('public', oid, 'execute'))
      from pg_proc where pronamespace = 'holdfast'::regnamespace"
db=$admin_db

# ---- views
ask "update holdfast.run set status = 5, custom = 'c', error_name = 'declined', error_message = 'no', ended_us = 1700000000500000, started_us = 1700000000000000 where id = 'r';
     insert into holdfast.history select partition_id, no, 1, 1, '[{\"k\":\"started\",\"v\":2,\"t\":1700000000000},{\"k\":\"call\",\"r\":\"0.1\",\"n\":\"charge\",\"i\":\"{}\",\"x\":1},{\"k\":\"error\",\"r\":\"0.1\",\"c\":1,\"e\":\"declined\",\"m\":\"no\",\"a\":5,\"t\":1700000000400}]' from holdfast.run where id = 'r';
     insert into holdfast.history select partition_id, no, 1, 2, '[{\"k\":\"failed\",\"t\":1700000000500}]' from holdfast.run where id = 'r';"
is 'r|order|default|failed|t|declined|no|c|1700000000|1700000000.5' 'runs' "select id, workflow, queue, status, ended, error_name, error_message,
     custom_status, extract(epoch from started_at)::int, extract(epoch from ended_at)::numeric(12,1) from holdfast.runs where id = 'r'"
is '1|1|started|||f|2|1700000000.0
1|2|call|0.1|charge|t||1700000000.0
1|3|error|0.1||f||1700000000.4
2|1|failed|||f||1700000000.5' 'events, in order, each with its time' "select seq, pos, kind, ref, name, shielded, version, extract(epoch from at)::numeric(12,1)
     from holdfast.events where run = 'r'"
is 'default|worker|8|8|0
sql|sql|1|0|1' 'queues' "select name, served_by, partitions, unowned, waiting from holdfast.queues order by 1"
is 'dl|t|5|e' 'dead letters' "select id, name, attempts, error_name from holdfast.dead_letters where id = 'dl'"
is '' 'nothing is unread' "select * from holdfast.unread"
