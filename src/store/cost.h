/*
 * What a store's server has done so far, and how it is set up: for benchmarks and `holdfast stats`.
 * Counts are of the whole database, whoever caused them; -1 is unknown.
 */
#ifndef STORE_COST_H
#define STORE_COST_H

#include "store/store.h"

struct store_cost {
    int64_t statements, commits;
    int64_t rows; /* inserted, updated, deleted */
    int64_t wal_bytes;
    int64_t pid; /* of the process that serves this connection, if it is on this machine */
};

/* A server adds up what its clients did when they have gone, and for the caller now. */
int store_cost(struct store *s, struct store_cost *out, struct err *err);

struct store_setting {
    const char *name, *value;
};

/* What durability and speed depend on. */
int store_settings(struct store *s, struct arena *a, struct store_setting **out, size_t *n,
                   struct err *err);

/* Pins the horizon of the server's vacuum for as long as this connection is open, as a long
 * transaction of somebody else's would. HF_INVALID: a store that has none. */
int store_pin(struct store *s, struct err *err);

/* How long the server took for a statement of ours, in all, without the way there and back. */
struct server_time {
    const char *name; /* as in sql/postgres */
    int64_t     calls, total_us, rows;
};

struct server_times {
    bool                has_server; /* else the store is a part of this process */
    const char         *unknown;    /* why nothing is known; NULL: what follows is */
    struct server_time *statements; /* of this schema, the longest total first */
    size_t              n;
    int64_t             hidden;   /* calls whose statements this role may not see */
    int64_t             since_us; /* store time */
};

/* Calls and times as the server counts them; the wait for the disk at a commit is not in them. */
int store_server_times(struct store *s, struct arena *a, struct server_times *out, struct err *err);

/* postgres_cost.c */
int postgres_pin(struct store *s, struct err *err);
int postgres_cost(struct store *s, struct store_cost *out, struct err *err);
int postgres_settings(struct store *s, struct arena *a, struct store_setting **out, size_t *n,
                      struct err *err);

/* postgres_times.c */
int
postgres_server_times(struct store *s, struct arena *a, struct server_times *out, struct err *err);

#endif
