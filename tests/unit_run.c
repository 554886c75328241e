/*
 * The run machine alone: histories are replayed without a lane or a store, events are encoded and
 * decoded, policies count. The workflow functions here are called by run_turn directly.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/turn.h"
#include "core/wf.h"
#include "test.h"

static struct arena arena, turn_arena;
static struct err   err;
static int64_t      now_us = 1000 * US_PER_S;

static void
begin_run(struct run *r)
{
    struct run_row row = {.no = row_no(1, 1, 1),
                          .id = "order-1",
                          .workflow = "order",
                          .queue = "default",
                          .input = "{\"n\":1}",
                          .execution = 1,
                          .version = 1,
                          .wake_us = NEVER_US};
    CHECK_INT(run_init(r, &row, &err), HF_OK);
}

static int
load_rows(struct run *r, const char *const *rows, int n)
{
    struct history_row history[20];
    for (int i = 0; i < n; i++)
        history[i] = (struct history_row){
            .execution = 1, .seq = i + 1, .events = rows[i], .events_len = strlen(rows[i])};
    return run_load(r, history, (size_t)n, &err);
}

static void
turn(struct run *r, hf_workflow_fn fn, bool may_step)
{
    struct clock    clock = clock_fake(&now_us);
    struct turn_env env = {.clock = &clock, .arena = &turn_arena, .may_step = may_step};
    run_turn(r, fn, &env);
    arena_reset(&turn_arena);
}

/* A turn of a run with this history; the texts are the run's, until the next call. */
static struct run *
replay(hf_workflow_fn fn, const char *const *rows, int n)
{
    static struct run r;
    run_release(&r);
    begin_run(&r);
    if (load_rows(&r, rows, n))
        test_fail(__FILE__, __LINE__, "%s", err.text);
    turn(&r, fn, true);
    return &r;
}

#define REPLAY(fn, ...)                                                                            \
    replay(fn, (const char *const[]){"[]", __VA_ARGS__},                                           \
           (int)(sizeof((const char *const[]){"[]", __VA_ARGS__}) / sizeof(char *)))

static int
give_nine(hf_st *st, void *arg)
{
    (void)arg;
    return hf_step_return(st, "9");
}

static int
order(hf_wf *wf)
{
    const char *receipt, *note, *nine;
    hf_call     box[2];

    HF_TRY(hf_task(wf, "charge", hf_input(wf), &receipt));
    HF_TRY(hf_on_fail(wf, "refund", receipt));
    for (int i = 0; i < 2; i++)
        HF_TRY(hf_task_start(wf, "pack", NULL, &box[i]));
    HF_TRY(hf_all(wf, box, 2));
    HF_TRY(hf_step(wf, "nine", give_nine, NULL, &nine));
    int rc = hf_signal(wf, "approved", &note, HF_OPT(.timeout_ms = 5000));
    if (rc == HF_TIMEOUT)
        return hf_fail(wf, "expired", "no approval");
    HF_TRY(rc);
    HF_TRY(hf_sleep(wf, 1000));
    return hf_return(wf, hf_sprintf(wf, "%s %s %s", receipt, nine, note));
}

/* ---- golden histories ---- */

static const char *const golden[] = {
    "[{\"k\":\"started\",\"v\":1,\"t\":1000000},"
    "{\"k\":\"call\",\"r\":\"0.1\",\"n\":\"charge\",\"i\":\"{\\\"n\\\":1}\"}]",
    "[{\"k\":\"done\",\"r\":\"0.1\",\"o\":\"r7\",\"t\":1000100},"
    "{\"k\":\"call\",\"r\":\"0.2\",\"n\":\"pack\"},{\"k\":\"call\",\"r\":\"0.3\",\"n\":\"pack\"}]",
    "[{\"k\":\"done\",\"r\":\"0.3\",\"t\":1000200},{\"k\":\"sent\",\"r\":\"0.2\"}]",
    "[{\"k\":\"done\",\"r\":\"0.2\",\"a\":3,\"t\":1000300},"
    "{\"k\":\"step\",\"r\":\"0.4\",\"n\":\"nine\",\"o\":\"9\"},"
    "{\"k\":\"wait\",\"r\":\"0.5\",\"n\":\"approved\",\"w\":1005300}]",
    "[{\"k\":\"signal\",\"n\":\"approved\",\"o\":\"yes\",\"y\":\"k1\",\"t\":1000400},"
    "{\"k\":\"timer\",\"r\":\"0.6\",\"w\":1001400}]",
    "[{\"k\":\"fired\",\"r\":\"0.6\",\"t\":1001400}]",
};
enum { GOLDEN = sizeof(golden) / sizeof(golden[0]) };

