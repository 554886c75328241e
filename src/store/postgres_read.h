/*
 * Reading rows of the PostgreSQL store, and the verbs that read for people. Columns stand in the
 * order of sql/postgres/read.sql.
 */
#ifndef STORE_POSTGRES_READ_H
#define STORE_POSTGRES_READ_H

#include "store/postgres.h"

/* ---- postgres_row.c: row `row` of the current result. HF_NOMEM. */

int pg_run_row(struct postgres *s, int row, struct arena *a, struct run_row *out);
int pg_task_row(struct postgres *s, int row, struct arena *a, struct task_row *out);
int pg_dead_row(struct postgres *s, int row, struct arena *a, struct dead_row *out);
int pg_inbox_row(struct postgres *s, int row, struct arena *a, struct inbox_row *out);
int pg_history_row(struct postgres *s, int row, struct arena *a, struct history_row *out);

enum pg_shape { PG_RUN_ROWS, PG_TASK_ROWS, PG_DEAD_ROWS, PG_INBOX_ROWS, PG_HISTORY_ROWS };

/* All rows of the next result, as an array. */
int pg_take_rows(struct postgres *s, enum pg_shape shape, struct arena *a, void **out, size_t *n,
                 struct err *err);

/* Sends one statement as a read-only section; the caller takes its result, then pg_synced. */
void pg_send_read(struct postgres *s, enum pg_sql id, struct pg_args *args);

/* ---- ops */

int postgres_run_get(struct store *base, const char *id, struct arena *a, struct run_row *out,
                     struct err *err);
int postgres_run_list(struct store *base, const struct run_filter *f, struct arena *a,
                      struct run_row **out, size_t *n, struct err *err);
int postgres_history(struct store *base, int64_t run_no, int execution, struct arena *a,
                     struct history_row **out, size_t *n, struct err *err);
int postgres_inbox_list(struct store *base, int64_t run_no, struct arena *a, struct inbox_row **out,
                        size_t *n, struct err *err);
int postgres_children(struct store *base, int64_t run_no, struct arena *a, struct run_row **out,
                      size_t *n, struct err *err);
int postgres_task_get(struct store *base, const char *id, struct arena *a, struct task_row *out,
                      struct err *err);
int postgres_task_list(struct store *base, const struct task_filter *f, struct arena *a,
                       struct task_row **out, size_t *n, struct err *err);
int postgres_dead_get(struct store *base, const char *id, struct arena *a, struct dead_row *out,
                      struct err *err);
int postgres_dead_list(struct store *base, const struct task_filter *f, struct arena *a,
                       struct dead_row **out, size_t *n, struct err *err);
int postgres_workers(struct store *base, struct arena *a, struct worker_row **out, size_t *n,
                     struct err *err);
int postgres_pending(struct store *base, const char *queues, int64_t due_until_us,
                     struct pending *out, struct err *err);
int postgres_info(struct store *base, struct arena *a, struct store_info *out, struct err *err);
int postgres_queues(struct store *base, int count_max, struct arena *a, struct queue_row **out,
                    size_t *n, struct err *err);
int postgres_retain(struct store *base, const char *queue, int64_t retain_us, struct err *err);
int postgres_purge(struct store *base, const struct purge *what, size_t *n, struct err *err);

#endif
