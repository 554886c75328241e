/*
 * Tasks that are shell commands. The command is a child process in its own group: its input on
 * standard input, its standard output the result. It can be killed, which no C function can: when
 * the task is not wanted any more, the group gets SIGTERM and a second later SIGKILL; if the worker
 * itself dies, the kernel kills the shell.
 *
 * Exit code 0: done. 75 (EX_TEMPFAIL): tried again. Another: failed for good. A signal: tried
 * again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/id.h"
#include "cli/offer.h"

extern char **environ;

enum {
    EXIT_RETRY = 75,
    TICK_MS = 100,      /* in the first second: how often to ask whether it is still wanted */
    SLOW_TICK_MS = 400, /* after that */
    KILL_AFTER_MS = 1000,
    STDERR_KEPT = 2000, /* its last bytes */
    STDERR_SHOWN = 400,
    COMMAND_SHOWN = 40,
    NO_PROCESS = 127
};

struct child {
    pid_t       pid;
    int         in, out, error; /* our ends of its pipes, -1 once closed */
    int         pid_fd;         /* readable when it has ended; -1 on an old kernel */
    const char *input;
    size_t      input_len, input_at;
    struct buf  output, errors;
    bool        too_big, ended;
    int         status;            /* from waitpid */
    int64_t     begin_us, kill_us; /* kill_us: when SIGTERM was sent, 0 if not */
};

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- starting */

/* The environment of a task: ours, and what tells the command about its task. NULL: out of memory.
 */
static char **
task_environment(hf_tk *tk)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **env = hf_tk_alloc(tk, (n + 5) * sizeof(*env));
    char  *own[] = {
         hf_tk_sprintf(tk, "HOLDFAST_TASK=%s", hf_tk_name(tk)),
         hf_tk_sprintf(tk, "HOLDFAST_TASK_ID=%s", hf_tk_id(tk)),
         hf_tk_sprintf(tk, "HOLDFAST_KEY=%s", hf_tk_key(tk)),
         hf_tk_sprintf(tk, "HOLDFAST_ATTEMPT=%d", hf_tk_attempt(tk)),
    };
    size_t kept = 0;
    for (size_t i = 0; env && i < n; i++)
        if (strncmp(environ[i], "HOLDFAST_TASK", 13) != 0 &&
            strncmp(environ[i], "HOLDFAST_KEY=", 13) != 0 &&
            strncmp(environ[i], "HOLDFAST_ATTEMPT=", 17) != 0)
            env[kept++] = environ[i];
    for (size_t i = 0; env && i < 4; i++) {
        if (own[i] == NULL)
            return NULL;
        env[kept++] = own[i];
    }
    if (env)
        env[kept] = NULL;
    return env;
}

/* In the child, between fork and exec: async-signal-safe calls only. */
static void
become_command(const int fds[3], pid_t parent, char *const argv[], char *const env[])
{
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we asked for the signal */
        _exit(NO_PROCESS);
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0) /* fds are above 2 and close themselves */
            _exit(NO_PROCESS);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve("/bin/sh", argv, env);
    _exit(NO_PROCESS);
}

/* Three pipes; [i][0] is read from. */
static bool
open_pipes(int pipes[3][2])
{
    for (int i = 0; i < 3; i++)
        pipes[i][0] = pipes[i][1] = -1;
    for (int i = 0; i < 3; i++)
        if (pipe2(pipes[i], O_CLOEXEC) != 0)
            return false;
    return true;
}

static bool
start_command(struct child *ch, const char *command, char *const env[])
{
    char *argv[] = {"sh", "-c", (char *)command, NULL};
    int   pipes[3][2];
    bool  ok = open_pipes(pipes);

    pid_t parent = getpid();
    ch->pid = ok ? fork() : -1;
    if (ch->pid == 0)
        become_command((int[]){pipes[0][0], pipes[1][1], pipes[2][1]}, parent, argv, env);
    int saved = errno;
    close_fd(&pipes[0][0]);
    close_fd(&pipes[1][1]);
    close_fd(&pipes[2][1]);
    ch->in = pipes[0][1];
    ch->out = pipes[1][0];
    ch->error = pipes[2][0];
    if (ch->pid < 0) {
        close_fd(&ch->in);
        close_fd(&ch->out);
        close_fd(&ch->error);
        errno = saved;
        return false;
    }
    setpgid(ch->pid, ch->pid); /* also here: whoever comes first */
    fcntl(ch->in, F_SETFL, O_NONBLOCK);
    fcntl(ch->out, F_SETFL, O_NONBLOCK);
    fcntl(ch->error, F_SETFL, O_NONBLOCK);
    ch->pid_fd = (int)syscall(SYS_pidfd_open, ch->pid, 0);
    ch->begin_us = clock_steady_us();
    return true;
}

