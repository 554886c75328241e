/* The directory of a throw-away server: where its programs are, its data, its settings. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/server.h"

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    remove(path);
    return 0;
}

void
server_remove_tree(const char *dir)
{
    nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

void
server_sweep(const struct server *s)
{
    char   pattern[SERVER_PATH_SIZE + 50];
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s/hf-pg-*/lock", s->tmp);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *path = found.gl_pathv[i];
        int   fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *strrchr(path, '/') = '\0';
            server_remove_tree(path);
        }
        if (fd >= 0)
            close(fd);
    }
    globfree(&found);
}

/* The lock is held before it has its name, or another one's sweep could take it. */
bool
server_make_directory(struct server *s)
{
    char new[SERVER_PATH_SIZE + 50], lock[SERVER_PATH_SIZE + 50];
    int fd;

    snprintf(s->dir, sizeof(s->dir), "%s/hf-pg-XXXXXX", s->tmp);
    if (mkdtemp(s->dir) == NULL)
        return server_fail(s, "%s: %s", s->dir, strerror(errno));
    snprintf(s->data, sizeof(s->data), "%s/data", s->dir);
    snprintf(new, sizeof(new), "%s/lock.new", s->dir);
    snprintf(lock, sizeof(lock), "%s/lock", s->dir);
    fd = open(new, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0 || rename(new, lock) != 0 || chmod(s->dir, 0755) != 0 ||
        (geteuid() == 0 && chown(s->dir, s->uid, s->gid) != 0))
        return server_fail(s, "%s: %s", s->dir, strerror(errno));
    return true;
}

bool
server_write_file(struct server *s, const char *name, int flags, const char *fmt, ...)
{
    va_list ap;
    int     fd = server_open_file(s, name, O_WRONLY | O_CREAT | flags), n = -1;

    va_start(ap, fmt);
    if (fd >= 0)
        n = vdprintf(fd, fmt, ap);
    va_end(ap);
    if (fd >= 0)
        close(fd);
    return n >= 0 ? true : server_fail(s, "%s/%s: %s", s->dir, name, strerror(errno));
}

/* ---- the data directory */

const char *
server_program(const struct server *s, const char *name)
{
    static char path[2][SERVER_PATH_SIZE + 30];
    static int  n;
    n = !n;
    snprintf(path[n], sizeof(path[n]), "%s/%s", s->bin, name);
    return path[n];
}

bool
server_find_programs(struct server *s)
{
    const char *given = getenv("TEST_PG_BIN");
    glob_t      found = {0};
    long        best = -1;

    snprintf(s->bin, sizeof(s->bin), "%s", given ? given : "");
    if (!given && glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            long version = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);
            char path[SERVER_PATH_SIZE];
            snprintf(path, sizeof(path), "%s/initdb", found.gl_pathv[i]);
            if (version > best && access(path, X_OK) == 0) {
                best = version;
                snprintf(s->bin, sizeof(s->bin), "%s", found.gl_pathv[i]);
            }
        }
    globfree(&found);
    if (s->bin[0] && access(server_program(s, "postgres"), X_OK) != 0)
        s->bin[0] = '\0';
    if (s->bin[0] == '\0')
        return server_fail(s, "no programs of a PostgreSQL server in %s",
                           given ? given : "/usr/lib/postgresql/*/bin");
    return true;
}

void
server_find_user(struct server *s)
{
    const struct passwd *user = getpwnam("postgres");

    s->uid = geteuid();
    s->gid = getegid();
    if (s->uid != 0)
        return;
    if (!user)
        user = getpwnam("nobody");
    s->uid = user ? user->pw_uid : 65534;
    s->gid = user ? user->pw_gid : 65534;
}

static bool
init_data(struct server *s)
{
    const char *initdb[] = {server_program(s, "initdb"),
                            "-D",
                            s->data,
                            "-U",
                            "postgres",
                            "-A",
                            "trust",
                            "--locale=C.UTF-8",
                            "-EUTF8",
                            "--no-sync",
                            "--no-instructions",
                            NULL};
    const char *single[] = {
        server_program(s, "postgres"), "--single", "-D", s->data, "postgres", NULL};

    return server_run_program(s, (struct server_launch){0}, initdb) &&
           server_write_file(s, "setup", O_TRUNC, "create extension pg_stat_statements\n") &&
           server_run_program(s, (struct server_launch){.input = "setup"}, single);
}

static bool
copy(struct server *s, const char *from, const char *to)
{
    return server_run_program(s, (struct server_launch){.as_self = true},
                              (const char *[]){"cp", "-a", "--reflink=auto", from, to, NULL});
}

/* A version in the name, because one cannot use another's files. */
static void
name_template(const struct server *s, char *path, size_t size)
{
    char  command[SERVER_PATH_SIZE + 50], line[100] = "";
    FILE *f;

    snprintf(command, sizeof(command), "'%s' --version", server_program(s, "postgres"));
    f = popen(command, "r");
    if (f && !fgets(line, sizeof(line), f))
        line[0] = '\0';
    if (f)
        pclose(f);
    const char *version = strpbrk(line, "0123456789");
    snprintf(path, size, "%s/hf-pgtemplate-%u-%.*s", s->tmp, (unsigned)s->uid,
             version ? (int)strcspn(version, " /\n") : 0, version ? version : "");
}

bool
server_make_data(struct server *s)
{
    char template[SERVER_PATH_SIZE + 100], other[SERVER_PATH_SIZE + 150];
    struct stat st;
    int         fd;

    if (!s->keep)
        return init_data(s);
    name_template(s, template, sizeof(template));
    snprintf(other, sizeof(other), "%s.lock", template);
    fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        return server_fail(s, "%s: %s", other, strerror(errno));
    bool is_there = lstat(template, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == s->uid;
    bool ok = true;
    if (!is_there) {
        snprintf(other, sizeof(other), "%s.new", template);
        server_remove_tree(other);
        ok = init_data(s) && copy(s, s->data, other);
        if (ok && rename(other, template) != 0)
            ok = server_fail(s, "%s: %s", template, strerror(errno));
    }
    close(fd);
    return ok && (!is_there || copy(s, template, s->data));
}

/* Below the range from which the system takes ports for outgoing connections, so that nobody takes
 * it while the server is restarted. */
int
server_free_port(void)
{
    static unsigned seed;

    for (int i = 0; i < 1000; i++) {
        seed = seed * 1103515245 + 12345 + (unsigned)getpid() * 7919 + (unsigned)server_now_ms();
        int port = 20000 + (int)(seed / 64 % 12000), fd = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int                rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
        close(fd);
        if (rc == 0)
            return port;
    }
    return 0;
}

bool
server_configure(struct server *s)
{
    s->port = s->tcp ? server_free_port() : 5432;
    return server_write_file(
        s, "data/postgresql.conf", O_APPEND,
        "\nlisten_addresses = '%s'\nport = %d\nunix_socket_directories = '%s'\n"
        "shared_preload_libraries = 'pg_stat_statements'\n"
        "pg_stat_statements.track = top\ncompute_query_id = on\n"
        "shared_buffers = 256MB\nmax_wal_size = 2GB\nmax_connections = 200\n"
        "log_line_prefix = '%%m [%%p] %%d '\nfsync = %s\n%s\n",
        s->tcp ? "127.0.0.1" : "", s->port, s->dir, s->fast ? "off" : "on",
        s->settings ? s->settings : "");
}
