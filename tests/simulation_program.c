/* Programs and scripts made from a seed, and the one workflow that interprets programs. */
#include <stdio.h>
#include <string.h>

#include "simulation.h"

/* ---- making ---- */

uint64_t
random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

int
random_below(uint64_t *state, int n)
{
    return (int)(random_next(state) % (uint64_t)n);
}

struct maker {
    struct plan *plan;
    uint64_t     rng;
    int          program;
    bool         takes_signals;
};

static int make_body(struct maker *m, int depth, bool in_branch);

static int
pick(struct maker *m, int n)
{
    return random_below(&m->rng, n);
}

/* Programs after this one may be children: there is no circle. */
static bool
has_children(const struct maker *m)
{
    int from = m->program + 1 > m->plan->n_runs ? m->program + 1 : m->plan->n_runs;
    return from < m->plan->n_programs;
}

static int
pick_child(struct maker *m)
{
    int from = m->program + 1 > m->plan->n_runs ? m->program + 1 : m->plan->n_runs;
    return from + pick(m, m->plan->n_programs - from);
}

static struct op
make_op(struct maker *m, int depth, bool in_branch)
{
    struct op op = {.kind = pick(m, OP_KINDS), .id = ++m->plan->n_ops};
    bool      fits = true;

    switch (op.kind) {
    case OP_TASK:
        op.a = pick(m, TASK_WAYS);
        break;
    case OP_GROUP:
        op.a = 2 + pick(m, 3);
        break;
    case OP_STEP:
        op.b = pick(m, 4) == 0;
        break;
    case OP_SQL:
        op.a = 1 + pick(m, 3);
        op.b = pick(m, 4) == 0;
        break;
    case OP_SLEEP:
    case OP_NOTHING:
        op.a = 1 + pick(m, 5000);
        break;
    case OP_SIGNAL:
        fits = m->takes_signals && depth == 0;
        break;
    case OP_CHILD:
    case OP_DETACH:
        if ((fits = has_children(m)))
            op.a = pick_child(m);
        op.b = pick(m, 2);
        break;
    case OP_BRANCHES:
        if ((fits = depth < 2)) {
            op.a = make_body(m, depth + 1, true);
            op.b = make_body(m, depth + 1, true);
        }
        break;
    case OP_SHIELD:
        if ((fits = depth < 2))
            op.a = make_body(m, depth + 1, in_branch);
        break;
    case OP_STATUS:
        fits = !in_branch;
        break;
    default:
        break;
    }
    if (!fits)
        op.kind = OP_TASK, op.a = TASK_OK;
    return op;
}

static int
make_body(struct maker *m, int depth, bool in_branch)
{
    int at = m->plan->n_bodies;
    if (at >= BODIES_MAX - 1)
        return BODIES_MAX - 1; /* the empty one */
    m->plan->n_bodies++;
    int n = 1 + pick(m, depth == 0 ? OPS_MAX - 1 : 3);
    for (int i = 0; i < n; i++) {
        struct op op = make_op(m, depth, in_branch);
        m->plan->bodies[at].ops[i] = op;
    }
    m->plan->bodies[at].n = n;
    return at;
}

static void
make_program(struct maker *m, int index)
{
    struct plan    *plan = m->plan;
    struct program *p = &plan->programs[index];
    bool            is_run = index < plan->n_runs;

    m->program = index;
    m->takes_signals = is_run && !plan->replaced[index];
    p->n_executions = pick(m, 4) == 0 ? 2 : 1;
    for (int i = 0; i < p->n_executions; i++) {
        p->body[i] = make_body(m, 0, false);
        p->end[i] =
            i + 1 < p->n_executions ? END_CONTINUE : pick(m, is_run ? END_PARK + 1 : END_PARK);
        const struct body *b = &plan->bodies[p->body[i]];
        for (int k = 0; k < b->n; k++)
            p->signals += b->ops[k].kind == OP_SIGNAL;
    }
}

/* ---- the script ---- */

static void
add(struct plan *plan, int kind, int run, int n)
{
    SIM_CHECK(plan->n_actions < ACTIONS_MAX);
    plan->actions[plan->n_actions++] = (struct action){kind, run, n};
}

