#!/bin/bash
# The SQL API for clients: what start, signal, cancel, enqueue and their like do, say and refuse, and
# that all of it belongs to the caller's transaction.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"
. "$root/tests/sql_api.bash"
pg_start --fast
schema clients

# ---- starting
is 'order-42|started' 'a start says that it started' \
    "select * from holdfast.start('order', 'order-42', '{\"sku\":\"A\"}', class => 'urgent', version => 3)"
is '{"sku":"A"}|order|3|0|t' 'what was given is stored as it is' \
    "select input, workflow, version, class, no >> 46 & 3 = 0 from holdfast.run where id = 'order-42'"
fails HF005 'an id is taken once' "select holdfast.start('order', 'order-42')"
says_error 'run order-42: the id is taken' 'and the message names it' \
    "select holdfast.start('order', 'order-42')"
is 'order-42|existed' 'use leaves the run that is there' \
    "select * from holdfast.start('order', 'order-42', 'x', if_exists => 'use')"
is '{"sku":"A"}|0' 'and sends it nothing' \
    "select input, (select count(*) from holdfast.inbox) from holdfast.run where id = 'order-42'"
is 'order-42|replaced' 'replace asks the owner to begin anew' \
    "select * from holdfast.start('order2', 'order-42', 'y', version => 4, if_exists => 'replace')"
is '5|order2|y|4' 'by an inbox row' "select kind, name, payload, aux from holdfast.inbox"
is 't|started' 'an id is made' \
    "select id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\$', outcome from holdfast.start('order')"
is 't' 'made ids are in order of time' "select a.id < b.id from holdfast.start('o') a,
    lateral (select pg_sleep(0.002), a.id x) s, lateral (select id from holdfast.start('o', case when s.x is null then 'z' end)) b"
is 'a|started
b|started' 'jsonb is taken as it is, and by name' "
    select * from holdfast.start('order', 'a', jsonb_build_object('n', 1));
    select * from holdfast.start(workflow => 'order', id => 'b', input => '[]');"
is '{"n": 1}|[]' 'and stored as text' \
    "select (select input from holdfast.run where id = 'a'), (select input from holdfast.run where id = 'b')"
is 'a|existed
c|started
d|started' 'start_many says what became of each' \
    "select * from holdfast.start_many('order', array['a','c','d'], array['1','2','3'], if_exists => 'use')"
fails HF005 'start_many stores all or none' "select holdfast.start_many('order', array['e','a'])"
is 0 'all or none' "select count(*) from holdfast.run where id = 'e'"
fails HF005 'the same id twice is taken' "select holdfast.start_many('order', array['e','e'])"
is '3|3' 'start_many makes ids' "select count(*), count(distinct id) from holdfast.start_many('order', null, array['1','2','3'])"
fails HF003 'a workflow has a name' "select holdfast.start('')"
fails HF003 'without control characters' "select holdfast.start(E'a\nb')"
fails HF003 'of 255 bytes' "select holdfast.start(repeat('ä', 128))"
fails HF003 'class is a word' "select holdfast.start('o', class => 'fast')"
fails HF003 'if_exists is a word' "select holdfast.start('o', if_exists => 'maybe')"
fails HF003 'version is not negative' "select holdfast.start('o', version => -1)"
fails HF003 'queue has a name' "select holdfast.start('o', queue => 'a,b')"
fails HF007 'an input has a limit' "select holdfast.start('o', null, repeat('x', 1048577))"
is 'started' 'which is 1 MiB' "select outcome from holdfast.start('o', null, repeat('x', 1048576))"

# ---- signals and orders
is '' 'a signal is sent' "select holdfast.signal('a', 'approved', '{\"by\":\"ada\"}', 'k1')"
is '' 'twice with one key' "select holdfast.signal('a', 'approved', jsonb '1', key => 'k1')"
is '0|approved|{"by":"ada"}|k1' 'is once' \
    "select kind, name, payload, key from holdfast.inbox where run_no = (select no from holdfast.run where id = 'a')"
fails HF004 'there must be a run' "select holdfast.signal('nobody', 'approved')"
says_error 'run nobody: not found' 'and the message names it' "select holdfast.signal('nobody', 'approved')"
fails HF003 'a signal has a name' "select holdfast.signal('a', null)"
is '1|enough,2|stop it,3|,4|' 'cancel, terminate, pause, resume' "
    do \$\$ begin perform holdfast.cancel('b', 'enough'); perform holdfast.terminate('b', 'stop it');
       perform holdfast.pause('b'); perform holdfast.resume('b'); end \$\$;
    select string_agg(kind || '|' || coalesce(payload, ''), ',' order by no) from holdfast.inbox
     where run_no = (select no from holdfast.run where id = 'b')"
