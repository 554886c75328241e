/*
 * A lane: the one thread that holds a store connection and everything in memory of the partitions
 * that it works for. It alone decides; slots only execute. One round (lane_round) is:
 *
 *   collect  results that slots have finished                 lane_jobs.c lane_turns.c
 *   watch    what takes too long                              lane_watch.c lane_turns.c
 *   turns    runs that can go on are given to slots           lane_turns.c
 *   batch    what all others have to store                    lane_batch.c
 *   cycle    one commit, then a fetch; what is durable begins  lane_commit.c
 *   rows     new runs, tasks, inbox rows become lives and jobs lane_fetch.c
 *
 * On a shared store partitions come (lane_parts.c) and are handed over (lane_part.c), and work
 * reaches over to what others own (lane_far.c).
 *
 * While the commit is under way slots go on, and what becomes ready goes into the next: the commits
 * clock themselves.
 *
 * A run in memory (`struct live`) is in one place at a time: idle, or with a slot for a turn. Only
 * the idle ones are in a commit.
 */
#ifndef WORKER_LANE_H
#define WORKER_LANE_H

#include "base/map.h"
#include "core/turn.h"
#include "worker/pool.h"
#include "worker/sql_conn.h"
#include "worker/tally.h"

struct lane_opt {
    const char *queues;
    int         slots;
    int64_t     lease_us, grace_us;
    int         max_crashes;
    int64_t     turn_cpu_us, spill_us;
    size_t      local_max, cache_runs;
    bool        inline_slots; /* tests: everything in the lane's thread */
};

/* Something to store beside the events, in the run's unit. */
struct extra {
    struct write  write;
    struct job   *job; /* starts when this is stored */
    struct extra *next;
};

/* What comes for a run from outside. */
enum arrival_kind {
    ARRIVE_INBOX,  /* a row of the inbox */
    ARRIVE_RESULT, /* a job is back */
    ARRIVE_ROW, /* a job made from a called task's row, to be started if its call is still open */
    ARRIVE_DUE  /* a timer's time has come */
};

/* One that came while the run was with a slot. */
struct arrival {
    int              kind;
    struct inbox_row inbox;
    struct job      *job;
    struct arrival  *next;
    struct arena     arena; /* of the inbox row's texts */
};

/* An execution that is over in memory and not in the store yet: extras use its texts. */
struct old_run {
    struct run      run;
    struct old_run *next;
};

enum live_place { LIVE_IDLE, LIVE_TURN, LIVE_STEP };

struct live {
    struct node            node; /* in turns_done */
    struct run             run;
    const struct workflow *workflow;
    int                    place;
    int64_t                worker;  /* who the lane was when it gave the run to a slot */
    int64_t                turn_us; /* the slot's: how long its turn took */
    bool                   wants_turn, wants_step, dirty, listed_ready, ended, forget;
    struct old_run        *old_runs;
    struct job            *recorded; /* results that the next commit stores; linked by next */
    bool                   reload;   /* with forget: read it again soon */
    _Atomic bool doomed;     /* memory is in doubt: a slot that has not begun its turn does not,
                                and it is forgotten when it comes back */
    bool            restart; /* WRITE_RESTART is due */
    bool            held;    /* tests: its inline slot has not begun its turn */
    int             stored_status;
    int64_t         stored_wake_us;
    bool            stored_claimed;
    int             stored_crashes;
    struct extra   *extras, **extras_end;
    struct arrival *arrivals, **arrivals_end;
    struct job *starting; /* called tasks to be handed out when the commit is done; newest first,
                             linked by next */
    size_t       jobs;    /* in memory, of this run */
    struct live *ready_next;
    struct live *dirty_next;
    struct live *lru_prev, *lru_next;
    size_t       bytes; /* counted in the lane's live_bytes */
    bool         in_lru;
};

/* What a unit of the batch under way belongs to. */
struct unit {
    struct live *live;
    struct job  *job;
    bool         claims; /* the job's claim: it starts when this is stored */
    bool         keeps;  /* the job goes on: only its row was written */
};

/* A partition that this lane owns. */
struct part {
    struct partition_row row;      /* texts in the lane's partition_arena */
    struct queue_tally  *tally;    /* of its queue; NULL: not counted apart */
    int64_t              since_us; /* steady clock: it is ours since then */
    bool                 parting;  /* it is about to be handed over: nothing begins in it */
    bool                 going;    /* ... by the batch under way */
    bool                 unread;   /* memory was dropped: claims of ours may be there that nobody
                                      knows of, so it is read before it goes */
    int64_t to;                    /* to this worker */
};

/* Work that this program has no handler for. */
struct stuck {
    int32_t partition;
    char what[HF_ID_SIZE + 32]; /* as in a worker's handlers: "task:charge", "workflow:order@2" */
};

