/*
 * A day of a cluster: worker processes (proc.h) on a PostgreSQL database of the test's own, on a
 * server that the tests of a program share, and what its record says in the end.
 */
#ifndef TESTS_CLUSTER_H
#define TESTS_CLUSTER_H

#include "pg.h"
#include "proc.h"

extern struct pg *cluster;             /* the server */
void              cluster_start(void); /* for TEST_SETUP */

/* A new database with the schema; workers and clients of proc.h use it from now on. Its URL. */
const char *cluster_database(void);
/* The same database in another way: through a relay or pooler, with more settings in the query. */
void        cluster_serve(const char *fmt, ...) HF_PRINTF(1, 2);
const char *cluster_url(void); /* direct */
/* Another database of the server, or the same as another user. */
const char *cluster_url_of(const char *database, const char *user);
void        cluster_look_at(const char *url); /* what workers, clients and db_* work on */
const char *cluster_name(void);               /* of the database */

/* One value, one statement. */
int64_t     db_int(const char *fmt, ...) HF_PRINTF(1, 2);
const char *db_text(const char *fmt, ...) HF_PRINTF(1, 2);
void        db_exec(const char *fmt, ...) HF_PRINTF(1, 2);

/* The number of the worker with that process; 0: it has none (not yet, or not any more). */
int64_t worker_of(pid_t pid);
int     partitions_of(pid_t pid);

/* What must hold at any time, whoever died: each execution's history without gaps, each call's
 * outcome once, one end, and nothing after it. */
void check_record(void);
/* ... and when nobody works any more: no claim and no owner is left. */
void check_at_rest(void);

#endif
