/*
 * The command-line program: what all commands share. A command is a row of the table in commands.c:
 * its name, help, options and function. Help, completion and the manual's synopsis are printed from
 * that table (help.c), arguments are parsed by it (args.c).
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "client/handle.h"

enum option_type {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_COUNT,    /* a whole number, 0 and up */
    OPTION_NUMBER,   /* a whole number */
    OPTION_DURATION, /* 500ms, 10s, 5m, 2h, 3d: milliseconds */
    OPTION_TIME,     /* RFC 3339, or Unix seconds: milliseconds */
    OPTION_CHOICE    /* one of the words of `value`, which stand with | between them */
};

struct option_row {
    const char      *name;
    enum option_type type;
    const char      *value; /* its name in the help, NULL for a flag */
    const char      *help;
};

struct cli;

struct command {
    const char              *name;
    const char              *operands;                   /* as in the synopsis, "" for none */
    int                      operands_min, operands_max; /* max -1: any number */
    const char              *help;                       /* one line */
    const struct option_row *options;                    /* ends with a row without a name */
    int (*run)(struct cli *c);
};

extern const struct command commands[]; /* ends with a row without a name */

struct arg {
    const struct option_row *row;
    const char              *text;
    int64_t                  number;
};

struct cli {
    const struct command *command;
    struct arg           *args; /* options in the order given */
    size_t                n_args;
    char                **operands;
    int                   n_operands;
    const char           *store_url; /* NULL: the library's default */
    bool                  json;
    int                   exit_code; /* of a command that did its work and has bad news */
    hf                   *h;
    struct arena          arena;
    struct err            err; /* a command that returns a code says here what is wrong */
};

/* ---- args.c */

/* Parses the words after the command's name. HF_INVALID, with a hint in c->err. --help: *help. */
int args_parse(struct cli *c, int argc, char **argv, bool *help);

/* The last value given, or the fallback. The option must be one of the command's. */
bool        args_given(const struct cli *c, const char *name);
const char *args_text(const struct cli *c, const char *name, const char *fallback);
int64_t     args_number(const struct cli *c, const char *name, int64_t fallback);
/* The n-th value (0, 1, ...) of an option that may be repeated; NULL after the last. */
const char *args_each(const struct cli *c, const char *name, size_t n);
/* Of a choice: the position of its word, 0, 1, ... */
int args_choice(const struct cli *c, const char *name, int fallback);

/* ---- parse.c */

/* HF_INVALID says what is expected. */
int parse_duration(const char *text, int64_t *ms, struct err *err);
int parse_time(const char *text, int64_t *ms, struct err *err);
int parse_number(const char *text, int64_t *out, struct err *err);

/* The candidate that is nearest to word (in edits, at most a third of its length); NULL if none is.
 */
const char *nearest_name(const char *word, const char *const *names, size_t n);

/* Reads a line without its end, NUL bytes and all, cut one byte past max. 1: there is one, 0: the
 * end of the file, or an error of it. */
int read_line(FILE *from, struct buf *line, size_t max);

/* ---- help.c */
const struct command *find_command(const char *name);
void                  print_usage(FILE *to);
void                  print_command_help(const struct command *command);
const char           *nearest_command(const char *word);
int                   run_help(struct cli *c);
int                   run_completion(struct cli *c);
int                   run_version(struct cli *c);

/* ---- open.c */

/* The store's URL: --store, else $HOLDFAST_STORE, else the file holdfast.db. */
const char *cli_url(const struct cli *c);
bool        cli_is_file(const struct cli *c); /* an SQLite store */
/* HF_UNAVAILABLE if it is a file that is not there. */
int cli_find(struct cli *c);
/* Opens the store as c->h. An SQLite file that is not there is made only by commands that write. */
int cli_open(struct cli *c, bool create);
/* Takes over the handle's error, for return. */
int cli_fail(struct cli *c);
/* HF_NOMEM, for return. */
int cli_nomem(struct cli *c);

/* ---- commands */
int run_start(struct cli *c);
int run_wait(struct cli *c);
int run_signal(struct cli *c);
int run_cancel(struct cli *c);
int run_terminate(struct cli *c);
int run_pause(struct cli *c);
int run_resume(struct cli *c);
int run_enqueue(struct cli *c);
int run_show(struct cli *c);
int run_list(struct cli *c);
int run_why(struct cli *c);
int run_task(struct cli *c);
int run_migrate(struct cli *c);
int run_workers(struct cli *c);
int run_queues(struct cli *c);
int run_stats(struct cli *c);
int run_purge(struct cli *c);
int run_doctor(struct cli *c);
int run_worker(struct cli *c);
int run_demo(struct cli *c);
int run_bench(struct cli *c);
int run_explain(struct cli *c);

#endif
