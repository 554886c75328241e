/*
 * The relay: one thread, one poll loop, and for each direction of each connection a queue of what
 * came and when it is due. Ends of streams stand in the queue too, so they are as late as bytes.
 * The thread owns all that; others hand it one command at a time and wait until it is done.
 */
#include "bench/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    READ_SIZE = 1 << 18,
    QUEUED_MAX = 64 << 20, /* of a direction; then its sender has to wait, as in any network */
    PAUSE_US = 10000,      /* when no connection can be accepted: no descriptors */
};

enum kind { BYTES, END, RESET };

struct chunk {
    struct chunk *next;
    int64_t       due_us;
    enum kind     kind;
    size_t        size, sent;
    char          bytes[];
};

/* Index 0 is the client's side and what it sends, RELAY_TO_SERVER; 1 the server's. */
struct flow {
    struct chunk *head, **tail;
    size_t        queued;
    bool          ended;   /* nothing more will come */
    bool          blocked; /* the receiver takes nothing now */
    bool          done;    /* the end was passed on */
};

struct connection {
    struct connection *next;
    int                fd[2];
    struct flow        flow[2];
    struct pollfd     *polled; /* two, of this round; NULL: too new */
    bool               asked;  /* the client has sent something since the last answer */
    bool               lost;   /* something was dropped */
    bool               dead;
};

enum command { NONE, COUNT, CUT, STALL, DROP, RESUME, CLOSE };

struct relay {
    pthread_t               thread;
    struct sockaddr_storage target;
    socklen_t               target_size;
    int                     listener, wake, port;
    int64_t                 delay_us;

    pthread_mutex_t     lock; /* of what follows up to the answer */
    pthread_cond_t      changed;
    enum command        command; /* at most one at a time */
    enum relay_way      way;
    int64_t             n;
    int64_t             given, obeyed; /* commands */
    struct relay_counts answer;

    /* the thread's */
    struct connection  *connections;
    size_t              n_connections;
    struct pollfd      *polled;
    size_t              polled_max;
    bool                stalled;
    int64_t             left[2]; /* bytes until they are dropped; -1: never */
    int64_t             now_us, accept_us;
    struct relay_counts counts;
    char                scratch[READ_SIZE];
};

/* --- connections --- */

static void
clear_flow(struct flow *f)
{
    for (struct chunk *c = f->head; c;) {
        struct chunk *next = c->next;
        mem_free(c);
        c = next;
    }
    *f = (struct flow){.tail = &f->head};
}

