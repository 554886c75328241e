-- How a run is: its status in a word, its output, and how it failed or why it is blocked. It looks,
-- it does not wait; a caller that polls needs a new statement, and below serializable a new
-- snapshot, each time.
-- HF004: there is no such run.
create or replace function holdfast.result(run text, out status text, out output text,
                                           out error_name text, out error_message text)
language plpgsql stable security definer
set search_path = holdfast, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
begin
    select (array['running', 'waiting', 'paused', 'blocked', 'completed', 'failed', 'cancelled',
                  'terminated'])[1 + r.status], r.output, r.error_name, r.error_message
      into status, output, error_name, error_message
      from holdfast.run r where r.id = run;
    if not found then
        raise exception using errcode = 'HF004', message = format('run %s: not found', run);
    end if;
end
$$;
revoke all on function holdfast.result(text) from public;
