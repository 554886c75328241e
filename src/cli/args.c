/*
 * Arguments: getopt_long over the command's option rows. Values are checked here, by type, so that
 * a command only reads them.
 */
#include "cli/cli.h"

#include <assert.h>
#include <getopt.h>
#include <string.h>

enum { ROWS_MAX = 32, FIRST_VALUE = 256 };

static const struct option_row common_rows[] = {
    {"store", OPTION_TEXT, "URL", "the store; $HOLDFAST_STORE, else sqlite:holdfast.db"},
    {"help", OPTION_FLAG, NULL, "print help"},
};

/* Fills rows with those of the command and the common ones, and the table for getopt_long. */
static size_t
collect(const struct command *command, const struct option_row **rows, struct option *table)
{
    size_t n = 0;

    for (const struct option_row *r = command->options; r->name; r++)
        rows[n++] = r;
    for (size_t i = 0; i < sizeof(common_rows) / sizeof(common_rows[0]); i++)
        rows[n++] = &common_rows[i];
    assert(n < ROWS_MAX);
    for (size_t i = 0; i < n; i++)
        table[i] = (struct option){
            .name = rows[i]->name,
            .has_arg = rows[i]->type == OPTION_FLAG ? no_argument : required_argument,
            .val = FIRST_VALUE + (int)i,
        };
    table[n] = (struct option){0};
    return n;
}

static int
unknown_option(struct cli *c, const char *word, const struct option_row **rows, size_t n)
{
    const char *names[ROWS_MAX];
    char        name[64];

    snprintf(name, sizeof(name), "%s", word + strspn(word, "-"));
    name[strcspn(name, "=")] = '\0';
    for (size_t i = 0; i < n; i++)
        names[i] = rows[i]->name;
    const char *near = nearest_name(name, names, n);
    if (near)
        return err_set(&c->err, HF_INVALID, "%s: unknown option %s; did you mean --%s?",
                       c->command->name, word, near);
    return err_set(&c->err, HF_INVALID, "%s: unknown option %s; see holdfast %s --help",
                   c->command->name, word, c->command->name);
}

static int
parse_choice(const char *words, const char *text, int64_t *out, struct err *err)
{
    size_t n = strlen(text);
    int    at = 0;

    for (const char *w = words; *w; at++) {
        size_t len = strcspn(w, "|");
        if (len == n && memcmp(w, text, n) == 0) {
            *out = at;
            return HF_OK;
        }
        w += len + (w[len] == '|');
    }
    return err_set(err, HF_INVALID, "%s is not one of %s", text, words);
}

static int
parse_value(struct arg *a, struct err *err)
{
    switch (a->row->type) {
    case OPTION_COUNT:
        TRY(parse_number(a->text, &a->number, err));
        if (a->number < 0)
            return err_set(err, HF_INVALID, "%s is negative", a->text);
        return HF_OK;
    case OPTION_NUMBER:
        return parse_number(a->text, &a->number, err);
    case OPTION_DURATION:
        return parse_duration(a->text, &a->number, err);
    case OPTION_TIME:
        return parse_time(a->text, &a->number, err);
    case OPTION_CHOICE:
        return parse_choice(a->row->value, a->text, &a->number, err);
    default:
        return HF_OK;
    }
}

static int
take_option(struct cli *c, const struct option_row *row, const char *text, bool *help)
{
    struct arg a = {.row = row, .text = text};

    if (parse_value(&a, &c->err))
        return err_prefix(&c->err, "%s: --%s: ", c->command->name, row->name);
    if (strcmp(row->name, "store") == 0)
        c->store_url = text;
    else if (strcmp(row->name, "help") == 0)
        *help = true;
    else if (strcmp(row->name, "json") == 0)
        c->json = true;
    c->args[c->n_args++] = a;
    return HF_OK;
}

static int
check_operands(struct cli *c)
{
    const struct command *k = c->command;

    if (c->n_operands < k->operands_min)
        return err_set(&c->err, HF_INVALID, "%s: expected %s; see holdfast %s --help", k->name,
                       k->operands, k->name);
    if (k->operands_max >= 0 && c->n_operands > k->operands_max)
        return err_set(&c->err, HF_INVALID, "%s: unexpected argument %s; see holdfast %s --help",
                       k->name, c->operands[k->operands_max], k->name);
    return HF_OK;
}

int
args_parse(struct cli *c, int argc, char **argv, bool *help)
{
    const struct option_row *rows[ROWS_MAX];
    struct option            table[ROWS_MAX];
    size_t                   n = collect(c->command, rows, table);
    int                      found;

    c->args = arena_zalloc(&c->arena, (size_t)argc * sizeof(c->args[0]) + 1);
    if (c->args == NULL)
        return err_nomem(&c->err);
    opterr = 0;
    optind = 0;
    while ((found = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (found == 'h')
            *help = true;
        else if (found == '?')
            return unknown_option(c, argv[optind - 1], rows, n);
        else if (found == ':')
            return err_set(&c->err, HF_INVALID, "%s: %s needs a value", c->command->name,
                           argv[optind - 1]);
        else
            TRY(take_option(c, rows[found - FIRST_VALUE], optarg, help));
    }
    c->operands = argv + optind;
    c->n_operands = argc - optind;
    return *help ? HF_OK : check_operands(c);
}

/* The last value of an option, NULL if it was not given. */
static const struct arg *
last(const struct cli *c, const char *name)
{
    for (size_t i = c->n_args; i > 0; i--)
        if (strcmp(c->args[i - 1].row->name, name) == 0)
            return &c->args[i - 1];
    return NULL;
}

bool
args_given(const struct cli *c, const char *name)
{
    return last(c, name) != NULL;
}

const char *
args_text(const struct cli *c, const char *name, const char *fallback)
{
    const struct arg *a = last(c, name);
    return a ? a->text : fallback;
}

int64_t
args_number(const struct cli *c, const char *name, int64_t fallback)
{
    const struct arg *a = last(c, name);
    return a ? a->number : fallback;
}

int
args_choice(const struct cli *c, const char *name, int fallback)
{
    return (int)args_number(c, name, fallback);
}

const char *
args_each(const struct cli *c, const char *name, size_t n)
{
    for (size_t i = 0; i < c->n_args; i++)
        if (strcmp(c->args[i].row->name, name) == 0 && n-- == 0)
            return c->args[i].text;
    return NULL;
}