ask "update holdfast.run set status = 4, output = '{\"ok\":1}', ended_us = 5 where id in ('c', 'd')"
fails HF006 'a run that has ended takes no signal' "select holdfast.signal('c', 'approved')"
says_error 'run c: it has ended (completed)' 'and the message says how it ended' "select holdfast.signal('c', 'x')"
fails HF006 'and no cancel' "select holdfast.cancel('c')"
is 'completed|{"ok":1}||' 'result tells how it ended' "select * from holdfast.result('c')"
is 'running|||' 'or how it is' "select * from holdfast.result('a')"
fails HF004 'of a run' "select * from holdfast.result('nobody')"
is 'n|started' 'start_signal starts' "select * from holdfast.start_signal('order', 'n', 'go', '1', '2')"
is 'n|existed' 'or only sends' "select * from holdfast.start_signal('order', 'n', 'go', jsonb '{}')"
is 'c|replaced' 'or begins anew what has ended' "select * from holdfast.start_signal('order', 'c', 'go')"
is 'c|existed' 'once' "select * from holdfast.start_signal('order', 'c', 'go')"
is '5,0,0' 'and the signals are behind it' "select string_agg(kind::text, ',' order by no) from holdfast.inbox
     where run_no = (select no from holdfast.run where id = 'c')"

# ---- tasks
is 't' 'a task has an id of its own' "select holdfast.enqueue('mail', '{}') ~ '^t[1-8]\.1\.[0-9]+\$'"
is 'm1' 'or the one that it is given' "select holdfast.enqueue('mail', jsonb '[1]', id => 'm1',
    timeout => '30 s', max_attempts => 3, deadline => '1 day', first_delay => '0.5 s', max_delay => '1 min',
    factor => 1.5, jitter => -1, no_retry => 'bad,worse', on_crash => 'fail')"
is '30000|3|86400000|500|60000|1.5|-1|bad,worse|1' 'options are stored as workers read them' "
    select o ->> 'timeout_ms', o ->> 'max_attempts', o ->> 'deadline_ms', o ->> 'first_delay_ms',
           o ->> 'max_delay_ms', o ->> 'factor', o ->> 'jitter', o ->> 'no_retry', o ->> 'on_crash'
      from holdfast.task, lateral (select opts::jsonb as o) x where id = 'm1'"
is 't' 'and none if none is given' "select opts is null from holdfast.task where id is null limit 1"
fails HF005 'an id is taken while the task lives' "select holdfast.enqueue('mail', id => 'm1')"
fails HF005 'also for many' "select holdfast.enqueue_many('mail', array['1','2'], ids => array['m2','m2'])"
is '1' 'of which none is stored' "select count(*) from holdfast.task where id is not null"
is 't
t|t' 'run_at holds it back' "
    select holdfast.enqueue('mail', run_at => now() + interval '1 hour', id => 'later') = 'later';
    select class = 3 and no >> 46 & 3 = 3, run_at_us > created_us + 3500000000::bigint
      from holdfast.task where id = 'later'"
is '1|t' 'a time that has passed is at once' "
    do \$\$ begin perform holdfast.enqueue('mail', run_at => now() - interval '1 hour', id => 'past'); end \$\$;
    select class, run_at_us is null from holdfast.task where id = 'past'"
is '1000|1000|8|t' 'enqueue_many stores one for each payload, in order, in all partitions' "
    create temp table ids as select * from holdfast.enqueue_many('bulk', array(select i::text from generate_series(1, 1000) i)) with ordinality i(id, n);
    select count(*), count(distinct t.no), count(distinct t.partition_id), bool_and(t.payload = i.n::text)
      from ids i join holdfast.task t on t.no = holdfast.task_find(i.id)"
is '3' 'with ids too' "select count(*) from holdfast.enqueue_many('mail', array['1',null,'3'], ids => array['x','y',null])"
fails HF003 'ids for all' "select holdfast.enqueue_many('mail', array['1','2'], ids => array['q'])"
fails HF003 'options have ranges' "select holdfast.enqueue('mail', jitter => 2)"
fails HF003 'also times' "select holdfast.enqueue('mail', timeout => '-1 s')"
fails HF003 'on_crash is a word' "select holdfast.enqueue('mail', on_crash => 'run')"
fails HF003 'options of the C library are checked' \
    "select holdfast.submit_tasks(null, '{mail}', '{x}', '{default}', '{1}', null, '{\"[1]\"}')"
says_error 'payload: 1048577 bytes, the limit is 1048576' 'a payload has a limit' \
    "select holdfast.enqueue_many('mail', array['', repeat('x', 1048577)])"
is '0' 'no tasks are no tasks' "select count(*) from holdfast.enqueue_many('mail', '{}')"

# ---- dead letters
ask "insert into holdfast.dead select no, 'm1', name, payload, opts, 3, 0, 'bad', 'no', created_us, created_us from holdfast.task where id = 'm1';
     delete from holdfast.task where id = 'm1'"
fails HF005 'an id is taken while there is a dead letter of it' "select holdfast.enqueue('mail', id => 'm1')"
is 'm1' 'retry makes it a task again' "select holdfast.retry('m1')"
is '[1]|0|0' 'all over' "select payload, attempt, (select count(*) from holdfast.dead) from holdfast.task where id = 'm1'"
fails HF004 'once' "select holdfast.retry('m1')"
fails HF004 'discard wants one too' "select holdfast.discard('m1')"

