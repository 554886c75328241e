/*
 * The PostgreSQL store, inside. One `struct postgres` is one connection in libpq's pipeline mode,
 * non-blocking, used by one thread at a time.
 *
 * A verb sends statements in sections, each closed by a Sync, and then reads results in the same
 * order. Sending never fails by itself: what goes wrong is remembered and told by pg_result and
 * pg_synced. While it sends, results are taken in, so a pipeline of any size cannot lock up.
 *
 *     TRY(pg_ready(s, err));                           connects anew if need be
 *     pg_begin(s);
 *     struct pg_args *a = pg_args(s);                  the connection's scratch, emptied
 *     pg_put_int8(a, worker);
 *     int no = pg_array(a, PG_INT8), text = pg_array(a, PG_TEXT);
 *     for (...) { pg_add_int8(a, no, 5); pg_add_text(a, text, "x"); }
 *     pg_send(s, PG_some_statement, a);                a: NULL if it has no parameters
 *     pg_commit(s);                                    commit; Sync. Its loss is HF_UNKNOWN
 *     pg_begin_read(s); pg_send(s, PG_fetch, a); pg_end_read(s);
 *     rc = pg_synced(s, err);                          the first section: everything, or why not
 *     if (pg_result(s, err) == HF_OK)                  the second: the rows of PG_fetch
 *         for (int i = 0; i < pg_rows(s); i++) pg_get_int(s, i, 0), pg_get_text(s, i, 1, arena,
 * &failed) rc = pg_synced(s, err);
 *
 * A way out between sending and the last pg_synced must call pg_rollback.
 *
 * SQL texts say `holdfast.` for the schema; `holdfast.`, `search_path = holdfast` and the literal
 * 'holdfast' (for the names of channels) become the schema of the URL. Statements cast their
 * parameters ($1::bigint[]). Parameters and results are binary; timestamps come back as
 * microseconds if the statement converts them.
 *
 * postgres_url: what is connected to. postgres_conn: a connection's life. postgres_send,
 * postgres_receive: the two halves of the pipeline. postgres_stmt: texts and preparing.
 * postgres_array: parameters. postgres_result: results. postgres_error: SQLSTATE to codes.
 * postgres_open, postgres_migrate: the schema. postgres_queue: names of queues. postgres_step,
 * postgres_json: SQL steps. postgres_submit: clients' writes. postgres_wait: hints and results.
 */
#ifndef STORE_POSTGRES_H
#define STORE_POSTGRES_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "store/store.h"

/* Named statements of sql/postgres. */
enum pg_sql {
#define X(name, index, text) PG_##name,
#include "store/postgres_sql.def"
#undef X
    PG_STATEMENTS
};

/* ---- postgres_array.c: parameters, in binary */

enum pg_type { PG_BOOL, PG_INT2, PG_INT4, PG_INT8, PG_TEXT, PG_XID8 };
enum { PG_ARGS_MAX = 32, PG_ARG_KEEP_MAX = 1 << 20 };

struct pg_arg {
    struct buf data;
    bool       null, array, has_null;
    uint8_t    type; /* of an array: its elements' */
    int32_t    n;    /* elements of an array */
};

struct pg_args {
    struct pg_arg arg[PG_ARGS_MAX];
    int           n;
};

void pg_args_clear(struct pg_args *a); /* keeps its memory, if it is not much */
void pg_args_release(struct pg_args *a);
/* For libpq. HF_NOMEM, HF_TOO_BIG. */
int pg_args_values(struct pg_args *a, const char *values[], int lengths[], int formats[]);

/* The next parameter. */
void pg_put_bool(struct pg_args *a, bool v);
void pg_put_int2(struct pg_args *a, int v);
void pg_put_int4(struct pg_args *a, int32_t v);
void pg_put_int8(struct pg_args *a, int64_t v);
void pg_put_int8_unless(struct pg_args *a, int64_t v, int64_t none); /* none: null */
void pg_put_text(struct pg_args *a, const char *text);               /* NULL: null */
void pg_put_text_n(struct pg_args *a, const char *text, size_t n);
void pg_put_null(struct pg_args *a);
/* The next parameter is an array; what is given back names it for pg_add_*. Several arrays may be
 * filled in turn. */
