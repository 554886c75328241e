/*
 * What tests ask of runs, on a test handle or a client's: each call that goes wrong fails the test
 * with the handle's message. Texts that are handed out live until the test ends.
 */
#ifndef TESTS_RUNS_H
#define TESTS_RUNS_H

#include "test.h"

/* The call has to give 0; else the test fails with the handle's message. */
#define OK(h, call) runs_check(__FILE__, __LINE__, h, #call, call, 0)
/* ... or that code. */
#define GIVES(h, call, code) runs_check(__FILE__, __LINE__, h, #call, call, code)

void runs_check(const char *file, int line, hf *h, const char *call, int is, int should);

hf *world_open(void); /* hf_test_open */

const char *status_of(hf *h, const char *run);
const char *output_of(hf *h, const char *run);
const char *error_of(hf *h, const char *run);   /* its name */
const char *message_of(hf *h, const char *run); /* its message, "" if none */
const char *custom_of(hf *h, const char *run);
int         execution_of(hf *h, const char *run);

/* Whether text contains part. */
int contains(const char *text, const char *part);

/* Log lines of a handle that contain a text. Starts counting when it is first called for it. */
void runs_keep_log(hf *h);
int  runs_logged(const char *text);

#endif