TEST(a_golden_history_leads_to_its_end)
{
    struct run *r = replay(order, golden, GOLDEN);
    CHECK_INT(r->end, TURN_COMPLETED);
    CHECK_TEXT(r->end_output, "r7 9 yes");
    CHECK_INT(r->out.len, 0);
    CHECK_INT(r->seq, GOLDEN);
    CHECK(r->open == NULL);
    CHECK_INT(run_next_due_ms(r), 0);
}

TEST(a_wait_is_settled_by_the_first_event_that_can)
{
    struct run *r = REPLAY(order, golden[0], golden[1], golden[2], golden[3],
                           "[{\"k\":\"fired\",\"r\":\"0.5\",\"t\":1005300},"
                           "{\"k\":\"signal\",\"n\":\"approved\",\"o\":\"late\"}]");
    CHECK_INT(r->end, TURN_SUSPENDED); /* compensation is under way */
    CHECK_INT(run_unread(r), 1);
    CHECK(strstr(r->out.data, "\"r\":\"c.1\",\"n\":\"refund\",\"i\":\"r7\""));
    r = REPLAY(order, golden[0], golden[1], golden[2], golden[3],
               "[{\"k\":\"fired\",\"r\":\"0.5\",\"t\":1005300},"
               "{\"k\":\"call\",\"r\":\"c.1\",\"n\":\"refund\",\"i\":\"r7\",\"x\":1},"
               "{\"k\":\"done\",\"r\":\"c.1\"}]");
    CHECK_INT(r->end, TURN_FAILED);
    CHECK_TEXT(r->end_name, "expired");
}

TEST(a_compensation_that_fails_is_named_in_the_error)
{
    struct run *r = REPLAY(order, golden[0], golden[1], golden[2], golden[3],
                           "[{\"k\":\"fired\",\"r\":\"0.5\",\"t\":1005300},"
                           "{\"k\":\"call\",\"r\":\"c.1\",\"n\":\"refund\",\"i\":\"r7\",\"x\":1},"
                           "{\"k\":\"error\",\"r\":\"c.1\",\"e\":\"sour\",\"m\":\"no\"}]");
    CHECK_INT(r->end, TURN_FAILED);
    CHECK_TEXT(r->end_message, "no approval; compensation refund failed: sour: no");
}

TEST(a_cancel_settles_what_is_open_and_closes_with_the_task)
{
    struct run *r =
        REPLAY(order, golden[0], golden[1], "[{\"k\":\"cancel\",\"m\":\"enough\",\"t\":1000200}]");
    CHECK_INT(r->end, TURN_CLOSING);
    CHECK(run_find(r, "0.2")->settled && !run_find(r, "0.2")->closed);
    r = REPLAY(order, golden[0], golden[1], "[{\"k\":\"cancel\",\"m\":\"enough\",\"t\":1000200}]",
               "[{\"k\":\"done\",\"r\":\"0.2\",\"o\":\"too late\"},"
               "{\"k\":\"error\",\"r\":\"0.3\",\"c\":3,\"e\":\"cancelled\"},"
               "{\"k\":\"call\",\"r\":\"c.1\",\"n\":\"refund\",\"i\":\"r7\",\"x\":1},"
               "{\"k\":\"done\",\"r\":\"c.1\"}]");
    CHECK_INT(r->end, TURN_CANCELLED);
    CHECK_TEXT(r->end_name, "cancelled");
    CHECK_TEXT(r->end_message, "enough");
}