enum { STUCK_MAX = 64, PARTITION_WORDS = 32768 / 64 };

struct job_list {
    struct job *head, *tail;
    size_t      count;
};

struct lane {
    struct store     *store;
    struct registry  *registry;
    const struct log *log;
    struct lane_opt   opt;
    struct pool      *pool; /* NULL with inline slots */
    struct sql_conn   sql;
    int64_t           worker;
    const char       *handlers; /* of the last acquire */
    struct part      *parts;    /* owned, by id */
    struct cursor    *cursors;  /* of each */
    size_t            n_parts, n_parting;
    uint64_t          owned[PARTITION_WORDS]; /* bits of the partitions in parts */
    uint32_t          partitions_seen;        /* in the store at the last acquire */
    struct arena      partition_arena;
    bool              careful; /* owners have died here lately */
    int32_t          *touched; /* partitions that the batch under way changes rows in */
    size_t            n_touched;

    struct map   lives; /* run.no → struct live */
    struct map   rows;  /* task row no → struct job: rows that are in memory */
    struct map   inbox; /* inbox row no → the lane: taken, and not deleted yet */
    struct live *ready, **ready_end;
    struct live *dirty, **dirty_end;
    struct live *lru_head, *lru_tail; /* waiting runs, least recent first */
    size_t       n_lru, n_turns;      /* n_turns: with slots */

    struct job_list waiting;   /* to be handed to slots */
    struct job_list slow;      /* with slots for so long that they are rows, or standalone */
    struct job_list handed;    /* with slots, oldest first */
    struct job_list abandoned; /* timed out, and told to stop: their slots are not back yet */
    struct job_list suspects;  /* found in crashes: one at a time */
    struct job_list finished;  /* standalone, to be recorded */
    struct job_list to_claim;  /* careful: to be stored as claimed first */
    struct job     *suspect;   /* the one under way */
    struct live    *suspect_live;
    size_t          n_jobs, n_lost, n_lost_turns;
    size_t          n_claimed_turns;       /* careful: stored as claimed, and not back yet */
    size_t          job_bytes, live_bytes; /* what jobs and runs hold in memory, about */
    size_t          n_orphans;             /* jobs with slots whose run was dropped from memory */
    int64_t         next_timeout_us;       /* steady; NEVER_US */
    int64_t         next_watch_us;         /* of turns */

    struct stack own_jobs, own_turns;    /* done, with inline slots */
    struct node *jobs_back, *turns_back; /* taken from the stacks, still to be looked at */
    size_t       n_no_worker;            /* times that work was left for want of a handler */
    int64_t     *reload;                 /* runs to be read again, after memory was short */
    size_t       n_reload, size_reload;
    int64_t      reload_at_us;

    struct write *writes;
    size_t        n_writes, size_writes;
    struct unit  *units;
    size_t        n_units, size_units;
    struct arena  rows_arena, turn_arena;

    int64_t  now_us;      /* store time of the last answer */
    int64_t  now_at_us;   /* steady clock when it came */
    int64_t  next_due_us; /* store time */
    int64_t  retry_at_us; /* steady: the store was not available until then */
    int      backoff_ms;
    bool     fetch_wanted, more, stopping;
    bool     own_again;      /* it is not sure any more what is ours */
    bool     batch_waits;    /* the store did not take the batch: it is kept for the next round */
    uint32_t partitions_now; /* in the store, as the last fetch said */
    bool (*stop_wanted)(void *arg); /* asked while the store is not available */
    void *stop_arg;
    /* Tests, with inline slots: whether what a slot has stays there, begun or not. */
    bool (*hold)(void *arg, bool begun);
    void        *hold_arg;
    size_t       ended_in_batch;
    struct tally tally;

    struct stuck stuck[STUCK_MAX];
    size_t       n_stuck;
    int64_t     *read_inbox; /* rows that nobody needs: the next commit deletes them */
    size_t       n_read_inbox, size_read_inbox;
    size_t       n_held;       /* jobs with slots whose row is in a partition of another worker */
    int64_t      held_seen_us; /* steady: they were looked at */
};

int lane_open(struct lane *l, struct store *store, struct registry *registry, const struct log *log,
              const struct lane_opt *opt, struct err *err);
/* How slots get a connection for SQL steps; a clone of the lane's if this is not called. */
void lane_set_sql(struct lane *l, sql_open_fn open, void *arg);
void lane_close(struct lane *l, int64_t deadline_us); /* forgets all; the store stays open */

/* Takes or refreshes ownership. HF_OWNED, HF_STALE. */
int lane_acquire(struct lane *l, const char *handlers, struct err *err);
/* The lease was lost and everything with it: joins anew. What slots are doing goes on, and its
 * results are offered again if its runs come back. */
int lane_rejoin(struct lane *l, const char *handlers, struct err *err);
/* Begins to hand a partition over; it has gone when the lane does not own it any more. */
void lane_part_with(struct lane *l, int32_t partition, int64_t to);

