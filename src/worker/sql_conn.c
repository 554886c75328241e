/* One statement after the other on a connection of their own. */
#include "worker/sql_conn.h"

#include <stdatomic.h>
#include <time.h>

enum { FIRST_WAIT_MS = 10, LAST_WAIT_MS = 640 };

void
sql_conn_init(struct sql_conn *c, sql_open_fn open, void *arg)
{
    *c = (struct sql_conn){.open = open, .arg = arg};
    pthread_mutex_init(&c->mutex, NULL);
}

void
sql_conn_release(struct sql_conn *c)
{
    if (c->open == NULL)
        return;
    if (c->store)
        c->store->ops->close(c->store);
    pthread_mutex_destroy(&c->mutex);
    *c = (struct sql_conn){0};
}

static int
run_once(struct sql_conn *c, struct sql_step *step, struct arena *a, const char **result,
         struct err *err)
{
    pthread_mutex_lock(&c->mutex);
    int rc = c->store ? HF_OK : c->open(c->arg, &c->store, err);
    if (rc == HF_OK)
        rc = c->store->ops->sql_step(c->store, step, a, result, err);
    pthread_mutex_unlock(&c->mutex);
    return rc;
}

int
sql_conn_run(void *conn, struct sql_step *step, struct arena *a, const char **result,
             struct err *err)
{
    struct sql_conn *c = conn;

    for (int ms = FIRST_WAIT_MS;; ms *= 2) {
        int rc = run_once(c, step, a, result, err);
        if (rc != HF_UNAVAILABLE || c->stopping == NULL || ms > LAST_WAIT_MS ||
            atomic_load(c->stopping))
            return rc;
        struct timespec t = {.tv_nsec = ms * 1000000L};
        nanosleep(&t, NULL);
    }
}
