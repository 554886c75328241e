/* The memory store's inserts: what clients submit, and the rows that owners add by the same rules.
 */
#include <string.h>

#include "store/memory.h"

struct run_row *
db_run(const struct memory_db *db, int64_t no)
{
    return db_find(db, RUNS, &(struct run_row){.no = no});
}

struct run_row *
db_run_by_id(const struct memory_db *db, const char *id)
{
    struct name *name = db_find(db, RUN_IDS, &(struct name){.text = id});
    return name ? db_run(db, name->no) : NULL;
}

int64_t
db_next_no(struct memory_db *db, int32_t partition, int stream)
{
    return row_no(partition, stream, ++db->last_seq);
}

struct partition *
db_partition(const struct memory_db *db, int32_t id)
{
    return db_find(db, PARTITIONS, &(struct partition){.id = id});
}

/* All of a queue's partitions are made at once, so they lie side by side. */
static int
make_queue(struct memory_db *db, const char *queue, int n, int32_t *first, struct err *err)
{
    struct partition p = {.id = (int64_t)db->tables[PARTITIONS].n, .queue = queue};

    *first = (int32_t)p.id + 1;
    for (int i = 0; i < n; i++) {
        p.id++;
        p.moved = ++db->last_moved;
        TRY(db_put(db, PARTITIONS, &p, err));
    }
    return HF_OK;
}

static uint32_t
hash(const char *text)
{
    uint32_t h = 2166136261u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h ^ h >> 15;
}

int
db_partition_for(struct memory_db *db, const char *queue, const char *row_id, int32_t *id,
                 struct err *err)
{
    int     n = db->partitions_a_queue ? db->partitions_a_queue : 1;
    int32_t first = 0;

    if (queue == NULL)
        queue = "default";
    EACH(db, PARTITIONS, struct partition, p)
    {
        if (first == 0 && strcmp(p->queue, queue) == 0)
            first = (int32_t)p->id;
    }
    if (first == 0)
        TRY(make_queue(db, queue, n, &first, err));
    *id = first + (int32_t)((row_id ? hash(row_id) : (uint32_t)++db->last_even) % (uint32_t)n);
    return HF_OK;
}

static const char *
queue_of(const struct memory_db *db, int32_t partition)
{
    struct partition *p = db_partition(db, partition);
    return p ? p->queue : NULL;
}

static int
immediate_stream(int cls)
{
    return cls >= STREAM_URGENT && cls <= STREAM_BULK ? cls : STREAM_NORMAL;
}

int
db_add_run(struct memory_db *db, struct submit *start, const struct run_row *parent_fields,
           int64_t now_us, struct err *err)
{
    struct run_row run = parent_fields ? *parent_fields : (struct run_row){0};
    int32_t        partition;

    TRY(db_partition_for(db, start->queue, start->id, &partition, err));
    run.no = db_next_no(db, partition, immediate_stream(start->cls));
    run.id = start->id;
    run.workflow = start->name;
    run.queue = queue_of(db, partition);
    run.input = start->payload;
    run.token = start->token;
    run.started_us = now_us;
    run.status = RUN_RUNNING;
    run.version = start->version;
    run.execution = 1;
    run.wake_us = NEVER_US;
    start->no = run.no;
    start->existed = false;
    TRY(db_put(db, RUN_IDS, &(struct name){run.id, run.no}, err));
    return db_put(db, RUNS, &run, err);
}

int
db_add_inbox(struct memory_db *db, struct inbox_row *row, int64_t now_us, struct err *err)
{
    row->no = db_next_no(db, row_partition(row->run_no ? row->run_no : row->task_no), 0);
    if (row->time_us == 0)
        row->time_us = now_us;
    return db_put(db, INBOX, row, err);
}

/* Partition 0: task->queue says where it goes. task->no and what depends on the time are set. */
int
db_add_task(struct memory_db *db, struct task_row *task, int32_t partition, int stream,
            int64_t now_us, struct err *err)
{
    struct task_row row = *task;

    if (partition == 0)
        TRY(db_partition_for(db, row.queue, row.id, &partition, err));
    if (row.created_us == 0)
        row.created_us = now_us;
    if (row.run_at_us <= now_us)
        row.run_at_us = 0;
    row.queue = queue_of(db, partition);
    row.no = db_next_no(db, partition, row.run_at_us ? STREAM_DELAYED : immediate_stream(stream));
    task->no = row.no;
    if (row.id)
        TRY(db_put(db, TASK_IDS, &(struct name){row.id, row.no}, err));
    return db_put(db, TASKS, &row, err);
}

/* An unread row of the run; key NULL: whatever its key. */
static struct inbox_row *
find_unread(struct memory_db *db, int64_t run_no, int kind, const char *key)
{
    EACH(db, INBOX, struct inbox_row, row)
    {
        if (row->run_no == run_no && row->kind == kind && (key == NULL || is_text(row->key, key)))
            return row;
    }
    return NULL;
}

