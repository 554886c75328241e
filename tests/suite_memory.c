/* The store suite over the memory store. */
#include "store_suite.h"

const struct subject subject = {
    .name = "memory", .open = memory_store_open, .refuses_marked = true};
