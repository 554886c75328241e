-- Raises HF007 unless all are of 1 MiB at most; nulls are fine. what: said in the message. The
-- column field of the error is the number of the bad one.
create or replace function holdfast.check_payloads(what text, payloads text[])
returns void language plpgsql as $$
declare
    bad record;
begin
    select octet_length(u.payload) as bytes, u.i into bad
      from unnest(payloads) with ordinality u(payload, i)
     where octet_length(u.payload) > 1048576
     order by u.i limit 1;
    if found then
        raise exception using errcode = 'HF007', column = bad.i::text,
            message = format('%s: %s bytes, the limit is 1048576', what, bad.bytes);
    end if;
end
$$;
