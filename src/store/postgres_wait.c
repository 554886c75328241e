/*
 * Hints. They only make it fast: whatever is missed is found by looking.
 */
#include "store/postgres.h"

void
pg_hear(struct postgres *s, const char *channel, const char *text)
{
    (void)channel;
    (void)text;
    s->hints.woken = true;
}
