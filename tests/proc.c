/* Worker processes, and files that say what they did. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void
sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

int64_t
clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *files_dir = ".", *store = STORE;

void
proc_serve(const char *url)
{
    store = url;
}

void
proc_keep_files_in(const char *dir)
{
    files_dir = dir;
}

static const char *
path_of(const char *file)
{
    static __thread char path[500];
    snprintf(path, sizeof(path), "%s/%s", files_dir, file);
    return path;
}

/* One write, so lines of several processes do not mix. */
static void
append_line(const char *file, const char *text)
{
    int    fd = open(path_of(file), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    size_t n = strlen(text);
    if (fd < 0 || write(fd, text, n) != (ssize_t)n)
        test_fail(__FILE__, __LINE__, "%s: %s", file, strerror(errno));
    close(fd);
}

void
effect(const char *fmt, ...)
{
    char    text[400];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof(text) - 2)
        n = (int)sizeof(text) - 2;
    memcpy(text + n, "\n", 2);
    append_line("effects", text);
}

static int
count_lines(const char *file, const char *text, int whole)
{
    FILE  *f = fopen(path_of(file), "r");
    char  *line = NULL;
    size_t size = 0;
    int    n = 0;

    while (f && getline(&line, &size, f) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        n += text == NULL || (whole ? strcmp(line, text) == 0 : strstr(line, text) != NULL);
    }
    free(line);
    if (f)
        fclose(f);
    return n;
}

int
effects(const char *line)
{
    return count_lines("effects", line, 1);
}

int
effects_with(const char *part)
{
    return count_lines("effects", part, 0);
}

int
logged(const char *text)
{
    return count_lines("worker.log", text, 0);
}

static void
write_log(void *arg, int level, const char *event, const char *fields)
{
    char text[1200];
    (void)arg, (void)level;
    snprintf(text, sizeof(text), "%d %s %s\n", (int)getpid(), event, fields);
    append_line("worker.log", text);
}

hf *
client_open(void)
{
    hf *h;
    OK(h, hf_open(store, &h));
    return h;
}

hf *
client_try(void)
{
    hf *h;
    if (hf_open(store, &h) == 0)
        return h;
    hf_close(h);
    return NULL;
}

static _Noreturn void
work(offer_fn offer, const hf_worker_opt *given)
{
    hf_worker_opt opt = {.size = sizeof(opt), .slots = 4, .grace_ms = 1000};
    hf           *h;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (given)
        opt = *given;
    opt.handle_signals = 1;
    if (hf_open(store, &h) != 0) {
        write_log(NULL, 3, "open", hf_errmsg(h));
        _exit(99);
    }
    hf_set_log(h, write_log, NULL);
    offer(h);
    int rc = hf_run(h, &opt);
    if (rc) {
        char text[1000];
        snprintf(text, sizeof(text), "%s: %s", hf_code_name(rc), hf_errmsg(h));
        write_log(NULL, 3, "run", text);
    }
    if (rc == HF_INTERNAL)
        _exit(70); /* threads are lost: no clean end */
    hf_close(h);
    exit(rc ? 1 : 0);
}

void
segfault(void)
{
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGSEGV, SIG_DFL); /* not the sanitizer's */
    *(volatile char *)page = 1;
    abort();
}

pid_t
worker_start(offer_fn offer, const hf_worker_opt *opt)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        test_fail(__FILE__, __LINE__, "fork: %s", strerror(errno));
    if (pid == 0)
        work(offer, opt);
    return pid;
}

static int
reap(pid_t pid, int flags)
{
    int   status;
    pid_t got;
    while ((got = waitpid(pid, &status, flags)) < 0)
        if (errno != EINTR)
            test_fail(__FILE__, __LINE__, "waitpid: %s", strerror(errno));
    if (got == 0)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int
worker_wait(pid_t pid)
{
    return reap(pid, 0);
}

int
worker_poll(pid_t pid)
{
    return reap(pid, WNOHANG);
}

void
worker_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    worker_wait(pid);
}

int
worker_stop(pid_t pid)
{
    kill(pid, SIGTERM);
    return worker_wait(pid);
}

void
worker_drain(offer_fn offer)
{
    CHECK_INT(worker_wait(worker_start(offer, HF_WORKER(.slots = 4, .drain = 1))), 0);
}

int
worker_drain_through_crashes(offer_fn offer, const hf_worker_opt *opt, int deaths_max)
{
    hf_worker_opt o = {.size = sizeof(o), .slots = 4};

    if (opt)
        o = *opt;
    o.drain = 1;
    for (int deaths = 0; deaths <= deaths_max; deaths++) {
        int code = worker_wait(worker_start(offer, &o));
        if (code == 0)
            return deaths;
        if (code < 1000)
            test_fail(__FILE__, __LINE__, "a worker exited with %d", code);
    }
    test_fail(__FILE__, __LINE__, "the worker died over %d times", deaths_max);
}
