/*
 * The relay (src/bench/relay.h): the network that it pretends to be has the delay that was asked
 * for, harms nothing unless told to, and then harms exactly that.
 */
#include "bench/relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pg.h"
#include "proc.h"

enum { MS = 1000 };

/* --- a server: a process, so that nothing of it hides a race of the relay's thread --- */

/* A listening socket; its port. */
static int
listen_on(int *fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          size = sizeof(a);

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(*fd, (struct sockaddr *)&a, size) == 0 && listen(*fd, 100) == 0);
    CHECK(getsockname(*fd, (struct sockaddr *)&a, &size) == 0);
    return ntohs(a.sin_port);
}

static void
echo(int fd)
{
    static char text[1 << 16];

    for (ssize_t n; (n = read(fd, text, sizeof(text))) > 0;)
        for (ssize_t done = 0, k; done < n; done += k)
            if ((k = write(fd, text + done, (size_t)(n - done))) <= 0)
                _exit(1);
    close(fd);
}

/* Forks a process for each connection. */
static void
serve_echo(int listener)
{
    if (fork() != 0)
        return;
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd))
        if (fork() == 0) {
            echo(fd);
            _exit(0);
        }
    _exit(0);
}

/* An echo server behind a relay. */
static struct relay *
echo_behind_relay(int rtt_ms)
{
    struct relay *r;
    struct err    err = {0};
    int           listener, port = listen_on(&listener);

    serve_echo(listener);
    close(listener);
    if (relay_open("127.0.0.1", port, (int64_t)rtt_ms * MS, &r, &err) != 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    return r;
}

/* --- a client --- */

static int
connect_to(struct relay *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)relay_port(r)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    return fd;
}

