-- Signals and orders that their runs have not read yet. Columns are only ever added at the end.
create or replace view holdfast.unread as
select r.id as run,
       (array['signal', 'cancel', 'terminate', 'pause', 'resume', 'replace', 'child', 'result',
              'finished', 'stop'])[1 + x.kind] as kind,
       x.name, x.payload, x.key, to_timestamp(x.time_us / 1000000.0) as at
  from holdfast.inbox x
  join holdfast.run r on r.no = x.run_no;
