-- Stores signals and cancels in order, all or none, and returns their numbers. Nobody is hinted.
-- kinds: 0 signal (name, payload, key), 1 cancel (payload: the reason). Each array has an element
-- for each, or one for all; null: null for all. now: us, null: the server's clock.
-- HF003: a bad name or key; HF004: no such run; HF006: it has ended; HF007: a payload is too big.
-- The column field of an error is the number of the bad one.
create or replace function holdfast.submit_messages(kinds smallint[], ids text[], names text[],
                                                    payloads text[], keys text[],
                                                    now bigint default null)
returns bigint[] language plpgsql security definer
set search_path = holdfast, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
    now_us bigint := holdfast.now_us(now);
    n      integer := cardinality(ids);
    nos    bigint[] := '{}';
begin
    perform holdfast.check_names('run', ids);
    perform holdfast.check_names('signal', names, true);
    perform holdfast.check_names('key', keys, true);
    perform holdfast.check_payloads('payload', payloads);
    kinds := holdfast.spread('kinds', kinds, n);
    names := holdfast.spread('names', names, n);
    payloads := holdfast.spread('payloads', payloads, n);
    keys := holdfast.spread('keys', keys, n);
    for i in 1..n loop
        if coalesce(kinds[i], -1) not in (0, 1) or (kinds[i] = 0 and names[i] is null) then
            raise exception using errcode = 'HF003', column = i::text,
                message = 'signal: empty, or no signal and no cancel';
        end if;
        nos[i] := holdfast.put_message(kinds[i], ids[i],
                                       case when kinds[i] = 0 then names[i] end, payloads[i],
                                       case when kinds[i] = 0 then keys[i] end, i, now_us);
    end loop;
    return nos;
end
$$;
revoke all on function holdfast.submit_messages(smallint[], text[], text[], text[], text[], bigint)
    from public;
