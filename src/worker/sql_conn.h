/*
 * The connection that SQL steps use: one a worker, no lane's, opened when the first one comes. One
 * statement at a time; the others wait in their slots.
 */
#ifndef WORKER_SQL_CONN_H
#define WORKER_SQL_CONN_H

#include <pthread.h>

#include "store/store.h"

typedef int (*sql_open_fn)(void *arg, struct store **out, struct err *err);

struct sql_conn {
    pthread_mutex_t mutex;
    struct store   *store; /* NULL: not opened yet */
    sql_open_fn     open;
    void           *arg;
    _Atomic int    *stopping; /* no patience any more; NULL: there is none */
};

void sql_conn_init(struct sql_conn *c, sql_open_fn open, void *arg);
void sql_conn_release(struct sql_conn *c);

/* A turn_sql_fn. While the store is not available it tries again for a moment. */
int sql_conn_run(void *conn, struct sql_step *step, struct arena *a, const char **result,
                 struct err *err);

#endif
