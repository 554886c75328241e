-- Makes a queue. True: it was made; false: it is there already, alike. HF005: it is there and not
-- like this; HF003: a bad name or number; HF012: the store is full (32,767 partitions).
--
-- served_by 'worker': partitions are owned by workers; more of them let more workers share the
-- queue. served_by 'sql': tasks only, claimed by holdfast.claim; it has one partition. Neither can
-- be changed later.
create or replace function holdfast.create_queue(name text, served_by text default 'worker',
                                                 partitions integer default 8)
returns boolean language plpgsql security definer
set search_path = holdfast, pg_temp as $$
#variable_conflict use_column
declare
    made bigint;
    is_  record;
begin
    perform holdfast.check_names('queue', array[name]);
    if strpos(create_queue.name, ',') > 0 then
        raise exception using errcode = 'HF003', message = format('queue: comma in it: %s',
                                                                  create_queue.name);
    elsif coalesce(create_queue.served_by, '') not in ('worker', 'sql') then
        raise exception using errcode = 'HF003',
            message = format('served_by: %s, not worker or sql', create_queue.served_by);
    elsif coalesce(create_queue.partitions, 0) not between 1 and 1024 then
        raise exception using errcode = 'HF003',
            message = format('partitions: %s, 1 to 1024', create_queue.partitions);
    end if;
    if create_queue.served_by = 'sql' then
        create_queue.partitions := 1;
    end if;
    insert into holdfast.queue (name, served_by)
    values (create_queue.name, create_queue.served_by) on conflict (name) do nothing;
    get diagnostics made = row_count;
    if made = 1 then
        begin
            insert into holdfast.partition (queue)
            select create_queue.name from generate_series(1, create_queue.partitions);
        exception when sequence_generator_limit_exceeded then
            raise exception using errcode = 'HF012', message =
                format('queue %s: a store has at most 32767 partitions', create_queue.name);
        end;
        perform pg_notify(current_schema(), 'w');
        return true;
    end if;
    select q.served_by, (select count(*) from holdfast.partition p where p.queue = q.name) as n
      into is_ from holdfast.queue q where q.name = create_queue.name;
    if is_.served_by <> create_queue.served_by or is_.n <> create_queue.partitions then
        raise exception using errcode = 'HF005',
            message = format('queue %s: it is there, served by %s, with %s partitions',
                             create_queue.name, is_.served_by, is_.n);
    end if;
    return false;
end
$$;
revoke all on function holdfast.create_queue(text, text, integer) from public;
