#!/bin/bash
# Queues served by SQL: claims, their ends, retries, dead letters, several claimers at once, and the
# plans of what is done for each claim.
. "$(dirname "$0")/cli.bash"
. "$root/tests/pg.bash"
. "$root/tests/sql_api.bash"
pg_start --fast
schema queue

is 't|f' 'a queue is made once' "select holdfast.create_queue('mail', 'sql'), holdfast.create_queue('mail', 'sql')"
fails HF005 'and stays what it is' "select holdfast.create_queue('mail')"
is '1|3' 'it has one partition, those of workers as many as asked' "
    do \$\$ begin perform holdfast.create_queue('three', partitions => 3); end \$\$;
    select count(*) filter (where queue = 'mail'), count(*) filter (where queue = 'three') from holdfast.partition"
fails HF003 'workers serve the others' "select holdfast.claim('three')"
fails HF004 'a queue must be there' "select holdfast.claim('none')"
fails HF003 'runs are not for SQL' "select holdfast.start('order', queue => 'mail')"
fails HF003 'a lease is a time' "select holdfast.claim('mail', lease => '0 s')"

ask "select holdfast.enqueue_many('send', array['1','2','3'], queue => 'mail');
     select holdfast.enqueue('send', 'bulk', queue => 'mail', class => 'bulk', id => 'b');
     select holdfast.enqueue('send', 'urgent', queue => 'mail', class => 'urgent', id => 'u', max_attempts => 2, first_delay => '1 ms');
     select holdfast.enqueue('send', 'later', queue => 'mail', run_at => clock_timestamp() + interval '1 hour', id => 'later')"
is 'urgent,1' 'urgent ones come first, then in order' "
    select string_agg(payload, ',') from holdfast.claim('mail', 2, '1 hour', 'me')"
is 'u|running|me|t' 'the view tasks shows who has them' \
    "select id, state, claimer, claimed_until > now() + interval '59 min' from holdfast.tasks where payload = 'urgent'"
is '2,3,bulk' 'others are passed over, and what is not due' \
    "select string_agg(payload, ',') from holdfast.claim('mail', 10, '1 hour')"
claim_of() { pg_sql "$db" "select claim from holdfast.tasks where id = '$1'"; }
c=$(claim_of u)
fails HF001 'a wrong claim is refused' "select holdfast.complete('u', $((c + 1)))"
is 'retry' 'a failure is tried again' "select holdfast.fail('u', $c, 'smtp', 'no server')"
fails HF001 'a claim is used once' "select holdfast.fail('u', $c)"
is '1|smtp|no server' 'the failure is kept' "select attempts, error_name, error_message from holdfast.tasks where id = 'u'"
until_true 5 sh -c "psql -XAtq -d '$db' -c \"select id || attempt from holdfast.claim('mail')\" | grep -q u2"
result $? 'its wait over, it is had again, as attempt 2'
is 'dead' 'the last failure makes a dead letter' "select holdfast.fail('u', $(claim_of u), 'smtp', 'still none')"
is 'u|mail|2|smtp|still none' 'which is kept' "select id, queue, attempts, error_name, error_message from holdfast.dead_letters"
is 'u' 'and retried' "select holdfast.retry('u')"
is 'u|1' 'all over' "select id, attempt from holdfast.claim('mail', 5)"
is 'dead' 'retry false ends it' "select holdfast.fail('u', $(claim_of u), retry => false)"
is '' 'discard deletes it' "select holdfast.discard('u')"
is '0' 'for good' "select count(*) from holdfast.dead_letters"
b=$(claim_of b)
is '
1' 'a completion is part of the transaction' "
    begin; select holdfast.complete('b', $b); rollback; select count(*) from holdfast.tasks where id = 'b'"
ask "select holdfast.complete('b', $b, jsonb '{}')"
is '0' 'and then it is gone' "select count(*) from holdfast.tasks where id = 'b'"

# ---- claims that run out
schema leases
ask "select holdfast.create_queue('q', 'sql'); select holdfast.enqueue('t', id => 'x', queue => 'q');
     select holdfast.claim('q', 1, '1 ms'); select pg_sleep(0.01)"
old=$(claim_of x)
is 'x|1' 'a claim whose lease is over is to be had again; the attempt did not end' "select id, attempt from holdfast.claim('q', 1, '1 hour')"
fails HF001 'the stale claimer completes nothing' "select holdfast.complete('x', $old)"
fails HF001 'and fails nothing' "select holdfast.fail('x', $old)"
fails HF001 'and renews nothing' "select holdfast.heartbeat('x', $old)"
is 't|1' 'the crash is counted' "select holdfast.heartbeat('x', $(claim_of x), '1 ms') is not null, crashes from holdfast.tasks"
ask "do \$\$ begin for i in 1..6 loop perform pg_sleep(0.01); perform holdfast.claim('q', 1, '1 ms'); end loop; end \$\$"
is 'x|5|crashed|its claim ran out 5 times' 'after five it is a dead letter' "select id, crashes, error_name, error_message from holdfast.dead_letters"
is 'lost' 'on_crash fail is never had twice' "
    do \$\$ begin perform holdfast.enqueue('t', id => 'once', queue => 'q', on_crash => 'fail');
       perform holdfast.claim('q', 1, '1 ms'); perform pg_sleep(0.01); perform holdfast.claim('q'); end \$\$;
    select error_name from holdfast.dead_letters where id = 'once'"
