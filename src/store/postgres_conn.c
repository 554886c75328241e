/*
 * The life of one connection: beginning a verb, waiting, losing it. Everything that waits for an
 * answer does so in one place, pg_wait_socket, which takes in what the server sends while it pushes
 * out what we send, and gives up when nothing has moved for s->patience_us.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "store/postgres_explain.h"

/* ---- losing the connection */

/* From here on every call says so, until pg_ready connects anew. */
int
pg_lose(struct postgres *s, int code, const char *text)
{
    char line[300];
    if (s->lost.code)
        return s->lost.code;
    pg_one_line(text, line, sizeof(line));
    if (pg_in_doubt(s)) {
        s->old_pid = s->conn ? PQbackendPID(s->conn) : 0;
        err_set(&s->lost, HF_UNKNOWN,
                "%s: the connection was lost while a commit was under way: %s", s->target.where,
                line);
    } else {
        err_set(&s->lost, code, "%s: %s", s->target.where, line);
    }
    return s->lost.code;
}

int
pg_lose_connection(struct postgres *s)
{
    const char *text = s->conn ? PQerrorMessage(s->conn) : "";
    return pg_lose(s, HF_UNAVAILABLE, *text ? text : "the connection is lost");
}

void
pg_disconnect(struct postgres *s)
{
    PQclear(s->result);
    s->result = NULL;
    PQfinish(s->conn);
    s->conn = NULL;
    s->first = s->n_expected = 0;
    s->listens = s->ended = false;
    s->named = 0;
    s->channel[0] = '\0';
    memset(s->prepared, 0, sizeof(s->prepared));
    s->failed = (struct err){0};
}

/* ---- waiting */

static void
hear_all(struct postgres *s)
{
    for (PGnotify *n; (n = PQnotifies(s->conn)) != NULL; PQfreemem(n))
        if (s->pooled || n->be_pid != PQbackendPID(s->conn))
            pg_hear(s, n->relname, n->extra);
}

static int
poll_us(struct pollfd *fds, nfds_t n, int64_t us)
{
    struct timespec t = {us / US_PER_S, us % US_PER_S * 1000};
    return ppoll(fds, n, us < 0 ? NULL : &t, NULL);
}

/* Pushing out may already have taken in what is waited for: libpq reads when it cannot write. And
 * when all is out, the server may have nothing to say before it gets more. So both are looked at
 * before sleeping. */
bool
pg_wait_socket(struct postgres *s, bool sending)
{
    int unsent = PQflush(s->conn);
    if (unsent < 0 && PQstatus(s->conn) == CONNECTION_BAD)
        return false;
    if (unsent == 0 && (sending || !PQisBusy(s->conn)))
        return true;
    struct pollfd fd = {PQsocket(s->conn), (short)(POLLIN | (unsent > 0 ? POLLOUT : 0)), 0};
    int           n;
    do
        n = poll_us(&fd, 1, s->patience_us);
    while (n < 0 && errno == EINTR);
    if (n == 0) {
        pg_lose(s, HF_UNAVAILABLE, "the server does not answer");
        return false;
    }
    if ((fd.revents & ~POLLOUT) && !PQconsumeInput(s->conn))
        return false;
    hear_all(s);
    return true;
}

bool
pg_listen_until(struct postgres *s, int wake_fd, int64_t deadline_us, bool *woken)
{
    bool had_news = s->hints.woken, had_result = s->hints.result;
    *woken = false;
    if (s->conn)
        hear_all(s); /* what other calls have taken in */
    if (s->hints.woken != had_news || s->hints.result != had_result)
        return true;
    int64_t left_us = deadline_us - clock_steady_us();
    if (left_us < 0)
        left_us = 0;
    struct pollfd fds[2] = {{wake_fd, POLLIN, 0}, {s->conn ? PQsocket(s->conn) : -1, POLLIN, 0}};
    int           n = poll_us(fds, 2, left_us);
    *woken = n < 0 || (n > 0 && fds[0].revents);
    if (n <= 0 || fds[1].revents == 0)
        return true;
    if (!PQconsumeInput(s->conn)) {
        pg_lose_connection(s);
        return false;
    }
    hear_all(s);
    return true;
}

/* ---- beginning a verb */

/* libpq would print notices. Of use are the last words of a server that ends the connection, and
 * plans that were asked for. */
void
pg_notice(void *arg, const PGresult *result)
{
    struct postgres *s = arg;
    const char      *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state && strncmp(state, "57P", 3) == 0)
        s->ended = true;
    if (s->explain)
        pg_explain_notice(s, result);
}

/* A connection that has ended while nobody looked is found here, not by the first statement. */
static bool
is_alive(struct postgres *s)
{
    if (s->conn == NULL || s->lost.code)
        return false;
    for (int i = 0; i < 2; i++) { /* last words, then the end */
        if (!PQconsumeInput(s->conn) || PQstatus(s->conn) == CONNECTION_BAD)
            return false;
        hear_all(s);
    }
    return !s->ended;
}

int
pg_ready(struct postgres *s, struct err *err)
{
    if (is_alive(s)) {
        s->bad_item = -1;
        s->sqlstate[0] = '\0';
        if (s->first < s->n_expected || PQtransactionStatus(s->conn) != PQTRANS_IDLE)
            pg_rollback(s);
        if (s->lost.code == 0)
            return HF_OK;
    }
    pg_disconnect(s);
    s->lost = (struct err){0};
    return pg_connect(s, err);
}
