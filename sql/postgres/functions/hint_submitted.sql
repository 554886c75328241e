-- Hints the owners of what a client has just stored, in a transaction of its own after the commit:
-- NOTIFY inside a transaction that writes would make all commits of the server wait for each other,
-- and nobody needs a hint on the disk. runs, tasks: ids. queues: all of their partitions. one: the
-- queue of a single task without an id, whose number was the last that this session has made.
create or replace function holdfast.hint_submitted(runs text[], tasks text[], queues text[], one text)
returns void language plpgsql security definer
set search_path = holdfast, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_variable
declare
    parts smallint[];
begin
    perform set_config('synchronous_commit', 'off', true);
    if one is not null then
        parts := array(select p.id from holdfast.partition p where p.queue = one order by p.id);
        parts := parts[1 + mod(currval('holdfast.row_seq'), cardinality(parts)):
                       1 + mod(currval('holdfast.row_seq'), cardinality(parts))];
    else
        parts := array(select r.partition_id from holdfast.run r where r.id = any (runs))
                 || array(select t.partition_id from holdfast.task t where t.id = any (tasks))
                 || array(select p.id from holdfast.partition p where p.queue = any (queues));
    end if;
    perform holdfast.hint(parts);
end
$$;
revoke all on function holdfast.hint_submitted(text[], text[], text[], text) from public;
