/* Starts pg_serve, asks it, and asks the server. */
#include "pg.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct pg {
    pid_t server; /* pg_serve */
    int   in, out;
    char  dir[300], socket[400];
    int   port, bouncer_port;
    pid_t postmaster;
};

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Texts handed out; reachable, so nobody calls them leaks. */
struct kept {
    struct kept *next;
    char         text[];
};
static struct kept *all_kept;

static const char *HF_PRINTF(1, 2) keep(const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    size_t       n = (size_t)vsnprintf(NULL, 0, fmt, again) + 1;
    struct kept *k = malloc(sizeof(*k) + n);
    if (!k)
        abort();
    vsnprintf(k->text, n, fmt, ap);
    va_end(again);
    va_end(ap);
    do
        k->next = __atomic_load_n(&all_kept, __ATOMIC_RELAXED);
    while (!__sync_bool_compare_and_swap(&all_kept, k->next, k));
    return k->text;
}

/* Beside the test program; a benchmark is in a directory next to it. */
static void
find_pg_serve(char *path, size_t size)
{
    char    self[400];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        FAIL("/proc/self/exe: %s", strerror(errno));
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, size, "%s/pg_serve", self);
    if (access(path, X_OK) != 0)
        snprintf(path, size, "%s/../tests/pg_serve", self);
}

static void
start_process(struct pg *pg, const char *const *argv)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t          attr;
    sigset_t                   none;
    int                        to[2], from[2];

    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        FAIL("pipe: %s", strerror(errno));
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, to[0], 0);
    posix_spawn_file_actions_adddup2(&files, from[1], 1);
    int rc = posix_spawn(&pg->server, argv[0], &files, &attr, (char *const *)argv, environ);
    if (rc)
        FAIL("%s: %s", argv[0], strerror(rc));
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    close(to[0]);
    close(from[1]);
    pg->in = to[1];
    pg->out = from[0];
}

