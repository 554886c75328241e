-- Starts runs, all or none: their numbers in order, and for each an outcome: 0 it was started, 1 it
-- was there and stays, 2 it was there and its owner will begin it anew. Queues that are missing are
-- made. Nobody is hinted. Each array has an element for each run, or one for all; null: null for
-- all.
--
-- if_exists: what if the id is taken. 0 fail; 1 use the run that is there; 2 replace it; 3 a live
-- one stays, one that has ended begins anew. token: made by the caller for one start: a repeated
-- start with the same token changes nothing and is no error. now: us, null: the server's clock.
-- HF003: a bad name or version, or a queue served by SQL; HF005: the id is taken; HF007: an input
-- is too big. The column field of an error is the number of the bad run.
create or replace function holdfast.submit_runs(ids text[], workflows text[], inputs text[],
                                                queues text[], classes smallint[],
                                                versions integer[], if_exists smallint[],
                                                tokens text[], now bigint default null,
                                                out nos bigint[], out outcomes integer[])
language plpgsql security definer
set search_path = holdfast, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    n      integer := cardinality(ids);
    now_us bigint := holdfast.now_us(now);
    stored bigint;
    each   record;
    has    bigint;
    become integer;
begin
    nos := '{}';
    outcomes := '{}';
    if n = 0 then
        return;
    end if;
    -- All is well, nearly always, and one look tells; else the checks say what is wrong.
    if exists (select from unnest(ids || workflows || queues) u(name)
                where coalesce(octet_length(u.name), 0) not between 1 and 255
                   or u.name ~ '[\x01-\x1f\x7f]')
        or exists (select from unnest(inputs) u(input) where octet_length(u.input) > 1048576) then
        perform holdfast.check_names('id', ids);
        perform holdfast.check_names('workflow', workflows);
        perform holdfast.check_names('queue', queues);
        perform holdfast.check_payloads('input', inputs);
    end if;
    for each in select u.queue, min(u.i) as i from unnest(queues) with ordinality u(queue, i)
                 where not exists (select from holdfast.queue q
                                    where q.name = u.queue and q.served_by = 'worker')
                 group by u.queue loop
        if holdfast.need_queue(each.queue) then
            raise exception using errcode = 'HF003', column = each.i::text, message =
                format('queue %s: it is served by SQL: it takes tasks, no runs', each.queue);
        end if;
    end loop;

    with q as (
        select p.queue, array_agg(p.id order by p.id) as parts from holdfast.partition p
         where p.queue = any (submit_runs.queues) group by p.queue)
    select array_agg((q.parts[1 + mod(hashtextextended(r.id, 0) & 9223372036854775807,
                                      cardinality(q.parts))]::bigint << 48)
                     | (least(greatest(coalesce(r.class, 1), 0), 2)::bigint << 46)
                     | r.seq order by r.i)
      into nos
      from (select u.id, u.queue, u.class, u.i, nextval('holdfast.row_seq') as seq
              from unnest(ids, holdfast.spread('queues', queues, n),
                          holdfast.spread('classes', classes, n))
                   with ordinality u(id, queue, class, i)) r
      join q on q.queue = r.queue;

    -- In the order of ids, so that two who start the same ones do not lock each other out.
    insert into holdfast.run (no, partition_id, class, id, workflow, input, token, version,
                              started_us)
    select u.no, u.no >> 48, u.no >> 46 & 3, u.id, u.workflow, u.input, u.token,
           greatest(coalesce(u.version, 0), 0), now_us
      from unnest(nos, ids, holdfast.spread('workflows', workflows, n),
                  holdfast.spread('inputs', inputs, n), holdfast.spread('tokens', tokens, n),
                  holdfast.spread('versions', versions, n))
           u(no, id, workflow, input, token, version)
     order by u.id collate "C", u.no
        on conflict (id) do nothing;
    get diagnostics stored = row_count;
    outcomes := array_fill(0, array[n]);
    if stored = n then
        return;
    end if;

    for each in
        select * from unnest(ids, holdfast.spread('workflows', workflows, n),
                             holdfast.spread('inputs', inputs, n),
                             holdfast.spread('tokens', tokens, n),
                             holdfast.spread('versions', versions, n),
                             holdfast.spread('if_exists', if_exists, n), nos)
                      with ordinality u(id, workflow, input, token, version, policy, no, i)
         order by u.i loop
        select r.no into has from holdfast.run r where r.id = each.id;
        continue when has = each.no;
        become := case when has is not null then
                      holdfast.start_again(each.id, each.workflow, each.input, each.token,
                                           coalesce(each.version, 0),
                                           coalesce(each.policy, 0::smallint), each.i, now_us) end;
        if become is null then -- it was deleted just now
            insert into holdfast.run (no, partition_id, class, id, workflow, input, token, version,
                                      started_us)
            values (each.no, each.no >> 48, each.no >> 46 & 3, each.id, each.workflow, each.input,
                    each.token, greatest(coalesce(each.version, 0), 0), now_us);
        else
            nos[each.i] := has;
            outcomes[each.i] := become;
        end if;
    end loop;
end
$$;
revoke all on function holdfast.submit_runs(text[], text[], text[], text[], smallint[], integer[],
    smallint[], text[], bigint) from public;
