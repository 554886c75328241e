/* The store suite over the PostgreSQL store: one server, a database for each test. */
#include "pg.h"

#include <stdio.h>
#include <unistd.h>

#include "store/postgres.h"
#include "store_suite.h"

static struct pg *server;

static void
start_server(void)
{
    server = pg_start(&(struct pg_opt){.fast = true});
}

TEST_SETUP(start_server)

/* A store of its own each time, with as many partitions a queue as the shared memory store has. */
static int
open_database(const struct clock *clock, struct store **out, struct err *err)
{
    static int opened;
    struct buf log = {0};
    char       name[40], url[300];

    snprintf(name, sizeof(name), "suite_%d_%d", (int)getpid(), ++opened);
    const char *plain = pg_new_database(server, name);
    snprintf(url, sizeof(url), "%s%cpartitions=3", plain, strchr(plain, '?') ? '&' : '?');
    TRY(postgres_migrate(url, MIGRATE_RUN, &log, err));
    buf_release(&log);
    return postgres_store_open(url, clock, out, err);
}

const struct subject subject = {.name = "postgresql", .open = open_database, .shared = true};
