/*
 * `holdfast stats` over a network that takes its time: what is the server's and what is the way
 * there and back must be told apart, by the command and by the worker.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "bench/relay.h"
#include "pg.h"
#include "proc.h"
#include "store/store.h"

enum { RTT_US = 30000 };

static int
noop(hf_tk *tk, void *arg)
{
    (void)tk, (void)arg;
    return HF_OK;
}

static void
offer(hf *h)
{
    OK(h, hf_handler(h, "noop", noop, NULL, NULL));
}

/* The command beside this program's directory, or $HOLDFAST. */
static const char *
command(void)
{
    static char path[400];
    const char *given = getenv("HOLDFAST");
    if (given)
        return given;
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 20);
    CHECK(n > 0);
    path[n] = '\0';
    char *tests = strstr(path, "/tests/");
    CHECK(tests != NULL);
    snprintf(tests, 20, "/holdfast");
    return path;
}

static json_t *
stats(const char *url)
{
    char    line[1000];
    json_t *said;
    snprintf(line, sizeof(line), "'%s' stats --json --store '%s'", command(), url);
    FILE *f = popen(line, "r");
    CHECK(f != NULL);
    said = json_loadf(f, 0, NULL);
    CHECK_INT(pclose(f), 0);
    CHECK(said != NULL);
    return said;
}

static int64_t
get(const json_t *of, const char *member)
{
    return json_integer_value(json_object_get(of, member));
}

static json_t *
first_worker(const json_t *said)
{
    return json_array_get(json_object_get(said, "workers"), 0);
}

/* Whether the worker has said that so many tasks are done, and what a roundtrip took. */
static int
has_said(const char *url, int tasks)
{
    json_t *said = stats(url), *of = json_object_get(first_worker(said), "stats");
    int enough = get(json_object_get(of, "engine"), "tasks") >= tasks && get(of, "roundtrip_us");
    json_decref(said);
    return enough;
}

TEST_WITHIN(a_roundtrip_is_at_least_what_the_network_takes_and_told_apart_from_the_server, 60)
{
    struct pg    *server = pg_start(&(struct pg_opt){.fast = true});
    const char   *url = pg_new_database(server, "far");
    struct err    err = {0};
    struct buf    log = {0};
    struct relay *relay;

    CHECK_INT(postgres_migrate(url, MIGRATE_RUN, &log, &err), HF_OK);
    pg_exec(url, "create extension pg_stat_statements");
    CHECK_INT(relay_open(pg_socket(server), 0, RTT_US, &relay, &err), HF_OK);
    const char *far = pg_tcp_url(server, "far", relay_port(relay));
    proc_serve(far);
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 2, .lease_ms = 3000));
    proc_serve(url);
    hf *h = client_open();
    for (int i = 0; i < 10; i++)
        OK(h, hf_enqueue(h, "noop", NULL, NULL, NULL));
    UNTIL_WITHIN(20, has_said(url, 10));

    json_t *near = stats(url), *from_far = stats(far);
    int64_t here_us = get(json_object_get(near, "roundtrip"), "min_us"),
            there_us = get(json_object_get(from_far, "roundtrip"), "min_us");
    json_t *cycle = json_object_get(first_worker(near), "cycle");
    printf("# roundtrip %lld us, far %lld us; a cycle %lld = %lld + %lld + %lld us\n",
           (long long)here_us, (long long)there_us, (long long)get(cycle, "mean_us"),
           (long long)get(cycle, "server_us"), (long long)get(cycle, "network_us"),
           (long long)get(cycle, "rest_us"));
    CHECK(here_us < RTT_US);
    CHECK(there_us >= RTT_US);
    CHECK(get(cycle, "network_us") >= RTT_US);
    CHECK(get(cycle, "server_us") > 0 && get(cycle, "server_us") < RTT_US);
    CHECK_INT(get(cycle, "server_us") + get(cycle, "network_us") + get(cycle, "rest_us"),
              get(cycle, "mean_us"));
    json_decref(near);
    json_decref(from_far);
    CHECK_INT(worker_stop(worker), 0);
    hf_close(h);
    relay_close(relay);
    buf_release(&log);
    pg_stop(server);
}