/* ---- talking to it */

static void
feed(struct child *ch)
{
    while (ch->input_at < ch->input_len) {
        ssize_t n = write(ch->in, ch->input + ch->input_at, ch->input_len - ch->input_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break; /* it does not read on: its affair */
        ch->input_at += (size_t)n;
    }
    close_fd(&ch->in);
}

/* Keeps the last bytes only. */
static void
keep_tail(struct buf *b, size_t max)
{
    if (b->len > 2 * max) {
        memmove(b->data, b->data + b->len - max, max);
        b->len = max;
        b->data[max] = '\0';
    }
}

/* Reads what there is. At its end the pipe is closed. */
static void
drain_pipe(struct child *ch, int *fd, struct buf *to, bool tail)
{
    char bytes[16384];

    while (*fd >= 0) {
        ssize_t n = read(*fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_fd(fd);
            return;
        }
        if (!tail && to->len + (size_t)n > HF_PAYLOAD_MAX + 1)
            ch->too_big = true; /* the rest is read and dropped */
        else
            buf_put(to, bytes, (size_t)n);
        if (tail)
            keep_tail(to, STDERR_KEPT);
    }
}

/* Asks the group to stop, or makes it. */
static void
stop_unwanted(struct child *ch, hf_tk *tk)
{
    int64_t now_us = clock_steady_us();

    if (ch->kill_us == 0 && hf_tk_cancelled(tk)) {
        kill(-ch->pid, SIGTERM);
        ch->kill_us = now_us;
    } else if (ch->kill_us && now_us - ch->kill_us >= KILL_AFTER_MS * US_PER_MS) {
        kill(-ch->pid, SIGKILL);
    }
}

static int
tick_ms(const struct child *ch)
{
    bool young = clock_steady_us() - ch->begin_us < US_PER_S;
    bool blind = ch->pid_fd < 0 && ch->out < 0; /* nothing tells of its end */
    return young || ch->kill_us || blind ? TICK_MS : SLOW_TICK_MS;
}

/* Until the shell has ended; what it left running in the background may keep the pipes open. */
static void
attend(struct child *ch, hf_tk *tk)
{
    while (!ch->ended) {
        struct pollfd p[] = {
            {.fd = ch->in, .events = POLLOUT},
            {.fd = ch->out, .events = POLLIN},
            {.fd = ch->error, .events = POLLIN},
            {.fd = ch->pid_fd, .events = POLLIN},
        };
        poll(p, 4, tick_ms(ch));
        if (p[0].revents)
            feed(ch);
        drain_pipe(ch, &ch->out, &ch->output, false);
        drain_pipe(ch, &ch->error, &ch->errors, true);
        stop_unwanted(ch, tk);
        ch->ended = waitpid(ch->pid, &ch->status, WNOHANG) != 0;
    }
    if (ch->kill_us)
        kill(-ch->pid, SIGKILL); /* whoever is left of the group */
    drain_pipe(ch, &ch->out, &ch->output, false);
    drain_pipe(ch, &ch->error, &ch->errors, true);
}

/* ---- the result */

/* Makes bytes fit for a message: one line of UTF-8. */
static void
clean(char *text, size_t n)
{
    bool utf8 = id_is_utf8(text, n);

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
        else if (!utf8 && (unsigned char)text[i] >= 0x80)
            text[i] = '?';
}

/* The command's beginning, fit for a message. */
static const char *
short_command(const char *command, char out[COMMAND_SHOWN + 4])
{
    size_t n = strlen(command);
    bool   cut = n > COMMAND_SHOWN;

    if (cut)
        for (n = COMMAND_SHOWN - 3; n > 0 && (command[n] & 0xc0) == 0x80;)
            n--;
    memcpy(out, command, n);
    clean(out, n);
    memcpy(out + n, cut ? "..." : "", cut ? 4 : 1);
    return out;
}

/* The last lines of standard error, fit for a message. */
static const char *
last_words(struct child *ch)
{
    struct buf *b = &ch->errors;

    while (b->len > 0 && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == ' '))
        b->len--;
    if (b->len == 0)
        return "";
    b->data[b->len] = '\0';
    size_t from = b->len > STDERR_SHOWN ? b->len - STDERR_SHOWN : 0;
    while (from > 0 && from < b->len && (b->data[from] & 0xc0) == 0x80)
        from++;
    clean(b->data + from, b->len - from);
    return b->data + from;
}