TEST(a_signal_before_the_first_turn_stands_behind_the_start)
{
    struct run   r;
    struct event e = {.kind = EVENT_SIGNAL, .name = "approved", .output = "early", .time_ms = 77};
    begin_run(&r);
    CHECK_INT(run_record(&r, &e, NULL, &err), HF_OK);
    turn(&r, order, false);
    const char *begins = "[{\"k\":\"started\",\"v\":1,\"t\":77},{\"k\":\"signal\"";
    CHECK(strncmp(r.out.data, begins, strlen(begins)) == 0);
    CHECK_INT(r.started_ms, 77);
    run_release(&r);
}

/* ---- mismatches ---- */

static void
check_blocked(struct run *r, const char *message)
{
    CHECK_INT(r->end, TURN_BLOCKED);
    CHECK_TEXT(r->end_message, message);
    CHECK_TEXT(r->end_name, "HF_MISMATCH");
}

static int
renamed(hf_wf *wf)
{
    return hf_task(wf, "bill", NULL, NULL);
}

static int
sleeps_first(hf_wf *wf)
{
    return hf_sleep(wf, 5);
}

static int
returns_at_once(hf_wf *wf)
{
    return hf_return(wf, "x");
}

static int
branches_first(hf_wf *wf)
{
    hf_call call;
    return hf_branch_start(wf, (hf_branch_fn)(void (*)(void))returns_at_once, NULL, &call);
}

static int
returns_nonsense(hf_wf *wf)
{
    (void)wf;
    return HF_STALE;
}

static int
never_stops(hf_wf *wf)
{
    for (int i = 0; i < 1003; i++)
        if (hf_sleep(wf, 1000000) == HF_OK)
            return 0;
    return HF_SUSPENDED;
}

TEST(code_that_asks_for_something_else_is_told_what)
{
    check_blocked(REPLAY(renamed, golden[0]),
                  "at 0.1 the history has task charge, the code asks for task bill");
    check_blocked(REPLAY(sleeps_first, golden[0]),
                  "at 0.1 the history has task charge, the code asks for timer");
    check_blocked(REPLAY(returns_at_once, golden[0]),
                  "at 0.1 the history has a call of 'charge', the code has returned before it");
    check_blocked(REPLAY(branches_first, golden[0]),
                  "at 0.1 the history has a call, the code starts a branch");
    CHECK_INT(REPLAY(returns_nonsense, "[]")->end, TURN_BLOCKED);
}

TEST(a_function_that_calls_on_is_stopped)
{
    struct run *r = REPLAY(never_stops, "[]");
    CHECK_INT(r->end, TURN_BLOCKED);
    CHECK_INT(r->spinning, 1);
}

TEST(histories_that_cannot_be_are_corrupt)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[1]",
        "[{\"k\":\"nonsense\"}]",
        "[{\"k\":\"call\",\"n\":\"x\"}]",
        "[{\"k\":\"call\",\"n\":\"x\",\"r\":\"0.0\"}]",
        "[{\"k\":\"call\",\"n\":\"x\",\"r\":\"0.99999999999\"}]",
        "[{\"k\":\"call\",\"n\":\"x\",\"r\":\"01\"}]",
        "[{\"k\":\"call\",\"n\":\"x\",\"r\":\"0.1\"},{\"k\":\"call\",\"n\":\"x\",\"r\":\"0.1\"}]",
        "[{\"k\":\"done\",\"r\":\"0.1\"}]",
        "[{\"k\":\"fired\"}]",
        "[{\"k\":\"signal\"}]",
        "[{\"k\":\"wait\",\"r\":\"0.1\"},{\"k\":\"signal\",\"n\":\"x\"}]",
        "[{\"k\":\"signal\",\"n\":\"x\"},{\"k\":\"wait\",\"r\":\"0.1\"}]",
        "[{\"k\":\"patch\"}]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct run r;
        begin_run(&r);
        int rc = load_rows(&r, &bad[i], 1);
        if (rc != HF_CORRUPT)
            test_fail(__FILE__, __LINE__, "%s: %d", bad[i], rc);
        run_release(&r);
    }
}

TEST(rows_out_of_order_are_corrupt)
{
    struct run         r;
    struct history_row rows[] = {{.seq = 1, .events = "[]", .events_len = 2},
                                 {.seq = 3, .events = "[]", .events_len = 2}};
    begin_run(&r);
    CHECK_INT(run_load(&r, rows, 2, &err), HF_CORRUPT);
    run_release(&r);
}