/* One round. *idle: nothing was done and nothing can be done before the store or a slot says so. */
int  lane_round(struct lane *l, bool *idle, struct err *err);
void lane_note_now(struct lane *l, int64_t now_us); /* what the store's clock has just said */
/* When something has to be done without being told (steady clock). */
int64_t lane_deadline_us(const struct lane *l);
bool    lane_is_quiet(const struct lane *l); /* nothing is with slots or waits for a commit */
int64_t lane_now_us(const struct lane *l);   /* lower bound of the store's time */

/* ---- between the files of the lane ---- */

/* lane_parts.c: which partitions are ours */
static inline bool
lane_owns(const struct lane *l, int64_t no)
{
    int32_t p = row_partition(no);
    return l->owned[p / 64] >> (p % 64) & 1;
}
struct part *lane_part(const struct lane *l, int64_t no); /* NULL: not ours */
bool         lane_is_parting(const struct lane *l, int64_t no);
bool         lane_is_careful(const struct lane *l, int64_t no);
void         lane_reset_cursors(struct lane *l); /* all is read again */
bool         lane_is_unread(const struct lane *l);
void         lane_lose_part(struct lane *l, int32_t partition);
int64_t      write_row(const struct write *w); /* that it changes; 0: it only inserts */
/* The partitions that the batch under way changes rows in, for the fence. */
int lane_touch(struct lane *l, struct err *err);

/* lane_part.c: handing over */
int  lane_prepare_parting(struct lane *l, struct err *err); /* at the beginning of a batch */
int  lane_add_parting(struct lane *l, struct err *err);     /* at its end */
void lane_parted(struct lane *l);                           /* stored: forgets what was there */
/* The lease was lost: what has not begun must not, and rows are their new owners'. */
void lane_disown_jobs(struct lane *l);
/* Its row or its run belongs to another: the run is told by messages. */
void job_make_far(struct lane *l, struct job *job);

/* lane_far.c: rows and runs of others */
/* How a job has ended, for the owner of its row or of its run. */
int add_far_finished(struct lane *l, struct job *job, struct err *err);
int add_far_result(struct lane *l, struct job *job, struct err *err);
int lane_take_far(struct lane *l, const struct inbox_row *row, struct err *err);
/* A call whose row is not in memory is to stop. awaited: the run goes on when it has. */
int
live_stop_sent(struct lane *l, struct live *live, struct call *c, bool awaited, struct err *err);
int lane_watch_held(struct lane *l, struct err *err);
/* The number of a row that we hold for a called task, if there is one. */
int lane_find_held(struct lane *l, struct job *job, struct err *err);
int lane_read_inbox(struct lane *l, int64_t no, struct err *err); /* it goes with the next commit */

static inline bool
lane_holds(struct lane *l, bool begun)
{
    return l->hold && l->hold(l->hold_arg, begun);
}

/* lane_live.c: runs in memory */
int  live_add(struct lane *l, const struct run_row *row, struct live **out, struct err *err);
void live_free(struct lane *l, struct live *live); /* l may be NULL: it is in no table any more */
/* Forgets it, but not its jobs: their results find it again when it is read again. */
void live_drop(struct lane *l, struct live *live);
void live_dirty(struct lane *l, struct live *live);         /* to be looked at by the next commit */
void live_weigh(struct lane *l, struct live *live);         /* counts its bytes anew */
void live_park(struct lane *l, struct live *live);          /* stored and waiting: may be evicted */
struct extra *live_extra(struct live *live, uint32_t kind); /* NULL: out of memory */
void          live_drop_extras(struct lane *l, struct live *live);
void live_give_up_rows(struct lane *l, struct live *live); /* extras, and jobs that wait for them */
/* An event from outside for an idle live; says what is to be done next. */
int live_record(struct lane *l, struct live *live, const struct event *e, struct err *err);
/* A copy of what is stored, in place of one whose turn does not come back. */
int live_make_stub(const struct live *live, struct live **out, struct err *err);
int live_replace_by_stub(struct lane *l, struct live *live, struct live *stub, struct err *err);

/* lane_arrivals.c: what comes for a run from outside; kept until it is idle */
int  live_arrive(struct lane *l, struct live *live, int kind, const struct inbox_row *inbox,
                 struct job *job, struct err *err);
int  live_take_arrivals(struct lane *l, struct live *live, struct err *err);
int  live_take_due(struct lane *l, struct live *live, struct err *err);
void live_forget_arrivals(struct lane *l, struct live *live);
/* Reads a run again that was with a slot when memory came into doubt. */
int lane_replace_doomed(struct lane *l, struct live *doomed, struct err *err);
/* Reads one run again, with nothing of it stored: the rest of memory is not in doubt. */
int lane_read_again(struct lane *l, struct live *live, struct err *err);
/* The row of a job was to be made in the next commit, and is not needed now. */
void live_unmake_row(struct live *live, struct job *job);

