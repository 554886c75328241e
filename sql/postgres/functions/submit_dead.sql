-- Settles dead letters in order, all or none. retries: true: it is a task again, under its id, with
-- attempts and crashes forgotten; the number is the new one. False: it is deleted; the number is
-- what it had. now: us, null: the server's clock; it is not used but for delays of SQL queues.
-- HF004: there is no such dead letter; the column field is the number of the bad one.
create or replace function holdfast.submit_dead(retries boolean[], ids text[],
                                                now bigint default null)
returns bigint[] language plpgsql security definer
set search_path = holdfast, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
    dead holdfast.dead;
    nos  bigint[] := '{}';
    made bigint;
begin
    retries := holdfast.spread('retries', retries, cardinality(ids));
    for i in 1..coalesce(cardinality(ids), 0) loop
        delete from holdfast.dead d where d.id = ids[i] returning d.* into dead;
        if not found then
            raise exception using errcode = 'HF004', column = i::text,
                message = format('dead letter %s: not found', ids[i]);
        end if;
        made := dead.no;
        if retries[i] then
            made := (dead.no >> 48 << 48)
                    | (case dead.no >> 46 & 3 when 3 then 1 else dead.no >> 46 & 3 end << 46)
                    | nextval('holdfast.row_seq');
            insert into holdfast.task (no, partition_id, class, id, name, payload, opts, created_us,
                                       claimed_until, meta)
            values (made, made >> 48, made >> 46 & 3, nullif(dead.id, holdfast.task_id(dead.no)),
                    dead.name, dead.payload, dead.opts, dead.created_us,
                    holdfast.sql_since(made, null), dead.meta);
        end if;
        nos[i] := made;
    end loop;
    return nos;
end
$$;
revoke all on function holdfast.submit_dead(boolean[], text[], bigint) from public;