is 'timeout|0' 'nor what is past its deadline at all' "
    do \$\$ begin perform holdfast.enqueue('t', id => 'late', queue => 'q', deadline => '1 ms'); perform pg_sleep(0.01);
       perform holdfast.claim('q'); end \$\$;
    select error_name, attempts from holdfast.dead_letters where id = 'late'"
is 'dead' 'a final error is final' "
    do \$\$ begin perform holdfast.enqueue('t', id => 'f', queue => 'q', no_retry => 'declined, gone'); end \$\$;
    select holdfast.fail(id, claim, 'gone') from holdfast.claim('q')"

# ---- tasks of runs: as their worker stores them
ask "select holdfast.start('order', 'r');
     insert into holdfast.task (no, partition_id, class, name, payload, run_no, execution, ref, created_us, claimed_until)
     select (p.id::bigint << 48) | (1::bigint << 46) | nextval('holdfast.row_seq'), p.id, 1, 'charge', '5', r.no, 1, '0.' || i,
            0, '-infinity' from holdfast.run r, holdfast.partition p, generate_series(1, 3) i where p.queue = 'q'"
is 'r/1/0.1|r/1/0.2|r/1/0.3' 'a called task has the key of its call' "select string_agg(key, '|') from holdfast.claim('q', 9)"
is 'failed' 'a call that fails for good tells its run' "
    do \$\$ begin perform holdfast.complete(id, claim, '{\"paid\":5}') from holdfast.tasks where ref = '0.1'; end \$\$;
    select holdfast.fail(id, claim, 'declined', 'no money', false) from holdfast.tasks where ref = '0.2'"
is '7|0.1|{"paid":5}||0|1|1
7|0.2|no money|declined|1|1|1' 'as a result in its inbox' "select kind, name, payload, key, code, attempt, aux from holdfast.inbox order by no"
is '1' 'and is no dead letter' "select count(*) from holdfast.tasks where run = 'r'"
ask "insert into holdfast.inbox (no, partition_id, kind, task_no, time_us)
     select nextval('holdfast.row_seq'), partition_id, 9, no, 0 from holdfast.task where ref = '0.3'"
fails HF001 'a call that is not wanted any more is over' "select holdfast.heartbeat(id, claim) from holdfast.tasks where ref = '0.3'"
is '0' 'and goes' "do \$\$ begin perform holdfast.claim('q'); end \$\$; select count(*) from holdfast.tasks where run = 'r'"

# ---- several claimers, one of them killed: each task is completed once
schema many
ask "select holdfast.create_queue('q', 'sql'); create table done (id text, claimer text);
     select count(*) from holdfast.enqueue_many('t', array(select i::text from generate_series(1, 400) i), queue => 'q');
     create procedure work(me text) language plpgsql as \$\$
     declare t record; idle int := 0;
     begin
         while idle < 60 loop
             idle := idle + 1;
             for t in select * from holdfast.claim('q', 5, '2 s', me) loop
                 idle := 0; commit;
                 if me = 'doomed' then perform pg_sleep(100); end if;
                 insert into done values (t.id, me);
                 perform holdfast.complete(t.id, t.claim);
             end loop;
             commit; perform pg_sleep(0.05);
         end loop;
     end \$\$"
psql -Xq -d "$db" -c "call work('doomed')" > /dev/null 2>&1 &
doomed=$!
disown $doomed
until_true 10 sh -c "psql -XAtq -d '$db' -c \"select count(*) from holdfast.tasks where claimer = 'doomed'\" | grep -q 5"
for i in 1 2 3; do psql -Xq -d "$db" -c "call work('w$i')" > "work$i.txt" 2>&1 & pids[i]=$!; done
kill -9 $doomed
pg_sql "$db" "select pg_terminate_backend(pid) from pg_stat_activity where query like '%doomed%' and pid <> pg_backend_pid()" > /dev/null
wait "${pids[@]}"
is '400|400|0|0|0' 'all are done once, also those of the one that was killed' "
    select count(*), count(distinct id), count(*) filter (where claimer = 'doomed'),
           (select count(*) from holdfast.tasks), (select count(*) from holdfast.dead_letters) from done"
is 't' 'and all had a share' "select count(distinct claimer) = 3 from done"

# ---- plans: the statements of claim, on a table that was vacuumed when empty, never, and is large
plans()
{
    ask "set enable_seqscan = off; set enable_bitmapscan = off; set plan_cache_mode = force_generic_plan;
         prepare a(smallint, int) as select t.no from holdfast.task t where t.partition_id = \$1 and t.claimed_until <= '-infinity' order by t.claimed_until, t.no limit \$2 for update skip locked;
         prepare b(smallint, timestamptz, int) as select t.* from holdfast.task t where t.partition_id = \$1 and t.claimed_until > '-infinity' and t.claimed_until <= \$2 order by t.claimed_until, t.no limit \$3 for update skip locked;
         explain (costs off) execute a(1::smallint, 10); explain (costs off) execute b(1::smallint, now(), 10)"
    [ "$code" = 0 ] && [ "$(grep -c 'Index Scan using task_sql' <<< "$out")" = 2 ] && ! grep -q Sort <<< "$out"
    result $? "claims read the index of their order, $1"
}
schema plans
plans 'never analysed'
ask "vacuum analyze holdfast.task"
plans 'vacuumed when empty'
ask "select holdfast.create_queue('q', 'sql');
     select count(*) from holdfast.enqueue_many('t', array(select i::text from generate_series(1, 200000) i), queue => 'q')"
plans 'large and unknown'
ask "analyze holdfast.task"
plans 'large'
