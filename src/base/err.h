/*
 * Errors inside the library: a code of holdfast.h and one line for people. Every function that can
 * fail takes `struct err *err` last, returns the code, and sets the text where it knows most.
 * Nobody both logs and returns an error.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "holdfast.h"

struct err {
    int  code;
    char text[500];
};

/* Sets code and text; returns code. err may be NULL. A text of an earlier failure is replaced. */
int err_set(struct err *err, int code, const char *fmt, ...) HF_PRINTF(3, 4);

/* Puts words before the text that is there: "run order-42: " + "out of memory". Returns the code.
 */
int err_prefix(struct err *err, const char *fmt, ...) HF_PRINTF(2, 3);

/* HF_NOMEM with its standing text. */
int err_nomem(struct err *err);

/* From errors.def. An unknown code is "HF_INTERNAL" and exit code 70. */
const char *err_name(int code);
const char *err_text(int code);
int         err_exit_code(int code);
int         err_is_retryable(int code);

/* Leaves a function that holds nothing with a code that is not 0. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        int try_rc_ = (call);                                                                      \
        if (try_rc_ != 0)                                                                          \
            return try_rc_;                                                                        \
    } while (0)

#endif
