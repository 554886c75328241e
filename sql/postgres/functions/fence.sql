-- The first statement of every commit: takes the rows of all partitions that it writes in, `for
-- share`, and raises unless the worker owns them all. It raises on the server, since a pipeline
-- commits before the client can look. A takeover or hand-over updates these rows, so it waits for
-- the commits that hold them, and commits that come later see the new owner.
create or replace function holdfast.fence(fence_worker bigint, fence_partitions smallint[])
returns void language plpgsql as $$
declare
    n integer;
begin
    perform 1 from holdfast.partition p
      where p.id = any (fence_partitions) and p.owner = fence_worker
      order by p.id for share;
    get diagnostics n = row_count;
    if n <> cardinality(fence_partitions) then
        raise exception using errcode = 'HF001',
            message = format('worker %s does not own all of partitions %s', fence_worker,
                             fence_partitions);
    end if;
end
$$;
