/*
 * The handle behind `hf`: one store connection for clients, the registry for workers, the last
 * error, and a stop flag. client.c holds the calls that any process may make; the worker opens
 * store connections of its own.
 */
#ifndef CLIENT_HANDLE_H
#define CLIENT_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/registry.h"
#include "store/store.h"

struct test_world; /* src/testing: the virtual worker of hf_test_open */

struct hf {
    struct store   *store; /* guarded by mutex; NULL if it could not be opened */
    struct store   *spare; /* guarded by mutex: a connection kept for the next hf_wait, or NULL */
    pthread_mutex_t mutex; /* one client call at a time */
    pthread_mutex_t err_mutex;
    struct err      err; /* the last error of any thread */
    struct log      log;
    struct registry registry;
    struct test_world *test;
    void (*close_test)(hf *h); /* set with test */
    _Atomic int stops;         /* calls of hf_stop */
    _Atomic int stop_fd;       /* eventfd, written to by hf_stop; made by the first hf_run, and kept
                                  until the close: a stop may come at any time. -1: none yet */
    _Atomic int running;       /* 1 while a worker runs */
};

/* Keeps err as the handle's last error and returns its code. */
int handle_fail(hf *h, const struct err *err);

/* A handle around an open store (which it owns from then on). */
int handle_new(struct store *store, hf **out);

#endif