static void
make_step(struct maker *m, int *started, int sent[RUNS_MAX])
{
    struct plan *plan = m->plan;
    int          run = *started ? pick(m, *started) : 0;

    switch (pick(m, 14)) {
    case 0:
    case 1:
        if (*started < plan->n_runs)
            add(plan, ACT_START, (*started)++, 0);
        break;
    case 2:
    case 3:
        if (*started && sent[run] < plan->programs[run].signals)
            add(plan, ACT_SIGNAL, run, ++sent[run]);
        break;
    case 4:
        if (*started && sent[run])
            add(plan, ACT_RESEND, run, 1 + pick(m, sent[run]));
        break;
    case 5:
        if (*started)
            add(plan, pick(m, 2) ? ACT_PAUSE : ACT_RESUME, run, 0);
        break;
    case 6:
        if (*started && plan->loose[run])
            add(plan, ACT_CANCEL, run, pick(m, 4) == 0);
        break;
    case 7:
        if (*started && plan->replaced[run])
            add(plan, ACT_REPLACE, run, 0);
        break;
    case 8:
        add(plan, ACT_ENQUEUE, plan->n_actions, pick(m, TASK_WAYS));
        break;
    case 9:
    case 10:
        add(plan, ACT_ROUNDS, 0, 1 + pick(m, 4));
        break;
    case 11:
        add(plan, ACT_WORK, 0, 0);
        break;
    default:
        add(plan, ACT_ADVANCE, 0, 1 + pick(m, 3000));
    }
}

void
plan_make(uint64_t seed, struct plan *out)
{
    struct maker m = {.plan = out, .rng = seed};
    int          started = 0, sent[RUNS_MAX] = {0};

    *out = (struct plan){.seed = seed};
    out->n_runs = 1 + pick(&m, RUNS_MAX);
    out->n_programs = out->n_runs + pick(&m, PROGRAMS_MAX - RUNS_MAX + 1);
    for (int i = 0; i < out->n_runs; i++) {
        int luck = pick(&m, 10);
        out->loose[i] = luck < 2;
        out->replaced[i] = luck == 2;
    }
    for (int i = 0; i < out->n_programs; i++)
        make_program(&m, i);
    for (int i = 8 + pick(&m, 16); i > 0; i--)
        make_step(&m, &started, sent);
    while (started < out->n_runs)
        add(out, ACT_START, started++, 0);
    for (int i = 0; i < out->n_runs; i++)
        while (sent[i] < out->programs[i].signals)
            add(out, ACT_SIGNAL, i, ++sent[i]);
}

/* ---- showing ---- */

static void
print_body(const struct plan *plan, int body, int indent)
{
    static const char *const names[] = {
        "task",  "once",   "group",    "step",    "sql",    "sleep", "signal", "nothing",
        "child", "detach", "branches", "on_fail", "shield", "patch", "status", "draw"};
    const struct body *b = &plan->bodies[body];
    for (int i = 0; i < b->n; i++) {
        const struct op *op = &b->ops[i];
        printf("%*sop %d %s %d %d\n", indent, "", op->id, names[op->kind], op->a, op->b);
        if (op->kind == OP_BRANCHES || op->kind == OP_SHIELD)
            print_body(plan, op->a, indent + 4);
        if (op->kind == OP_BRANCHES)
            print_body(plan, op->b, indent + 4);
    }
}

void
plan_print(const struct plan *plan)
{
    static const char *const acts[] = {"start",   "signal",  "resend", "pause", "resume", "cancel",
                                       "replace", "enqueue", "rounds", "work",  "advance"};
    for (int i = 0; i < plan->n_programs; i++)
        for (int k = 0; k < plan->programs[i].n_executions; k++) {
            printf("program %d execution %d end %d%s%s\n", i, k + 1, plan->programs[i].end[k],
                   i < plan->n_runs && plan->loose[i] ? " loose" : "",
                   i < plan->n_runs && plan->replaced[i] ? " replaced" : "");
            print_body(plan, plan->programs[i].body[k], 4);
        }
    for (int i = 0; i < plan->n_actions; i++)
        printf("action %s run=%d n=%d\n", acts[plan->actions[i].kind], plan->actions[i].run,
               plan->actions[i].n);
}

