/*
 * The test runner: a table filled by constructors, a child process for each test. What a test
 * prints is kept in a memory file and shown, as TAP comments, if it fails.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TESTS_MAX = 1000, EXIT_SKIP = 77 };

struct test {
    const char *name;
    test_fn     fn;
    int         seconds;
};

static struct test tests[TESTS_MAX];
static int         n_tests;
static test_fn     set_up;
static char       *skip_reason; /* shared with the child */
enum { REASON_SIZE = 300 };

void
test_add(const char *name, test_fn fn, int seconds)
{
    if (n_tests == TESTS_MAX)
        abort();
    tests[n_tests++] = (struct test){name, fn, seconds};
}

void
test_set_up(test_fn fn)
{
    set_up = fn;
}

_Noreturn void
test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    _exit(1);
}

_Noreturn void
test_skip(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(skip_reason, REASON_SIZE, fmt, ap);
    va_end(ap);
    exit(EXIT_SKIP);
}

void
test_check_int(const char *file, int line, const char *what, int64_t is, int64_t should)
{
    if (is != should)
        test_fail(file, line, "%s is %" PRId64 ", should be %" PRId64, what, is, should);
}

void
test_check_text(const char *file, int line, const char *what, const char *is, const char *should)
{
    if (is == should || (is && should && strcmp(is, should) == 0))
        return;
    test_fail(file, line, "%s is %s%s%s, should be %s%s%s", what, is ? "\"" : "", is ? is : "NULL",
              is ? "\"" : "", should ? "\"" : "", should ? should : "NULL", should ? "\"" : "");
}

int
test_is_quick(void)
{
    const char *text = getenv("TEST_QUICK");
    return text && text[0] && text[0] != '0';
}

int
test_slowness(void)
{
    const char *text = getenv("TEST_SLOW");
    long        n = text ? strtol(text, NULL, 10) : 1;
    return n > 1 && n < 1000 ? (int)n : 1;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* In the child: its own process group, directory and output. */
static _Noreturn void
run_in_child(const struct test *t, const char *dir, int output)
{
    sigset_t none;

    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (chdir(dir) != 0)
        test_fail(__FILE__, __LINE__, "chdir %s: %s", dir, strerror(errno));
    t->fn();
    exit(0);
}

/* The child's wait status; -1 if its time was up. */
static int
wait_for(pid_t child, int seconds)
{
    struct timespec now, end, left;
    sigset_t        chld;
    int             status;

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    while (waitpid(child, &status, WNOHANG) == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t ns = (end.tv_sec - now.tv_sec) * 1000000000LL + (end.tv_nsec - now.tv_nsec);
        if (ns <= 0) {
            kill(-child, SIGKILL);
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return -1;
        }
        left = (struct timespec){ns / 1000000000, ns % 1000000000};
        sigtimedwait(&chld, NULL, &left);
    }
    kill(-child, SIGKILL); /* what it left behind */
    return status;
}

static void
show_output(int fd)
{
    FILE  *f;
    char  *line = NULL;
    size_t size = 0;

    lseek(fd, 0, SEEK_SET);
    f = fdopen(dup(fd), "r");
    while (f && getline(&line, &size, f) >= 0)
        printf("# %s%s", line, strchr(line, '\n') ? "" : "\n");
    free(line);
    if (f)
        fclose(f);
}

/* 1 if it passed or was skipped. */
static int
run_one(const struct test *t, int number)
{
    char dir[] = "/tmp/hf-test-XXXXXX", title[300];
    int  output = memfd_create("output", MFD_CLOEXEC), seconds = t->seconds * test_slowness();

    if (output < 0 || mkdtemp(dir) == NULL) {
        printf("Bail out! %s\n", strerror(errno));
        exit(1);
    }
    snprintf(title, sizeof(title), "%s", t->name);
    for (char *p = title; *p; p++)
        if (*p == '_')
            *p = ' ';
    skip_reason[0] = '\0';
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        run_in_child(t, dir, output);
    int status = child < 0 ? 1 : wait_for(child, seconds);

    int skipped = status > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP;
    int ok = status == 0 || skipped;
    printf("%s %d - %s%s%s\n", ok ? "ok" : "not ok", number, title, skipped ? " # SKIP " : "",
           skipped ? skip_reason : "");
    if (!ok || getenv("TEST_VERBOSE"))
        show_output(output);
    if (status == -1)
        printf("# stopped: not done after %d s\n", seconds);
    else if (status && WIFSIGNALED(status))
        printf("# died of signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (!ok)
        printf("# again: %s %s\n", program_invocation_name, t->name);
    close(output);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return ok;
}

static int
is_asked_for(const char *name, int argc, char **argv)
{
    if (argc < 2)
        return 1;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return 0;
}

int
main(int argc, char **argv)
{
    sigset_t chld;
    int      number = 0, failed = 0;

    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        for (int i = 0; i < n_tests; i++)
            puts(tests[i].name);
        return 0;
    }
    skip_reason =
        mmap(NULL, REASON_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (skip_reason == MAP_FAILED)
        return 1;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    if (set_up)
        set_up();
    for (int i = 0; i < n_tests; i++)
        if (is_asked_for(tests[i].name, argc, argv) && !run_one(&tests[i], ++number))
            failed++;
    printf("1..%d\n", number);
    if (number == 0 && n_tests > 0)
        fprintf(stderr, "%s: no such test\n", argv[0]);
    return failed || number == 0;
}
