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

/* As the shared memory store. */
static const char *
new_url(void)
{
    static char url[300];
    struct buf  out = {0};
    struct err  err = {0};
    if (url[0] == '\0') {
        char name[40];
        snprintf(name, sizeof(name), "suite_%d", (int)getpid());
        const char *plain = pg_new_database(server, name);
        snprintf(url, sizeof(url), "%s%cpartitions=3", plain, strchr(plain, '?') ? '&' : '?');
        if (postgres_migrate(url, MIGRATE_RUN, &out, &err) != HF_OK)
            test_fail(__FILE__, __LINE__, "migrate: %s", err.text);
        buf_release(&out);
    }
    return url;
}

static int
open_database(const struct clock *clock, struct store **out, struct err *err)
{
    return postgres_store_open(new_url(), clock, out, err);
}

const struct subject subject = {.name = "postgres", .open = open_database, .shared = true};
