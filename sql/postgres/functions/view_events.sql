-- The histories of runs, one event a row, in order of (execution, seq, pos). Fast for one run, with
-- "where run = ...". Columns are only ever added at the end.
--
-- An event that says no time has that of the one before it in its row.
create or replace view holdfast.events as
select e.run, e.execution, e.seq, e.pos,
       to_timestamp(max(e.t) over (partition by e.run, e.execution, e.seq, e.timed) / 1000.0) as at,
       e.event ->> 'k' as kind, e.event ->> 'r' as ref, e.event ->> 'n' as name,
       e.event ->> 'i' as input, e.event ->> 'o' as output, (e.event ->> 'c')::integer as code,
       e.event ->> 'e' as error_name, e.event ->> 'm' as error_message,
       (e.event ->> 'a')::integer as attempts, e.event ->> 'd' as child,
       to_timestamp((e.event ->> 'w')::bigint / 1000.0) as due_at,
       coalesce((e.event ->> 'x')::integer & 1, 0) = 1 as shielded,
       coalesce((e.event ->> 'x')::integer & 2, 0) = 2 as detached,
       (e.event ->> 'v')::integer as version, e.event ->> 'y' as key
  from (select r.id as run, h.execution, h.seq, j.pos, j.event, (j.event ->> 't')::bigint as t,
               count(j.event ->> 't') over (partition by r.id, h.execution, h.seq
                                            order by j.pos) as timed
          from holdfast.run r
          join holdfast.history h on h.run_no = r.no
         cross join lateral json_array_elements(h.events::json) with ordinality j(event, pos)) e;
