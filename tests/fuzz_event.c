/*
 * Arbitrary bytes in the place of history rows: event_decode and run_load answer HF_OK or
 * HF_CORRUPT, and what they took in can be run. A small corpus, and mutations of it by a fixed
 * seed (FUZZ_SEED=n and FUZZ_RUNS=n for others).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/turn.h"
#include "test.h"

static const char *const corpus[] = {
    "[]",
    "[{\"k\":\"started\",\"v\":1,\"t\":1000}]",
    "[{\"k\":\"call\",\"r\":\"0.1\",\"n\":\"charge\",\"i\":\"x\",\"x\":1},"
    "{\"k\":\"sent\",\"r\":\"0.1\"},{\"k\":\"done\",\"r\":\"0.1\",\"o\":\"y\",\"a\":2,\"t\":5}]",
    "[{\"k\":\"timer\",\"r\":\"0.1\",\"w\":77},{\"k\":\"fired\",\"r\":\"0.1\"}]",
    "[{\"k\":\"wait\",\"r\":\"0.1\",\"n\":\"s\",\"w\":9},{\"k\":\"signal\",\"n\":\"s\",\"o\":\"1\","
    "\"y\":\"k\"},{\"k\":\"signal\",\"n\":\"s\",\"o\":\"2\"}]",
    "[{\"k\":\"child\",\"r\":\"0.1\",\"n\":\"w\",\"d\":\"id\",\"x\":2},{\"k\":\"child\","
    "\"r\":\"0.2\",\"n\":\"w\",\"d\":\"id2\"},{\"k\":\"error\",\"r\":\"0.2\",\"c\":3,\"e\":\"e\","
    "\"m\":\"m\"}]",
    "[{\"k\":\"step\",\"r\":\"0.3.1\",\"n\":\"st\",\"c\":1,\"e\":\"e\",\"m\":\"\\u00e9\"},"
    "{\"k\":\"patch\",\"n\":\"p\"},{\"k\":\"cancel\",\"m\":\"enough\"},{\"k\":\"continued\"}]",
    "[{\"k\":\"call\",\"r\":\"c.1\",\"n\":\"undo\",\"x\":1},{\"k\":\"completed\",\"t\":-1}]",
};
enum { CORPUS = sizeof(corpus) / sizeof(corpus[0]), SIZE_MAX_ROW = 2000 };

static const char *const words[] = {"\"k\":",
                                    "\"r\":",
                                    "\"n\":",
                                    "\"call\"",
                                    "\"done\"",
                                    "\"step\"",
                                    "\"signal\"",
                                    "\"wait\"",
                                    "\"0.1\"",
                                    "\"0.2\"",
                                    "\"0.10000000\"",
                                    "null",
                                    "-1",
                                    "9223372036854775807",
                                    "1e999",
                                    "[",
                                    "]",
                                    "{",
                                    "}",
                                    ",",
                                    "\"",
                                    "\\u0000",
                                    "\\ud800",
                                    "\xff",
                                    "\xf0\x9f\x90\x99",
                                    "\"fired\"",
                                    "\"cancel\"",
                                    "\"patch\""};
enum { WORDS = sizeof(words) / sizeof(words[0]) };

static uint64_t seed;

static unsigned
draw(unsigned n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % n;
}

/* A workflow that meets most histories. */
static int
asks(hf_wf *wf)
{
    const char *out;
    hf_call     call;
    int         rc = hf_task(wf, "charge", "x", &out);
    if (rc < 0)
        return rc;
    HF_TRY(hf_signal_start(wf, "s", &call, HF_OPT(.timeout_ms = 9)));
    HF_TRY(hf_sleep(wf, 5));
    (void)hf_patch(wf, "p");
    return hf_return(wf, out);
}

