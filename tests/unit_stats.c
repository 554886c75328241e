/* What a worker publishes: totals, rates of the last interval, and nothing when nothing is new. */
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "worker/stats.h"

static struct tally tally;
static struct meter meter;
static struct stats stats;
static int64_t      now_us;
static json_t      *said;

static void
init(void)
{
    stats_init(&stats, &tally, &meter);
    now_us = stats.began_us;
}

/* One renewal, so many seconds later; whether something was published. */
static int
renew(int seconds)
{
    now_us += seconds * US_PER_S;
    const char *text = stats_text(&stats, now_us);
    if (text == NULL)
        return 0;
    json_decref(said);
    said = json_loads(text, 0, NULL);
    CHECK(said != NULL);
    stats_said(&stats);
    return 1;
}

static json_t *
at(const char *a, const char *b, const char *c)
{
    json_t *of = json_object_get(said, a);
    of = b ? json_object_get(of, b) : of;
    return c ? json_object_get(of, c) : of;
}

#define INT_AT(a, b, c)  json_integer_value(at(a, b, c))
#define RATE_AT(a, b, c) ((int)(json_number_value(at(a, b, c)) * 10 + 0.5)) /* in tenths */

static void
done(const char *queue, int tasks, int runs)
{
    struct queue_tally *q = tally_queue(&tally, queue);
    tally_add(&tally.tasks, (uint64_t)tasks);
    tally_add(&tally.runs, (uint64_t)runs);
    tally_add(&q->tasks, (uint64_t)tasks);
    tally_add(&q->runs, (uint64_t)runs);
}

TEST(totals_are_since_the_beginning_and_rates_of_the_last_interval)
{
    init();
    done("mail", 100, 10);
    CHECK(renew(10));
    CHECK_INT(INT_AT("queues", "mail", "tasks"), 100);
    CHECK_INT(RATE_AT("queues", "mail", "tasks_per_s"), 100);
    CHECK_INT(RATE_AT("queues", "mail", "runs_per_s"), 10);
    done("mail", 5, 1);
    CHECK(renew(2));
    CHECK_INT(INT_AT("engine", "tasks", NULL), 105);
    CHECK_INT(INT_AT("engine", "runs", NULL), 11);
    CHECK_INT(INT_AT("queues", "mail", "tasks"), 105);
    CHECK_INT(RATE_AT("queues", "mail", "tasks_per_s"), 25);
    CHECK_INT(RATE_AT("queues", "mail", "runs_per_s"), 5);
    CHECK_INT(INT_AT("interval_ms", NULL, NULL), 2000);
    CHECK_INT(INT_AT("up_ms", NULL, NULL), 12000);
}

/* Each text is a write on SQLite. A rate that stays when work has stopped would be a lie. */
TEST(a_worker_that_has_nothing_to_do_says_once_that_its_rates_are_0_and_then_nothing)
{
    init();
    CHECK(renew(0));
    CHECK(!renew(3));
    done("mail", 30, 0);
    CHECK(renew(3));
    CHECK(RATE_AT("queues", "mail", "tasks_per_s") > 0);
    CHECK(renew(3));
    CHECK_INT(RATE_AT("queues", "mail", "tasks_per_s"), 0);
    CHECK_INT(INT_AT("queues", "mail", "tasks"), 30);
    for (int i = 0; i < 5; i++) {
        meter_add(&meter.ops[METER_wait], 5, false); /* it looks for work, and finds none */
        CHECK(!renew(3));
    }
}

/* An hour of rest is no part of the minute of work after it. */
TEST(a_rate_does_not_count_the_rest_before_it)
{
    init();
    CHECK(renew(1));
    for (int i = 0; i < 1000; i++)
        CHECK(!renew(3));
    done("mail", 300, 0);
    CHECK(renew(3));
    CHECK_INT(RATE_AT("queues", "mail", "tasks_per_s"), 1000);
    CHECK_INT(INT_AT("interval_ms", NULL, NULL), 3000);
}