/* A byte at a time: what follows is somebody else's answer. */
static void
read_line(struct pg *pg, char *line, size_t size)
{
    size_t n = 0;

    for (;;) {
        char    c;
        ssize_t got = read(pg->out, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            FAIL("pg_serve has ended");
        if (c == '\n')
            break;
        if (n < size - 1)
            line[n++] = c;
    }
    line[n] = '\0';
}

/* An earlier test may have been stopped before it read its answer: those are passed over. */
static void
take_answer(struct pg *pg, long number, const char *request)
{
    char line[1500], *rest;

    do
        read_line(pg, line, sizeof(line));
    while (strtol(line, &rest, 10) != number || rest == line);
    int postmaster = 0;
    if (sscanf(rest, " ok %299s %d %d %d", pg->dir, &pg->port, &postmaster, &pg->bouncer_port) != 4)
        FAIL("PostgreSQL: %s:%s", request, rest);
    pg->postmaster = postmaster;
    snprintf(pg->socket, sizeof(pg->socket), "%s/.s.PGSQL.%d", pg->dir, pg->port);
}

static void HF_PRINTF(2, 3) ask(struct pg *pg, const char *fmt, ...)
{
    static int n;
    char       request[1000];
    va_list    ap;

    long number = getpid() * 1000L + ++n % 1000;
    va_start(ap, fmt);
    vsnprintf(request, sizeof(request), fmt, ap);
    va_end(ap);
    if (dprintf(pg->in, "%ld %s\n", number, request) < 0)
        FAIL("pg_serve: %s", strerror(errno));
    take_answer(pg, number, request);
}

struct pg *
pg_start(const struct pg_opt *opt)
{
    static const struct pg_opt standard;
    struct pg                 *pg = calloc(1, sizeof(*pg));
    char                       path[500];
    const char                *argv[6] = {path};
    int                        n = 1;

    if (!pg)
        abort();
    if (!opt)
        opt = &standard;
    find_pg_serve(path, sizeof(path));
    if (opt->fast)
        argv[n++] = "--fast";
    if (opt->tcp)
        argv[n++] = "--tcp";
    if (opt->settings) {
        argv[n++] = "--settings";
        argv[n++] = opt->settings;
    }
    start_process(pg, argv);
    take_answer(pg, 0, "start");
    return pg;
}

void
pg_stop(struct pg *pg)
{
    char    byte[100];
    ssize_t got;

    if (!pg)
        return;
    if (dprintf(pg->in, "1 end\n") < 0) /* a child may hold the pipe's end too */
        FAIL("pg_serve: %s", strerror(errno));
    close(pg->in);
    do
        got = read(pg->out, byte, sizeof(byte));
    while (got > 0 || (got < 0 && errno == EINTR));
    close(pg->out);
    waitpid(pg->server, NULL, 0);
    free(pg);
}

void
pg_halt(struct pg *pg, const char *how)
{
    ask(pg, "stop %s", how);
}

void
pg_start_again(struct pg *pg)
{
    ask(pg, "start");
}

void
pg_restart(struct pg *pg, const char *how)
{
    pg_halt(pg, how);
    pg_start_again(pg);
}

void
pg_kill9(struct pg *pg)
{
    pg_halt(pg, "kill");
}

static const char *
local_url(const struct pg *pg, const char *database, int port)
{
    return keep("postgresql://postgres@/%s?host=%s&port=%d", database, pg->dir, port);
}

const char *
pg_url(struct pg *pg)
{
    return local_url(pg, "postgres", pg->port);
}

const char *
pg_tcp_url(struct pg *pg, const char *database, int port)
{
    /* without Kerberos: its library leaks the reasons why there is none */
    return keep("postgresql://postgres@127.0.0.1:%d/%s?gssencmode=disable", port ? port : pg->port,
                database);
}

const char *
pg_new_database(struct pg *pg, const char *name)
{
    const char *url = pg_url(pg);

    pg_exec(url, keep("drop database if exists %s with (force)", name));
    pg_exec(url, keep("create database %s", name));
    return local_url(pg, name, pg->port);
}

const char *
pg_socket(struct pg *pg)
{
    return pg->socket;
}

int
pg_port(struct pg *pg)
{
    return pg->port;
}

pid_t
pg_pid(struct pg *pg)
{
    return pg->postmaster;
}

const char *
pg_dir(struct pg *pg)
{
    return pg->dir;
}

const char *
pg_bouncer_start(struct pg *pg, const char *settings)
{
    ask(pg, "bouncer %s", settings ? settings : "");
    return pg_bouncer_url(pg, "postgres");
}

const char *
pg_bouncer_url(struct pg *pg, const char *database)
{
    return local_url(pg, database, pg->bouncer_port);
}

int
pg_bouncer_port(struct pg *pg)
{
    return pg->bouncer_port;
}

void
pg_bouncer_stop(struct pg *pg)
{
    ask(pg, "bouncer-stop");
}

/* Notices of tests interest nobody. */
static void
ignore_notice(void *arg, const PGresult *result)
{
    (void)arg, (void)result;
}

static PGresult *
execute(const char *url, const char *sql, PGconn **conn)
{
    *conn = PQconnectdb(url);
    if (PQstatus(*conn) != CONNECTION_OK)
        FAIL("%s: %s", url, PQerrorMessage(*conn));
    PQsetNoticeReceiver(*conn, ignore_notice, NULL);
    PGresult *result = PQexec(*conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        FAIL("%s: %s", sql, PQerrorMessage(*conn));
    return result;
}

void
pg_exec(const char *url, const char *sql)
{
    PGconn *conn;
    PQclear(execute(url, sql, &conn));
    PQfinish(conn);
}

const char *
pg_text(const char *url, const char *sql)
{
    PGconn     *conn;
    PGresult   *result = execute(url, sql, &conn);
    const char *text = NULL;

    if (PQntuples(result) > 1 || PQnfields(result) != 1)
        FAIL("%s: %d rows of %d columns", sql, PQntuples(result), PQnfields(result));
    if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
        text = keep("%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    PQfinish(conn);
    return text;
}

int64_t
pg_int(const char *url, const char *sql)
{
    const char *text = pg_text(url, sql);
    char       *end;

    if (!text)
        FAIL("%s: no value", sql);
    int64_t n = strtoll(text, &end, 10);
    if (end == text || *end)
        FAIL("%s: %s is not a number", sql, text);
    return n;
}
