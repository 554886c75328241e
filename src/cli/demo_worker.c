/* The demonstration's worker: a child process, `holdfast worker`, that lives dangerously. */
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

int
demo_start_worker(struct demo *d)
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
                  "--max-crashes", crashes, (char *)NULL);
        _exit(127);
    }
    close(log);
    if (pid < 0)
        return err_set(&d->c->err, HF_UNAVAILABLE, "demo: fork: %s", strerror(errno));
    d->worker = pid;
    return HF_OK;
}

void
demo_kill_worker(struct demo *d)
{
    if (d->worker == 0)
        return;
    kill(d->worker, SIGKILL);
    waitpid(d->worker, NULL, 0);
    d->worker = 0;
}

int
demo_watch_worker(struct demo *d)
{
    int status;

    if (d->worker == 0 || waitpid(d->worker, &status, WNOHANG) == 0)
        return HF_OK;
    d->worker = 0;
    return err_set(&d->c->err, HF_FAILED, "demo: the worker ended by itself with %s %d; see %s",
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), d->log_path);
}

int
demo_stop_worker(struct demo *d)
{
    int status = 0, waited_ms = 0;

    if (d->worker == 0)
        return HF_OK;
    kill(d->worker, SIGTERM);
    while (waitpid(d->worker, &status, WNOHANG) == 0) {
        if (waited_ms >= STOP_MS) {
            demo_kill_worker(d);
            return err_set(&d->c->err, HF_FAILED, "demo: the worker did not stop when asked to");
        }
        poll(NULL, 0, 20);
        waited_ms += 20;
    }
    d->worker = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return HF_OK;
    return err_set(&d->c->err, HF_FAILED, "demo: the worker stopped with status %d; see %s", status,
                   d->log_path);
}
