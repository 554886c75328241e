-- What submit_tasks does for tasks without ids of which only the payload differs: the bulk path.
-- Everything has been checked. run_at: null: at once.
create or replace function holdfast.submit_alike(name text, payloads text[], queue text,
                                                 class smallint, run_at bigint, opts text,
                                                 now_us bigint)
returns bigint[] language plpgsql
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_variable
declare
    parts smallint[] := array(select p.id from holdfast.partition p
                               where p.queue = queue order by p.id);
    n     integer := cardinality(parts);
    since timestamptz := holdfast.sql_since(parts[1]::bigint << 48, run_at);
    kind  bigint := case when run_at is not null and since is null then 3 else class end;
    nos   bigint[];
begin
    select array_agg((parts[1 + mod(s.seq, n)]::bigint << 48) | (kind << 46) | s.seq) into nos
      from (select nextval('holdfast.row_seq') as seq
              from generate_series(1, cardinality(payloads))) s;
    insert into holdfast.task (no, partition_id, class, name, payload, opts, created_us, run_at_us,
                               claimed_until)
    select u.no, u.no >> 48, kind, name, u.payload, opts, now_us, run_at, since
      from unnest(nos, payloads) u(no, payload);
    return nos;
end
$$;