static void
say(int fd, const char *text)
{
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes until so many bytes are there, the stream ends, or nothing comes for ms. */
static const char *
hear(int fd, size_t size, int ms)
{
    static char text[1000];
    size_t      n = 0;

    while (n < size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, ms) <= 0)
            break;
        ssize_t got = read(fd, text + n, size - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    return text;
}

#define SAYS_BACK(fd, text)                                                                        \
    do {                                                                                           \
        say(fd, text);                                                                             \
        CHECK_TEXT(hear(fd, strlen(text), 10000), text);                                           \
    } while (0)

/* The errno of reading, 0 for an end. */
static int
end_of(int fd)
{
    char          c;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    CHECK(poll(&p, 1, 10000) == 1);
    ssize_t n = read(fd, &c, 1);
    CHECK(n <= 0);
    return n == 0 ? 0 : errno;
}

/* --- delay --- */

/* Load can only make a round trip longer, so the best of several is the relay's own. */
TEST(a_round_trip_takes_as_long_as_asked_for)
{
    static const int rtts[] = {0, 1, 5, 40};

    for (size_t i = 0; i < sizeof(rtts) / sizeof(rtts[0]); i++) {
        struct relay *r = echo_behind_relay(rtts[i]);
        int           fd = connect_to(r);
        int64_t       best_us = INT64_MAX;
        SAYS_BACK(fd, "x");
        for (int n = 0; n < 20; n++) {
            struct timespec a, b;
            clock_gettime(CLOCK_MONOTONIC, &a);
            SAYS_BACK(fd, "hello");
            clock_gettime(CLOCK_MONOTONIC, &b);
            int64_t us = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
            CHECK(us >= rtts[i] * MS);
            best_us = us < best_us ? us : best_us;
        }
        if (best_us > rtts[i] * MS + 3 * MS * test_slowness())
            test_fail(__FILE__, __LINE__, "%d ms became %d us", rtts[i], (int)best_us);
        CHECK_INT(relay_counts(r).roundtrips, 21);
        close(fd);
        relay_close(r);
    }
}

/* A pipeline pays for one round trip, not for one each. */
TEST(what_is_under_way_does_not_wait_for_what_is_before_it)
{
    struct relay *r = echo_behind_relay(200);
    int           fd = connect_to(r);
    int64_t       start = clock_ms();

    for (int i = 0; i < 10; i++) {
        say(fd, "0123456789");
        sleep_ms(5);
    }
    CHECK_INT(strlen(hear(fd, 100, 10000)), 100);
    int64_t took = clock_ms() - start;
    CHECK(took >= 245 && took < 1000 * test_slowness());
    close(fd);
    relay_close(r);
}

/* --- unharmed --- */

enum { MUCH = 10 << 20 };

static void *
send_much(void *arg)
{
    const char *bytes = ((void **)arg)[1];
    int         fd = *(int *)((void **)arg)[0];

    for (ssize_t done = 0, n; done < MUCH; done += n)
        if ((n = send(fd, bytes + done, (size_t)(MUCH - done), MSG_NOSIGNAL)) <= 0)
            return "not sent";
    shutdown(fd, SHUT_WR);
    return NULL;
}

TEST_WITHIN(ten_megabytes_come_through_each_way_and_then_the_end, 60)
{
    static char   out[MUCH], in[MUCH];
    struct relay *r = echo_behind_relay(50);
    int           fd = connect_to(r);
    pthread_t     sender;
    void         *wrong;
    size_t        n = 0;
    int64_t       start = clock_ms();

    for (size_t i = 0; i < MUCH; i++)
        out[i] = (char)(i * 2654435761U >> 13);
    CHECK(pthread_create(&sender, NULL, send_much, (void *[]){&fd, out}) == 0);
    for (ssize_t got; n < MUCH && (got = read(fd, in + n, MUCH - n)) > 0;)
        n += (size_t)got;
    CHECK(pthread_join(sender, &wrong) == 0 && wrong == NULL);
    CHECK_INT(n, MUCH);
    CHECK(memcmp(in, out, MUCH) == 0);
    CHECK_INT(end_of(fd), 0);
    CHECK(clock_ms() - start < 5000 * test_slowness()); /* the delay does not limit what flows */
    struct relay_counts counts = relay_counts(r);
    CHECK_INT(counts.bytes[RELAY_TO_SERVER], MUCH);
    CHECK_INT(counts.bytes[RELAY_TO_CLIENT], MUCH);
    CHECK_INT(counts.connections, 1);
    close(fd);
    relay_close(r);
}

TEST(connections_do_not_mix)
{
    enum { MANY = 100 };
    struct relay *r = echo_behind_relay(10);
    int           fd[MANY];
    char          text[20];

    for (int i = 0; i < MANY; i++)
        fd[i] = connect_to(r);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(text, sizeof(text), "%05d %05d", i, round);
            say(fd[i], text);
        }
        for (int i = 0; i < MANY; i++) {
            snprintf(text, sizeof(text), "%05d %05d", i, round);
            CHECK_TEXT(hear(fd[i], strlen(text), 10000), text);
        }
    }
    CHECK_INT(relay_counts(r).connections, MANY);
    CHECK_INT(relay_counts(r).roundtrips, 3 * MANY);
    for (int i = 0; i < MANY; i++)
        close(fd[i]);
    relay_close(r);
}

/* --- harmed as asked for --- */

TEST(a_cut_resets_all_connections_and_takes_new_ones)
{
    struct relay *r = echo_behind_relay(100);
    int           a = connect_to(r), b = connect_to(r);

    SAYS_BACK(a, "hello");
    say(b, "lost under way");
    relay_cut(r);
    CHECK_INT(end_of(a), ECONNRESET);
    CHECK_INT(end_of(b), ECONNRESET);
    int c = connect_to(r);
    SAYS_BACK(c, "again");
    relay_close(r);
    CHECK_INT(end_of(c), ECONNRESET);
}

