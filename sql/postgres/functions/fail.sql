-- An attempt at a claimed task has failed, in the caller's transaction. By the task's options it
-- waits and can be claimed again, or it was the last: then a run that called it is told, and a
-- standalone task becomes a dead letter. Returns retry, failed or dead.
--
-- error: its name, as in the option no_retry. retry: false: it is not tried again whatever the
-- options say. retry_after: wait so long, instead of what the options say.
-- HF001: the claim is over, nothing was changed; HF003: a bad argument; HF007: the message is over
-- 1 MiB.
create or replace function holdfast.fail(task text, claim bigint, error text default 'failed',
                                         message text default null, retry boolean default true,
                                         retry_after interval default null)
returns text language plpgsql security definer
set search_path = holdfast, pg_temp as $$
#variable_conflict use_variable
declare
    failed   holdfast.task := holdfast.sql_claimed(task, claim);
    attempts integer := failed.attempt + 1;
    now_us   bigint := holdfast.now_us(null);
    at_us    bigint;
begin
    perform holdfast.check_names('error', array[error]);
    perform holdfast.check_payloads('message', array[message]);
    if retry then
        at_us := holdfast.sql_retry_at(failed, attempts, error, retry_after, now_us);
    end if;
    if at_us is null then
        failed.crashes := 0;
        perform holdfast.sql_settle(failed, 1, error, message, attempts, now_us);
        return case when failed.run_no is null then 'dead' else 'failed' end;
    end if;
    update holdfast.task t
       set attempt = attempts, crashes = 0, claimed_by = null, claimed_name = null,
           claimed_until = to_timestamp(at_us / 1000000.0), run_at_us = at_us,
           error_name = error, error_message = message
     where t.no = failed.no;
    return 'retry';
end
$$;
revoke all on function holdfast.fail(text, bigint, text, text, boolean, interval) from public;
