/*
 * A throw-away PostgreSQL server: a cluster in a directory of its own, for measurements and tests.
 * Whoever opens it is a process that does nothing else (server_become_host), so that the server
 * ends and its directory goes when that process is told to end, or dies. It knows nothing of
 * Holdfast.
 *
 * server.c starts and stops processes, server_files.c makes the directory. As root the programs run
 * as the user postgres, or nobody. TEST_PG_BIN names another directory of PostgreSQL programs than
 * the newest.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SERVER_PATH_SIZE = 300 };

struct server {
    bool        fast;     /* fsync = off */
    bool        tcp;      /* listens on a port of 127.0.0.1 too */
    bool        keep;     /* what initdb made is kept in tmp, for the next one: it takes seconds */
    const char *settings; /* lines of postgresql.conf; NULL: none */
    const char *tmp;      /* where its directory is made: an absolute path, at most 60 bytes */
    /* what it has become */
    char  bin[SERVER_PATH_SIZE], dir[SERVER_PATH_SIZE], data[SERVER_PATH_SIZE + 10];
    uid_t uid; /* of the programs */
    gid_t gid;
    int   port;
    pid_t postmaster;    /* 0: it does not run */
    char  problem[1000]; /* why a call was false */
};

/* Set by a signal once server_become_host was called. */
extern volatile sig_atomic_t server_told_to_end;

void server_become_host(void);

/* All but those that say otherwise: false, and s->problem. */
bool server_open(struct server *s);                  /* and starts it */
void server_close(struct server *s);                 /* at once; the directory goes */
bool server_start(struct server *s);                 /* again */
bool server_stop(struct server *s, const char *how); /* fast, immediate, kill */

/* ---- for those who add to it */

struct server_launch {
    const char *input, *log; /* files in the directory; NULL: /dev/null */
    bool        as_self;     /* stays root */
    int         death;       /* the signal that it gets when this process dies */
};

bool  server_fail(struct server *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool  server_fail_with_log(struct server *s, const char *what, const char *log);
pid_t server_launch(const struct server *s, struct server_launch how, const char *const argv[]);
bool  server_run_program(struct server *s, struct server_launch how, const char *const argv[]);
/* Waits for at most ms; forgets the process if it is gone. */
bool server_is_gone(pid_t *pid, int ms);
/* A place for two names at a time. */
const char *server_program(const struct server *s, const char *name);
int         server_open_file(const struct server *s, const char *name, int flags);
bool        server_write_file(struct server *s, const char *name, int flags, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int     server_free_port(void);
void    server_sleep_ms(int ms);
int64_t server_now_ms(void);

/* server_files.c */
bool server_find_programs(struct server *s);
void server_find_user(struct server *s);
/* Directories of servers that were killed together with their host: nobody holds their lock. */
void server_sweep(const struct server *s);
bool server_make_directory(struct server *s);
bool server_make_data(struct server *s);
bool server_configure(struct server *s);
void server_remove_tree(const char *dir);

#endif
