/*
 * What the command-line program needs beyond holdfast.h: the token of a start, so that it can wait
 * for the very life that it began, and whether the run was there before.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>

#include "base/id.h"
#include "client/handle.h"

struct started {
    char id[HF_ID_SIZE];
    char token[UUID_SIZE]; /* empty if the run was there and stays */
    bool existed;
};

/* hf_start, with all that is known of the start. */
int client_start(hf *h, const char *workflow, const char *input, const hf_opt *opt,
                 struct started *out);

/* hf_wait for the life of the run that token began; NULL or "": for the present one. */
int client_wait(hf *h, const char *run, const char *token, int64_t timeout_ms, hf_info **out);

#endif
