/* The store suite over the memory store. */
#include "store_suite.h"

const struct subject subject = {"memory", memory_store_open, true};
