-- A start whose id is taken: what becomes of it, as submit_runs returns it; null: the run is gone. i: its number, for the
-- column field of HF005.
create or replace function holdfast.start_again(wanted text, workflow text, input text, token text,
                                                version integer, if_exists smallint, i bigint,
                                                now_us bigint)
returns integer language plpgsql as $$
#variable_conflict use_variable
declare
    run      holdfast.run;
    replaced constant smallint := 5;
begin
    select * into run from holdfast.run r where r.id = wanted;
    if run.token = token then
        return 1;
    end if;
    if token is not null and exists (select from holdfast.inbox x where x.run_no = run.no
                                        and x.kind = replaced and x.key = token) then
        return 1;
    elsif if_exists = 1 then
        return 1;
    elsif if_exists = 3 then
        if run.status < 4 then
            return 1;
        end if;
        -- Two at once: the second finds what the first has sent. Rows are not locked, their owner
        -- must never wait for a client.
        perform pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || wanted, 0));
        select * into run from holdfast.run r where r.id = wanted;
        if run.status < 4 or exists (select from holdfast.inbox x where x.run_no = run.no
                                        and x.kind = replaced) then
            return 1;
        end if;
    elsif if_exists <> 2 then
        raise exception using errcode = 'HF005', column = i::text,
            message = format('run %s: the id is taken', wanted);
    end if;
    perform from holdfast.run r where r.no = run.no for key share; -- no owner waits, a purge does
    if not found then
        return null;
    end if;
    insert into holdfast.inbox (no, partition_id, run_no, kind, name, payload, key, aux, time_us)
    values (run.no >> 48 << 48 | nextval('holdfast.row_seq'), run.no >> 48, run.no, replaced,
            workflow, input, token, version, now_us);
    return 2;
end
$$;
