/* What the client calls share: storing under the handle's mutex, and checks. */
#ifndef CLIENT_SUBMIT_H
#define CLIENT_SUBMIT_H

#include "client/handle.h"

/* Stores items in one commit. *bad (may be NULL) is the item that an error is about. */
int submit_once(hf *h, struct submit *items, size_t n, size_t *bad, struct err *err);
/* The same, for items that may be stored twice without harm: it is repeated after HF_UNKNOWN. */
int submit_again(hf *h, struct submit *items, size_t n, size_t *bad, struct err *err);

int submit_check_signal(const char *run, const char *signal, const char *payload, struct err *err);

#endif
