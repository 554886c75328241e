/* Plays a plan's script: what clients do, and when. How work goes on is the world's. */
#include <stdio.h>
#include <string.h>

#include "simulation.h"

enum { END_ROUNDS_MAX = 400 };

/* Clients repeat what is safe to repeat. */
static int
until_known(struct simulation   *s, int (*call)(struct simulation *, const struct action *),
            const struct action *a)
{
    for (int i = 0;; i++) {
        int rc = call(s, a);
        s->world->client_called(s);
        if (rc != HF_UNAVAILABLE && rc != HF_UNKNOWN)
            return rc;
        SIM_CHECK(i < 50);
    }
}

static const char *
run_id(const struct action *a, char out[8])
{
    snprintf(out, 8, "r%d", a->run % RUNS_MAX);
    return out;
}

static int
do_start(struct simulation *s, const struct action *a)
{
    char id[8], input[20];
    snprintf(input, sizeof(input), "%d 0", a->run);
    return hf_start(
        s->h, "program", input,
        HF_OPT(.id = run_id(a, id), .class_ = 1 + a->run % 3,
               .if_exists = a->kind == ACT_REPLACE ? HF_IF_EXISTS_REPLACE : HF_IF_EXISTS_USE),
        NULL);
}

static int
do_send(struct simulation *s, const struct action *a)
{
    char id[8], text[12];
    snprintf(text, sizeof(text), "%d", a->n);
    return hf_send(s->h, run_id(a, id), "s", text, HF_OPT(.key = text));
}

static int
do_tell(struct simulation *s, const struct action *a)
{
    char id[8];
    run_id(a, id);
    switch (a->kind) {
    case ACT_PAUSE:
        return hf_pause(s->h, id);
    case ACT_RESUME:
        return hf_resume(s->h, id);
    default:
        return a->n ? hf_terminate(s->h, id, "enough") : hf_cancel(s->h, id, "enough");
    }
}

static int
do_enqueue(struct simulation *s, const struct action *a)
{
    char id[20], input[20];
    snprintf(id, sizeof(id), "job%d", a->run);
    snprintf(input, sizeof(input), "%d %d", a->run, a->n);
    int rc = hf_enqueue(s->h, "work", input,
                        HF_OPT(.id = id, .max_attempts = 4, .first_delay_ms = 50, .jitter = -1,
                               .queue = sim_queue(a->run)),
                        NULL);
    return rc == HF_EXISTS ? HF_OK : rc; /* from a repeat */
}

static void
act(struct simulation *s, const struct action *a)
{
    int  rc = HF_OK;
    bool strict = !s->plan->loose[a->run < RUNS_MAX ? a->run : 0];

    switch (a->kind) {
    case ACT_START:
    case ACT_REPLACE:
        rc = until_known(s, do_start, a);
        break;
    case ACT_SIGNAL:
        rc = until_known(s, do_send, a);
        if (rc == HF_DONE && !strict)
            rc = HF_OK;
        break;
    case ACT_RESEND:
        rc = until_known(s, do_send, a);
        if (rc == HF_DONE)
            rc = HF_OK;
        break;
    case ACT_PAUSE:
    case ACT_RESUME:
    case ACT_CANCEL:
        rc = until_known(s, do_tell, a);
        if (rc == HF_DONE)
            rc = HF_OK;
        break;
    case ACT_ENQUEUE:
        rc = until_known(s, do_enqueue, a);
        break;
    case ACT_ROUNDS:
        s->world->rounds(s, a->n);
        break;
    case ACT_WORK:
        s->world->work(s);
        break;
    default:
        s->world->advance(s, a->n);
    }
    if (rc)
        sim_fail("action %d run %d: %s: %s", a->kind, a->run, err_name(rc), hf_errmsg(s->h));
}

/* Then what it says is what its old life said: a cancel now would end the new one too soon. */
static bool
is_about_to_be_replaced(struct simulation *s, const char *id)
{
    const struct store_ops *ops = s->h->store->ops;
    struct arena            a = {0};
    struct run_row          run;
    struct inbox_row       *rows = NULL;
    size_t                  n = 0;
    struct err              err;
    bool                    found = false;

    s->quiet_store = true;
    SIM_CHECK(ops->run_get(s->h->store, id, &a, &run, &err) == HF_OK);
    SIM_CHECK(ops->inbox_list(s->h->store, run.no, &a, &rows, &n, &err) == HF_OK);
    s->quiet_store = false;
    for (size_t i = 0; i < n; i++)
        found = found || rows[i].kind == INBOX_REPLACE;
    arena_release(&a);
    return found;
}

/* Lets all end: paused runs go on, parked ones are cancelled. */
static bool
all_have_ended(struct simulation *s)
{
    bool           ended = true;
    struct pending p;
    struct err     err;

    for (int i = 0; i < s->plan->n_runs; i++) {
        char     id[8];
        hf_info *info;
        snprintf(id, sizeof(id), "r%d", i % RUNS_MAX);
        s->quiet_store = true;
        SIM_CHECK(hf_describe(s->h, id, &info) == HF_OK);
        s->quiet_store = false;
        bool parked = info->custom_status && strcmp(info->custom_status, "parked") == 0 &&
                      !is_about_to_be_replaced(s, id);
        if (strcmp(info->status, "blocked") == 0)
            sim_fail("%s is blocked: %s", id, info->error_message);
        if (!info->done && strcmp(info->status, "paused") == 0)
            act(s, &(struct action){ACT_RESUME, i, 0});
        else if (!info->done && parked)
            act(s, &(struct action){ACT_CANCEL, i, 0});
        ended = ended && info->done;
        hf_info_free(info);
    }
    s->quiet_store = true;
    SIM_CHECK(s->h->store->ops->pending(s->h->store, NULL, s->now_us, &p, &err) == HF_OK);
    s->quiet_store = false;
    return ended && p.tasks == 0 && p.running == 0 && p.due == 0 && p.waiting == 0 && p.inbox == 0;
}

static void
finish(struct simulation *s)
{
    for (int i = 0; i < END_ROUNDS_MAX; i++) {
        s->world->work(s);
        if (all_have_ended(s))
            return;
        s->world->advance(s, i < 100 ? 500 : 60000);
    }
    struct buf out = {0};
    outcome_read(s, &out);
    printf("%s", out.data);
    s->world->show(s);
    sim_fail("not everything has ended");
}

void
script_play(struct simulation *s)
{
    for (int i = 0; i < s->plan->n_actions; i++)
        act(s, &s->plan->actions[i]);
    s->ending = true;
    finish(s);
}
