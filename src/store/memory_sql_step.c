/* SQL steps on the memory store, which has no SQL: a function of the test answers the statements.
 * The history row is written in the same transaction, under the fence. */
#include "store/memory.h"

#include <string.h>

int
memory_store_answer_sql(struct store *s, memory_sql_fn fn, void *arg, struct err *err)
{
    if (s->ops->sql_step != memory_sql_step)
        return err_set(err, HF_INVALID, "%s: not a store in memory", s->ops->name);
    struct memory_db *db = db_lock(s);
    db->answer_sql = fn;
    db->answer_arg = arg;
    db_unlock(db);
    return HF_OK;
}

static int
answer(struct memory_db *db, struct sql_step *step, struct arena *a, const char **result,
       struct err *err)
{
    const char *text = NULL;

    if (db->answer_sql == NULL)
        return err_set(err, HF_INVALID,
                       "a store in memory has no SQL: say with hf_test_sql what statements answer");
    int rc = db->answer_sql(db->answer_arg, step, &text);
    if (rc == HF_OK) {
        *result = arena_strdup(a, text ? text : "[]");
        return *result ? HF_OK : err_nomem(err);
    }
    if (rc < 0)
        return err_set(err, HF_INVALID, "the function of hf_test_sql returned %d", rc);
    size_t n = text ? strlen(text) : 0;
    n = n < sizeof(step->error_name) ? n : sizeof(step->error_name) - 1;
    memcpy(step->error_name, text ? text : "", n);
    step->error_name[n] = '\0';
    return err_set(err, HF_FAILED, "hf_test_sql: %s", step->error_name);
}

/* Whether the run is the worker's, and where the worker has it. */
static int
check_run(const struct memory_store *m, const struct batch *batch, const struct sql_step *step,
          struct err *err)
{
    const struct memory_db *db = m->db;
    const struct run_row   *run = db_run(db, step->run_no);

    TRY(m->store.shared ? shared_fence(db, batch, err) : memory_fence(db, step->worker, err));
    if (run == NULL || run->execution != step->execution || run_has_ended(run->status) ||
        db_find(db, HISTORY, &batch->writes[0].history))
        return err_set(err, HF_STALE, "run %lld has gone on", (long long)step->run_no);
    return HF_OK;
}

static int
do_step(struct memory_store *m, struct sql_step *step, struct arena *a, const char **result,
        struct err *err)
{
    int32_t      partition = row_partition(step->run_no);
    struct write w = {
        .kind = WRITE_HISTORY,
        .history = {.run_no = step->run_no, .execution = step->execution, .seq = step->seq}};
    struct batch batch = {.worker = step->worker,
                          .partitions = &partition,
                          .n_partitions = 1,
                          .writes = &w,
                          .n_writes = 1};

    TRY(check_run(m, &batch, step, err));
    TRY(answer(m->db, step, a, result, err));
    TRY(step->record(step->arg, *result, &w.history.events, &w.history.events_len, err));
    return memory_write(m, &batch, clock_now_us(&m->store.clock), err);
}

int
memory_sql_step(struct store *s, struct sql_step *step, struct arena *a, const char **result,
                struct err *err)
{
    struct memory_db *db = db_lock(s);

    *result = NULL;
    int rc = do_step(memory_of(s), step, a, result, err);
    db_unlock(db);
    return rc;
}
