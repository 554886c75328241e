/*
 * Throw-away PostgreSQL servers for tests. A server is a process pg_serve (its file says what that
 * does) with a database cluster in a directory of its own; it ends with the program that started
 * it, however that ends. Whatever goes wrong fails the test with the server's words, also that no
 * server is installed: a test that needs one is not skipped.
 *
 * A server for each test costs about half a second. Many tests share one if TEST_SETUP starts it,
 * each in a new database. Texts that are handed out live until the program ends.
 */
#ifndef TESTS_PG_H
#define TESTS_PG_H

#include <stdbool.h>
#include <sys/types.h>

#include "test.h"

struct pg;

struct pg_opt {
    bool        fast;     /* fsync = off: for tests of behaviour, not of durability or costs */
    bool        tcp;      /* listens on a port of 127.0.0.1 too */
    const char *settings; /* more lines of postgresql.conf; NULL: none */
};

struct pg *pg_start(const struct pg_opt *opt); /* NULL: as if all zero */
void       pg_stop(struct pg *pg);             /* and its directory is gone */

/* Ends it as pg_ctl would, "fast" or "immediate", and starts it again on the same files. */
void pg_restart(struct pg *pg, const char *how);
/* SIGKILL to all processes of the server; nothing else happens until pg_start_again. */
void pg_kill9(struct pg *pg);
void pg_halt(struct pg *pg, const char *how); /* "fast" or "immediate" */
void pg_start_again(struct pg *pg);

/* libpq URLs of the superuser postgres, who needs no password. */
const char *pg_url(struct pg *pg); /* of the database "postgres", by the Unix socket */
/* An empty database; one of that name goes first. Its URL, by the Unix socket. */
const char *pg_new_database(struct pg *pg, const char *name);
/* By 127.0.0.1 and a port: a relay's, or 0 for the server's own. */
const char *pg_tcp_url(struct pg *pg, const char *database, int port);

const char *pg_socket(struct pg *pg); /* the path of the Unix socket, for a relay */
int         pg_port(struct pg *pg);
pid_t       pg_pid(struct pg *pg); /* of the postmaster; 0: it is not running */
const char *pg_dir(struct pg *pg); /* with data/, log and pgbouncer.log */

/* PgBouncer before the server: transaction mode, at most 20 connections to a database. Settings of
 * its ini file are added, "a=1;b=2"; NULL: none. The URL of the database "postgres" through it. */
const char *pg_bouncer_start(struct pg *pg, const char *settings);
const char *pg_bouncer_url(struct pg *pg, const char *database);
int         pg_bouncer_port(struct pg *pg);
void        pg_bouncer_stop(struct pg *pg);

/* One or more statements on a connection of their own. */
void        pg_exec(const char *url, const char *sql);
int64_t     pg_int(const char *url, const char *sql);  /* the one value of its one row */
const char *pg_text(const char *url, const char *sql); /* ...; NULL for null or no row */

#endif