TEST(a_stalled_relay_takes_bytes_and_is_silent_until_it_resumes)
{
    struct relay *r = echo_behind_relay(2);
    int           a = connect_to(r);

    SAYS_BACK(a, "hello");
    relay_stall(r);
    int b = connect_to(r);
    say(a, "one");
    say(b, "two");
    shutdown(b, SHUT_WR);
    CHECK_TEXT(hear(a, 3, 150), "");
    CHECK_TEXT(hear(b, 3, 150), "");
    relay_resume(r);
    CHECK_TEXT(hear(a, 3, 10000), "one");
    CHECK_TEXT(hear(b, 3, 10000), "two");
    CHECK_INT(end_of(b), 0);
    SAYS_BACK(a, "goes on");
    relay_close(r);
}

/* The server did it, and the client does not know: the doubt that a store has to cope with. */
TEST(an_answer_can_be_lost_when_the_request_was_not)
{
    struct relay *r = echo_behind_relay(2);
    int           a = connect_to(r);

    SAYS_BACK(a, "hello");
    relay_drop_after(r, RELAY_TO_CLIENT, 3);
    say(a, "commit");
    CHECK_TEXT(hear(a, 6, 150), "com");
    struct relay_counts counts = relay_counts(r);
    CHECK_INT(counts.bytes[RELAY_TO_SERVER], 11);
    CHECK_INT(counts.bytes[RELAY_TO_CLIENT], 11);
    int b = connect_to(r); /* b loses something too, c does not */
    int c = connect_to(r);
    say(b, "lost");
    CHECK_TEXT(hear(b, 4, 150), "");
    relay_resume(r);
    CHECK_INT(end_of(a), ECONNRESET);
    CHECK_INT(end_of(b), ECONNRESET);
    SAYS_BACK(c, "hello");
    relay_close(r);
}

TEST(a_request_can_be_lost)
{
    struct relay *r = echo_behind_relay(0);
    int           a = connect_to(r);

    relay_drop_after(r, RELAY_TO_SERVER, 8);
    SAYS_BACK(a, "hello");
    say(a, "commit");
    CHECK_TEXT(hear(a, 6, 150), "com");
    relay_cut(r);
    CHECK_INT(end_of(a), ECONNRESET);
    relay_close(r);
}

TEST(a_server_that_is_away_resets_the_client)
{
    struct relay *r;
    struct err    err = {0};
    int           listener, port = listen_on(&listener);

    close(listener);
    CHECK_INT(relay_open("127.0.0.1", port, 0, &r, &err), 0);
    int fd = connect_to(r), why = end_of(fd);
    CHECK(why == ECONNRESET || why == 0);
    relay_close(r);
    CHECK_INT(relay_open("no.such.host.invalid", port, 0, &r, &err), HF_UNAVAILABLE);
    CHECK(contains(err.text, "no.such.host.invalid"));
}

TEST_WITHIN(a_database_is_as_far_away_as_asked_for, 120)
{
    struct pg    *pg = pg_start(&(struct pg_opt){.fast = true});
    struct relay *r;
    struct err    err = {0};

    CHECK_INT(relay_open(pg_socket(pg), 0, 30 * MS, &r, &err), 0);
    const char *url = pg_tcp_url(pg, "postgres", relay_port(r));
    int64_t     start = clock_ms();
    CHECK_INT(pg_int(url, "select 7"), 7);
    CHECK(clock_ms() - start >= 60); /* the connection's start, and the statement */
    CHECK(relay_counts(r).roundtrips >= 2);
    relay_close(r);
    pg_stop(pg);
}

/* Controls from other threads while bytes flow: for the thread sanitizer. */
static void *
ask_for_counts(void *arg)
{
    for (int i = 0; i < 200; i++)
        relay_counts(arg);
    return NULL;
}

TEST(controls_may_come_from_any_thread)
{
    struct relay *r = echo_behind_relay(1);
    int           fd = connect_to(r);
    pthread_t     other[2];

    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&other[i], NULL, ask_for_counts, r) == 0);
    for (int i = 0; i < 50; i++)
        SAYS_BACK(fd, "hello");
    for (int i = 0; i < 2; i++)
        pthread_join(other[i], NULL);
    relay_stall(r);
    relay_resume(r);
    SAYS_BACK(fd, "hello");
    close(fd);
    relay_close(r);
}
