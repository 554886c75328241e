-- The end of a run is a new version of its row. With room for it on the same page the log has 10 % less
-- of a run: nothing of the old version is locked, and what is alike is not written again. Runs that have
-- ended take twice the pages instead. Pages that are there stay as they are.

alter table holdfast.run set (fillfactor = 50);
