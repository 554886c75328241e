-- Makes three group roles, if they are missing, and gives them what they need; to be called by the
-- owner of the schema, after each migration. prefix_client: start, signal, cancel and enqueue, read
-- everything. prefix_worker: that, and execute; make queues; claim from those served by SQL.
-- prefix_admin: that, and operate: terminate, pause, resume, retry, discard, change rows. None may
-- change the schema. Roles are of the whole server: making those that are missing needs the right
-- to create roles.
create or replace function holdfast.grant_roles(prefix text default 'holdfast')
returns void language plpgsql
set search_path = holdfast, pg_temp as $$
declare
    schema  constant text := current_schema();
    client  constant text := prefix || '_client';
    worker  constant text := prefix || '_worker';
    admin   constant text := prefix || '_admin';
    name    text;
    f       record;
    may     text;
begin
    foreach name in array array[client, worker, admin] loop
        if not exists (select from pg_roles r where r.rolname = name) then
            execute format('create role %I nologin', name);
        end if;
        execute format('grant usage on schema %I to %I', schema, name);
        execute format('grant select on all tables in schema %I to %I', schema, name);
    end loop;

    -- Views and the tables that workers do not change stay as they are.
    execute format('grant insert, update, delete on worker, partition, run, history, inbox, task, '
                   'dead to %I', worker);
    execute format('grant insert on queue to %I', worker);
    execute format('grant insert, update, delete on worker, queue, partition, run, history, inbox, '
                   'task, dead to %I', admin);
    execute format('grant usage on all sequences in schema %I to %I, %I', schema, worker, admin);

    for f in select p.oid::regprocedure as signature, p.proname, p.prosecdef
               from pg_proc p where p.pronamespace = schema::regnamespace loop
        may := case
            when f.proname in ('grant_roles') then null
            when f.proname in ('terminate', 'pause', 'resume', 'retry', 'discard',
                               'submit_orders', 'submit_dead') then admin
            when f.proname in ('claim', 'complete', 'fail', 'heartbeat', 'create_queue')
                then worker
            when f.proname in ('start', 'start_many', 'signal', 'start_signal', 'cancel', 'enqueue',
                               'enqueue_many', 'result', 'submit_tasks', 'submit_runs',
                               'submit_messages', 'hint', 'hint_submitted', 'task_id',
                               'now_us') then client
            else worker end;
        execute format('revoke all on routine %s from public, %I, %I, %I', f.signature, client,
                       worker, admin);
        if may = client then
            execute format('grant execute on routine %s to %I', f.signature, client);
        end if;
        if may in (client, worker) then
            execute format('grant execute on routine %s to %I', f.signature, worker);
        end if;
        if may is not null then
            execute format('grant execute on routine %s to %I', f.signature, admin);
        end if;
    end loop;
end
$$;
revoke all on function holdfast.grant_roles(text) from public;
