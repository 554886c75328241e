-- An argument for each of n items: an array of n stays as it is, one of a single element is for all
-- items, null is null for all. HF003 for any other length.
create or replace function holdfast.spread(what text, given anyarray, n integer)
returns anyarray language plpgsql immutable as $$
begin
    if cardinality(given) = n then
        return given;
    elsif given is null or cardinality(given) = 1 then
        return array_fill(given[1], array[n]);
    end if;
    raise exception using errcode = 'HF003',
        message = format('%s: %s elements for %s items', what, cardinality(given), n);
end
$$;