bool
is_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static int
submit_start(struct memory_db *db, struct submit *item, int64_t now_us, struct err *err)
{
    struct run_row *run = db_run_by_id(db, item->id);

    if (run == NULL)
        return db_add_run(db, item, NULL, now_us, err);
    item->no = run->no;
    item->existed = true;
    /* The same start again: it was applied, or waits in the inbox to replace the run. */
    if (is_text(run->token, item->token) ||
        (item->token && find_unread(db, run->no, INBOX_REPLACE, item->token)))
        return HF_OK;
    if (item->if_exists == HF_IF_EXISTS_FAIL)
        return err_set(err, HF_EXISTS, "run %s: the id is taken", item->id);
    bool lives = !run_has_ended(run->status) || find_unread(db, run->no, INBOX_REPLACE, NULL);
    if (item->if_exists == HF_IF_EXISTS_USE || (item->if_exists == IF_EXISTS_LIVE && lives))
        return HF_OK;
    return db_add_inbox(db,
                        &(struct inbox_row){.run_no = run->no,
                                            .kind = INBOX_REPLACE,
                                            .name = item->name,
                                            .payload = item->payload,
                                            .key = item->token,
                                            .aux = item->version},
                        now_us, err);
}

static int
submit_to_run(struct memory_db *db, struct submit *item, int64_t now_us, struct err *err)
{
    static const int kinds[] = {[SUBMIT_SIGNAL] = INBOX_SIGNAL,
                                [SUBMIT_CANCEL] = INBOX_CANCEL,
                                [SUBMIT_TERMINATE] = INBOX_TERMINATE,
                                [SUBMIT_PAUSE] = INBOX_PAUSE,
                                [SUBMIT_RESUME] = INBOX_RESUME};
    bool             is_signal = item->kind == SUBMIT_SIGNAL;
    struct run_row  *run = db_run_by_id(db, item->id);
    struct inbox_row row = {.kind = kinds[item->kind], .payload = item->payload}, *same;

    if (run == NULL)
        return err_set(err, HF_NOT_FOUND, "run %s: there is none", item->id);
    if (run_has_ended(run->status) && !(is_signal && find_unread(db, run->no, INBOX_REPLACE, NULL)))
        return err_set(err, HF_DONE, "run %s: it is %s", item->id, run_status_name(run->status));
    if (is_signal && item->key && (same = find_unread(db, run->no, INBOX_SIGNAL, item->key))) {
        item->no = same->no;
        return HF_OK;
    }
    row.run_no = run->no;
    if (is_signal) {
        row.name = item->name;
        row.key = item->key;
    }
    TRY(db_add_inbox(db, &row, now_us, err));
    item->no = row.no;
    return HF_OK;
}

static int
submit_enqueue(struct memory_db *db, struct submit *item, int64_t now_us, struct err *err)
{
    struct task_row task = {.id = item->id,
                            .name = item->name,
                            .payload = item->payload,
                            .queue = item->queue,
                            .opts = item->opts,
                            .created_us = now_us,
                            .run_at_us = item->run_at_us};

    if (item->id && db_find(db, TASK_IDS, &(struct name){.text = item->id}))
        return err_set(err, HF_EXISTS, "task %s: the id is taken", item->id);
    TRY(db_add_task(db, &task, 0, item->cls, now_us, err));
    item->no = task.no;
    return HF_OK;
}

static struct dead_row *
dead_by_id(struct memory_db *db, const char *id)
{
    EACH(db, DEAD, struct dead_row, dead)
    {
        if (strcmp(dead->id, id) == 0)
            return dead;
    }
    return NULL;
}

/* A dead letter goes, with its id. */
static int
submit_to_dead(struct memory_db *db, struct submit *item, int64_t now_us, struct err *err)
{
    struct dead_row *dead = dead_by_id(db, item->id);

    if (dead == NULL)
        return err_set(err, HF_NOT_FOUND, "task %s: no such dead letter", item->id);
    bool is_given = db_find(db, TASK_IDS, &(struct name){.text = dead->id}) != NULL;
    item->no = dead->no;
    TRY(db_drop(db, DEAD, dead, err));
    if (is_given)
        TRY(db_drop(db, TASK_IDS, &(struct name){.text = dead->id}, err));
    if (item->kind == SUBMIT_DISCARD)
        return HF_OK;

    struct task_row task = {.id = is_given ? dead->id : NULL,
                            .name = dead->name,
                            .payload = dead->payload,
                            .queue = dead->queue,
                            .opts = dead->opts,
                            .created_us = dead->created_us};
    TRY(db_add_task(db, &task, 0, row_stream(dead->no), now_us, err));
    item->no = task.no;
    return HF_OK;
}

static int
submit_one(struct memory_db *db, struct submit *item, int64_t now_us, struct err *err)
{
    switch ((enum submit_kind)item->kind) {
    case SUBMIT_START:
        return submit_start(db, item, now_us, err);
    case SUBMIT_SIGNAL:
    case SUBMIT_CANCEL:
    case SUBMIT_TERMINATE:
    case SUBMIT_PAUSE:
    case SUBMIT_RESUME:
        return submit_to_run(db, item, now_us, err);
    case SUBMIT_ENQUEUE:
        return submit_enqueue(db, item, now_us, err);
    case SUBMIT_RETRY:
    case SUBMIT_DISCARD:
        return submit_to_dead(db, item, now_us, err);
    }
    return err_set(err, HF_INVALID, "submit: no such kind: %d", item->kind);
}

int
memory_submit(struct store *s, struct submit *items, size_t n, size_t *bad, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int64_t           now_us = clock_now_us(&s->clock);
    int               rc = HF_OK;

    db_begin(db);
    for (size_t i = 0; i < n && rc == HF_OK; i++) {
        rc = submit_one(db, &items[i], now_us, err);
        if (rc && bad)
            *bad = i;
    }
    if (rc == HF_OK) {
        db->last_seq = db->seq_before + (int64_t)n;
        db_hint(db, NULL);
        db_commit(db);
    } else {
        db_rollback(db);
    }
    db_unlock(db);
    return rc;
}