/* ---- the interpreter ---- */

static void
fold(uint64_t *h, int rc, const char *text)
{
    *h = (*h ^ (uint64_t)rc) * 0x100000001b3ULL;
    for (; text && *text; text++)
        *h = (*h ^ (unsigned char)*text) * 0x100000001b3ULL;
}

/* A call whose code is part of the outcome; a stop or a cancel leaves the program. */
#define FOLD(h, rc, text)                                                                          \
    do {                                                                                           \
        int fold_rc_ = (rc);                                                                       \
        if (fold_rc_ < 0 || fold_rc_ == HF_CANCELLED)                                              \
            return fold_rc_;                                                                       \
        fold(h, fold_rc_, text);                                                                   \
    } while (0)

#define TASK_OPT(attempts, id)                                                                     \
    HF_OPT(.max_attempts = (attempts), .first_delay_ms = 100, .jitter = -1, .queue = sim_queue(id))

const char *
sim_queue(int number)
{
    return simulation.opt.shared && number % 3 == 0 ? "far" : NULL;
}

static int run_body(hf_wf *wf, int body, uint64_t *h);

static const char *
task_input(hf_wf *wf, const struct op *op, int way)
{
    return hf_sprintf(wf, "%d %d", op->id, way);
}

static int
run_group(hf_wf *wf, const struct op *op, uint64_t *h)
{
    hf_call     calls[5];
    const char *out;
    size_t      first = 99;

    for (int i = 0; i < op->a; i++)
        HF_TRY(hf_task_start(wf, "work",
                             hf_sprintf(wf, "%d %d", op->id * 10 + i, (op->id + i) % TASK_WAYS),
                             &calls[i], TASK_OPT(2 + i, op->id + i)));
    HF_TRY(hf_any(wf, calls, (size_t)op->a, &first));
    SIM_CHECK(first < (size_t)op->a);
    int rc = hf_result(wf, calls[first], &out); /* it has ended */
    SIM_CHECK(rc >= 0);
    rc = hf_all(wf, calls, (size_t)op->a);
    if (rc < 0 || rc == HF_CANCELLED)
        return rc;
    for (int i = 0; i < op->a; i++)
        FOLD(h, hf_result(wf, calls[i], &out), out);
    return 0;
}

static int
do_step(hf_st *st, void *arg)
{
    const char *const *key = arg;
    effect_started(key[0]);
    if (simulation.strict && effect_starts(key[0]) > 1)
        sim_fail("%s was executed twice", key[0]);
    return key[1] ? hf_step_fail(st, "sour", "as planned") : hf_step_return(st, "stepped");
}

static int
run_step(hf_wf *wf, const struct op *op, uint64_t *h)
{
    const char *out, *name = hf_sprintf(wf, "st%d", op->id);
    const char *key[2] = {
        hf_sprintf(wf, "%s/%d/%s", hf_run_id(wf), hf_execution(wf), name ? name : ""),
        op->b ? "fails" : NULL};
    if (key[0] == NULL)
        return hf_step(wf, "stopped", do_step, NULL, NULL);
    FOLD(h, hf_step(wf, name, do_step, key, &out), out);
    return 0;
}

/* The user's database: what is done here is stored with the history row, or not at all. */
int
plan_answer_sql(void *arg, const struct sql_step *step, const char **result)
{
    (void)arg;
    *result = "sour";
    effect_started(step->params_json);
    if (strcmp(step->statement, "fails") == 0)
        return HF_FAILED;
    effect_recorded(step->params_json);
    *result = "[{\"n\":1}]";
    return HF_OK;
}

static int
run_sql(hf_wf *wf, const struct op *op, uint64_t *h)
{
    for (int i = 0; i < op->a; i++) {
        const char *out, *name = hf_sprintf(wf, "q%d.%d", op->id, i);
        const char *params =
            hf_sprintf(wf, "[\"%s/%d/%s\"]", hf_run_id(wf), hf_execution(wf), name ? name : "");
        FOLD(h, hf_sql(wf, name, op->b && i == op->a - 1 ? "fails" : "does", params, &out), out);
    }
    return 0;
}

