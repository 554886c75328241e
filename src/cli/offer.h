/* What `holdfast worker` can offer: modules, shell commands, built-in tasks for trying and
 * measuring. */
#ifndef CLI_OFFER_H
#define CLI_OFFER_H

#include "cli/cli.h"

/* dlopens FILE.so and calls its `int holdfast_module(hf *)`. */
int offer_module(struct cli *c, const char *path);
/* NAME=COMMAND: a task that is run by /bin/sh. */
int offer_exec(struct cli *c, const char *spec);
/* Names with commas, or "all"; "bench" alone is what `holdfast bench` measures. */
int offer_builtin(struct cli *c, const char *names);
int offer_bench(struct cli *c);

/* The log of the worker: text on a terminal, a JSON object a line otherwise. verbose: also debug.
 */
struct log_style {
    bool json, verbose;
};
void print_log(void *style, int level, const char *event, const char *fields);

/* One field of a log line. */
struct log_field {
    const char *key, *value;
    size_t      key_len, value_len;
};
/* The field at *at, which moves on; false at the end, or where no field is. */
bool next_field(const char **at, struct log_field *out);

struct buf;
/* The sentence for an event; false if there is none. */
bool put_sentence(struct buf *b, const char *event, const char *fields);

#endif
