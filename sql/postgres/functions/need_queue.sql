-- Makes a queue as it is made by default, if there is none of this name; it comes and goes with the
-- transaction. True if its tasks are served by SQL clients.
create or replace function holdfast.need_queue(wanted text)
returns boolean language plpgsql as $$
declare
    kind text;
begin
    select q.served_by into kind from holdfast.queue q where q.name = wanted;
    if not found then
        begin
            perform holdfast.create_queue(wanted);
        exception when sqlstate 'HF005' then
            null;
        end;
        select q.served_by into kind from holdfast.queue q where q.name = wanted;
    end if;
    return kind = 'sql';
end
$$;