static int
output_result(struct child *ch, hf_tk *tk)
{
    struct buf *b = &ch->output;

    if (b->failed)
        return hf_tk_fail(tk, "memory", "out of memory for the output");
    if (b->len > 0 && b->data[b->len - 1] == '\n')
        b->data[--b->len] = '\0';
    if (ch->too_big || b->len > HF_PAYLOAD_MAX)
        return hf_tk_fail_final(tk, "output", "the output is over %d bytes", HF_PAYLOAD_MAX);
    if (b->len == 0)
        return hf_tk_return(tk, NULL);
    if (!id_is_utf8(b->data, b->len))
        return hf_tk_fail_final(tk, "output", "the output is not UTF-8, or has a NUL byte in it");
    return hf_tk_return(tk, b->data);
}

static int
result(struct child *ch, const char *command, hf_tk *tk)
{
    const char *words = last_words(ch), *colon = words[0] ? ": " : "";
    char        shown[COMMAND_SHOWN + 4];

    if (ch->kill_us)
        return hf_tk_fail(tk, "cancelled", "stopped, as nobody waits for it any more");
    if (WIFSIGNALED(ch->status))
        return hf_tk_fail(tk, "signal", "killed by signal %d (%s)%s%s", WTERMSIG(ch->status),
                          sigabbrev_np(WTERMSIG(ch->status)) ? sigabbrev_np(WTERMSIG(ch->status))
                                                             : "?",
                          colon, words);
    int code = WEXITSTATUS(ch->status);
    if (code == 0)
        return output_result(ch, tk);
    short_command(command, shown);
    if (code == EXIT_RETRY)
        return hf_tk_fail(tk, "exit", "exit code %d from `sh -c %s`%s%s", code, shown, colon,
                          words);
    return hf_tk_fail_final(tk, "exit", "exit code %d from `sh -c %s`%s%s", code, shown, colon,
                            words);
}

static int
exec_task(hf_tk *tk, void *arg)
{
    struct child ch = {.in = -1, .out = -1, .error = -1, .pid_fd = -1, .input = hf_tk_input(tk)};
    char       **env = task_environment(tk);

    ch.input_len = ch.input ? strlen(ch.input) : 0;
    if (env == NULL)
        return hf_tk_fail(tk, "memory", "out of memory");
    if (!start_command(&ch, arg, env))
        return hf_tk_fail(tk, "fork", "the command cannot be started: %s", strerror(errno));
    attend(&ch, tk);
    int rc = result(&ch, arg, tk);
    close_fd(&ch.in);
    close_fd(&ch.out);
    close_fd(&ch.error);
    close_fd(&ch.pid_fd);
    buf_release(&ch.output);
    buf_release(&ch.errors);
    return rc;
}

int
offer_exec(struct cli *c, const char *spec)
{
    const char *equals = strchr(spec, '=');

    if (equals == NULL || equals == spec || equals[1] == '\0')
        return err_set(&c->err, HF_INVALID, "worker: --exec: %s is not NAME=COMMAND", spec);
    char *name = arena_strndup(&c->arena, spec, (size_t)(equals - spec));
    char *command = arena_strdup(&c->arena, equals + 1);
    if (name == NULL || command == NULL)
        return cli_nomem(c);
    return hf_handler(c->h, name, exec_task, command, NULL) ? cli_fail(c) : HF_OK;
}
