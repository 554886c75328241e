-- What the owner has counted, as JSON.

alter table hf_owner add column stats text;