/* The run that comes of two rows with these bytes is fit for a turn. */
static void
try(const char *bytes, size_t n)
{
    static int64_t     now_us = 1000;
    struct arena       a = {0}, turn_arena = {0};
    struct err         err = {0};
    struct event      *events;
    struct run         r;
    size_t             count;
    struct run_row     row = {.no = 1, .id = "r", .workflow = "w", .execution = 1};
    struct history_row rows[] = {{1, 1, 1, bytes, n}, {1, 1, 2, corpus[0], 2}};
    struct clock       clock = clock_fake(&now_us);
    struct turn_env    env = {.clock = &clock, .arena = &turn_arena};

    int rc = event_decode(bytes, n, &a, &events, &count, &err);
    CHECK(rc == HF_OK || rc == HF_CORRUPT);
    CHECK_INT(run_init(&r, &row, &err), HF_OK);
    int loaded = run_load(&r, rows, 2, &err);
    CHECK(loaded == HF_OK || loaded == HF_CORRUPT);
    CHECK(rc == HF_OK || loaded == HF_CORRUPT);
    if (loaded == HF_OK) {
        struct event late[] = {{.kind = EVENT_SIGNAL, .name = "s", .key = "k"},
                               {.kind = EVENT_DONE, .ref = "0.1"},
                               {.kind = EVENT_CANCEL, .message = "m"}};
        run_turn(&r, asks, &env);
        for (int i = 0; i < 3; i++)
            CHECK_INT(run_record(&r, &late[i], NULL, &err), HF_OK);
        run_turn(&r, asks, &env);
        (void)run_next_due_ms(&r);
        (void)run_needs_owner(&r);
        (void)run_unread(&r);
    }
    run_release(&r);
    arena_release(&a);
    arena_release(&turn_arena);
}

TEST(the_corpus_is_read)
{
    for (int i = 0; i < CORPUS; i++)
        try(corpus[i], strlen(corpus[i]));
    for (int i = 0; i < CORPUS; i++) /* also cut short anywhere */
        for (size_t n = 0; n < strlen(corpus[i]); n++)
            try(corpus[i], n);
}

static size_t
put(char *row, size_t n, size_t at, size_t cut, const char *text, size_t len)
{
    cut = cut < n - at ? cut : n - at;
    if (n - cut + len > SIZE_MAX_ROW)
        return n;
    memmove(row + at + len, row + at + cut, n - at - cut);
    memcpy(row + at, text, len);
    return n - cut + len;
}

/* `[a]` and `[b]` become `[a,b]`. */
static size_t
join(char *row, size_t n, const char *other)
{
    if (n < 3 || strlen(other) < 3)
        return n;
    n = put(row, n, n - 1, 1, ",", 1);
    return put(row, n, n, 0, other + 1, strlen(other) - 1);
}

static size_t
mutate(char *row, size_t n)
{
    size_t      at = draw((unsigned)n + 1);
    const char *word = words[draw(WORDS)], *other = corpus[draw(CORPUS)];
    char        byte = (char)draw(256);

    switch (draw(5)) {
    case 0:
        return put(row, n, at, 1, &byte, 1);
    case 1:
        return put(row, n, at, draw(9), word, strlen(word));
    case 2:
        return put(row, n, at, draw(30), "", 0);
    case 3: { /* an event of another row */
        size_t len = strlen(other), from = draw((unsigned)len + 1);
        return put(row, n, at, draw(4), other + from, len - from);
    }
    default: /* one event more in the array */
        return join(row, n, other);
    }
}

TEST_WITHIN(mutated_rows_are_read_or_refused, 60)
{
    const char *text = getenv("FUZZ_SEED"), *runs = getenv("FUZZ_RUNS");
    long        n_runs = runs ? strtol(runs, NULL, 10) : test_is_quick() ? 20000 : 300000;

    seed = text ? strtoull(text, NULL, 10) : 1;
    for (long i = 0; i < n_runs; i++) {
        char   row[SIZE_MAX_ROW + 1];
        size_t n = strlen(corpus[i % CORPUS]);
        memcpy(row, corpus[i % CORPUS], n);
        for (unsigned k = 1 + draw(6); k > 0; k--)
            n = mutate(row, n);
        char *exact = malloc(n + 1); /* so that a read past its end is seen */
        memcpy(exact, row, n);
        try(exact, n);
        free(exact);
    }
}
