/*
 * A relay between clients and a database server: it listens on a port of 127.0.0.1 and passes bytes
 * on, each direction half a round trip later, without limiting how much is under way. So a
 * benchmark on one machine shows what a network costs, and a test can have a bad network: cut,
 * silent, or losing an answer. It knows nothing of what it passes on.
 *
 * It is a thread of its own. All calls but open and close may come from any thread; what they ask
 * for is done when they return. Only bytes are late: a connection itself is accepted at once.
 */
#ifndef BENCH_RELAY_H
#define BENCH_RELAY_H

#include <stdint.h>

#include "base/err.h"

struct relay;

enum relay_way { RELAY_TO_SERVER, RELAY_TO_CLIENT };

/* host: a name, an address, or the path of a Unix socket, which needs no port. */
int  relay_open(const char *host, int port, int64_t rtt_us, struct relay **out, struct err *err);
void relay_close(struct relay *r); /* resets all connections; NULL is fine */
int  relay_port(const struct relay *r);

/* Resets all connections, and what they have under way is lost. New ones are accepted. */
void relay_cut(struct relay *r);
/* Nothing is passed on any more, not even an end, until relay_resume. Bytes are taken and kept. */
void relay_stall(struct relay *r);
/* Of all connections together the next n bytes that way are passed on, what follows is lost. */
void relay_drop_after(struct relay *r, enum relay_way way, int64_t n);
/* Ends stall and drop: goes on with what was kept; connections that lost something are reset. */
void relay_resume(struct relay *r);

struct relay_counts {
    int64_t connections;
    int64_t bytes[2];   /* that came, by relay_way */
    int64_t roundtrips; /* answers: bytes of the server after bytes of the client */
};
struct relay_counts relay_counts(struct relay *r);

#endif
