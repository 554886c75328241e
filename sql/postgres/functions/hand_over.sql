-- The last write of a batch: partitions change hands, each if its new owner (0: nobody) is there.
-- The new owner's row is locked: a takeover of it either waits and sees the partition, or has
-- deleted the row, and the partition stays where it is.
create or replace function holdfast.hand_over(giving_worker bigint, given_partitions smallint[],
                                              new_owners bigint[])
returns void language plpgsql as $$
begin
    for i in 1 .. cardinality(given_partitions) loop
        if new_owners[i] <> 0 then
            perform 1 from holdfast.worker w where w.id = new_owners[i] for key share;
            continue when not found;
        end if;
        update holdfast.partition
           set owner = nullif(new_owners[i], 0), busy_until = null
         where id = given_partitions[i] and owner = giving_worker;
    end loop;
end
$$;
