-- Stores a word to a run, and returns its number; with a key that an unread one of this run has,
-- the number of that. kind: 0 signal, 1 cancel, 2 terminate, 3 pause, 4 resume. i: for the column
-- field of errors. HF004: no such run; HF006: it has ended.
create or replace function holdfast.put_message(kind smallint, wanted text, name text, payload text,
                                                key text, i bigint, now_us bigint)
returns bigint language plpgsql as $$
#variable_conflict use_variable
declare
    words constant text[] :=
        '{running,waiting,paused,blocked,completed,failed,cancelled,terminated}';
    run   record;
    made  bigint;
begin
    select r.no, r.status into run from holdfast.run r where r.id = wanted;
    if not found then
        raise exception using errcode = 'HF004', column = i::text,
            message = format('run %s: not found', wanted);
    end if;
    -- One that is about to begin anew takes signals already.
    if run.status >= 4 and (kind <> 0 or not exists (select from holdfast.inbox x
                                                      where x.run_no = run.no and x.kind = 5)) then
        raise exception using errcode = 'HF006', column = i::text,
            message = format('run %s: it has ended (%s)', wanted, words[run.status + 1]);
    end if;
    if kind = 0 and key is not null then
        select x.no into made from holdfast.inbox x
         where x.run_no = run.no and x.kind = 0 and x.key = key limit 1;
        if found then
            return made;
        end if;
    end if;
    made := run.no >> 48 << 48 | nextval('holdfast.row_seq');
    insert into holdfast.inbox (no, partition_id, run_no, kind, name, payload, key, time_us)
    values (made, made >> 48, run.no, kind, name, payload, key, now_us);
    return made;
end
$$;
