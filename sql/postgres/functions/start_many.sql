-- Starts runs of one workflow, all or none: holdfast.start for each element of ids, with the input
-- beside it. Rows in the order of ids. ids: null makes one for each input; a null among them is
-- made. inputs: null: all without one. Errors as those of holdfast.start; the column field of an
-- error is the number of the bad run.
create or replace function holdfast.start_many(
    workflow text, ids text[], inputs text[] default null, queue text default 'default',
    class text default 'normal', version integer default 0, if_exists text default 'fail')
returns table (id text, outcome text) language plpgsql security definer
set search_path = holdfast, pg_temp as $$
declare
    nos      bigint[];
    outcomes integer[];
    policy   smallint := array_position('{fail,use,replace}'::text[], if_exists) - 1;
begin
    if policy is null then
        raise exception using errcode = 'HF003', message =
            format('if_exists: %s, not fail, use or replace', coalesce(if_exists, 'null'));
    elsif coalesce(version, -1) < 0 then
        raise exception using errcode = 'HF003',
            message = format('version: %s, at least 0', coalesce(version::text, 'null'));
    end if;
    if ids is null then
        ids := array_fill(null::text, array[coalesce(cardinality(inputs), 0)]);
    end if;
    if array_position(ids, null) is not null then
        ids := array(select coalesce(u.id, holdfast.uuid7())
                       from unnest(ids) with ordinality u(id, i) order by u.i);
    end if;
    select s.nos, s.outcomes into nos, outcomes
      from holdfast.submit_runs(ids, array[workflow], inputs, array[queue],
                                array[holdfast.class_no(class)], array[version], array[policy],
                                null) s;
    perform holdfast.hint_numbers(nos);
    return query
        select u.id, (array['started', 'existed', 'replaced'])[1 + u.outcome]
          from unnest(ids, outcomes) with ordinality u(id, outcome, i) order by u.i;
end
$$;
revoke all on function holdfast.start_many(text, text[], text[], text, text, integer, text) from
    public;
