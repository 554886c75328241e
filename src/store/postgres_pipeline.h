/*
 * The pipeline of one connection: postgres_send.c remembers what it has sent in a list, and
 * postgres_receive.c reads results against it, section by section.
 */
#ifndef STORE_POSTGRES_PIPELINE_H
#define STORE_POSTGRES_PIPELINE_H

#include "store/postgres_explain.h"

/* EXPECT_PLAN stands for as many kinds as there are rounds. */
enum expect {
    EXPECT_QUIET,
    EXPECT_RESULT,
    EXPECT_PREPARED,
    EXPECT_PLAN,
    EXPECT_SYNC = EXPECT_PLAN + ROUNDS,
    EXPECT_DOUBTFUL_SYNC
};
enum { NOT_PREPARED, BEING_PREPARED, PREPARED };

struct pg_expected {
    uint8_t  kind; /* enum expect */
    uint16_t id;   /* enum pg_sql */
};

/* A statement without parameters, whose result nobody looks at. */
void pg_send_quiet(struct postgres *s, enum pg_sql id);

#endif
