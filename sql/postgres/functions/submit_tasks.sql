-- Stores standalone tasks, all or none, and returns their numbers in order. Queues that are missing
-- are made. Nobody is hinted. Each array has an element for each task, or one for all; null: null
-- for all.
--
-- run_at: us, null or 0: at once; so is a time that has passed. now: us, null: the server's clock.
-- HF003: a bad name, class or option; HF005: the id is that of a live task or a dead letter; HF007:
-- a payload is too big. The column field of an error is the number of the bad task.
create or replace function holdfast.submit_tasks(ids text[], names text[], payloads text[],
                                                 queues text[], classes smallint[], run_at bigint[],
                                                 opts text[], now bigint default null)
returns bigint[] language plpgsql security definer
set search_path = holdfast, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    n      integer := greatest(cardinality(ids), cardinality(names), cardinality(payloads),
                               cardinality(queues), cardinality(classes), cardinality(run_at),
                               cardinality(opts));
    now_us bigint := holdfast.now_us(now);
    by_sql boolean := false;
    nos    bigint[];
    stored bigint;
    bad    record;
begin
    if 0 in (cardinality(names), cardinality(payloads)) then
        return '{}';
    end if;
    perform holdfast.check_names('task', names);
    perform holdfast.check_names('id', ids, true);
    perform holdfast.check_names('queue', queues);
    perform holdfast.check_payloads('payload', payloads);
    perform holdfast.check_opts(opts);
    for bad in select distinct u.queue from unnest(queues) u(queue) loop
        by_sql := holdfast.need_queue(bad.queue) or by_sql;
    end loop;
    if ids is null and cardinality(payloads) = n and cardinality(queues) = 1
       and greatest(cardinality(names), cardinality(classes), cardinality(run_at),
                    cardinality(opts)) = 1 then
        return holdfast.submit_alike(names[1], payloads, queues[1],
                                     least(greatest(coalesce(classes[1], 1::smallint), 0::smallint),
                                           2::smallint),
                                     case when run_at[1] > now_us then run_at[1] end,
                                     nullif(opts[1], ''), now_us);
    end if;
    ids := holdfast.spread('ids', ids, n);
    run_at := holdfast.spread('run_at', run_at, n);

    -- The number says partition and class: 3 is for those with a time to come, of workers' queues.
    with q as (
        select p.queue, k.served_by = 'sql' as by_sql, array_agg(p.id order by p.id) as parts
          from holdfast.partition p join holdfast.queue k on k.name = p.queue
         where p.queue = any (submit_tasks.queues) group by p.queue, k.served_by)
    select array_agg((q.parts[1 + mod(case when r.id is null then r.seq
                                           else hashtextextended(r.id, 0) & 9223372036854775807
                                           end, cardinality(q.parts))]::bigint << 48)
                     | (case when r.run_at > now_us and not q.by_sql then 3
                             else r.class end::bigint << 46)
                     | r.seq order by r.i)
      into nos
      from (select u.id, u.queue, least(greatest(coalesce(u.class, 1), 0), 2) as class, u.run_at,
                   u.i,
                   nextval('holdfast.row_seq') as seq
              from unnest(ids, holdfast.spread('queues', queues, n),
                          holdfast.spread('classes', classes, n), run_at)
                   with ordinality u(id, queue, class, run_at, i)) r
      join q on q.queue = r.queue;

    insert into holdfast.task (no, partition_id, class, id, name, payload, opts, created_us,
                               run_at_us, claimed_until)
    select u.no, u.no >> 48, u.no >> 46 & 3, u.id, u.name, u.payload, nullif(u.opts, ''), now_us,
           case when u.run_at > now_us then u.run_at end,
           case when by_sql then holdfast.sql_since(u.no, case when u.run_at > now_us
                                                               then u.run_at end) end
      from unnest(nos, ids, holdfast.spread('names', names, n),
                  holdfast.spread('payloads', payloads, n), holdfast.spread('opts', opts, n),
                  run_at) u(no, id, name, payload, opts, run_at)
        on conflict (id) where id is not null do nothing;
    get diagnostics stored = row_count;

    -- Dead letters are looked at now: whoever had the id before has been waited for.
    select u.id, u.i into bad
      from unnest(ids, nos) with ordinality u(id, no, i)
     where u.id is not null
       and (exists (select from holdfast.dead d where d.id = u.id)
            or (stored < n and not exists (select from holdfast.task t where t.no = u.no)))
     order by u.i limit 1;
    if found or stored < n then
        raise exception using errcode = 'HF005', column = bad.i::text,
            message = format('task %s: the id is taken', bad.id);
    end if;
    return nos;
end
$$;
revoke all on function holdfast.submit_tasks(text[], text[], text[], text[], smallint[], bigint[],
    text[], bigint) from public;