/* ---- determinism ---- */

/* The commands in `out`, without times: what the turn asked for. */
static char *
commands_of(struct run *r)
{
    struct event *events;
    size_t        n;
    struct buf    text = {0};

    buf_puts(&text, "");
    buf_putc(&r->out, ']');
    if (r->out.len > 1) {
        CHECK_INT(event_decode(r->out.data, r->out.len, &arena, &events, &n, &err), HF_OK);
        for (size_t i = 0; i < n; i++)
            if (events[i].kind != EVENT_STARTED)
                buf_printf(&text, "%s %s %s %s;", event_kind_name(events[i].kind),
                           events[i].ref ? events[i].ref : "", events[i].name ? events[i].name : "",
                           events[i].input ? events[i].input : "");
    }
    char *copy = arena_strdup(&arena, text.data);
    buf_release(&text);
    return copy;
}

/* Event by event: a live run that got them one by one asks for the same as one read anew. */
TEST(after_each_prefix_a_run_read_anew_asks_for_the_same)
{
    struct event all[40];
    size_t       n_all = 0;
    for (int i = 0; i < GOLDEN; i++) {
        struct event *events;
        size_t        n;
        CHECK_INT(event_decode(golden[i], strlen(golden[i]), &arena, &events, &n, &err), HF_OK);
        for (size_t k = 0; k < n; k++)
            all[n_all++] = events[k];
    }
    for (size_t prefix = 0; prefix <= n_all; prefix++) {
        struct run a, b;
        struct buf row = {0};
        int64_t    last_ms = 0;
        begin_run(&a);
        begin_run(&b);
        for (size_t i = 0; i < prefix; i++) {
            event_encode(&row, &all[i], &last_ms);
            CHECK_INT(run_apply(&a, &all[i], &err), HF_OK);
        }
        buf_puts(&row, prefix ? "]" : "[]");
        CHECK_INT(load_rows(&b, (const char *const *)&row.data, 1), HF_OK);
        turn(&a, order, true);
        turn(&b, order, true);
        CHECK_INT(a.end, b.end);
        CHECK_INT(a.order, b.order);
        const char *asked = commands_of(&a);
        CHECK_TEXT(commands_of(&b), asked);
        run_release(&a);
        run_release(&b);
        buf_release(&row);
    }
}

static int
draws(hf_wf *wf)
{
    return hf_return(wf, hf_sprintf(wf, "%llu %s %s", (unsigned long long)hf_random(wf),
                                    hf_uuid(wf), hf_patch(wf, "p") ? "new" : "old"));
}

TEST(random_numbers_are_the_same_in_every_turn)
{
    struct run *r = REPLAY(draws, "[]");
    char       *first = arena_strdup(&arena, r->end_output);
    CHECK_TEXT(REPLAY(draws, "[]")->end_output, first);
    r->row.execution = 2;
    turn(r, draws, false);
    CHECK(strcmp(r->end_output, first) != 0);
}

/* ---- steps and branches ---- */

static int steps_run;

static int
count_step(hf_st *st, void *arg)
{
    (void)arg;
    steps_run++;
    return hf_step_return(st, NULL);
}

static int
step_branch(hf_wf *wf, void *arg)
{
    (void)arg;
    return hf_step(wf, "in-branch", count_step, NULL, NULL);
}

static int
task_branch(hf_wf *wf, void *arg)
{
    (void)arg;
    return hf_task(wf, "slow", NULL, NULL);
}

static int
two_branches(hf_wf *wf)
{
    hf_call calls[2];
    HF_TRY(hf_branch_start(wf, task_branch, NULL, &calls[0]));
    HF_TRY(hf_branch_start(wf, step_branch, NULL, &calls[1]));
    return hf_all(wf, calls, 2);
}

