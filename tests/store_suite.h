/*
 * The store suite: what store.h says, as tests that hold for every store. A program is linked with
 * all tests/store_*.c and says in `subject` which store it is about.
 */
#ifndef TESTS_STORE_SUITE_H
#define TESTS_STORE_SUITE_H

#include <string.h>

#include "store/store.h"
#include "test.h"

struct subject {
    const char *name;
    int (*open)(const struct clock *clock, struct store **out, struct err *err);
    bool refuses_marked; /* takes no text with "\u0001refuse" in it */
    bool shared;         /* several owners at once; a queue may have several partitions */
};
extern const struct subject subject;

/* Tests that only hold for stores that are shared, and for those that are not. */
#define TEST_SHARED(name)    TEST_IF(subject.shared, name, 30)
#define TEST_EXCLUSIVE(name) TEST_IF(!subject.shared, name, 30)
#define TEST_IF(condition, name, seconds)                                                          \
    static void                              name(void);                                           \
    __attribute__((constructor)) static void test_add_##name(void)                                 \
    {                                                                                              \
        if (condition)                                                                             \
            test_add(#name, name, seconds);                                                        \
    }                                                                                              \
    static void name(void)

enum { PARTITIONS_MAX = 128 }; /* that a worker of a test may own */

/* What a test works with; one per process. Client and owner are two connections to one store. */
struct world {
    struct store         *client, *owner;
    int64_t               now_us; /* the fake clock */
    int64_t               worker;
    int64_t               dead; /* shared: the one that crashed last */
    struct partition_row *partitions;
    size_t                n_partitions;
    struct cursor         cursors[PARTITIONS_MAX];
    size_t                n_cursors;
    struct room           room;
    struct rows           rows; /* of the last fetch */
    struct arena          arena;
    struct err            err;
    size_t                bad;
    uint32_t              refused;
};
extern struct world w;

enum { T0 = 1000 }; /* the clock begins here, in seconds */
#define SECONDS(n) ((T0 + (n)) * US_PER_S)

/* Fails the test with the error's text. */
#define OK(call) GIVES(HF_OK, call)
#define GIVES(code, call)                                                                          \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ != (code))                                                                         \
            test_fail(__FILE__, __LINE__, "%s is %s (%s), should be %s", #call, err_name(rc_),     \
                      w.err.text, err_name(code));                                                 \
    } while (0)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void open_store(void); /* the client's connection */
int  own(void);        /* the owner's, which acquires; its cursors begin at the beginning. What one
                          had that crashed is taken over */
void owned(void);      /* both, and it must do well */
void crash(void);      /* the owner's connection goes without a leave */
void at(int64_t us);   /* sets the clock */

/* Clients. The number of the last item is returned. */
int     submit(struct submit *items, size_t n);
int64_t start(const char *id); /* workflow "wf", input "1" */
int64_t start_on(const char *id, const char *queue, int cls);
int64_t enqueue(const char *id, const char *queue, int cls, int64_t run_at_us);
int64_t signal_run(const char *id, const char *name);

struct run_row  run(const char *id);
struct task_row task(const char *id);

/* Owners. */
int          commit(struct write *writes, size_t n); /* without a fetch */
void         fetch(void);                            /* into w.rows, all cursors */
int          save_run(struct run_row *r);            /* WRITE_RUN alone */
int          save_task(struct task_row *t);
int          end_run(const char *id, int status);
struct write history_write(uint32_t unit, int64_t run_no, int execution, int seq, const char *text);

/* Fetched rows as a text of ids, with commas, in their order. */
const char *fetched_runs(void);
const char *fetched_due(void);
const char *fetched_tasks(void);
const char *fetched_inbox(void); /* names */

/* Several owners of a shared store: each is a worker with a connection of its own. */
struct peer {
    struct store         *store;
    int64_t               worker;
    const char           *queues; /* NULL: all */
    struct partition_row *partitions;
    size_t                n_partitions;
    struct cursor         cursors[PARTITIONS_MAX];
    size_t                n_cursors;
    struct room           room;
    struct rows           rows; /* of the last fetch */
};

enum { LEASE_US = 10 * 1000000 };

void    peer_join(struct peer *p, const char *queues); /* and takes what nobody owns */
int     peer_acquire(struct peer *p); /* cursors of partitions that are new to it begin anew */
bool    peer_owns(const struct peer *p, int32_t partition); /* as far as it knows */
int     peer_write(struct peer *p, int32_t partition, struct write *writes, size_t n); /* 0: none */
void    peer_fetch(struct peer *p);
int     peer_renew(struct peer *p, int slots_free, struct census *out);
int     peer_takeover(struct peer *p, int64_t dead);
int     peer_leave(struct peer *p);
int     peer_hand_over(struct peer *p, int32_t partition, int64_t to);
void    give_all(struct peer *from, struct peer *to, const char *queue); /* NULL: of all queues */
int     claim_task(struct peer *p, const char *id); /* by the owner: commits that it executes it */
int     claim_run(struct peer *p, const char *id);
int32_t partition_of(const char *run_id);

/* Rows as lists of ids, in their order. */
const char *listed_runs(const struct rows *rows);
const char *listed_due(const struct rows *rows);
const char *listed_tasks(const struct rows *rows);
const char *listed_inbox(const struct rows *rows);

/* Lists with commas are the same. Where a queue has several partitions, in whatever order. */
#define CHECK_LIST(is, should) CHECK_TEXT(any_order(is), any_order(should))
const char *any_order(const char *list);

#endif
