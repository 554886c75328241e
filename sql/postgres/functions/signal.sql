-- Sends a signal to a run, in the caller's transaction. It is kept until the run reads it, once
-- committed through any crash. Signals of one sender and name are read in the order in which they
-- were sent. With a key, a signal that the run has been sent with the same key already does
-- nothing.
-- HF003: a bad argument; HF004: there is no such run, or it is not committed yet; HF006: it has
-- ended; HF007: the payload is over 1 MiB.
create or replace function holdfast.signal(run text, name text, payload text default null,
                                           key text default null)
returns void language plpgsql security definer
set search_path = holdfast, pg_temp as $$
begin
    perform holdfast.check_names('signal', array[name]);
    perform holdfast.hint_numbers(holdfast.submit_messages('{0}', array[run], array[name],
                                                           array[payload], array[key]));
end
$$;
revoke all on function holdfast.signal(text, text, text, text) from public;
