/* A worker: what hf_run keeps while it runs. worker.c is its loop, ownership.c the part of it that
 * gets partitions and gives them away. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <signal.h>

#include "client/handle.h"
#include "worker/keeper.h"
#include "worker/lane.h"

struct worker {
    hf             *h;
    struct lane     lane;
    struct lane_opt opt;
    bool            drain;
    bool            running; /* it is the handle's one worker */
    struct store   *store;
    struct buf      handlers;
    int             stop_fd;   /* becomes readable by hf_stop */
    int             signal_fd; /* -1 unless signals are handled */
    int          wake_fd; /* an epoll of all that ends the lane\'s sleep: slots, stops, signals */
    sigset_t     old_mask;
    int64_t      drain_check_us; /* steady */
    struct meter meter;          /* of all its connections */
    struct stats stats;          /* the thread's that renews the lease */
    /* ownership */
    struct keeper *keeper;
    struct view   *view;        /* what it saw last */
    int64_t        renewed_us;  /* steady; by the lane itself, on an exclusive store */
    int64_t        moved_us;    /* steady: partitions came or went; older views say nothing of it */
    int64_t        full_us;     /* steady: no slot is free and work waits since then; 0: not so */
    int64_t        balanced_us; /* steady: the last look */
    bool           leaving, parting;
    int            told_owner;
};

int  worker_stops(struct worker *w); /* how often it was told to stop */
void worker_pause_ms(struct worker *w, int ms);

/* ownership.c */
int  ownership_open(struct worker *w, struct err *err);
void ownership_close(struct worker *w);
/* Joins. On an exclusive store it waits for another owner. HF_CANCELLED: told to stop meanwhile. */
int ownership_join(struct worker *w, struct err *err);
/* After HF_STALE on a shared store. */
int ownership_rejoin(struct worker *w, struct err *err);
/* Keeps the lease, takes what is free, decides what goes. Once a round. */
int ownership_tick(struct worker *w, struct err *err);
/* The worker is about to end: everything goes to others, if there are any. */
void    ownership_leave(struct worker *w);
int64_t ownership_deadline_us(const struct worker *w); /* when the next tick is due */
int     ownership_fd(const struct worker *w);          /* readable when it is due at once; -1 */

#endif