TEST(a_step_in_a_branch_is_asked_for_while_another_branch_waits)
{
    struct run r;
    begin_run(&r);
    turn(&r, two_branches, false);
    CHECK_INT(r.end, TURN_STEP);
    CHECK_INT(steps_run, 0);
    turn(&r, two_branches, true);
    CHECK_INT(r.end, TURN_STEP); /* what was asked for is not stored yet */
    CHECK_INT(steps_run, 0);
    buf_clear(&r.out);
    turn(&r, two_branches, true);
    CHECK_INT(steps_run, 1);
    CHECK_INT(r.end, TURN_SUSPENDED);
    run_release(&r);
}

/* ---- recording ---- */

TEST(what_comes_too_late_changes_nothing)
{
    struct run *r = REPLAY(order, golden[0], golden[1], golden[2]);
    bool        taken = true;
    size_t      before = r->out.len;

    CHECK_INT(run_record(r, &(struct event){.kind = EVENT_DONE, .ref = "0.1"}, &taken, &err), 0);
    CHECK(!taken);
    CHECK_INT(run_record(r, &(struct event){.kind = EVENT_ERROR, .ref = "0.77"}, &taken, &err), 0);
    CHECK(!taken);
    CHECK_INT(run_record(r, &(struct event){.kind = EVENT_SENT, .ref = "0.2"}, &taken, &err), 0);
    CHECK(!taken);
    CHECK_INT(r->out.len, before);
    for (int i = 0; i < 2; i++) {
        struct event e = {.kind = EVENT_SIGNAL, .name = "x", .key = "same"};
        CHECK_INT(run_record(r, &e, &taken, &err), HF_OK);
        CHECK(taken == (i == 0));
    }
    CHECK_INT(run_unread(r), 1);
}

TEST(much_output_makes_more_rows_that_each_fit)
{
    struct run         r, again;
    char              *big = malloc(HF_PAYLOAD_MAX + 1);
    int                n_rows = 0;
    struct history_row rows[60];

    memset(big, '\n', HF_PAYLOAD_MAX); /* grows when escaped */
    big[HF_PAYLOAD_MAX] = '\0';
    begin_run(&r);
    for (int i = 0; i < 9; i++) {
        struct event e = {.kind = EVENT_SIGNAL, .name = "big", .output = big, .time_ms = 5};
        CHECK_INT(run_record(&r, &e, NULL, &err), HF_OK);
    }
    buf_putc(&r.out, ']');
    for (char *at = r.out.data, *end = at + r.out.len; at < end; n_rows++) {
        char  *eol = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((eol ? eol : end) - at);
        CHECK(len <= HF_ROW_MAX && n_rows < 60);
        rows[n_rows] = (struct history_row){1, 1, n_rows + 1, at, len};
        at += len + 1;
    }
    CHECK(n_rows > 1);
    begin_run(&again);
    CHECK_INT(run_load(&again, rows, (size_t)n_rows, &err), HF_OK);
    CHECK_INT(run_unread(&again), 9);
    CHECK_TEXT(again.signals_tail->payload, big);
    CHECK_INT(again.signals_tail->time_ms, 5);
    run_release(&r);
    run_release(&again);
    free(big);
}

/* ---- events ---- */

static uint64_t seed = 3;

static unsigned
draw(unsigned n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % n;
}

static const char *
odd_text(void)
{
    static const char *const parts[] = {"\"",
                                        "\\",
                                        "\n",
                                        "\x01",
                                        "\x1f",
                                        "\x7f",
                                        "a",
                                        "/",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x90\x99",
                                        "\xf4\x8f\xbf\xbf",
                                        "\\u0041",
                                        "]",
                                        "[{",
                                        "\t\r\b\f"};
    char                     text[200] = "";
    if (draw(3) == 0)
        return NULL;
    for (unsigned n = draw(12); n > 0; n--)
        strncat(text, parts[draw(sizeof(parts) / sizeof(parts[0]))], 20);
    return arena_strdup(&arena, text);
}

static int64_t
odd_number(void)
{
    static const int64_t numbers[] = {0, 1, -1, 1767225600000, INT64_MAX, INT64_MIN + 1, 50};
    return numbers[draw(sizeof(numbers) / sizeof(numbers[0]))];
}

static int
odd_int(void)
{
    static const int numbers[] = {0, 1, -1, INT_MAX, INT_MIN, 7};
    return numbers[draw(sizeof(numbers) / sizeof(numbers[0]))];
}

