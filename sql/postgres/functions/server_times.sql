-- What the server has counted of this schema's statements in this database, if pg_stat_statements is
-- there: calls, microseconds and rows of each by its name. A row without a name comes with it: calls
-- of which this role may not see the text, and since when is counted, us. No row: the extension is
-- not in this database.
create or replace function holdfast.server_times()
returns table (name text, calls bigint, total_us bigint, rows bigint, since_us bigint)
language plpgsql stable
set search_path = holdfast, pg_temp as $$
declare
    mark  constant text := '/* ' || current_schema() || '.'; -- behind a statement's first word
    place text;
begin
    select n.nspname into place
      from pg_extension e join pg_namespace n on n.oid = e.extnamespace
     where e.extname = 'pg_stat_statements';
    if place is null then
        return;
    end if;
    return query execute format($q$
        select s.name, sum(s.calls)::bigint, (sum(s.total_exec_time) * 1000)::bigint,
               sum(s.rows)::bigint,
               (select (extract(epoch from i.stats_reset) * 1000000)::bigint
                  from %1$I.pg_stat_statements_info i)
          from (select nullif(split_part(split_part(x.head, $1, 2), ' ', 1), '') as name,
                       x.calls, x.total_exec_time, x.rows
                  from (select replace(left(y.query, 160), '"', '') as head, y.queryid, y.calls,
                               y.total_exec_time, y.rows
                          from %1$I.pg_stat_statements y
                         where y.dbid = (select d.oid from pg_database d
                                          where d.datname = current_database())) x
                 where strpos(x.head, $1) > 0 or x.queryid is null
                 union all
                select null, 0, 0, 0) s
         group by s.name
         order by 3 desc$q$, place)
    using mark;
end
$$;
