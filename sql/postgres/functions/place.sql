-- The partition of a queue where a new row goes: by the hash of its id, or anywhere without one. A
-- queue that is missing is made.
create or replace function holdfast.place(wanted text, id text)
returns smallint language plpgsql as $$
#variable_conflict use_variable
declare
    parts smallint[];
    at    bigint := (random() * 2147483647)::bigint;
begin
    parts := array(select p.id from holdfast.partition p where p.queue = wanted order by p.id);
    if cardinality(parts) = 0 then
        perform holdfast.need_queue(wanted);
        parts := array(select p.id from holdfast.partition p where p.queue = wanted order by p.id);
    end if;
    if id is not null then
        at := hashtextextended(id, 0) & 9223372036854775807;
    end if;
    return parts[1 + mod(at, cardinality(parts))];
end
$$;
