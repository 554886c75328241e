/*
 * The lock of the owner: flock on PATH-owner, held for the owner's life. The kernel frees it when
 * the process dies, and a stopped process keeps it. The lock belongs to the open file, not to the
 * process, so two stores in one process exclude each other too. The file says who holds it and is
 * never removed: removing would let two hold locks on two files of one name.
 */
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_TRIES = 5, PROBE_US = 2000 };

static int
open_file(struct sqlite *s, int flags, char path[PATH_MAX + 8])
{
    snprintf(path, PATH_MAX + 8, "%s-owner", s->path);
    return open(path, flags | O_CLOEXEC, 0644);
}

/* "pid 12 on host", from the file's one line. */
static void
read_holder(int fd, char *who, size_t size)
{
    char    line[300] = "", host[256] = "?";
    long    pid = 0;
    ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
    if (n > 0 && sscanf(line, "pid %ld host %255s", &pid, host) >= 1)
        snprintf(who, size, "pid %ld on %s", pid, host);
    else
        snprintf(who, size, "another process");
}

static void
write_holder(int fd, int64_t now_us)
{
    char line[400], host[256] = "";
    gethostname(host, sizeof(host) - 1);
    int n = snprintf(line, sizeof(line), "pid %ld host %s since %lld\n", (long)getpid(),
                     *host ? host : "?", (long long)now_us);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, line, (size_t)n, 0) != n)
        return; /* only the name is lost */
}

int
lock_take(struct sqlite *s, struct err *err)
{
    char path[PATH_MAX + 8], who[300];
    if (s->lock_fd >= 0)
        return HF_OK;
    int fd = open_file(s, O_RDWR | O_CREAT, path);
    if (fd < 0)
        return err_set(err, HF_UNAVAILABLE, "%s: %s", path, strerror(errno));
    for (int i = 0; i < PROBE_TRIES; i++) { /* somebody may be looking whether it is held */
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            write_holder(fd, clock_now_us(&s->base.clock));
            s->lock_fd = fd;
            return HF_OK;
        }
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        nanosleep(&(struct timespec){0, PROBE_US * 1000}, NULL);
    }
    int why = errno;
    read_holder(fd, who, sizeof(who));
    close(fd);
    if (why != EWOULDBLOCK && why != EINTR)
        return err_set(err, HF_UNAVAILABLE, "%s: cannot lock: %s", path, strerror(why));
    return err_set(err, HF_OWNED, "%s: %s owns the queues", s->path, who);
}

void
lock_drop(struct sqlite *s)
{
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = -1;
}

bool
lock_is_held(struct sqlite *s, char *who, size_t size)
{
    char path[PATH_MAX + 8];
    if (s->lock_fd >= 0) {
        read_holder(s->lock_fd, who, size);
        return true;
    }
    int fd = open_file(s, O_RDONLY, path);
    if (fd < 0)
        return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (held)
        read_holder(fd, who, size);
    close(fd);
    return held;
}