static int
run_child(hf_wf *wf, const struct op *op, uint64_t *h)
{
    const char *out, *input = hf_sprintf(wf, "%d 0", op->a);
    hf_call     child;

    if (!op->b) {
        FOLD(h, hf_child(wf, "program", input, &out, HF_OPT(.queue = sim_queue(op->id))), out);
        return 0;
    }
    HF_TRY(hf_child_start(wf, "program", input, &child, HF_OPT(.queue = sim_queue(op->id))));
    FOLD(h, hf_task(wf, "work", task_input(wf, op, TASK_RETRIES), &out, TASK_OPT(5, op->id)), out);
    FOLD(h, hf_result(wf, child, &out), out);
    return 0;
}

static int
branch(hf_wf *wf, void *arg)
{
    uint64_t h = 7;
    HF_TRY(run_body(wf, *(const int *)arg, &h));
    return hf_return(wf, hf_sprintf(wf, "%016llx", (unsigned long long)h));
}

static int
run_branches(hf_wf *wf, const struct op *op, uint64_t *h)
{
    hf_call     calls[2];
    const char *out;
    int         a = op->a, b = op->b;

    HF_TRY(hf_branch_start(wf, branch, &a, &calls[0]));
    HF_TRY(hf_branch_start(wf, branch, &b, &calls[1]));
    FOLD(h, hf_result(wf, calls[0], &out), out);
    FOLD(h, hf_result(wf, calls[1], &out), out);
    return 0;
}

static int
run_shielded(hf_wf *wf, const struct op *op, uint64_t *h)
{
    hf_shield(wf);
    int rc = run_body(wf, op->a, h);
    hf_unshield(wf);
    return rc;
}

static int
run_draw(hf_wf *wf, const struct op *op)
{
    char     key[100];
    uint64_t number = hf_random(wf), text = 0;
    fold(&text, 0, hf_uuid(wf));
    snprintf(key, sizeof(key), "%s/%d/draw%d", hf_run_id(wf), hf_execution(wf), op->id);
    effect_same(key, number ^ text);
    return 0;
}

static int
run_op(hf_wf *wf, const struct op *op, uint64_t *h)
{
    const char *out;

    switch (op->kind) {
    case OP_TASK:
        FOLD(h,
             hf_task(wf, "work", task_input(wf, op, op->a), &out,
                     TASK_OPT(op->a == TASK_GIVES_UP ? 2 : 9, op->id)),
             out);
        return 0;
    case OP_ONCE: {
        int rc = hf_task(wf, "once", task_input(wf, op, 0), NULL,
                         HF_OPT(.on_crash = HF_FAIL, .queue = sim_queue(op->id)));
        SIM_CHECK(rc <= 0 || rc == HF_LOST || rc == HF_CANCELLED);
        return rc == HF_LOST ? 0 : rc;
    }
    case OP_GROUP:
        return run_group(wf, op, h);
    case OP_STEP:
        return run_step(wf, op, h);
    case OP_SQL:
        return run_sql(wf, op, h);
    case OP_SLEEP:
        FOLD(h, hf_sleep(wf, op->a), NULL);
        return 0;
    case OP_SIGNAL:
        FOLD(h, hf_signal(wf, "s", &out), out);
        return 0;
    case OP_NOTHING:
        FOLD(h, hf_signal(wf, "nobody", &out, HF_OPT(.timeout_ms = op->a)), out);
        return 0;
    case OP_CHILD:
        return run_child(wf, op, h);
    case OP_DETACH:
        FOLD(h, hf_detach(wf, "program", hf_sprintf(wf, "%d 0", op->a), NULL, NULL), NULL);
        return 0;
    case OP_BRANCHES:
        return run_branches(wf, op, h);
    case OP_ON_FAIL:
        return hf_on_fail(wf, "undo", hf_sprintf(wf, "%d %d", op->id, op->id % TASK_WAYS),
                          TASK_OPT(3, op->id));
    case OP_SHIELD:
        return run_shielded(wf, op, h);
    case OP_PATCH:
        fold(h, hf_patch(wf, hf_sprintf(wf, "p%d", op->id)), NULL);
        return 0;
    case OP_STATUS:
        return hf_status(wf, hf_sprintf(wf, "op %d", op->id));
    default:
        return run_draw(wf, op);
    }
}

