/*
 * The entry of `holdfast`: finds the command, parses its arguments, runs it, and turns its code
 * into one line on standard error and an exit code.
 */
#include "cli/cli.h"

#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 64, EXIT_NO_OUTPUT = 74 };

/* Descriptors 0 to 2 must be there, else the store's file would become one of them. */
static void
fill_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

/* Options before the command. Returns the index of the command, argc if there is none, or -1. */
static int
global_options(struct cli *c, int argc, char **argv, bool *help, bool *version)
{
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *help = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            *version = true;
        } else if (strncmp(argv[i], "--store=", 8) == 0) {
            c->store_url = argv[i] + 8;
        } else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc) {
            c->store_url = argv[++i];
        } else if (strcmp(argv[i], "--store") == 0) {
            err_set(&c->err, HF_INVALID, "--store needs a value");
            return -1;
        } else {
            err_set(&c->err, HF_INVALID,
                    "unknown option %s before the command; see holdfast --help", argv[i]);
            return -1;
        }
    }
    return i;
}

static int
choose_command(struct cli *c, const char *name)
{
    c->command = find_command(name);
    if (c->command)
        return HF_OK;
    const char *near = nearest_command(name);
    if (near)
        return err_set(&c->err, HF_INVALID, "unknown command %s; did you mean %s?", name, near);
    return err_set(&c->err, HF_INVALID, "unknown command %s; see holdfast --help", name);
}

static int
run(struct cli *c, int argc, char **argv)
{
    bool help = false, version = false;
    int  at = global_options(c, argc, argv, &help, &version);

    if (at < 0)
        return HF_INVALID;
    if (version)
        return run_version(c);
    if (at == argc) {
        print_usage(help ? stdout : stderr);
        c->exit_code = help ? 0 : EXIT_USAGE;
        return HF_OK;
    }
    TRY(choose_command(c, argv[at]));
    TRY(args_parse(c, argc - at, argv + at, &help));
    if (help) {
        print_command_help(c->command);
        return HF_OK;
    }
    return c->command->run(c);
}

/* One line on standard error, whatever the text holds. */
static void
report(const char *text)
{
    fputs("holdfast: ", stderr);
    for (; *text; text++)
        fputc(*text == '\n' || *text == '\r' ? ' ' : *text, stderr);
    fputc('\n', stderr);
}

int
main(int argc, char **argv)
{
    struct cli c = {0};

    fill_standard_files();
    setlocale(LC_CTYPE, "");
    int  rc = run(&c, argc, argv);
    int  exit_code = rc ? err_exit_code(rc) : c.exit_code;
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (rc)
        report(c.err.text[0] ? c.err.text : err_text(rc));
    else if (lost)
        report("standard output cannot be written");
    hf_close(c.h);
    arena_release(&c.arena);
    return exit_code == 0 && lost ? EXIT_NO_OUTPUT : exit_code;
}
