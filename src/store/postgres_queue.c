/* Names of queues and their partitions. */
#include "store/postgres.h"

void
pg_queues_settle(struct postgres *s, bool committed)
{
    (void)s;
    (void)committed;
}

void
pg_queues_release(struct postgres *s)
{
    (void)s;
}
