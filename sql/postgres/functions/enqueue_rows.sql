-- What holdfast.enqueue and holdfast.enqueue_many have in common: stores, hints, returns the
-- numbers.
create or replace function holdfast.enqueue_rows(task text, payloads text[], queue text, ids text[],
                                                 class text, run_at timestamptz, opts text)
returns bigint[] language plpgsql as $$
declare
    nos bigint[];
begin
    if cardinality(payloads) is null
       or (ids is not null and cardinality(ids) <> cardinality(payloads)) then
        raise exception using errcode = 'HF003', message =
            format('%s payloads, %s ids', coalesce(cardinality(payloads), 0), cardinality(ids));
    end if;
    nos := holdfast.submit_tasks(ids, array[task], payloads, array[queue],
                                 array[holdfast.class_no(class)],
                                 case when run_at > clock_timestamp() then
                                          array[(extract(epoch from run_at) * 1000000)::bigint] end,
                                 array[opts]);
    perform holdfast.hint_numbers(nos);
    return nos;
end
$$;