/* lane_turns.c */
void live_ready(struct lane *l, struct live *live); /* a turn, as soon as it can be */
int  lane_collect_turns(struct lane *l, bool *did, struct err *err);
void lane_dispatch_turns(struct lane *l, bool *did);
int  lane_watch_turns(struct lane *l, struct err *err);
void lane_execute_turn(struct live *live, struct slot *slot, bool may_step);

/* lane_ends.c: how runs end, go on as another execution, or are blocked */
int live_end(struct lane *l, struct live *live, int status, int event, struct err *err);
int
live_continue(struct lane *l, struct live *live, const struct inbox_row *replace, struct err *err);
/* name: a static text. */
void live_block(struct lane *l, struct live *live, const char *name, const char *message);
int  live_call_cancelled(struct lane *l, struct live *live, const struct call *c, struct err *err);
/* Asks open calls to stop. all: the shielded ones too. */
int live_cancel_calls(struct lane *l, struct live *live, bool all, struct err *err);

/* lane_jobs.c */
int  lane_collect_jobs(struct lane *l, bool *did, struct err *err);
void lane_hand_jobs(struct lane *l, bool *did);
void lane_queue_job(struct lane *l, struct job *job);
/* For the counts that people see. */
void lane_count_attempt(struct lane *l, const struct job *job, int64_t took_us);
/* Starts a job made from a row, unless its record says that it must not run again. */
int lane_start_row(struct lane *l, struct live *live, struct job *job, struct err *err);
/* A result goes to its run, which is read into memory if need be. */
int  lane_deliver(struct lane *l, struct job *job, struct err *err);
void live_free_old(struct live *live);
void live_forget_recorded(struct lane *l, struct live *live);
void lane_forget_job(struct lane *l, struct job *job);
/* A called task in memory becomes a row, by a `sent` event and the row in one commit, and goes on
 * here. claimed: it is being executed, and counts if this process dies. */
int job_to_row(struct lane *l, struct live *live, struct job *job, bool claimed, struct err *err);
/* The same, or a change of its row; the job is to be forgotten and read again when it is due. */
int job_leave_as_row(struct lane *l, struct live *live, struct job *job, int64_t run_at_us,
                     struct err *err);
/* The row that the next commit makes of it is for whoever reads it; the job may go. */
int job_leave_its_row(struct live *live, struct job *job, struct err *err);
/* Store time of the next attempt after one that failed; 0: that was the last. */
int64_t job_retry_at_us(const struct lane *l, const struct job *job);
/* The next one that is back from a slot; NULL: none. */
struct node *lane_next_back(struct stack *done, struct node **back);

/* lane_watch.c */
int lane_watch_jobs(struct lane *l, struct err *err);

/* job_make.c: jobs from calls and rows, and the lists they are in */
struct job *job_copy(const struct task_row *row, const char *id); /* NULL: out of memory */
int
job_from_call(struct lane *l, struct live *live, struct call *c, struct job **out, struct err *err);
int  job_from_row(struct lane *l, const struct task_row *row, const char *run_id, struct job **out,
                  struct err *err);
void job_list_put(struct job_list *list, struct job *job);
void job_list_put_first(struct job_list *list, struct job *job);
void job_list_remove(struct job_list *list, struct job *job);
struct job *job_list_take(struct job_list *list);

/* lane_batch.c, lane_commit.c, lane_fetch.c */
int           lane_build(struct lane *l, struct err *err);
struct unit  *add_unit(struct lane *l, struct live *live, struct job *job);  /* NULL: no memory */
struct write *add_write(struct lane *l, uint32_t kind);                      /* to the last unit */
struct write *add_job_write(struct lane *l, struct job *job, uint32_t kind); /* a unit of one */
int           add_message_read(struct lane *l, int64_t inbox_no, struct err *err); /* 0: none */
int           lane_commit(struct lane *l, bool *did, struct err *err);
int           lane_take_rows(struct lane *l, struct rows *rows, struct err *err);
/* Reads runs into memory that are not there; those that have ended or are not found stay away. */
int lane_load(struct lane *l, const int64_t *nos, size_t n, struct err *err);
/* All of memory is in doubt. keep: results that may not have been stored are offered again. */
void lane_drop_all(struct lane *l, bool keep);
/* There is work in row `no` without a handler: said in the log, but not for ever, and kept so that
 * the partition may be handed to a worker that has one. */
void
lane_note_no_worker(struct lane *l, int64_t no, const char *kind, const char *name, int version);
/* An inbox row for a run that is in memory or not. */
int         lane_take_inbox(struct lane *l, const struct inbox_row *row, struct err *err);
struct room lane_room(const struct lane *l);

#endif