int  pg_array(struct pg_args *a, enum pg_type type);
void pg_add_bool(struct pg_args *a, int array, bool v);
void pg_add_int2(struct pg_args *a, int array, int v);
void pg_add_int4(struct pg_args *a, int array, int32_t v);
void pg_add_int8(struct pg_args *a, int array, int64_t v); /* also for xid8 */
void pg_add_int8_unless(struct pg_args *a, int array, int64_t v, int64_t none);
void pg_add_text(struct pg_args *a, int array, const char *text); /* NULL: null */
void pg_add_text_n(struct pg_args *a, int array, const char *text, size_t n);
void pg_add_null(struct pg_args *a, int array);

/* ---- postgres_url.c */

/* What a URL says, ready for libpq. */
struct pg_target {
    PQconninfoOption *options;    /* libpq's, as given in the URL */
    char             *schema;     /* "holdfast" */
    int               poll_only;  /* 1: yes, 0: no, -1: found out */
    int               partitions; /* of queues that are made; 0: the usual number */
    char              where[160]; /* for people: "host/database", without a password */
};

enum { PARTITION_ID_MAX = 32767, SCHEMA_NAME_MAX = 40 };

/* HF_INVALID; the text never has a password in it. */
int  pg_target_parse(const char *url, struct pg_target *out, struct err *err);
void pg_target_release(struct pg_target *t);

/* ---- the connection */

struct pg_expected; /* postgres_pipeline.h: what is to come, in order */
struct pg_explain;  /* postgres_explain.h */

/* Names of queues by partition, read when first needed. A partition never changes its queue. */
struct queue_names {
    char  **name; /* NULL: not read yet */
    int32_t size;
};

enum { CHANNEL_SIZE = 64 };

/* Somebody who waits for a run of ours to end. */
struct pg_waiter {
    int64_t run_no, until_us;
    char    channel[CHANNEL_SIZE];
};

enum { WAITERS_MAX = 1024 };

/* What others have told this connection since the last fetch took it. */
struct pg_hints {
    bool              woken;   /* something came: the next wait returns at once */
    bool              workers; /* workers or partitions changed, or we own more */
    uint8_t           news[(PARTITION_ID_MAX + 8) / 8]; /* a bit for each partition with news */
    bool              any_news;
    bool              result; /* a run that wait_result waits for may have ended */
    struct pg_waiter *waiters;
    size_t            n_waiters;
};

struct postgres {
    struct store     base;
    struct pg_target target;
    char            *url;
    PGconn          *conn;   /* NULL: not connected */
    uint32_t         epoch;  /* grows with each new connection: cursors begin again */
    bool             ended;  /* the server has said so */
    bool             pooled; /* unnamed statements, no session settings, no LISTEN */

    /* the pipeline */
    struct pg_expected *expected;
    size_t              first, n_expected, size_expected;
    PGresult           *result;      /* the current one */
    struct err          failed;      /* of the section that is being read; code 0: none */
    struct err          lost;        /* the connection is gone: what everything else says */
    char                sqlstate[6]; /* of the last error; "" if it was none of the server's */
    char                said[360];   /* what the server said then */
    int     bad_item;    /* which of a statement's items the last error is about; -1: not said */
    int64_t patience_us; /* so long nothing may come from the server */
    size_t  unsent;      /* bytes of parameters since libpq was last told to send */
    struct pg_args     scratch;
    struct pg_explain *explain; /* NULL but for a connection that tells plans */

    /* statements */
    char   *text[PG_STATEMENTS]; /* with the schema's name, NULL: the text as it is */
    uint8_t prepared[PG_STATEMENTS];

    uint32_t step_epoch; /* of the connection that has the settings of the user's statements */

    /* who we are */
    int64_t worker;                /* whose connection this is; 0: a client's */
    bool    listens;               /* to the worker's channels */
    int64_t named;                 /* the worker whose name this connection bears already */
    char    channel[CHANNEL_SIZE]; /* wait_result's, "": not yet */
    int     old_pid;               /* backend that was lost with a commit in flight; 0: none */

    struct queue_names queues;
    struct pg_cursors *cursors; /* postgres_cursor.c: how far partitions have been read */
    struct pg_hints    hints;
    int64_t            busy_until_us; /* steady clock: partition.busy_until stands until then, so
                                         nobody hints: wait returns after 5 ms */
    int64_t nap_us; /* without hints: the last wait was so long; 0 after any news */
};

static inline struct postgres *
postgres_of(struct store *s)
{
    return (struct postgres *)s;
}

