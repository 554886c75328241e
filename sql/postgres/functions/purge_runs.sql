-- Deletes these runs with their history and what is left in their inbox, and returns how many there
-- were. Only such as have ended before a time; one that is about to begin anew stays, and one that
-- has called a task which is still there. Whoever replaces an ended run holds its row `for key
-- share` (which no owner waits for), so it is left alone here or is gone for him.
create or replace function holdfast.purge_runs(nos bigint[], ended_before_us bigint)
returns bigint language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
    n bigint;
begin
    -- What is locked here cannot be replaced any more; then the second look is exact.
    nos := array(select r.no from holdfast.run r
                  where r.no = any (nos) and r.status >= 4 and r.ended_us < ended_before_us
                  order by r.no for update skip locked);
    nos := array(select x.no from unnest(nos) as x (no)
                  where not exists (select from holdfast.inbox i
                                     where i.run_no = x.no and i.kind = 5)
                    and not exists (select from holdfast.task t where t.run_no = x.no));
    delete from holdfast.history h where h.run_no = any (nos);
    delete from holdfast.inbox i where i.run_no = any (nos);
    delete from holdfast.run r where r.no = any (nos);
    get diagnostics n = row_count;
    return n;
end
$$;
revoke all on function holdfast.purge_runs(bigint[], bigint) from public;
