/*
 * The guarantees about work that kills its worker, and about work that no worker can do: both are
 * set aside where people see them, and nothing else suffers.
 */
#include <stdio.h>
#include <string.h>

#include "proc.h"
#include "store/store.h"

enum { NEIGHBOURS = 20, CRASHES = 3 };

static hf *client;

static int
neighbour(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("neighbour %s", hf_tk_input(tk));
    return hf_tk_return(tk, NULL);
}

static int
bomb(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("bomb %d", hf_tk_attempt(tk));
    segfault();
}

static int
bomb_turn(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "neighbour", "before", NULL));
    effect("turn");
    segfault();
}

static int
good(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "neighbour", hf_input(wf), NULL));
    HF_TRY(hf_sleep(wf, 20));
    HF_TRY(hf_task(wf, "neighbour", hf_input(wf), NULL));
    return hf_return(wf, "good");
}

static int last_code;

static int
calls_bomb(hf_wf *wf)
{
    last_code = hf_task(wf, "bomb", NULL, NULL, HF_OPT(.first_delay_ms = 1));
    if (last_code == HF_CRASHED)
        return hf_return(wf, hf_sprintf(wf, "%s: %s", hf_error_name(wf), hf_error_message(wf)));
    return last_code;
}

static void
offer(hf *h)
{
    OK(h, hf_workflow(h, "good", 1, good));
    OK(h, hf_workflow(h, "bomb_turn", 1, bomb_turn));
    OK(h, hf_workflow(h, "calls_bomb", 1, calls_bomb));
    OK(h, hf_handler(h, "neighbour", neighbour, NULL, NULL));
    OK(h, hf_handler(h, "bomb", bomb, NULL, NULL));
}

/* Half of them before the culprit, half after. */
static void
add_neighbours(int from, int to)
{
    char text[40];
    for (int i = from; i < to; i++) {
        snprintf(text, sizeof(text), "%d", i);
        OK(client, hf_enqueue(client, "neighbour", text, NULL, NULL));
        snprintf(text, sizeof(text), "run%d", i);
        OK(client, hf_start(client, "good", text, HF_OPT(.id = text), NULL));
    }
}

static void
check_neighbours(void)
{
    char text[60];
    for (int i = 0; i < NEIGHBOURS; i++) {
        snprintf(text, sizeof(text), "neighbour %d", i);
        CHECK(effects(text) >= 1);
        snprintf(text, sizeof(text), "run%d", i);
        CHECK_TEXT(output_of(client, text), "good");
    }
}

static int
drain(void)
{
    return worker_drain_through_crashes(offer, HF_WORKER(.slots = 4, .max_crashes = CRASHES),
                                        CRASHES + 3);
}

static const struct dead_row *
find_dead(const char *id)
{
    static struct dead_row dead;
    static struct arena    a;
    struct store          *s;
    struct err             err = {0};

    CHECK_INT(store_open(STORE, NULL, &s, &err), HF_OK);
    CHECK_INT(s->ops->dead_get(s, id, &a, &dead, &err), HF_OK);
    s->ops->close(s);
    return &dead;
}

/* One poisoned message must not take a whole service down, night after night. */
TEST_WITHIN(g7_a_task_that_kills_its_worker_becomes_a_dead_letter_and_its_neighbours_complete, 60)
{
    client = client_open();
    add_neighbours(0, NEIGHBOURS / 2);
    OK(client, hf_enqueue(client, "bomb", NULL, HF_OPT(.id = "b"), NULL));
    add_neighbours(NEIGHBOURS / 2, NEIGHBOURS);
    int deaths = drain();
    CHECK(deaths >= CRASHES);
    CHECK(effects("bomb 1") == deaths); /* a crash is no attempt */
    const struct dead_row *dead = find_dead("b");
    CHECK_TEXT(dead->error_name, "crashed");
    CHECK_INT(dead->crashes, CRASHES);
    check_neighbours();
}

/* Two culprits at once: each is found. */
TEST_WITHIN(g7_two_tasks_that_kill_are_both_found, 60)
{
    client = client_open();
    add_neighbours(0, NEIGHBOURS);
    OK(client, hf_enqueue(client, "bomb", NULL, HF_OPT(.id = "b1"), NULL));
    OK(client, hf_enqueue(client, "bomb", NULL, HF_OPT(.id = "b2"), NULL));
    CHECK(worker_drain_through_crashes(offer, HF_WORKER(.slots = 4, .max_crashes = CRASHES),
                                       2 * CRASHES + 4) >= 2 * CRASHES - 1);
    CHECK_TEXT(find_dead("b1")->error_name, "crashed");
    CHECK_TEXT(find_dead("b2")->error_name, "crashed");
    check_neighbours();
}