/* The stream of a class: what is no class is normal. */
static inline int
pg_class(int cls)
{
    return cls >= STREAM_URGENT && cls <= STREAM_BULK ? cls : STREAM_NORMAL;
}

/* ---- postgres_conn.c */

/* The connection is gone, or of no use any more; what was sent and is a commit becomes HF_UNKNOWN.
 * The code. */
int pg_lose(struct postgres *s, int code, const char *text);
int pg_lose_connection(struct postgres *s); /* with libpq's words */
/* Waits until bytes have come, or gone if there are some to send (sending: all of them may be gone
 * already); takes them in. False: lost. */
bool pg_wait_socket(struct postgres *s, bool sending);

/* Begins a verb: connects anew if the connection is lost (epoch grows), ends the old backend if a
 * commit was in flight, reads what earlier verbs have left, rolls back what they left open. */
int  pg_ready(struct postgres *s, struct err *err);
int  pg_connect(struct postgres *s, struct err *err); /* postgres_open.c; for pg_ready */
void pg_disconnect(struct postgres *s);
void pg_notice(void *arg, const PGresult *result); /* for PQsetNoticeReceiver */

/* ---- postgres_send.c, postgres_receive.c */

bool pg_in_doubt(const struct postgres *s); /* a commit was sent and not answered */

struct pg_args *pg_args(struct postgres *s);
void            pg_send(struct postgres *s, enum pg_sql id, struct pg_args *a);
/* A statement of the user's, with parameters and results as text. id: what it is called. */
void pg_send_user(struct postgres *s, enum pg_sql id, const char *text, int n,
                  const char *const *values);
void pg_sync(struct postgres *s);
void pg_sync_write(struct postgres *s); /* for statements that commit by themselves: the loss of
                                           this section is HF_UNKNOWN */
/* Sends the settings of a session, or of a transaction. */
void pg_settings(struct postgres *s, enum pg_sql id);
/* begin (read committed) and, through a pooler, the settings; commit and Sync. */
void pg_begin(struct postgres *s);
void pg_commit(struct postgres *s);
/* begin isolation level repeatable read read only; commit and Sync. */
void pg_begin_read(struct postgres *s);
void pg_end_read(struct postgres *s);
/* Pushes out what was sent, without waiting for results; a later pg_ready reads them. */
void pg_push(struct postgres *s);

/* The result of the next statement of pg_send, in s->result until the next call. After an error the
 * rest of the section gives the same error. */
int pg_result(struct postgres *s, struct err *err);
/* Reads to the end of the section. HF_OK if all of it did well, else its first error. A failed
 * transaction is rolled back once the pipeline is empty. HF_UNKNOWN: see pg_commit. */
int pg_synced(struct postgres *s, struct err *err);
/* Through a pooler: reads what was sent, before more is. PgBouncer before 1.21 gives the server
 * connection of a client that dies between two Syncs to another client, which then reads answers
 * that are not its own. So there is one section under way at most. */
void pg_one_section(struct postgres *s);
/* Reads all that was sent, and rolls back a transaction that is open. For ways out. */
void pg_rollback(struct postgres *s);

/* A text of several statements, outside the pipeline (migrations). */
int pg_script(struct postgres *s, const char *text, const char *doing, struct err *err);
/* Waits for the server (and wake_fd, or -1) until the deadline (steady clock), takes in
 * notifications. False: the connection is lost. */
bool pg_listen_until(struct postgres *s, int wake_fd, int64_t deadline_us, bool *woken);
/* Sends a `listen`. */
void pg_listen(struct postgres *s, const char *channel);
/* postgres_wait.c. From now on the connection is this worker's: application_name holdfast/<id>; if
 * `listen`, it hears the hints for the worker. Nothing if that is so already. After pg_ready. */
int pg_serve(struct postgres *s, int64_t worker, bool listen, struct err *err);
/* The application_name of a worker's connections; 0: a client's. */
void pg_worker_name(const struct postgres *s, int64_t worker, char out[CHANNEL_SIZE]);

/* ---- postgres_result.c: of the current result */

