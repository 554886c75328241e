/*
 * Between the pipeline and what tells plans (postgres_explain.c): what an explaining connection
 * sends before each statement, and what comes of it.
 */
#ifndef STORE_POSTGRES_EXPLAIN_H
#define STORE_POSTGRES_EXPLAIN_H

#include "store/explain.h"
#include "store/postgres.h"

enum pg_round { ROUND_FIRST, ROUND_AGAIN, ROUND_INSIDE, ROUNDS };

struct pg_explain {
    explain_fn fn;
    void      *arg;
    bool       inside;   /* statements of functions can be told */
    bool       in_block; /* what is sent now is in a transaction block */
    bool       opened;   /* which is ours, and ends with the section */
    struct buf text;
};

/* The statement that explains another with its parameters, as the connection would execute that:
 * through a pooler its own text, to which the parameters go, else the prepared one, with literals
 * for them. NULL: memory is out. */
const char *pg_explain_text(struct postgres *s, enum pg_sql id, const struct pg_args *a);

/* A plan has come; a notice has, which may have one in it. */
void
pg_explain_take(struct postgres *s, enum pg_sql id, enum pg_round round, const PGresult *result);
void pg_explain_notice(struct postgres *s, const PGresult *notice);

#endif
