/* Help, completion and the manual's synopsis, all printed from the table of commands. */
#include "cli/cli.h"

#include <string.h>

const struct command *
find_command(const char *name)
{
    for (const struct command *k = commands; k->name; k++)
        if (strcmp(k->name, name) == 0)
            return k;
    return NULL;
}

const char *
nearest_command(const char *word)
{
    const char *names[64];
    size_t      n = 0;

    for (const struct command *k = commands; k->name; k++)
        names[n++] = k->name;
    return nearest_name(word, names, n);
}

static const char values_text[] =
    "DURATION is 500ms, 10s, 5m, 2h or 3d; TIME is 2030-01-31T09:00:00Z or Unix seconds.\n";

void
print_usage(FILE *to)
{
    fprintf(to,
            "usage: holdfast [--store URL] COMMAND [OPTION...]\n\n"
            "Durable workflows and tasks. The store is a file, sqlite:PATH; without --store it is\n"
            "$HOLDFAST_STORE, else sqlite:holdfast.db. `holdfast COMMAND --help` says more.\n\n");
    for (const struct command *k = commands; k->name; k++)
        fprintf(to, "  %-11s %s\n", k->name, k->help);
    fprintf(to, "\n%s\nexit status:\n    0   done\n", values_text);
#define X(name, value, retry, exit_code, text)                                                     \
    if (value == HF_FAILED || value == HF_TIMEOUT || value == HF_CANCELLED ||                      \
        value == HF_INVALID || value == HF_NOT_FOUND || value == HF_UNAVAILABLE)                   \
        fprintf(to, "    %-3d %s\n", exit_code, text);
#include "base/errors.def"
#undef X
}

static void
print_option(const char *name, enum option_type type, const char *value, const char *help)
{
    char left[128];

    snprintf(left, sizeof(left), "--%s%s%s", name, type == OPTION_FLAG ? "" : " ",
             type == OPTION_FLAG ? "" : value);
    if (strlen(left) > 24)
        printf("  %s\n  %-24s %s\n", left, "", help);
    else
        printf("  %-24s %s\n", left, help);
}

void
print_command_help(const struct command *k)
{
    bool values = false;

    printf("usage: holdfast %s%s%s%s\n\n%c%s.\n\n", k->name, k->operands[0] ? " " : "", k->operands,
           k->options->name ? " [OPTION...]" : "", k->help[0] - 'a' + 'A', k->help + 1);
    for (const struct option_row *o = k->options; o->name; o++) {
        print_option(o->name, o->type, o->value, o->help);
        values |= o->type == OPTION_DURATION || o->type == OPTION_TIME;
    }
    print_option("store", OPTION_TEXT, "URL", "$HOLDFAST_STORE, else sqlite:holdfast.db");
    print_option("help", OPTION_FLAG, NULL, "print this");
    if (values)
        printf("\n%s", values_text);
}

static void
print_synopsis(void)
{
    for (const struct command *k = commands; k->name; k++) {
        printf(".Nm\n.Cm %s\n", k->name);
        for (const struct option_row *o = k->options; o->name; o++)
            if (o->type == OPTION_FLAG)
                printf(".Op Fl -%s\n", o->name);
            else
                printf(".Op Fl -%s Ar %s\n", o->name, o->value);
        int n = (int)strlen(k->operands);
        if (n > 0 && k->operands[0] == '[') /* all of it may be left out */
            printf(".Op Ar %.*s\n", n - 2, k->operands + 1);
        else if (n > 0)
            printf(".Ar %s\n", k->operands);
    }
}

int
run_help(struct cli *c)
{
    if (args_given(c, "man")) {
        print_synopsis();
        return HF_OK;
    }
    if (c->n_operands == 0) {
        print_usage(stdout);
        return HF_OK;
    }
    const struct command *k = find_command(c->operands[0]);
    if (k == NULL) {
        const char *near = nearest_command(c->operands[0]);
        return err_set(&c->err, HF_INVALID, "help: unknown command %s%s%s%s", c->operands[0],
                       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    print_command_help(k);
    return HF_OK;
}

static const char completion_head[] =
    "# bash completion for holdfast: eval \"$(holdfast completion bash)\"\n"
    "_holdfast()\n"
    "{\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        --store) ((i++)) ;;\n"
    "        -*) ;;\n"
    "        *) command=${COMP_WORDS[i]}; break ;;\n"
    "        esac\n"
    "    done\n"
    "    case $before in\n"
    "    --module | --lines | --dir) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n"
    "    esac\n"
    "    local words=\n"
    "    case $command:$before in\n";

int
run_completion(struct cli *c)
{
    if (strcmp(c->operands[0], "bash") != 0)
        return err_set(&c->err, HF_INVALID, "completion: %s: only bash is known", c->operands[0]);
    fputs(completion_head, stdout);
    for (const struct command *k = commands; k->name; k++)
        for (const struct option_row *o = k->options; o->name; o++)
            if (o->type == OPTION_CHOICE) {
                printf("    %s:--%s) words='", k->name, o->name);
                for (const char *p = o->value; *p; p++)
                    putchar(*p == '|' ? ' ' : *p);
                printf("' ;;\n");
            }
    for (const struct command *k = commands; k->name; k++) {
        printf("    %s:*) words='--store --help", k->name);
        for (const struct option_row *o = k->options; o->name; o++)
            printf(" --%s", o->name);
        printf("%s' ;;\n", strcmp(k->name, "task") == 0         ? " list show retry discard"
                           : strcmp(k->name, "completion") == 0 ? " bash"
                                                                : "");
    }
    printf("    :*) words='--store --help");
    for (const struct command *k = commands; k->name; k++)
        printf(" %s", k->name);
    printf("' ;;\n    esac\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "}\n"
           "complete -o default -F _holdfast holdfast\n");
    return HF_OK;
}

int
run_version(struct cli *c)
{
    (void)c;
    printf("holdfast %s\n", hf_version_text());
    return HF_OK;
}