TEST(events_survive_encoding_and_decoding)
{
    for (int round = 0; round < 3000; round++) {
        struct event e[6], *d;
        struct buf   row = {0};
        int64_t      last_ms = 0;
        size_t       n = 1 + draw(6), n_decoded;
        for (size_t i = 0; i < n; i++) {
            e[i] = (struct event){.kind = (int)draw(EVENT_KINDS_COUNT),
                                  .ref = odd_text(),
                                  .name = odd_text(),
                                  .input = odd_text(),
                                  .output = odd_text(),
                                  .error_name = odd_text(),
                                  .message = odd_text(),
                                  .run_id = odd_text(),
                                  .key = odd_text(),
                                  .code = odd_int(),
                                  .attempts = odd_int(),
                                  .flags = odd_int(),
                                  .version = odd_int(),
                                  .time_ms = i && draw(2) ? e[i - 1].time_ms : odd_number(),
                                  .due_ms = odd_number()};
            if (i && e[i].time_ms == 0) /* no time is that of the event before */
                e[i].time_ms = e[i - 1].time_ms;
            event_encode(&row, &e[i], &last_ms);
        }
        buf_putc(&row, ']');
        if (event_decode(row.data, row.len, &arena, &d, &n_decoded, &err))
            test_fail(__FILE__, __LINE__, "%s: %s", err.text, row.data);
        CHECK_INT(n_decoded, n);
        for (size_t i = 0; i < n; i++) {
            CHECK_INT(d[i].kind, e[i].kind);
            CHECK_TEXT(d[i].ref, e[i].ref);
            CHECK_TEXT(d[i].name, e[i].name);
            CHECK_TEXT(d[i].input, e[i].input);
            CHECK_TEXT(d[i].output, e[i].output);
            CHECK_TEXT(d[i].error_name, e[i].error_name);
            CHECK_TEXT(d[i].message, e[i].message);
            CHECK_TEXT(d[i].run_id, e[i].run_id);
            CHECK_TEXT(d[i].key, e[i].key);
            CHECK_INT(d[i].code, e[i].code);
            CHECK_INT(d[i].attempts, e[i].attempts);
            CHECK_INT(d[i].flags, e[i].flags);
            CHECK_INT(d[i].version, e[i].version);
            CHECK_INT(d[i].time_ms, e[i].time_ms);
            CHECK_INT(d[i].due_ms, e[i].due_ms);
        }
        buf_release(&row);
        arena_reset(&arena);
    }
}

/* ---- policy ---- */

TEST(options_of_the_call_come_before_those_of_the_handler)
{
    struct policy p =
        policy_resolve(HF_OPT(.max_attempts = 3), HF_OPT(.max_attempts = 9, .factor = 3));
    CHECK_INT(p.max_attempts, 3);
    CHECK(p.factor == 3 && p.jitter == 0.1);
    CHECK_INT(p.first_delay_ms, 1000);
    CHECK_INT(p.max_delay_ms, 60000);
    p = policy_resolve(NULL, NULL);
    CHECK_INT(p.max_attempts, 5);
    CHECK(policy_resolve(HF_OPT(.jitter = -1), NULL).jitter == 0);
}

TEST(delays_grow_to_their_cap_and_never_overflow)
{
    struct policy p = policy_resolve(HF_OPT(.jitter = -1), NULL);
    CHECK_INT(policy_delay_ms(&p, 0, 0), 1000);
    CHECK_INT(policy_delay_ms(&p, 1, 0), 1000);
    CHECK_INT(policy_delay_ms(&p, 2, 0), 2000);
    CHECK_INT(policy_delay_ms(&p, 6, 0), 32000);
    CHECK_INT(policy_delay_ms(&p, 7, 0), 60000);
    CHECK_INT(policy_delay_ms(&p, 1000000000, UINT64_MAX), 60000);
    CHECK_INT(policy_delay_ms(&p, INT_MAX, UINT64_MAX), 60000);
    p.factor = 1;
    CHECK_INT(policy_delay_ms(&p, 1000000000, 0), 1000);
    p = policy_resolve(
        HF_OPT(.first_delay_ms = INT64_MAX, .max_delay_ms = INT64_MAX, .factor = 1000, .jitter = 1),
        NULL);
    for (int attempt = 1; attempt < 1000000000; attempt = attempt * 3 + 1)
        CHECK(policy_delay_ms(&p, attempt, UINT64_MAX) >= 0);
}