/* The same for a workflow function: its run rests until somebody mends it. */
TEST_WITHIN(g7_a_turn_that_kills_its_worker_blocks_its_run_and_its_neighbours_complete, 60)
{
    client = client_open();
    add_neighbours(0, NEIGHBOURS / 2);
    OK(client, hf_start(client, "bomb_turn", NULL, HF_OPT(.id = "b"), NULL));
    add_neighbours(NEIGHBOURS / 2, NEIGHBOURS);
    CHECK(drain() >= CRASHES);
    CHECK_TEXT(status_of(client, "b"), "blocked");
    CHECK_TEXT(error_of(client, "b"), "crashed");
    CHECK(contains(message_of(client, "b"), "3 processes"));
    check_neighbours();
    /* what is set aside does not come back by itself */
    CHECK_INT(drain(), 0);
    CHECK_TEXT(status_of(client, "b"), "blocked");
}

/* A run that calls a killing task learns of it as an outcome, and can compensate. */
TEST_WITHIN(g7_a_called_task_that_kills_its_worker_ends_with_crashed, 60)
{
    client = client_open();
    add_neighbours(0, NEIGHBOURS / 2);
    OK(client, hf_start(client, "calls_bomb", NULL, HF_OPT(.id = "b"), NULL));
    add_neighbours(NEIGHBOURS / 2, NEIGHBOURS);
    CHECK(drain() >= CRASHES);
    CHECK_TEXT(status_of(client, "b"), "completed");
    CHECK(contains(output_of(client, "b"), "crashed: "));
    check_neighbours();
}

static int
explodes_twice(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("twice");
    if (effects("twice") < CRASHES)
        segfault();
    return hf_tk_return(tk, "well");
}

static int
calls_twice(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "twice", NULL, &out));
    return hf_return(wf, out);
}

static void
offer_twice(hf *h)
{
    offer(h);
    OK(h, hf_workflow(h, "calls_twice", 1, calls_twice));
    OK(h, hf_handler(h, "twice", explodes_twice, NULL, NULL));
}

/* Bad luck is no guilt: what does well in the end is as good as anything else. */
TEST_WITHIN(g7_a_task_that_was_there_in_fewer_crashes_and_then_does_well_is_not_blamed, 60)
{
    client = client_open();
    add_neighbours(0, NEIGHBOURS);
    OK(client, hf_start(client, "calls_twice", NULL, HF_OPT(.id = "r"), NULL));
    CHECK_INT(worker_drain_through_crashes(offer_twice,
                                           HF_WORKER(.slots = 4, .max_crashes = CRASHES), CRASHES),
              CRASHES - 1);
    CHECK_TEXT(output_of(client, "r"), "well");
    check_neighbours();
}

/* ---- 8: no worker for it */

static int
known_v1(hf_wf *wf)
{
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, "v1");
}

static int
calls_unknown(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "rare", "x", &out));
    return hf_return(wf, out);
}

static int
rare(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("rare");
    return hf_tk_return(tk, hf_tk_input(tk));
}

static void
offer_little(hf *h)
{
    OK(h, hf_workflow(h, "known", 1, known_v1));
    OK(h, hf_workflow(h, "calls_unknown", 1, calls_unknown));
}

static void
offer_all(hf *h)
{
    offer_little(h);
    OK(h, hf_workflow(h, "known", 2, known_v1));
    OK(h, hf_workflow(h, "unknown", 1, known_v1));
    OK(h, hf_handler(h, "rare", rare, NULL, NULL));
}

/* A worker of yesterday's release must not fail what it has never heard of. */
TEST(g8_work_that_no_worker_can_do_stays_as_it_is_until_one_can)
{
    client = client_open();
    OK(client, hf_start(client, "unknown", NULL, HF_OPT(.id = "u"), NULL));
    OK(client, hf_start(client, "known", NULL, HF_OPT(.id = "v2", .version = 2), NULL));
    OK(client, hf_start(client, "calls_unknown", NULL, HF_OPT(.id = "c"), NULL));
    OK(client, hf_enqueue(client, "rare", "x", HF_OPT(.id = "t"), NULL));
    OK(client, hf_send(client, "u", "go", NULL, NULL));
    OK(client, hf_send(client, "v2", "go", NULL, NULL));
    OK(client, hf_start_send(client, "known", NULL, "go", NULL, HF_OPT(.id = "k"), NULL));
    pid_t worker = worker_start(offer_little, NULL);
    OK(client, hf_wait(client, "k", 10000 * test_slowness(), NULL));
    sleep_ms(300);
    static const char *const ids[] = {"u", "v2", "c"};
    for (size_t i = 0; i < 3; i++) {
        hf_info *info;
        GIVES(client, hf_wait(client, ids[i], 0, &info), HF_TIMEOUT);
        CHECK(strcmp(info->status, "running") == 0 || strcmp(info->status, "waiting") == 0);
        CHECK_TEXT(info->error_name, NULL);
        hf_info_free(info);
    }
    worker_kill(worker);
    worker_drain(offer_all);
    CHECK_TEXT(output_of(client, "u"), "v1");
    CHECK_TEXT(output_of(client, "v2"), "v1");
    CHECK_TEXT(output_of(client, "c"), "x");
    CHECK_INT(effects("rare"), 2);
}
