-- Wakes the owners of partitions that may sleep. Those with busy_until to come look by themselves.
-- A hint goes with the commit of the transaction and never matters for what is true: without it the
-- work is found within a second.
create or replace function holdfast.hint(partitions smallint[])
returns void language plpgsql security definer
set search_path = holdfast, pg_temp as $$
begin
    perform pg_notify(current_schema() || ':' || p.owner,
                      'p ' || string_agg(p.id::text, ' ' order by p.id))
       from holdfast.partition p
      where p.id = any (partitions) and p.owner is not null
        and coalesce(p.busy_until, '-infinity') < clock_timestamp()
      group by p.owner;
end
$$;
revoke all on function holdfast.hint(smallint[]) from public;
