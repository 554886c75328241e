/* Directories, throw-away servers, and the stores in them. */
#include "bench/site.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/id.h"
#include "bench/server.h"
#include "store/store.h"

enum { ANSWER_SIZE = 1500, SERVER_PATH_MAX = 60 };

/* Sizes that a server for work would have: else checkpoints are measured. */
static const char server_settings[] = "shared_buffers = 1GB\nmax_wal_size = 8GB\n";

/* ---- directories */

int
site_open_directory(struct site *s, struct arena *a, struct err *err)
{
    char  cwd[PATH_MAX];
    char *dir = getcwd(cwd, sizeof(cwd)) ? arena_printf(a, "%s/holdfast-bench-XXXXXX", cwd) : NULL;

    if (dir == NULL || mkdtemp(dir) == NULL)
        return err_set(err, HF_UNAVAILABLE, "no directory for a store here: %s", strerror(errno));
    *s = (struct site){.store = "sqlite", .dir = dir, .hold = -1};
    s->prefix = arena_printf(a, "%s/store", dir);
    return s->prefix ? HF_OK : err_nomem(err);
}

/* The file itself, its log, its owner's lock. */
static void
remove_files(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char        dir[PATH_MAX];

    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (strncmp(entry->d_name, name, strlen(name)) == 0)
            unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        closedir(d);
}

/* ---- a server */

/* Whether everybody may pass through a directory: the server's user is another one. */
static bool
is_open_to_all(const char *dir)
{
    char        path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof(path), "%s", dir);
    for (char *end = path + strlen(path); end; end = strrchr(path, '/')) {
        *end = '\0';
        if (stat(path[0] ? path : "/", &st) != 0 || !(st.st_mode & S_IXOTH))
            return false;
    }
    return true;
}

/* The process that hosts the server; `hold` ends when its other end does. Does not return. */
static void
host_server(int hold, int answer, pid_t parent)
{
    char          cwd[PATH_MAX];
    struct server s = {.settings = server_settings, .tmp = "/var/tmp"};
    struct pollfd fd = {.fd = hold, .events = POLLIN};

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    server_become_host();
    if (getcwd(cwd, sizeof(cwd)) && strlen(cwd) <= SERVER_PATH_MAX &&
        (geteuid() != 0 || is_open_to_all(cwd)))
        s.tmp = cwd;
    bool ok = server_open(&s);
    if (ok)
        dprintf(answer, "postgresql://postgres@/postgres?host=%s&port=%d", s.dir, s.port);
    else
        dprintf(answer, "%s%s", s.bin[0] ? "!" : "?", s.problem);
    close(answer);
    while (ok && !server_told_to_end && (poll(&fd, 1, -1) < 0 || fd.revents == 0))
        ;
    server_close(&s);
    _exit(0);
}

static int
read_answer(struct site *s, int from, struct arena *a, struct err *err)
{
    char    text[ANSWER_SIZE] = "";
    size_t  n = 0;
    ssize_t got;

    while (n < sizeof(text) - 1 && (got = read(from, text + n, sizeof(text) - 1 - n)) != 0)
        if (got > 0)
            n += (size_t)got;
        else if (errno != EINTR)
            break;
    text[n] = '\0';
    if (text[0] == '?')
        return err_set(err, HF_NOT_FOUND, "%s", text + 1);
    if (text[0] != 'p')
        return err_set(err, HF_UNAVAILABLE, "a throw-away server: %s",
                       n ? text + 1 : "its process died");
    s->base = arena_strdup(a, text);
    return s->base ? HF_OK : err_nomem(err);
}

int
site_open_server(struct site *s, struct arena *a, struct err *err)
{
    int   hold[2], answer[2];
    pid_t parent = getpid();

    if (pipe2(hold, O_CLOEXEC) != 0)
        return err_set(err, HF_UNAVAILABLE, "%s", strerror(errno));
    if (pipe2(answer, O_CLOEXEC) != 0) {
        close(hold[0]), close(hold[1]);
        return err_set(err, HF_UNAVAILABLE, "%s", strerror(errno));
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(hold[1]), close(answer[0]);
        host_server(hold[0], answer[1], parent);
    }
    close(hold[0]), close(answer[1]);
    *s = (struct site){.store = "postgresql", .host = pid, .hold = hold[1]};
    int rc = pid < 0 ? err_set(err, HF_UNAVAILABLE, "fork: %s", strerror(errno))
                     : read_answer(s, answer[0], a, err);
    close(answer[0]);
    if (rc)
        site_close(s);
    return rc;
}

/* ---- the user's */

/* The URL without its schema. */
static const char *
without_schema(const char *url, struct arena *a)
{
    const char *mark = strchr(url, '?');
    char       *out = arena_strdup(a, url), *to = out ? out + (mark ? mark - url : 0) : NULL;
    char        sign = '?';

    for (const char *p = mark ? mark + 1 : ""; to && *p; p += strcspn(p, "&"), p += *p == '&') {
        size_t n = strcspn(p, "&");
        if (n >= 7 && memcmp(p, "schema=", 7) == 0)
            continue;
        *to++ = sign;
        memcpy(to, p, n);
        to += n;
        sign = '&';
    }
    if (to && mark)
        *to = '\0';
    return out;
}

int
site_open_url(struct site *s, const char *url, struct arena *a, struct err *err)
{
    *s = (struct site){.hold = -1};
    if (strncmp(url, "postgres", 8) == 0 && strstr(url, "://")) {
        s->store = "postgresql";
        s->base = without_schema(url, a);
        return s->base ? HF_OK : err_nomem(err);
    }
    if (strncmp(url, "sqlite:", 7) == 0)
        url += 7;
    else if (strstr(url, "://") || strncmp(url, "memory:", 7) == 0)
        return err_set(err, HF_INVALID, "%s: want sqlite:PATH or postgresql://HOST/DATABASE", url);
    s->store = "sqlite";
    s->prefix = arena_printf(a, "%s-bench", strncmp(url, "//", 2) == 0 ? url + 2 : url);
    return s->prefix ? HF_OK : err_nomem(err);
}

void
site_close(struct site *s)
{
    if (s->host > 0) {
        close(s->hold);
        kill(s->host, SIGTERM);
        while (waitpid(s->host, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (s->dir) {
        remove_files(s->prefix);
        rmdir(s->dir);
    }
    *s = (struct site){.hold = -1};
}

/* ---- stores */

int
site_make_store(const struct site *s, struct arena *a, const char **url, struct err *err)
{
    unsigned   number = (unsigned)id_random();
    struct buf log = {0};

    if (s->prefix)
        *url = arena_printf(a, "sqlite:%s-%08x.db", s->prefix, number);
    else
        *url = arena_printf(a, "%s%cschema=holdfast_bench_%08x", s->base,
                            strchr(s->base, '?') ? '&' : '?', number);
    if (*url == NULL)
        return err_nomem(err);
    int rc = store_migrate(*url, MIGRATE_RUN, &log, err);
    buf_release(&log);
    return rc;
}

int
site_drop_store(const struct site *s, const char *url, struct err *err)
{
    if (!s->prefix)
        return store_drop(url, err);
    remove_files(url + strlen("sqlite:"));
    return HF_OK;
}
