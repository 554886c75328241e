-- What a worker has counted, as it said with its lease: JSON, see docs/command.md. A worker of an
-- earlier version writes none and goes on.

alter table holdfast.worker add column stats text;
