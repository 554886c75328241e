/*
 * A throw-away PostgreSQL server, and a PgBouncer before it if asked, for test programs (pg.h) and
 * scripts (pg.bash). It lives as long as its standard input is open: whoever starts it holds the
 * other end, so the server ends and its directory goes even if that program is killed.
 *
 *     pg_serve [--fast] [--tcp] [--settings LINES]
 *
 * --fast switches fsync off, --tcp listens on a port of 127.0.0.1 too. Requests are lines "NUMBER
 * WORDS", answers "NUMBER ok DIR PORT PID BOUNCER_PORT" or "NUMBER error TEXT"; the start is
 * answered as request 0:
 *
 *     start                 again, after stop
 *     stop fast | immediate | kill       kill: SIGKILL to all its processes
 *     bouncer [SETTING;...] | bouncer-stop
 *     end
 *
 * initdb takes seconds, so its result is kept in TMPDIR for each user and version, and copied. The
 * server itself is src/bench/server.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "bench/server.h"

enum { START_MS = 120000, STOP_MS = 60000 };

struct host {
    struct server server;
    pid_t         bouncer;
    int           bouncer_port;
};

/* ---- PgBouncer */

static bool
wait_bouncer(struct host *h)
{
    char url[SERVER_PATH_SIZE + 100];

    snprintf(url, sizeof(url), "host=%s port=%d user=postgres dbname=postgres", h->server.dir,
             h->bouncer_port);
    for (int64_t end = server_now_ms() + START_MS; server_now_ms() < end && !server_told_to_end;
         server_sleep_ms(10)) {
        if (PQping(url) == PQPING_OK)
            return true;
        if (server_is_gone(&h->bouncer, 0))
            return server_fail_with_log(&h->server, "did not start", "pgbouncer.log");
    }
    return server_fail_with_log(&h->server, "not ready in time", "pgbouncer.log");
}

static void
stop_bouncer(struct host *h)
{
    if (h->bouncer) {
        kill(h->bouncer, SIGKILL);
        server_is_gone(&h->bouncer, STOP_MS);
    }
    h->bouncer_port = 0;
}

/* Debian has it in sbin, which is not in everybody's path. */
static bool
start_bouncer(struct host *h, char *settings)
{
    struct server *s = &h->server;
    char           ini[SERVER_PATH_SIZE + 50];
    const char    *argv[] = {"/usr/sbin/pgbouncer", ini, NULL};

    if (h->bouncer)
        return server_fail(s, "PgBouncer is running");
    if (access(argv[0], X_OK) != 0)
        return server_fail(s, "no %s: ./dev test installs it", argv[0]);
    snprintf(ini, sizeof(ini), "%s/pgbouncer.ini", s->dir);
    for (char *p = settings; *p; p++)
        if (*p == ';')
            *p = '\n';
    h->bouncer_port = server_free_port();
    if (!server_write_file(s, "pgbouncer.ini", O_TRUNC,
                           "[databases]\n* = host=%s port=%d user=postgres\n[pgbouncer]\n"
                           "listen_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir = %s\n"
                           "auth_type = any\npool_mode = transaction\ndefault_pool_size = 20\n"
                           "max_client_conn = 1000\n%s\n",
                           s->dir, s->port, h->bouncer_port, s->dir, settings))
        return false;
    h->bouncer = server_launch(s, (struct server_launch){.log = "pgbouncer.log"}, argv);
    if (wait_bouncer(h))
        return true;
    stop_bouncer(h);
    return false;
}

/* ---- requests */

/* Whether to go on. */
static bool
serve_one(struct host *h, char *line)
{
    struct server *s = &h->server;
    char          *rest, *word, *arg, *words = line;
    bool           ok;

    strtol(line, &rest, 10);
    words = rest + strspn(rest, " ");
    *rest = '\0';
    word = words;
    arg = word + strcspn(word, " ");
    if (*arg)
        *arg++ = '\0';
    if (strcmp(word, "start") == 0)
        ok = server_start(s);
    else if (strcmp(word, "stop") == 0)
        ok = server_stop(s, arg);
    else if (strcmp(word, "bouncer") == 0)
        ok = start_bouncer(h, arg);
    else if (strcmp(word, "bouncer-stop") == 0)
        stop_bouncer(h), ok = true;
    else if (strcmp(word, "end") == 0)
        return false;
    else
        ok = server_fail(s, "%s: no such request", word);
    if (ok)
        printf("%s ok %s %d %d %d\n", line, s->dir, s->port, (int)s->postmaster, h->bouncer_port);
    else
        printf("%s error %s\n", line, s->problem);
    return true;
}

static void
serve(struct host *h)
{
    char   text[4000];
    size_t n = 0;

    while (!server_told_to_end) {
        struct pollfd in = {.fd = 0, .events = POLLIN};
        if (poll(&in, 1, 1000) <= 0)
            continue;
        ssize_t got = read(0, text + n, sizeof(text) - 1 - n);
        if (got <= 0)
            return;
        n += (size_t)got;
        text[n] = '\0';
        for (char *end; (end = strchr(text, '\n')) != NULL;) {
            *end = '\0';
            if (!serve_one(h, text))
                return;
            n -= (size_t)(end + 1 - text);
            memmove(text, end + 1, n + 1);
        }
    }
}

int
main(int argc, char **argv)
{
    struct host    h = {.server = {.keep = true, .tmp = getenv("TMPDIR")}};
    struct server *s = &h.server;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--fast") == 0)
            s->fast = true;
        else if (strcmp(argv[i], "--tcp") == 0)
            s->tcp = true;
        else if (strcmp(argv[i], "--settings") == 0 && i + 1 < argc)
            s->settings = argv[++i];
        else
            return fprintf(stderr, "%s: what is %s?\n", argv[0], argv[i]), 64;
    }
    /* A socket's path has 107 bytes. */
    if (!s->tmp || s->tmp[0] != '/' || strlen(s->tmp) > 60)
        s->tmp = "/tmp";
    server_become_host();
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool ok = server_open(s);
    if (ok) {
        printf("0 ok %s %d %d 0\n", s->dir, s->port, (int)s->postmaster);
        serve(&h);
    } else {
        printf("0 error %s%s\n", s->problem,
               s->bin[0] ? "" : ": ./dev test installs it (or set TEST_PG_BIN)");
    }
    stop_bouncer(&h);
    server_close(s);
    printf("end ok\n");
    return !ok;
}
