/* Processes of a throw-away server: its programs, the postmaster, and the host's own manners. */
#include "bench/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_MS = 120000, STOP_MS = 60000, CHILDREN_MAX = 300 };

volatile sig_atomic_t server_told_to_end;

static void
on_signal(int number)
{
    (void)number;
    server_told_to_end = 1;
}

bool
server_fail(struct server *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->problem, sizeof(s->problem), fmt, ap);
    va_end(ap);
    return false;
}

void
server_sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

int64_t
server_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- processes */

static void
become(const struct server *s)
{
    if (geteuid() == 0 && (setgroups(0, NULL) || setgid(s->gid) || setuid(s->uid)))
        _exit(126);
}

int
server_open_file(const struct server *s, const char *name, int flags)
{
    char path[SERVER_PATH_SIZE + 50];
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    return open(name ? path : "/dev/null", flags | O_CLOEXEC, 0666);
}

pid_t
server_launch(const struct server *s, struct server_launch how, const char *const argv[])
{
    pid_t    self = getpid(), pid = fork();
    sigset_t none;

    if (pid != 0)
        return pid;
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(how.input ? server_open_file(s, how.input, O_RDONLY) : open("/dev/null", O_RDONLY),
             0) < 0 ||
        dup2(server_open_file(s, how.log, O_WRONLY | O_APPEND | O_CREAT), 1) < 0 || dup2(1, 2) < 0)
        _exit(126);
    if (!how.as_self)
        become(s);
    prctl(PR_SET_PDEATHSIG, how.death ? how.death : SIGKILL);
    if (getppid() != self || chdir("/") != 0)
        _exit(126);
    execvp(argv[0], (char *const *)argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Waits for at most ms; forgets the process if it is gone. */
bool
server_is_gone(pid_t *pid, int ms)
{
    for (int64_t end = server_now_ms() + ms; *pid > 0; server_sleep_ms(5)) {
        pid_t got = waitpid(*pid, NULL, WNOHANG);
        if (got == *pid || (got < 0 && errno == ECHILD))
            *pid = 0;
        else if (server_now_ms() >= end)
            return false;
    }
    return true;
}

/* The end of a log, on one line. */
bool
server_fail_with_log(struct server *s, const char *what, const char *log)
{
    char    text[800] = "";
    int     fd = server_open_file(s, log, O_RDONLY);
    off_t   size = lseek(fd, 0, SEEK_END), from = size > 780 ? size - 780 : 0;
    ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, from);

    for (ssize_t i = 0; i < n; i++)
        if (text[i] == '\n')
            text[i] = '|';
    if (fd >= 0)
        close(fd);
    return server_fail(s, "%s: %s", what, text);
}

bool
server_run_program(struct server *s, struct server_launch how, const char *const argv[])
{
    int   status;
    pid_t pid;

    how.log = "log";
    pid = server_launch(s, how, argv);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return server_fail_with_log(s, argv[0], "log");
    return true;
}

/* ---- start and stop */

/* The postmaster writes its state into the eighth line of its file; one that was killed may have
 * left another file. */
static bool
is_ready(const struct server *s)
{
    char  line[200] = "";
    int   fd = server_open_file(s, "data/postmaster.pid", O_RDONLY);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

    bool ours = f && fgets(line, sizeof(line), f) && strtol(line, NULL, 10) == s->postmaster;
    for (int i = 1; ours && i < 8; i++)
        ours = fgets(line, sizeof(line), f) != NULL;
    if (f)
        fclose(f);
    return ours && strncmp(line, "ready", 5) == 0;
}

static bool
wait_ready(struct server *s)
{
    for (int64_t end = server_now_ms() + START_MS; server_now_ms() < end && !server_told_to_end;
         server_sleep_ms(10)) {
        if (is_ready(s))
            return true;
        if (server_is_gone(&s->postmaster, 0))
            return server_fail_with_log(s, "did not start", "log");
    }
    return server_fail_with_log(s, "not ready in time", "log");
}

bool
server_start(struct server *s)
{
    const char *argv[] = {server_program(s, "postgres"), "-D", s->data, NULL};

    if (s->postmaster)
        return server_fail(s, "it is running");
    s->postmaster = server_launch(s, (struct server_launch){.log = "log", .death = SIGQUIT}, argv);
    return wait_ready(s);
}

/* Stopped first, the postmaster neither starts more processes nor mends what is killed. This
 * process inherits its children, so they can be waited for. */
static bool
kill_all(struct server *s)
{
    char  path[100];
    pid_t child[CHILDREN_MAX];
    int   n = 0;

    kill(s->postmaster, SIGSTOP);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", s->postmaster, s->postmaster);
    FILE *f = fopen(path, "r");
    while (f && n < CHILDREN_MAX && fscanf(f, "%d", &child[n]) == 1)
        n++;
    if (f)
        fclose(f);
    kill(s->postmaster, SIGKILL);
    for (int i = 0; i < n; i++)
        kill(child[i], SIGKILL);
    bool gone = server_is_gone(&s->postmaster, STOP_MS);
    for (int i = 0; i < n; i++)
        gone = server_is_gone(&child[i], STOP_MS) && gone;
    return gone ? true : server_fail(s, "processes survive SIGKILL");
}

bool
server_stop(struct server *s, const char *how)
{
    if (s->postmaster == 0)
        return true;
    if (strcmp(how, "kill") == 0)
        return kill_all(s);
    kill(s->postmaster, strcmp(how, "immediate") == 0 ? SIGQUIT : SIGINT);
    if (!server_is_gone(&s->postmaster, STOP_MS))
        return server_fail_with_log(s, "does not stop", "log");
    return true;
}

void
server_close(struct server *s)
{
    if (s->postmaster) {
        kill(s->postmaster, SIGQUIT);
        if (!server_is_gone(&s->postmaster, 5000))
            kill_all(s);
    }
    if (s->dir[0])
        server_remove_tree(s->dir);
}

bool
server_open(struct server *s)
{
    server_find_user(s);
    server_sweep(s);
    return server_find_programs(s) && server_make_directory(s) && server_make_data(s) &&
           server_configure(s) && server_start(s);
}

void
server_become_host(void)
{
    struct sigaction end_it = {.sa_handler = on_signal};

    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &end_it, NULL);
    sigaction(SIGINT, &end_it, NULL);
    sigaction(SIGHUP, &end_it, NULL);
    setenv("LC_ALL", "C", 1);
    for (const char *const *name =
             (const char *[]){"PGOPTIONS", "PGSERVICE", "PGSSLMODE", "PGDATA", NULL};
         *name; name++)
        unsetenv(*name);
    umask(022);
}
