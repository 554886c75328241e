/*
 * Where it is measured: a site is a directory for SQLite files or a PostgreSQL server, the user's
 * or a throw-away one; each measurement has a store of its own in it, under a name that nobody else
 * uses, which goes afterwards. Nothing else at the site is touched.
 */
#ifndef BENCH_SITE_H
#define BENCH_SITE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

/* Errors do not say which command wanted it. */
struct site {
    const char *store;  /* "sqlite" or "postgresql" */
    const char *base;   /* PostgreSQL: the server's URL, without a schema */
    const char *prefix; /* SQLite: the path of files, but for their unique ends */
    const char *dir;    /* made for it, and taken away; NULL: none */
    pid_t       host;   /* of the throw-away server; 0: none */
    int         hold;   /* the server lives while this end of a pipe is open */
};

/* A new directory in the present one. HF_UNAVAILABLE. */
int site_open_directory(struct site *s, struct arena *a, struct err *err);
/* A throw-away server, its data in a new directory here if its user may be here, else in /var/tmp.
 * HF_NOT_FOUND: no server is installed. Before this process has threads. */
int site_open_server(struct site *s, struct arena *a, struct err *err);
/* What the URL of a store names: its server, or the directory of its file. HF_INVALID. */
int site_open_url(struct site *s, const char *url, struct arena *a, struct err *err);
/* Ends the server, and the directory goes. A zeroed site is fine. */
void site_close(struct site *s);

/* A new store; *url is its own. HF_UNAVAILABLE; HF_REFUSED: no right to make a schema. */
int site_make_store(const struct site *s, struct arena *a, const char **url, struct err *err);
int site_drop_store(const struct site *s, const char *url, struct err *err);

#endif
