/* The store suite over the SQLite store, in a file of the test's directory. */
#include "store_suite.h"

static int
open_file(const struct clock *clock, struct store **out, struct err *err)
{
    return sqlite_store_open("suite.db", clock, out, err);
}

const struct subject subject = {.name = "sqlite", .open = open_file};