/* Without lingering, so that TCP sends a reset if the end was not agreed on. */
static void
close_connection(struct connection *c)
{
    struct linger none = {.l_onoff = 1};

    for (int side = 0; side < 2; side++) {
        if (!c->flow[0].done || !c->flow[1].done)
            setsockopt(c->fd[side], SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        close(c->fd[side]);
        clear_flow(&c->flow[side]);
    }
    mem_free(c);
}

static void
close_dead(struct relay *r)
{
    for (struct connection **at = &r->connections; *at;) {
        struct connection *c = *at;
        if (!c->dead && !(c->flow[0].done && c->flow[1].done)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        r->n_connections--;
        close_connection(c);
    }
}

/* A Unix socket connects at once or not at all; TCP goes on in the background. */
static int
connect_to_target(const struct relay *r)
{
    int family = r->target.ss_family, one = 1;
    int fd =
        socket(family, SOCK_STREAM | SOCK_CLOEXEC | (family == AF_UNIX ? 0 : SOCK_NONBLOCK), 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&r->target, r->target_size) != 0 &&
        errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* Whether there was one to accept. */
static bool
accept_one(struct relay *r)
{
    int                one = 1;
    struct connection *c;
    int                client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            r->accept_us = r->now_us + PAUSE_US;
        return false;
    }
    int server = connect_to_target(r);
    c = server < 0 ? NULL : mem_zalloc(sizeof(*c));
    if (!c) {
        close(client);
        if (server >= 0)
            close(server);
        return true;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *c = (struct connection){.next = r->connections, .fd = {client, server}};
    for (int way = 0; way < 2; way++)
        c->flow[way].tail = &c->flow[way].head;
    r->connections = c;
    r->n_connections++;
    r->counts.connections++;
    return true;
}

/* --- bytes --- */

static void
put(struct relay *r, struct connection *c, int way, enum kind kind, size_t size)
{
    struct flow  *f = &c->flow[way];
    struct chunk *chunk = mem_alloc(sizeof(*chunk) + size);

    if (!chunk) {
        c->dead = true;
        return;
    }
    *chunk = (struct chunk){.due_us = r->now_us + r->delay_us, .kind = kind, .size = size};
    memcpy(chunk->bytes, r->scratch, size);
    *f->tail = chunk;
    f->tail = &chunk->next;
    f->queued += size;
}

static void
count(struct relay *r, struct connection *c, int way, size_t size)
{
    r->counts.bytes[way] += (int64_t)size;
    if (way == RELAY_TO_CLIENT && c->asked)
        r->counts.roundtrips++;
    c->asked = way == RELAY_TO_SERVER;
}

/* How much of n bytes is not to be lost. An end (n is 0) is lost when bytes would be. */
static size_t
keep(struct relay *r, struct connection *c, int way, size_t n)
{
    int64_t *left = &r->left[way];

    if (*left < 0)
        return n;
    size_t kept = n <= (size_t)*left ? n : (size_t)*left;
    *left -= (int64_t)kept;
    c->lost = c->lost || kept < n;
    return kept;
}

static void
take(struct relay *r, struct connection *c, int way)
{
    ssize_t n = read(c->fd[way], r->scratch, sizeof(r->scratch));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r->now_us = clock_steady_us();
    if (n > 0) {
        count(r, c, way, (size_t)n);
        size_t kept = keep(r, c, way, (size_t)n);
        if (kept > 0)
            put(r, c, way, BYTES, kept);
        return;
    }
    c->flow[way].ended = true;
    if (r->left[way] == 0)
        c->lost = true;
    else
        put(r, c, way, n == 0 ? END : RESET, 0);
}

/* Whether the chunk is through. */
static bool
pass(struct connection *c, int way, struct chunk *chunk)
{
    int to = c->fd[!way];

    if (chunk->kind == RESET)
        c->dead = true;
    if (chunk->kind == END) {
        shutdown(to, SHUT_WR);
        c->flow[way].done = true;
    }
    if (chunk->kind != BYTES)
        return true;
    ssize_t n = send(to, chunk->bytes + chunk->sent, chunk->size - chunk->sent,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        c->dead = true;
    if (n > 0)
        chunk->sent += (size_t)n;
    return chunk->sent == chunk->size;
}

/* Passes on what is due. */
static void
forward(const struct relay *r, struct connection *c, int way)
{
    struct flow *f = &c->flow[way];

    while (!c->dead && !r->stalled && f->head && f->head->due_us <= r->now_us) {
        struct chunk *chunk = f->head;
        f->blocked = !pass(c, way, chunk);
        if (f->blocked)
            return;
        f->head = chunk->next;
        if (!f->head)
            f->tail = &f->head;
        f->queued -= chunk->size;
        mem_free(chunk);
    }
}

/* --- commands --- */

static void
drop_connections(struct relay *r, bool all)
{
    for (struct connection *c = r->connections; c; c = c->next)
        c->dead = c->dead || all || c->lost;
    close_dead(r);
}

/* Whether to go on. */
static bool
obey(struct relay *r)
{
    uint64_t     n;
    enum command command;

    if (read(r->wake, &n, sizeof(n)) < 0 && errno != EAGAIN)
        return false;
    pthread_mutex_lock(&r->lock);
    command = r->command;
    switch (command) {
    case STALL:
        r->stalled = true;
        break;
    case DROP:
        r->left[r->way] = r->n;
        break;
    case RESUME:
        r->stalled = false;
        r->left[0] = r->left[1] = -1;
        drop_connections(r, false);
        break;
    case CUT:
    case CLOSE:
        while (accept_one(r)) /* whoever has connected by now is cut too */
            ;
        drop_connections(r, true);
        break;
    case COUNT:
    case NONE:
        break;
    }
    if (command != NONE)
        r->obeyed++;
    r->command = NONE;
    r->answer = r->counts;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return command != CLOSE;
}

/* --- the loop --- */

static bool
make_room(struct relay *r)
{
    size_t need = 2 + 2 * r->n_connections;

    if (need <= r->polled_max)
        return true;
    struct pollfd *bigger = mem_realloc(r->polled, 2 * need * sizeof(*bigger));
    if (!bigger)
        return false;
    r->polled = bigger;
    r->polled_max = 2 * need;
    return true;
}

/* Descriptors that wait for nothing are left out: poll would tell of their end again and again. */
static int64_t
prepare(struct relay *r)
{
    struct pollfd *p = r->polled;
    int64_t        due_us = INT64_MAX;
    bool           accepts = r->now_us >= r->accept_us;

    *p++ = (struct pollfd){.fd = r->wake, .events = POLLIN};
    *p++ = (struct pollfd){.fd = accepts ? r->listener : -1, .events = POLLIN};
    if (!accepts)
        due_us = r->accept_us;
    for (struct connection *c = r->connections; c; c = c->next) {
        c->polled = p;
        for (int side = 0; side < 2; side++, p++) {
            const struct flow *in = &c->flow[side], *out = &c->flow[!side];
            short              events = 0;
            if (!in->ended && in->queued < QUEUED_MAX)
                events |= POLLIN;
            if (out->blocked && !r->stalled)
                events |= POLLOUT;
            else if (out->head && !r->stalled && out->head->due_us < due_us)
                due_us = out->head->due_us;
            *p = (struct pollfd){.fd = events ? c->fd[side] : -1, .events = events};
        }
    }
    return due_us;
}

static void
wait_for_events(struct relay *r, int64_t due_us)
{
    int64_t         left = due_us > r->now_us ? due_us - r->now_us : 0;
    struct timespec t = {left / US_PER_S, left % US_PER_S * 1000};

    if (ppoll(r->polled, 2 + 2 * r->n_connections, due_us == INT64_MAX ? NULL : &t, NULL) < 0)
        for (size_t i = 0; i < 2 + 2 * r->n_connections; i++)
            r->polled[i].revents = 0;
    r->now_us = clock_steady_us();
}

static void *
run(void *arg)
{
    struct relay *r = arg;

    prctl(PR_SET_TIMERSLACK, 1UL);
    do {
        for (struct connection *c = r->connections; c; c = c->next) {
            for (int side = 0; side < 2 && c->polled; side++) {
                if (c->polled[side].revents & ~POLLOUT && !c->flow[side].ended)
                    take(r, c, side);
                forward(r, c, side);
            }
        }
        close_dead(r);
        if (!make_room(r))
            drop_connections(r, true); /* two fit always */
        wait_for_events(r, prepare(r));
        if (r->polled[1].revents)
            while (accept_one(r))
                ;
    } while (obey(r));
    return NULL;
}

/* --- what others call --- */

static struct relay_counts
command(struct relay *r, enum command command, enum relay_way way, int64_t n)
{
    uint64_t one = 1;

    pthread_mutex_lock(&r->lock);
    while (r->command != NONE)
        pthread_cond_wait(&r->changed, &r->lock);
    int64_t number = ++r->given;
    r->command = command;
    r->way = way;
    r->n = n;
    while (write(r->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    while (r->obeyed < number)
        pthread_cond_wait(&r->changed, &r->lock);
    struct relay_counts counts = r->answer;
    pthread_mutex_unlock(&r->lock);
    return counts;
}

static int
find_target(struct relay *r, const char *host, int port, struct err *err)
{
    struct sockaddr_un *local = (struct sockaddr_un *)&r->target;
    struct addrinfo     hints = {.ai_socktype = SOCK_STREAM}, *found;
    char                service[20];

    if (host[0] == '/') {
        if (strlen(host) >= sizeof(local->sun_path))
            return err_set(err, HF_INVALID, "relay: the path %s is too long for a socket", host);
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, host, strlen(host) + 1);
        r->target_size = sizeof(*local);
        return HF_OK;
    }
    snprintf(service, sizeof(service), "%d", port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0)
        return err_set(err, HF_UNAVAILABLE, "relay: %s: %s", host, gai_strerror(rc));
    memcpy(&r->target, found->ai_addr, found->ai_addrlen);
    r->target_size = found->ai_addrlen;
    freeaddrinfo(found);
    return HF_OK;
}

static int
listen_somewhere(struct relay *r, struct err *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          size = sizeof(address);

    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (r->wake < 0 || r->listener < 0 ||
        bind(r->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(r->listener, 512) != 0 ||
        getsockname(r->listener, (struct sockaddr *)&address, &size) != 0)
        return err_set(err, HF_UNAVAILABLE, "relay: %s", strerror(errno));
    r->port = ntohs(address.sin_port);
    return HF_OK;
}

/* Signals are for other threads. */
static int
start_thread(struct relay *r, struct err *err)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc ? err_set(err, HF_UNAVAILABLE, "relay: no thread: %s", strerror(rc)) : HF_OK;
}

static void
release(struct relay *r)
{
    if (r->listener >= 0)
        close(r->listener);
    if (r->wake >= 0)
        close(r->wake);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
    mem_free(r->polled);
    mem_free(r);
}

int
relay_open(const char *host, int port, int64_t rtt_us, struct relay **out, struct err *err)
{
    struct relay *r = mem_zalloc(sizeof(*r));

    *out = NULL;
    if (!r)
        return err_nomem(err);
    r->listener = r->wake = -1;
    r->left[0] = r->left[1] = -1;
    r->delay_us = rtt_us / 2;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    int rc = find_target(r, host, port, err);
    if (rc == HF_OK)
        rc = listen_somewhere(r, err);
    if (rc == HF_OK && !make_room(r))
        rc = err_nomem(err);
    if (rc == HF_OK)
        rc = start_thread(r, err);
    if (rc != HF_OK) {
        release(r);
        return rc;
    }
    *out = r;
    return HF_OK;
}

void
relay_close(struct relay *r)
{
    if (!r)
        return;
    command(r, CLOSE, 0, 0);
    pthread_join(r->thread, NULL);
    release(r);
}

int
relay_port(const struct relay *r)
{
    return r->port;
}

void
relay_cut(struct relay *r)
{
    command(r, CUT, 0, 0);
}

void
relay_stall(struct relay *r)
{
    command(r, STALL, 0, 0);
}

void
relay_drop_after(struct relay *r, enum relay_way way, int64_t n)
{
    command(r, DROP, way, n);
}

void
relay_resume(struct relay *r)
{
    command(r, RESUME, 0, 0);
}

struct relay_counts
relay_counts(struct relay *r)
{
    return command(r, COUNT, 0, 0);
}