/* The time that a program sees never goes back, and waits take their time. */
static void
check_time(hf_wf *wf, const struct op *op, int64_t before)
{
    int64_t now = hf_now(wf);
    bool    waits = (op->kind == OP_SLEEP || op->kind == OP_NOTHING);
    if (now < before + (waits ? op->a : 0) || now < 1000 || now > simulation.now_us / US_PER_MS)
        sim_fail("%s: op %d: hf_now is %lld, was %lld before", hf_run_id(wf), op->id,
                 (long long)now, (long long)before);
}

static int
run_body(hf_wf *wf, int body, uint64_t *h)
{
    const struct body *b = &simulation.plan->bodies[body];
    for (int i = 0; i < b->n; i++) {
        int64_t before = hf_now(wf);
        HF_TRY(run_op(wf, &b->ops[i], h));
        check_time(wf, &b->ops[i], before);
    }
    return 0;
}

static int
program(hf_wf *wf)
{
    int                index = -1;
    unsigned long long carried = 0;
    SIM_CHECK(sscanf(hf_input(wf), "%d %llx", &index, &carried) == 2);
    const struct program *p = &simulation.plan->programs[index];
    /* after a replace executions are numbered on: the carried hash tells the second body */
    int         which = p->n_executions > 1 && carried ? 1 : 0;
    uint64_t    h = carried + 11;
    const char *text;

    HF_TRY(run_body(wf, p->body[which], &h));
    text = hf_sprintf(wf, "%016llx", (unsigned long long)h);
    switch (p->end[which]) {
    case END_FAIL:
        return hf_fail(wf, "planned", "%s", text);
    case END_TASK:
        HF_TRY(hf_task(wf, "work", "9999 1", NULL, TASK_OPT(1, 9999)));
        return hf_return(wf, text);
    case END_PARK:
        HF_TRY(hf_status(wf, "parked"));
        HF_TRY(hf_signal(wf, "never", NULL));
        return hf_return(wf, text);
    case END_CONTINUE:
        return hf_continue(wf, hf_sprintf(wf, "%d %llx", index, (unsigned long long)(h | 1)));
    default:
        return hf_return(wf, text);
    }
}

/* ---- the tasks ---- */

static int
work(hf_tk *tk, void *arg)
{
    int id = 0, way = 0;
    (void)arg;
    SIM_CHECK(sscanf(hf_tk_input(tk), "%d %d", &id, &way) == 2);
    effect_started(hf_tk_id(tk));
    if (simulation.strict && effect_starts(hf_tk_id(tk)) > hf_tk_attempt(tk))
        sim_fail("%s: attempt %d was executed twice", hf_tk_id(tk), hf_tk_attempt(tk));
    if (way == TASK_FAILS)
        return hf_tk_fail_final(tk, "declined", "task %d", id);
    if (way == TASK_GIVES_UP || (way == TASK_RETRIES && hf_tk_attempt(tk) < 3))
        return hf_tk_fail(tk, "busy", "task %d attempt %d", id, hf_tk_attempt(tk));
    return hf_tk_return(tk, hf_tk_sprintf(tk, "out %d", id));
}

static int
once(hf_tk *tk, void *arg)
{
    (void)arg;
    effect_started(hf_tk_id(tk));
    if (effect_starts(hf_tk_id(tk)) > 1)
        sim_fail("%s was started twice", hf_tk_id(tk));
    return hf_tk_return(tk, NULL);
}

void
plan_register(hf *h)
{
    SIM_CHECK(hf_workflow(h, "program", 1, program) == HF_OK);
    SIM_CHECK(hf_handler(h, "work", work, NULL, NULL) == HF_OK);
    SIM_CHECK(hf_handler(h, "undo", work, NULL, NULL) == HF_OK);
    SIM_CHECK(hf_handler(h, "once", once, NULL, NULL) == HF_OK);
}
