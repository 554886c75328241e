-- As submit_messages, what only operators may do: kinds 2 terminate, 3 pause, 4 resume. reasons: of
-- terminate. HF003, HF004, HF006, HF007.
create or replace function holdfast.submit_orders(kinds smallint[], ids text[], reasons text[],
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
    perform holdfast.check_payloads('reason', reasons);
    kinds := holdfast.spread('kinds', kinds, n);
    reasons := holdfast.spread('reasons', reasons, n);
    for i in 1..n loop
        if coalesce(kinds[i], -1) not in (2, 3, 4) then
            raise exception using errcode = 'HF003', column = i::text,
                message = 'kind: no terminate, pause or resume';
        end if;
        nos[i] := holdfast.put_message(kinds[i], ids[i], null, reasons[i], null, i, now_us);
    end loop;
    return nos;
end
$$;
revoke all on function holdfast.submit_orders(smallint[], text[], text[], bigint) from public;