int     pg_rows(const struct postgres *s);
bool    pg_get_null(const struct postgres *s, int row, int col);
int64_t pg_get_int(const struct postgres *s, int row, int col); /* bool, int2, int4, int8, xid8 */
int64_t pg_get_int_or(const struct postgres *s, int row, int col, int64_t none); /* null: none */
/* A copy in the arena; NULL for null; *failed is set if memory is out. */
char *pg_get_text(const struct postgres *s, int row, int col, struct arena *a, bool *failed);
/* Borrowed until the next result; NULL for null. */
const char *pg_peek_text(const struct postgres *s, int row, int col);
/* An array of numbers without nulls: as many as it has, max at most, into out; says how many. */
size_t pg_get_ints(const struct postgres *s, int row, int col, int64_t *out, size_t max);
size_t pg_length(const struct postgres *s, int row, int col);
/* One row with one number is what a section of one statement gave; fallback if no row. */
int pg_one_int(struct postgres *s, int64_t fallback, int64_t *out, struct err *err);

/* postgres_json.c. The current result, in text format, as a JSON array of objects. HF_TOO_BIG,
 * HF_NOMEM. */
int pg_rows_json(const struct postgres *s, struct buf *out, struct err *err);

/* ---- postgres_stmt.c */

const char *pg_sql_name(enum pg_sql id);
const char *pg_sql_index(enum pg_sql id); /* "": none is demanded */
const char *pg_sql_plain(enum pg_sql id); /* as it stands in its file */
/* The statement's text with the schema's name; NULL: memory is out. */
const char *pg_sql_text(struct postgres *s, enum pg_sql id);
/* The same for any text; to be freed. */
char *pg_with_schema(const char *text, const char *schema);
/* "name" with quotes doubled. */
void pg_quote_ident(struct buf *b, const char *name);

/* ---- postgres_error.c */

/* The one place where SQLSTATE becomes a code. Sets s->sqlstate and s->bad_item. doing: "commit",
 * or a statement's name. */
int pg_fail(struct postgres *s, const PGresult *result, const char *doing, struct err *err);
int pg_code(const char *sqlstate);
/* A serialisation failure, deadlock or lock timeout: the same again may do well. By s->sqlstate. */
bool pg_try_again(const struct postgres *s);
/* The text without line ends, cut. */
void pg_one_line(const char *text, char *out, size_t size);

/* ---- postgres_open.c */

/* A connection without a look at the schema; and the look. */
int
postgres_new(const char *url, const struct clock *clock, struct postgres **out, struct err *err);
void postgres_free(struct postgres *s);
int  postgres_check_schema(struct postgres *s, struct err *err);
int  postgres_schema_known(void);
/* The parameter now_us: null means the server's own clock. */
void pg_now(struct postgres *s, struct pg_args *a);
bool pg_clock_is_fake(const struct postgres *s);

/* ---- postgres_queue.c */

/* Reads the names of those partitions' queues that are not known yet: a roundtrip, so not between
 * sending and reading. */
int pg_queues_read(struct postgres *s, const int32_t *partitions, size_t n, struct err *err);
/* Borrowed until the store is closed. NULL: not read, or no such partition. */
const char *pg_queue_name(const struct postgres *s, int32_t partition);
void        pg_queues_release(struct postgres *s);

/* ---- postgres_wait.c */

/* Sends a hint to the owners of partitions, behind its own Sync: after a commit. Read with
 * pg_synced, whose error does not matter. */
void pg_hint(struct postgres *s, const int32_t *partitions, size_t n);
/* Tells those who wait for these runs, in the same way. False: nobody waits, nothing was sent. */
bool pg_tell(struct postgres *s, const int64_t *run_nos, size_t n);
/* Tells all workers that workers or partitions changed; tells one that it owns more. */
void pg_hint_workers(struct postgres *s);
void pg_hint_owner(struct postgres *s, int64_t worker);
/* What a notification says is remembered in s->hints. */
void pg_hear(struct postgres *s, const char *channel, const char *text);
void pg_all_news(struct postgres *s); /* nobody knows what was missed */
bool pg_has_news(const struct postgres *s, int32_t partition);
void pg_forget_news(struct postgres *s, int32_t partition); /* it is about to be read */

/* ---- ops */

int
postgres_submit(struct store *base, struct submit *items, size_t n, size_t *bad, struct err *err);
int postgres_wait(struct store *base, int wake_fd, int64_t deadline_us, struct err *err);
int postgres_wait_result(struct store *base, const char *id, const char *token, int64_t deadline_us,
                         struct arena *a, struct run_row *out, struct err *err);
void postgres_tell_waiters(struct store *base);
int  postgres_sql_step(struct store *base, struct sql_step *step, struct arena *a,
                       const char **result, struct err *err);

#endif
