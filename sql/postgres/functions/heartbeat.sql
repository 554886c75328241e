-- Lets a claim stand for this lease from now on; until when. It takes effect with the commit.
-- HF001: the claim is over: stop working on the task; HF003: a bad lease.
create or replace function holdfast.heartbeat(task text, claim bigint,
                                              lease interval default '1 minute')
returns timestamptz language plpgsql security definer
set search_path = holdfast, pg_temp as $$
declare
    held  holdfast.task := holdfast.sql_claimed(task, claim);
    until timestamptz := clock_timestamp() + lease;
begin
    perform holdfast.sql_lease(lease);
    update holdfast.task t set claimed_until = until where t.no = held.no;
    return until;
end
$$;
revoke all on function holdfast.heartbeat(text, bigint, interval) from public;