/* A worker that has lost its lease has another row, in which nothing stands. */
TEST(a_worker_that_has_joined_anew_says_all_again)
{
    init();
    done("mail", 5, 0);
    CHECK(renew(1));
    CHECK(renew(3));
    CHECK(!renew(3));
    stats_forget(&stats);
    CHECK(renew(3));
    CHECK_INT(INT_AT("queues", "mail", "tasks"), 5);
    CHECK(!renew(3));
}

TEST(nothing_is_published_twice_in_a_second)
{
    init();
    CHECK(renew(3));
    for (int i = 0; i < 9; i++) {
        done("mail", 1, 0);
        now_us += US_PER_S / 10;
        CHECK(stats_text(&stats, now_us) == NULL);
    }
    CHECK(renew(1));
    CHECK_INT(INT_AT("queues", "mail", "tasks"), 9);
}

/* A renewal that failed has published nothing. */
TEST(what_the_store_did_not_take_is_in_the_next_text)
{
    init();
    CHECK(renew(1));
    done("mail", 40, 0);
    now_us += 2 * US_PER_S;
    CHECK(stats_text(&stats, now_us) != NULL);
    CHECK(renew(2));
    CHECK_INT(RATE_AT("queues", "mail", "tasks_per_s"), 100);
}

TEST(the_shortest_of_the_last_roundtrips_counts)
{
    init();
    CHECK(renew(1));
    CHECK(json_is_null(at("roundtrip_us", NULL, NULL)));
    stats_ping(&stats, 300);
    CHECK(renew(3)); /* the first one is news */
    stats_ping(&stats, 100);
    for (int i = 0; i < STATS_PINGS - 1; i++)
        stats_ping(&stats, 200 + i);
    done("mail", 1, 0);
    CHECK(renew(3));
    CHECK_INT(INT_AT("roundtrip_us", NULL, NULL), 100);
    stats_ping(&stats, 900);
    CHECK(renew(3));
    CHECK_INT(INT_AT("roundtrip_us", NULL, NULL), 200);
}

TEST(operations_that_were_called_have_their_times)
{
    init();
    meter_add(&meter.ops[METER_cycle], 100, false);
    meter_add(&meter.ops[METER_cycle], 300, true);
    CHECK(renew(4));
    CHECK_INT(INT_AT("operations", "cycle", "count"), 2);
    CHECK_INT(INT_AT("operations", "cycle", "errors"), 1);
    CHECK_INT(INT_AT("operations", "cycle", "total_us"), 400);
    CHECK_INT(INT_AT("operations", "cycle", "max_us"), 300);
    CHECK_INT(RATE_AT("operations", "cycle", "per_s"), 5);
    CHECK(at("operations", "submit", NULL) == NULL);
}

/* The library runs in programs of any locale, and queues have any names. */
TEST(the_text_is_json_whatever_queues_are_called_and_whatever_the_locale_is)
{
    setlocale(LC_ALL, "");
    init();
    done("a \"quoted\" \\ name\n", 1, 1);
    done("größe", 7, 1);
    CHECK(renew(2));
    CHECK_INT(INT_AT("queues", "a \"quoted\" \\ name\n", "tasks"), 1);
    CHECK_INT(RATE_AT("queues", "größe", "tasks_per_s"), 35);
}

TEST(more_queues_than_there_is_room_for_count_in_the_totals_only)
{
    char name[20];
    init();
    for (int i = 0; i < TALLY_QUEUES; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        CHECK(tally_queue(&tally, name) != NULL);
    }
    CHECK(tally_queue(&tally, "q0") == &tally.queues[0]);
    CHECK(tally_queue(&tally, "one more") == NULL);
    CHECK(renew(1));
    CHECK_INT(json_object_size(at("queues", NULL, NULL)), TALLY_QUEUES);
}