# ---- the caller's transaction
ask "create table orders (id text primary key)"
is '0|0|0|0' 'a rollback takes everything along' "
    begin;
    insert into orders values ('r');
    do \$\$ begin perform holdfast.start('order', 'r', queue => 'fresh'); perform holdfast.signal('r', 'go');
        perform holdfast.enqueue('mail', id => 'r'); end \$\$;
    rollback;
    select (select count(*) from holdfast.run where id = 'r'), (select count(*) from holdfast.task where id = 'r'),
           (select count(*) from orders), (select count(*) from holdfast.queue where name = 'fresh')"
is '1|1|1|8' 'a commit stores everything' "
    begin;
    insert into orders values ('r');
    do \$\$ begin perform holdfast.start('order', 'r', queue => 'fresh'); perform holdfast.signal('r', 'go');
        perform holdfast.enqueue('mail', id => 'r'); end \$\$;
    commit;
    select (select count(*) from holdfast.run where id = 'r'), (select count(*) from holdfast.task where id = 'r'),
           (select count(*) from orders), (select count(*) from holdfast.partition where queue = 'fresh')"
is '1' 'an error that is caught leaves the rest of the transaction' "
    begin;
    do \$\$ begin perform holdfast.start('order', 's');
        begin perform holdfast.start('order', 's'); exception when sqlstate 'HF005' then null; end; end \$\$;
    commit;
    select count(*) from holdfast.run where id = 's'"
# Two at once: the second waits for the first, and sees what became of it.
psql -Xq -d "$db" > /dev/null 2>&1 <<< "begin; select holdfast.start('order', 'race'); select pg_sleep(1); commit" &
pid=$!
until_true 5 sh -c "psql -XAtq -d '$db' -c \"select count(*) from pg_stat_activity where query like '%pg_sleep(1)%' and wait_event = 'PgSleep'\" | grep -q 1"
fails HF004 'what is not committed is not there for others' "select holdfast.signal('race', 'go')"
is 'existed' 'a start waits for one of the same id' "select outcome from holdfast.start('order', 'race', if_exists => 'use')"
wait $pid
psql -Xq -d "$db" > /dev/null 2>&1 <<< "begin; select holdfast.start('order', 'race2'); select pg_sleep(1); rollback" &
pid=$!
until_true 5 sh -c "psql -XAtq -d '$db' -c \"select count(*) from pg_stat_activity where query like '%pg_sleep(1)%' and wait_event = 'PgSleep'\" | grep -q 1"
is 'started' 'and begins if that one is rolled back' "select outcome from holdfast.start('order', 'race2', if_exists => 'use')"
wait $pid
fails 40001 'in repeatable read, a start of an id that has come meanwhile is to be tried again' "
    begin isolation level repeatable read; select 1;
    \\! psql -Xq -d '$db' -c \"select holdfast.start('order', 'later')\" > /dev/null
    select holdfast.start('order', 'later', if_exists => 'use');"
is 't' 'a client token makes a repeated start harmless' "
    select (holdfast.submit_runs('{tok}', '{w}', null, '{default}', '{1}', '{0}', '{0}', '{T}')).outcomes = '{0}'
       and (holdfast.submit_runs('{tok}', '{w}', null, '{default}', '{1}', '{0}', '{0}', '{T}')).outcomes = '{1}'"

# A purge deletes an ended run while it is replaced: the start waits, and begins a new one.
ask "update holdfast.run set status = 4 where id = 'a'"
psql -Xq -d "$db" > /dev/null 2>&1 <<< "begin; delete from holdfast.run where id = 'a'; select pg_sleep(1); commit" &
pid=$!
until_true 5 sh -c "psql -XAtq -d '$db' -c \"select count(*) from pg_stat_activity where query like '%pg_sleep(1)%' and wait_event = 'PgSleep'\" | grep -q 1"
is 'started' 'a run that is deleted while it is replaced begins as a new one' \
    "select outcome from holdfast.start('order', 'a', if_exists => 'replace')"
wait $pid

# ---- hints
hints()
{
    psql -XAtq -d "$db" 2>&1 <<< "listen \"holdfast:7\"; $1; $2; select 1;" | grep -o 'holdfast:7.*payload.*received' | sed 's/ received//'
}
ask "update holdfast.partition set owner = 7, busy_until = null"
p=$(pg_sql "$db" "select partition_id from holdfast.run where id = 'a'")
out=$(hints "select holdfast.signal('a', 'go')" "")
[ "$out" = "holdfast:7\" with payload \"p $p\"" ]; result $? 'the owner of the partition is hinted'
ask "update holdfast.partition set busy_until = clock_timestamp() + interval '1 minute'"
out=$(hints "select holdfast.signal('a', 'go')" "")
[ "$out" = '' ]; result $? 'unless it looks by itself'
ask "update holdfast.partition set busy_until = clock_timestamp() - interval '1 s'"
out=$(hints "begin; select holdfast.enqueue('mail'); rollback" "")
[ "$out" = '' ]; result $? 'a rollback hints nobody'
