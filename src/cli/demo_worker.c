/* The demonstration's workers: child processes, `holdfast worker`, that live dangerously. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/demo.h"

enum { STOP_MS = 20000 };

/* Several workers have to notice soon that one is dead. */
static const char lease[] = "1s";

int
demo_start_worker(struct demo *d, int i)
{
    const char *crashes = arena_printf(&d->c->arena, "%d", d->kills + 5);
    int         log = open(d->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    pid_t       parent = getpid();

    if (crashes == NULL)
        return cli_nomem(d->c);
    if (log < 0 || setenv("ORDERS_LEDGER", d->ledger_path, 1) != 0)
        return err_set(&d->c->err, HF_UNAVAILABLE, "demo: %s: %s", d->log_path, strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && dup2(log, STDERR_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0)
            execl("/proc/self/exe", "holdfast", "worker", "--store", d->url, "--module", d->module,
                  "--max-crashes", crashes, d->own_file ? NULL : "--lease", lease, (char *)NULL);
        _exit(127);
    }
    close(log);
    if (pid < 0)
        return err_set(&d->c->err, HF_UNAVAILABLE, "demo: fork: %s", strerror(errno));
    d->worker[i] = pid;
    return HF_OK;
}

int
demo_start_workers(struct demo *d)
{
    for (int i = 0; i < d->n_workers; i++)
        TRY(demo_start_worker(d, i));
    return HF_OK;
}

void
demo_kill_worker(struct demo *d, int i)
{
    if (d->worker[i] == 0)
        return;
    kill(d->worker[i], SIGKILL);
    waitpid(d->worker[i], NULL, 0);
    d->worker[i] = 0;
}

void
demo_kill_workers(struct demo *d)
{
    for (int i = 0; i < d->n_workers; i++)
        demo_kill_worker(d, i);
}

int
demo_watch_workers(struct demo *d)
{
    int status;

    for (int i = 0; i < d->n_workers; i++) {
        if (d->worker[i] == 0 || waitpid(d->worker[i], &status, WNOHANG) == 0)
            continue;
        d->worker[i] = 0;
        return err_set(&d->c->err, HF_FAILED, "demo: a worker ended by itself with %s %d; see %s",
                       WIFSIGNALED(status) ? "signal" : "exit code",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), d->log_path);
    }
    return HF_OK;
}

static int
stop_worker(struct demo *d, int i)
{
    int status = 0;

    for (int waited_ms = 0; waitpid(d->worker[i], &status, WNOHANG) == 0; waited_ms += 20) {
        if (waited_ms >= STOP_MS) {
            demo_kill_worker(d, i);
            return err_set(&d->c->err, HF_FAILED, "demo: a worker did not stop when asked to");
        }
        poll(NULL, 0, 20);
    }
    d->worker[i] = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return HF_OK;
    return err_set(&d->c->err, HF_FAILED, "demo: a worker stopped with status %d; see %s", status,
                   d->log_path);
}

int
demo_stop_workers(struct demo *d)
{
    for (int i = 0; i < d->n_workers; i++)
        if (d->worker[i])
            kill(d->worker[i], SIGTERM);
    for (int i = 0; i < d->n_workers; i++)
        if (d->worker[i])
            TRY(stop_worker(d, i));
    return HF_OK;
}
