/*
 * Waiting and hints. A hint is a datagram to an abstract socket that is named after the file's
 * device and inode: "s", something was submitted; "w", tell me of ended runs. Hints only make it
 * fast: without them (another network namespace, a full queue) a change is seen by data_version,
 * twice a second by the owner, after 1 to 20 ms by who waits for a result.
 */
#include "store/sqlite.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TICK_US = 500000, WAITER_US = 10000000, REGISTER_US = 5000000 };
enum { LOOK_MIN_US = 1000, LOOK_MAX_US = 20000 };

void
hints_open(struct sqlite *s, bool bind_name)
{
    struct stat st;
    if (s->socket < 0)
        s->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->socket < 0 || stat(s->path, &st) != 0)
        return;
    s->hint_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(s->hint_address.sun_path + 1, sizeof(s->hint_address.sun_path) - 1,
                     "holdfast/%llx/%llu", (unsigned long long)st.st_dev,
                     (unsigned long long)st.st_ino);
    s->hint_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    /* An autobound name for those who wait: it is how the owner finds them. */
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    int rc = bind_name ? bind(s->socket, (struct sockaddr *)&s->hint_address, s->hint_len)
                       : bind(s->socket, (struct sockaddr *)&any, sizeof(sa_family_t));
    if (rc != 0)
        hints_close(s);
}

void
hints_close(struct sqlite *s)
{
    if (s->socket >= 0)
        close(s->socket);
    s->socket = -1;
    s->n_waiters = 0;
}

static void
send_word(struct sqlite *s, char word)
{
    if (s->socket < 0)
        hints_open(s, false);
    if (s->socket >= 0)
        (void)!sendto(s->socket, &word, 1, MSG_DONTWAIT | MSG_NOSIGNAL,
                      (struct sockaddr *)&s->hint_address, s->hint_len);
}

void
hints_send(struct sqlite *s)
{
    if (s->epoch)
        s->hinted = true; /* the owner itself */
    else
        send_word(s, 's');
}

static void
add_waiter(struct sqlite *s, const struct sockaddr_un *address, socklen_t len)
{
    size_t i = 0;
    while (i < s->n_waiters &&
           (s->waiters[i].len != len || memcmp(&s->waiters[i].address, address, (size_t)len) != 0))
        i++;
    if (i == WAITERS_MAX) { /* the oldest falls back to looking by itself */
        memmove(s->waiters, s->waiters + 1, (WAITERS_MAX - 1) * sizeof(s->waiters[0]));
        i = WAITERS_MAX - 1;
    } else if (i == s->n_waiters) {
        s->n_waiters++;
    }
    s->waiters[i] = (struct waiter){*address, len, clock_steady_us() + WAITER_US};
}

void
hints_drain(struct sqlite *s)
{
    char               word;
    struct sockaddr_un from;
    socklen_t          len = sizeof(from);
    while (s->socket >= 0 &&
           recvfrom(s->socket, &word, 1, MSG_DONTWAIT, (struct sockaddr *)&from, &len) == 1) {
        if (word == 'w' && len > offsetof(struct sockaddr_un, sun_path))
            add_waiter(s, &from, len);
        else
            s->hinted = true;
        len = sizeof(from);
    }
}

void
sqlite_tell_waiters(struct store *base)
{
    struct sqlite *s = sqlite_of(base);
    if (s->epoch == 0)
        return;
    hints_drain(s);
    if (s->n_waiters == 0)
        return;
    int64_t now_us = clock_steady_us();
    for (size_t i = 0; i < s->n_waiters; i++)
        if (s->waiters[i].until_us > now_us)
            (void)!sendto(s->socket, "e", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
                          (struct sockaddr *)&s->waiters[i].address, s->waiters[i].len);
    s->n_waiters = 0;
}

static int
poll_us(struct pollfd *fds, nfds_t n, int64_t us)
{
    struct timespec t = {us / US_PER_S, us % US_PER_S * 1000};
    return ppoll(fds, n, &t, NULL);
}

