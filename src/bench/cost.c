/*
 * What has been spent so far: by the server as it counts itself, by the server's processes as the
 * kernel counts them, and round trips as the relay counts them.
 */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "bench/relay.h"
#include "store/cost.h"

/* Of /proc/PID/stat, behind the name: state, parent, ... and from the 12th on clock ticks of the
 * process itself (user, system) and of children that have ended. */
struct proc_stat {
    char   name[32];
    pid_t  parent;
    double own_s, children_s;
};

static bool
read_stat(pid_t pid, struct proc_stat *out)
{
    char   path[64], line[1024];
    double ticks = (double)sysconf(_SC_CLK_TCK);

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    char *begin = f && fgets(line, sizeof(line), f) ? strchr(line, '(') : NULL;
    char *end = begin ? strrchr(line, ')') : NULL;
    if (f)
        fclose(f);
    if (end == NULL || strlen(end) < 4)
        return false;
    *out = (struct proc_stat){0};
    snprintf(out->name, sizeof(out->name), "%.*s", (int)(end - begin - 1), begin + 1);
    char *p = end + 3; /* behind the state */
    for (int field = 4; field <= 17; field++) {
        long long v = strtoll(p, &p, 10);
        if (field == 4)
            out->parent = (pid_t)v;
        else if (field == 14 || field == 15)
            out->own_s += (double)v / ticks;
        else if (field >= 16)
            out->children_s += (double)v / ticks;
    }
    return true;
}

/* The server, if it is on this machine and can be looked at. */
static void
find_server(struct bench *b, pid_t backend)
{
    struct proc_stat own, parent;

    b->postmaster = 0;
    if (backend > 1 && read_stat(backend, &own) && strcmp(own.name, "postgres") == 0 &&
        read_stat(own.parent, &parent) && strcmp(parent.name, "postgres") == 0)
        b->postmaster = own.parent;
}

static double
server_cpu(const struct bench *b)
{
    struct proc_stat stat;
    struct dirent   *entry;

    if (b->postmaster == 0 || !read_stat(b->postmaster, &stat))
        return NAN;
    double total = stat.own_s + stat.children_s;
    DIR   *dir = opendir("/proc");
    while (dir && (entry = readdir(dir))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && read_stat(pid, &stat) && stat.parent == b->postmaster)
            total += stat.own_s + stat.children_s;
    }
    if (dir)
        closedir(dir);
    return total;
}

double
proc_cpu_s(pid_t pid)
{
    struct proc_stat stat;
    return read_stat(pid, &stat) ? stat.own_s : 0;
}

static double
known(int64_t v)
{
    return v < 0 ? NAN : (double)v;
}

int
bench_cost(struct bench *b, struct store *s, struct cost *out, struct err *err)
{
    struct store_cost c;

    TRY(store_cost(s, &c, err));
    find_server(b, (pid_t)c.pid);
    *out = (struct cost){
        .statements = known(c.statements),
        .commits = known(c.commits),
        .rows = known(c.rows),
        .bytes = known(c.wal_bytes),
        .roundtrips = b->relay ? (double)relay_counts(b->relay).roundtrips : NAN,
        .server_cpu = server_cpu(b),
    };
    return HF_OK;
}
