/*
 * The simulation: random programs run on the memory store under a virtual clock, once without
 * faults (the oracle) and again with a crash or an error at each store call in turn. What a program
 * yields does not depend on when its calls come back, so both must end alike.
 *
 *   simulation_program.c   programs and scripts from a seed; the workflow that interprets them
 *   simulation_effects.c   what was started and what was recorded, by task and step
 *   simulation_script.c    plays a script: what clients do, and when
 *   simulation_world.c     a store with faults, a lane, a clock
 *   simulation_lanes.c     the same with several lanes that share a store and come and go
 *   simulation_outcome.c   what is left in the store at the end
 *   simulation_compare.c   the comparison
 */
#ifndef TESTS_SIMULATION_H
#define TESTS_SIMULATION_H

#include "base/buf.h"
#include "client/handle.h"
#include "test.h"
#include "worker/lane.h"

/* ---- programs ---- */

enum op_kind {
    OP_TASK,     /* a: how it goes */
    OP_ONCE,     /* a task that must not be repeated: done or lost */
    OP_GROUP,    /* a tasks at once; any of them, then all */
    OP_STEP,     /* b: fails */
    OP_SQL,      /* a statements; b: the last fails */
    OP_SLEEP,    /* a ms */
    OP_SIGNAL,   /* one of "s"; only in the main branch */
    OP_NOTHING,  /* waits a ms for a signal that nobody sends */
    OP_CHILD,    /* program a, awaited; b: started first, with a task beside it */
    OP_DETACH,   /* program a */
    OP_BRANCHES, /* bodies a and b side by side */
    OP_ON_FAIL,  /* compensation */
    OP_SHIELD,   /* body a, shielded */
    OP_PATCH,
    OP_STATUS,
    OP_DRAW, /* a random number and a uuid, the same in every turn */
    OP_KINDS
};

enum task_way { TASK_OK, TASK_FAILS, TASK_RETRIES, TASK_GIVES_UP, TASK_WAYS };

enum program_end {
    END_RETURN,
    END_FAIL,
    END_TASK, /* returns a failing task's code */
    END_PARK, /* waits for a signal that never comes, until it is cancelled */
    END_CONTINUE
};

enum { OPS_MAX = 6, BODIES_MAX = 40, PROGRAMS_MAX = 6, ACTIONS_MAX = 60, RUNS_MAX = 3 };

struct op {
    int kind, a, b;
    int id; /* unique in the plan */
};

struct body {
    int       n;
    struct op ops[OPS_MAX];
};

/* Executions after each other, a body each. */
struct program {
    int n_executions;
    int body[2], end[2];
    int signals; /* that it takes */
};

enum action_kind {
    ACT_START,
    ACT_SIGNAL,  /* run, n: its number and key */
    ACT_RESEND,  /* the same again */
    ACT_PAUSE,   /* run */
    ACT_RESUME,  /* run */
    ACT_CANCEL,  /* run: whenever it comes */
    ACT_REPLACE, /* run */
    ACT_ENQUEUE, /* n: its number and way */
    ACT_ROUNDS,  /* n rounds of the lane */
    ACT_WORK,    /* until nothing can go on */
    ACT_ADVANCE  /* n ms */
};

struct action {
    int kind, run, n;
};

struct plan {
    uint64_t       seed;
    int            n_bodies, n_programs, n_runs, n_actions, n_ops;
    struct body    bodies[BODIES_MAX];
    struct program programs[PROGRAMS_MAX]; /* the first n_runs are those of the runs */
    bool           loose[RUNS_MAX];        /* cancelled at any time: no telling how it ends */
    bool           replaced[RUNS_MAX];     /* only its end is told */
    struct action  actions[ACTIONS_MAX];
};

uint64_t random_next(uint64_t *state);
int      random_below(uint64_t *state, int n);

void plan_make(uint64_t seed, struct plan *out);
void plan_print(const struct plan *plan);

/* The workflow and the tasks, for the handle's registry. They act on `simulation`. */
void plan_register(hf *h);
int  plan_answer_sql(void *arg, const struct sql_step *step, const char **result);

/* ---- effects ---- */

void effects_reset(void);
void effect_started(const char *key);  /* fails if a result of it is recorded */
void effect_recorded(const char *key); /* fails if that was so already */
int  effect_starts(const char *key);
/* A value that every turn must see alike. */
void effect_same(const char *key, uint64_t value);
/* What becomes durable with this batch. */
struct simulation;
void effects_note_batch(struct simulation *s, const struct batch *batch);

/* ---- the world ---- */

enum fault_mode {
    MODE_NONE,
    MODE_CRASH_BEFORE,
    MODE_CRASH_AFTER,
    MODE_UNAVAILABLE,
    MODE_UNKNOWN, /* it happened */
    MODE_LOST,    /* it did not, and nobody knows */
    MODES,
    MODE_STORM /* any of them at any call, by the seed */
};

struct sim_options {
    int    mode;
    long   at; /* the number of the store call, from 1 */
    size_t cache_runs;
    bool   hold;   /* slots keep results a while */
    bool   shared; /* several lanes on a shared store, and queues of others */
};

/* What a script is played on. */
struct sim_world {
    void (*open)(struct simulation *s, const struct clock *clock, struct store **client);
    void (*rounds)(struct simulation *s, int n);
    void (*work)(struct simulation *s); /* until nothing can go on */
    void (*advance)(struct simulation *s, int64_t ms);
    void (*client_called)(struct simulation *s);
    void (*show)(struct simulation *s); /* for people: what is left where */
    void (*close)(struct simulation *s);
};

extern const struct sim_world several_lanes;

void sim_show_lane(const struct lane *l);

struct simulation {
    const struct plan      *plan;
    const struct sim_world *world;
    struct sim_options      opt;
    uint64_t                rng;
    int64_t                 now_us;
    hf                     *h;
    struct store           *store; /* the lane's */
    struct lane             lane;
    struct buf              handlers;
    bool                    working, crashed, quiet_store;
    bool                    strict; /* nothing may be executed twice */
    bool                    ending; /* the script is over: all is to come to its end */
    int                     storms_left;
    long                    calls;
    char                    failed_verb[20];
};

extern struct simulation simulation;

enum fault sim_fault(int mode, const char *verb);
/* With TRACE=1, a store that shows every call. */
struct store *sim_traced(struct store *store);
/* The queue of what is numbered so: another worker's, or NULL for the run's own. */
const char *sim_queue(int number);
void        script_play(struct simulation *s);

/* Plays the plan to its end. The outcome goes to *out (released by the caller). Returns the number
 * of store calls. */
long simulate(const struct plan *plan, const struct sim_options *opt, struct buf *out);

/* The oracle: how the plan of this seed ends without faults. Returns the number of store calls. */
long sim_oracle(uint64_t seed);
/* Plays the same plan; fails unless it ends as the oracle. */
long     sim_compare(const struct sim_options *opt);
uint64_t sim_number(const char *name, uint64_t otherwise); /* from the environment */
int      sim_seeds(int usual);
/* One simulation by SEED, MODE, K, CACHE, HOLD; false: they are not set. */
bool sim_as_told(struct sim_options *opt);

/* Ends the test with the seed and the call. */
_Noreturn void sim_fail(const char *fmt, ...) HF_PRINTF(1, 2);
#define SIM_CHECK(cond)                                                                            \
    ((cond) ? (void)0 : sim_fail("%s:%d: not true: %s", __FILE__, __LINE__, #cond))

/* What is in the store: a text of lines, the same for the same outcome. Also checks the histories.
 */
void outcome_read(struct simulation *s, struct buf *out);

#endif
