/*
 * Workers as processes, on the SQLite file "t.db" of the test's directory or another store, and
 * what they leave behind: the file "effects", where tasks append a line each, and "worker.log".
 */
#ifndef TESTS_PROC_H
#define TESTS_PROC_H

#include <sys/types.h>

#include "runs.h"

#define STORE "sqlite:t.db"

/* Makes a worker's offer: hf_workflow and hf_handler calls. */
typedef void (*offer_fn)(hf *h);

/* Starts a worker that serves the store; it stops by SIGTERM. opt NULL: few slots, short grace. */
pid_t worker_start(offer_fn offer, const hf_worker_opt *opt);
void  worker_kill(pid_t pid); /* kill -9, and gone */
int   worker_stop(pid_t pid); /* SIGTERM, and its exit code */
int   worker_wait(pid_t pid); /* its exit code; 1000 + the signal that it died of */
int   worker_poll(pid_t pid); /* the same; -1: it lives */
/* Runs a worker until nothing is left to do. */
void worker_drain(offer_fn offer);
/* Starts a worker again whenever it dies of a signal, until it drains. The deaths. */
int worker_drain_through_crashes(offer_fn offer, const hf_worker_opt *opt, int deaths_max);

hf *client_open(void);
hf *client_try(void); /* NULL: not now */
/* Workers and clients that are started from now on serve this store, which lives as long. */
void proc_serve(const char *url);

void effect(const char *fmt, ...) HF_PRINTF(1, 2); /* survives a kill -9 of the caller */
int  effects(const char *line);      /* how often that line is there; NULL: all lines */
int  effects_with(const char *part); /* lines that contain a text */
/* From now on "effects" and "worker.log" are in that directory. */
void proc_keep_files_in(const char *dir);
/* Lines of worker.log that contain a text. */
int logged(const char *text);

void sleep_ms(int ms);

_Noreturn void segfault(void); /* what a wild pointer does, in any build */

/* Waits until the condition holds; the test fails if that takes over `seconds`. */
#define UNTIL(cond) UNTIL_WITHIN(10, cond)
#define UNTIL_WITHIN(seconds, cond)                                                                \
    do {                                                                                           \
        int64_t until_end_ = clock_ms() + (seconds)*1000LL * test_slowness();                      \
        while (!(cond)) {                                                                          \
            if (clock_ms() > until_end_)                                                           \
                test_fail(__FILE__, __LINE__, "never true: %s", #cond);                            \
            sleep_ms(5);                                                                           \
        }                                                                                          \
    } while (0)
int64_t clock_ms(void);

#endif
