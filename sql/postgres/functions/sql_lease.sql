-- Raises HF003 if a lease is not longer than nothing, or over a year.
create or replace function holdfast.sql_lease(lease interval)
returns void language plpgsql immutable as $$
begin
    if lease is null or lease <= '0' or lease > '366 days' then
        raise exception using errcode = 'HF003',
            message = format('lease: %s, above 0, at most 366 days',
                                                           coalesce(lease::text, 'null'));
    end if;
end
$$;
