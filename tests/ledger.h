/*
 * Continuous mixed work that keeps a ledger, for days on which everything goes wrong: transfers of
 * money (runs with tasks, a timer, a signal, a child, compensation) and standalone tasks, ordered
 * by client processes that note what was acknowledged. In the end it must balance to the cent.
 */
#ifndef TESTS_LEDGER_H
#define TESTS_LEDGER_H

#include "cluster.h"

void ledger_offer(hf *h); /* what its workers can do */

/* Orders until it is killed, a few hundred a second at most. */
pid_t ledger_client_start(int number, int pause_us);

/* After the clients are gone: works until nothing is left to do, and checks the ledger and the
 * record. Fails unless so many transfers at least were acknowledged. */
void ledger_settle(int runs_min);

/* Transfers that have been acknowledged, as far as the ledger says. */
int ledger_acknowledged(void);

/* Seeds random numbers from TEST_SEED, else anew; the seed is printed. */
void seed_random(void);

#endif