/* Whether others have committed since this connection has last fetched, or waited. */
static int
has_changed(struct sqlite *s, bool *changed, struct err *err)
{
    int64_t version = 0;
    TRY(sqlite_data_version(s, &version, err));
    *changed = version != (s->fetched.valid ? s->fetched.version : s->waited_version);
    s->waited_version = version;
    return HF_OK;
}

int
sqlite_wait(struct store *base, int wake_fd, int64_t deadline_us, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    bool           changed = false;

    for (;;) {
        if (s->epoch)
            hints_drain(s);
        if (s->hinted) {
            s->hinted = false;
            return HF_OK;
        }
        TRY(has_changed(s, &changed, err));
        int64_t left_us = deadline_us - clock_steady_us();
        if (changed || left_us <= 0)
            return HF_OK;
        struct pollfd fds[2] = {{wake_fd, POLLIN, 0}, {s->epoch ? s->socket : -1, POLLIN, 0}};
        int           n = poll_us(fds, 2, left_us < TICK_US ? left_us : TICK_US);
        if (n < 0 && errno == EINTR)
            return HF_OK;
        if (n > 0 && fds[0].revents)
            return HF_OK;
    }
}

/* The run as it is; *ended if that is what the caller waits for. */
static int
look(struct sqlite *s, const char *id, const char *token, struct arena *a, struct run_row *out,
     bool *ended, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_run_find, err);
    if (q == NULL)
        return err->code;
    bind_text(q, 1, id);
    int         rc = sqlite3_step(q);
    const char *owned = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 2) : NULL;
    *ended = rc == SQLITE_ROW && run_has_ended(sqlite3_column_int(q, 1)) &&
             (token == NULL || (owned && strcmp(owned, token) == 0));
    sqlite3_reset(q);
    if (rc == SQLITE_DONE)
        return err_set(err, HF_NOT_FOUND, "run %s: not found", id);
    if (rc != SQLITE_ROW)
        return sqlite_fail(s, rc, "read a run", err);
    return *ended ? sqlite_run_get(&s->base, id, a, out, err) : HF_OK;
}

/* Sleeps until a datagram or the time has come; true if there was one. */
static bool
nap(struct sqlite *s, int64_t us)
{
    char          bytes[16];
    struct pollfd fd = {s->epoch ? -1 : s->socket, POLLIN, 0};
    if (poll_us(&fd, 1, us) <= 0)
        return false;
    while (recv(s->socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    return true;
}

int
sqlite_wait_result(struct store *base, const char *id, const char *token, int64_t deadline_us,
                   struct arena *a, struct run_row *out, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    int64_t        seen = -1, version = 0, registered_us = 0, step_us = LOOK_MIN_US;
    bool           ended = false;

    TRY(sqlite_data_version(s, &seen, err));
    TRY(look(s, id, token, a, out, &ended, err));
    while (!ended) {
        int64_t now_us = clock_steady_us();
        if (now_us >= deadline_us) {
            TRY(sqlite_run_get(base, id, a, out, err));
            return err_set(err, HF_TIMEOUT, "run %s: has not ended yet", id);
        }
        if (!s->epoch && now_us - registered_us > REGISTER_US) {
            send_word(s, 'w');
            registered_us = now_us;
        }
        TRY(sqlite_data_version(s, &version, err));
        if (version != seen) {
            seen = version;
            TRY(look(s, id, token, a, out, &ended, err));
            if (ended)
                break;
        }
        int64_t left_us = deadline_us - now_us;
        if (nap(s, left_us < step_us ? left_us : step_us)) {
            registered_us = 0;
            step_us = LOOK_MIN_US;
        } else if (step_us < LOOK_MAX_US) {
            step_us = step_us * 2 < LOOK_MAX_US ? step_us * 2 : LOOK_MAX_US;
        }
    }
    return HF_OK;
}
