/* The store suite over the memory store that several workers share: the model of such a store. */
#include "store_suite.h"

static int
open_shared(const struct clock *clock, struct store **out, struct err *err)
{
    return memory_store_open_shared(clock, 3, out, err);
}

const struct subject subject = {
    .name = "memory", .open = open_shared, .refuses_marked = true, .shared = true};
