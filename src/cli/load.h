/* Tasks or runs of many inputs: the options --lines and --count of `enqueue` and `start`. */
#ifndef CLI_LOAD_H
#define CLI_LOAD_H

#include "cli/cli.h"

struct load_way {
    const char *noun, *done; /* "task", "enqueued" */
    int (*store)(hf *h, const char *name, const char *const *inputs, size_t n, const hf_opt *opt,
                 char *ids); /* in one commit */
};

bool load_is_many(const struct cli *c);
int  load_check_options(struct cli *c, const struct load_way *way);
/* Stores what the options say under the name of the first operand, and prints how many. */
int load_many(struct cli *c, const struct load_way *way, const hf_opt *opt);

#endif
