/*
 * What a store's server has done so far, and how it is set up: for benchmarks. Counts are of the
 * whole database, whoever caused them; -1 is unknown.
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

/* postgres_cost.c */
int postgres_pin(struct store *s, struct err *err);
int postgres_cost(struct store *s, struct store_cost *out, struct err *err);
int postgres_settings(struct store *s, struct arena *a, struct store_setting **out, size_t *n,
                      struct err *err);

#endif
