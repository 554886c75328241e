-- How long the ended runs of a queue are kept; 0: for ever.

alter table hf_partition add column retain_us integer not null default 0;