TEST(jitter_stays_in_its_range_and_fills_it)
{
    struct policy p = policy_resolve(HF_OPT(.first_delay_ms = 10000, .jitter = 0.25), NULL);
    int64_t       low = INT64_MAX, high = 0;
    for (int i = 0; i < 20000; i++) {
        int64_t d = policy_delay_ms(&p, 1, (uint64_t)draw(1u << 31) << 33 | draw(1u << 31));
        low = d < low ? d : low;
        high = d > high ? d : high;
    }
    CHECK(low >= 7500 && low < 7550 && high <= 12500 && high > 12450);
    CHECK_INT(policy_delay_ms(&p, 1, 0), 7500);
}

TEST(attempts_and_names_decide_about_another_try)
{
    struct policy p =
        policy_resolve(HF_OPT(.max_attempts = 3, .no_retry = "declined, invalid"), NULL);
    CHECK(policy_retries(&p, 2, "busy") && !policy_retries(&p, 3, "busy"));
    CHECK(!policy_retries(&p, 1, "declined") && !policy_retries(&p, 1, "invalid"));
    CHECK(policy_retries(&p, 1, "decline") && policy_retries(&p, 1, NULL));
    p.max_attempts = -1;
    CHECK(policy_retries(&p, INT_MAX, "busy"));
}

TEST(options_survive_a_row)
{
    struct buf b = {0};
    hf_opt     o;
    CHECK_INT(policy_encode(HF_OPT(.max_attempts = -1, .on_crash = HF_FAIL, .timeout_ms = INT64_MAX,
                                   .deadline_ms = 1, .first_delay_ms = 2, .max_delay_ms = 3,
                                   .factor = 1.1, .jitter = -0.3, .no_retry = "a\"b,\xc3\xa9"),
                            &b, &err),
              HF_OK);
    CHECK_INT(policy_decode(b.data, &arena, &o, &err), HF_OK);
    CHECK_INT(o.max_attempts, -1);
    CHECK_INT(o.on_crash, HF_FAIL);
    CHECK_INT(o.timeout_ms, INT64_MAX);
    CHECK_INT(o.deadline_ms, 1);
    CHECK_INT(o.first_delay_ms, 2);
    CHECK_INT(o.max_delay_ms, 3);
    CHECK(o.factor == 1.1 && o.jitter == -0.3);
    CHECK_TEXT(o.no_retry, "a\"b,\xc3\xa9");
    CHECK_INT(policy_decode("[1]", &arena, &o, &err), HF_CORRUPT);
    CHECK_INT(policy_decode(NULL, &arena, &o, &err), HF_OK);
    buf_clear(&b);
    CHECK_INT(policy_encode(HF_OPT(.id = "x"), &b, &err), HF_OK);
    CHECK_INT(b.len, 0);
    buf_release(&b);
}

TEST(options_out_of_range_are_refused)
{
    CHECK_INT(policy_check(NULL, &err), HF_OK);
    CHECK_INT(policy_check(HF_OPT(.max_attempts = -2), &err), HF_INVALID);
    CHECK_INT(policy_check(HF_OPT(.timeout_ms = -1), &err), HF_INVALID);
    CHECK_INT(policy_check(HF_OPT(.timeout_ms = INT64_MAX), &err), HF_INVALID);
    CHECK_INT(policy_check(HF_OPT(.first_delay_ms = 101 * 366 * HF_DAY), &err), HF_INVALID);
    CHECK_INT(policy_check(HF_OPT(.factor = 0.5), &err), HF_INVALID);
    CHECK_INT(policy_check(HF_OPT(.factor = 0.0 / 0.0), &err), HF_INVALID);
    CHECK_INT(policy_check(HF_OPT(.jitter = 1.1), &err), HF_INVALID);
    CHECK_INT(policy_check(HF_OPT(.on_crash = 2), &err), HF_INVALID);
}
