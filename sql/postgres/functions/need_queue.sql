-- Makes a queue as it is made by default, if there is none of this name; it comes and goes with the
-- transaction. The setting hf.partitions says how many partitions it gets, 8 without. True if its tasks are served by SQL clients.
create or replace function holdfast.need_queue(wanted text)
returns boolean language plpgsql as $$
declare
    kind text;
begin
    select q.served_by into kind from holdfast.queue q where q.name = wanted;
    if not found then
        begin
            perform holdfast.create_queue(wanted, partitions => coalesce(
                nullif(current_setting('hf.partitions', true), '')::integer, 8));
        exception when sqlstate 'HF005' then
            null;
        end;
        select q.served_by into kind from holdfast.queue q where q.name = wanted;
    end if;
    return kind = 'sql';
end
$$;
