-- Numbers of runs that a purge may delete, the oldest first in each class. There is no index by end:
-- numbers grow with the time of the start, and nothing has ended before it began, so each class is
-- read from its beginning until a thousand rows in a row began too late. (Why a thousand: a run that
-- was replaced keeps its old number.) Ended runs that are to be kept cost nothing, old live ones a
-- row read. for_queue null: all; for_status -1: any.
create or replace function holdfast.purge_find(for_queue text, ended_before_us bigint,
                                               for_status integer, at_most integer)
returns setof bigint language plpgsql stable
set enable_seqscan = off set enable_bitmapscan = off as $$
declare
    class_no bigint;
    found_n  integer := 0;
    too_late integer;
    r        record;
begin
    for class_no in
        select p.id::bigint * 4 + c.class << 46
          from holdfast.partition p cross join generate_series(0, 3) as c (class)
         where for_queue is null or p.queue = for_queue
         order by p.id, c.class
    loop
        too_late := 0;
        for r in
            select x.no, x.started_us, x.ended_us, x.status
              from holdfast.run x
             where x.no >= class_no and x.no <= (class_no | 70368744177663)
             order by x.no
        loop
            if r.started_us >= ended_before_us then
                too_late := too_late + 1;
                exit when too_late > 1000;
                continue;
            end if;
            too_late := 0;
            -- Apart from the next, since it is not a query: live runs may be many.
            continue when r.status < 4 or r.ended_us >= ended_before_us
                or (for_status >= 0 and r.status <> for_status);
            continue when exists (select from holdfast.inbox i where i.run_no = r.no and i.kind = 5)
                or exists (select from holdfast.task t where t.run_no = r.no);
            return next r.no;
            found_n := found_n + 1;
            if found_n >= at_most then
                return;
            end if;
        end loop;
    end loop;
end
$$;
revoke all on function holdfast.purge_find(text, bigint, integer, integer) from public;
