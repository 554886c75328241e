-- A claimed task is done, in the caller's transaction: together with what else that writes, it is
-- done exactly once. result goes to the run that called it; of a standalone task it is not kept.
-- HF001: the claim is over, nothing was changed; HF007: the result is over 1 MiB.
create or replace function holdfast.complete(task text, claim bigint, result text default null)
returns void language plpgsql security definer
set search_path = holdfast, pg_temp as $$
declare
    done holdfast.task := holdfast.sql_claimed(task, claim);
begin
    perform holdfast.check_payloads('result', array[result]);
    perform holdfast.sql_settle(done, 0, null, result, done.attempt + 1, holdfast.now_us(null));
end
$$;
revoke all on function holdfast.complete(text, bigint, text) from public;
