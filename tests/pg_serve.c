/*
 * A throw-away PostgreSQL server, and a PgBouncer before it if asked, for test programs (pg.h) and
 * scripts (pg.bash). It lives as long as its standard input is open: whoever starts it holds the
 * other end, so the server ends and its directory goes even if that program is killed.
 *
 *     pg_serve [--fast] [--tcp] [--settings LINES]
 *
 * --fast switches fsync off, --tcp listens on a port of 127.0.0.1 too. Requests are lines "NUMBER
 * WORDS", answers "NUMBER ok DIR PORT PID BOUNCER_PORT" or "NUMBER error TEXT"; the start is
 * answered as request 0:
 *
 *     start                 again, after stop
 *     stop fast | immediate | kill       kill: SIGKILL to all its processes
 *     bouncer [SETTING;...] | bouncer-stop
 *     end
 *
 * initdb takes seconds, so its result is kept in TMPDIR for each user and version, and copied. As
 * root the programs run as the user postgres, or nobody. TEST_PG_BIN names another directory of
 * PostgreSQL programs than the newest.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

enum { PATH_SIZE = 300, START_MS = 120000, STOP_MS = 60000, CHILDREN_MAX = 300 };

struct server {
    bool        fast, tcp;
    const char *settings; /* lines of postgresql.conf */
    const char *tmp;
    char        bin[PATH_SIZE], dir[PATH_SIZE], data[PATH_SIZE + 10];
    uid_t       uid; /* of the programs */
    gid_t       gid;
    int         port, bouncer_port;
    pid_t       postmaster, bouncer;
    char        problem[1000]; /* of the request that failed */
};

static volatile sig_atomic_t told_to_end;

static void
on_signal(int number)
{
    (void)number;
    told_to_end = 1;
}

static bool __attribute__((format(printf, 2, 3))) fail(struct server *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->problem, sizeof(s->problem), fmt, ap);
    va_end(ap);
    return false;
}

static void
sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static int64_t
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- processes --- */

struct launch {
    const char *input, *log; /* files in the directory; NULL: /dev/null */
    bool        as_self;     /* stays root */
    int         death;       /* the signal that it gets when this process dies */
};

static void
become(const struct server *s)
{
    if (geteuid() == 0 && (setgroups(0, NULL) || setgid(s->gid) || setuid(s->uid)))
        _exit(126);
}

static int
open_in(const struct server *s, const char *name, int flags)
{
    char path[PATH_SIZE + 50];
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    return open(name ? path : "/dev/null", flags | O_CLOEXEC, 0666);
}

static pid_t
launch(const struct server *s, struct launch how, const char *const argv[])
{
    pid_t    self = getpid(), pid = fork();
    sigset_t none;

    if (pid != 0)
        return pid;
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(how.input ? open_in(s, how.input, O_RDONLY) : open("/dev/null", O_RDONLY), 0) < 0 ||
        dup2(open_in(s, how.log, O_WRONLY | O_APPEND | O_CREAT), 1) < 0 || dup2(1, 2) < 0)
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
static bool
is_gone(pid_t *pid, int ms)
{
    for (int64_t end = now_ms() + ms; *pid > 0; sleep_ms(5)) {
        pid_t got = waitpid(*pid, NULL, WNOHANG);
        if (got == *pid || (got < 0 && errno == ECHILD))
            *pid = 0;
        else if (now_ms() >= end)
            return false;
    }
    return true;
}

/* The end of a log, on one line. */
static bool
fail_with_log(struct server *s, const char *what, const char *log)
{
    char    text[800] = "";
    int     fd = open_in(s, log, O_RDONLY);
    off_t   size = lseek(fd, 0, SEEK_END), from = size > 780 ? size - 780 : 0;
    ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, from);

    for (ssize_t i = 0; i < n; i++)
        if (text[i] == '\n')
            text[i] = '|';
    if (fd >= 0)
        close(fd);
    return fail(s, "%s: %s", what, text);
}

static bool
run(struct server *s, struct launch how, const char *const argv[])
{
    int   status;
    pid_t pid;

    how.log = "log";
    pid = launch(s, how, argv);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return fail_with_log(s, argv[0], "log");
    return true;
}

/* --- directories --- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    remove(path);
    return 0;
}

static void
remove_tree(const char *dir)
{
    nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* Directories of servers that were killed together with this program: nobody holds their lock. */
static void
sweep(const struct server *s)
{
    char   pattern[PATH_SIZE + 50];
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s/hf-pg-*/lock", s->tmp);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *path = found.gl_pathv[i];
        int   fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *strrchr(path, '/') = '\0';
            remove_tree(path);
        }
        if (fd >= 0)
            close(fd);
    }
    globfree(&found);
}

/* The lock is held before it has its name, or another one's sweep could take it. */
static bool
make_directory(struct server *s)
{
    char new[PATH_SIZE + 50], lock[PATH_SIZE + 50];
    int fd;

    snprintf(s->dir, sizeof(s->dir), "%s/hf-pg-XXXXXX", s->tmp);
    if (mkdtemp(s->dir) == NULL)
        return fail(s, "%s: %s", s->dir, strerror(errno));
    snprintf(s->data, sizeof(s->data), "%s/data", s->dir);
    snprintf(new, sizeof(new), "%s/lock.new", s->dir);
    snprintf(lock, sizeof(lock), "%s/lock", s->dir);
    fd = open(new, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0 || rename(new, lock) != 0 || chmod(s->dir, 0755) != 0 ||
        (geteuid() == 0 && chown(s->dir, s->uid, s->gid) != 0))
        return fail(s, "%s: %s", s->dir, strerror(errno));
    return true;
}

static bool
write_file(struct server *s, const char *name, int flags, const char *fmt, ...)
{
    va_list ap;
    int     fd = open_in(s, name, O_WRONLY | O_CREAT | flags), n = -1;

    va_start(ap, fmt);
    if (fd >= 0)
        n = vdprintf(fd, fmt, ap);
    va_end(ap);
    if (fd >= 0)
        close(fd);
    return n >= 0 ? true : fail(s, "%s/%s: %s", s->dir, name, strerror(errno));
}

/* --- the data directory --- */

static const char *
program(const struct server *s, const char *name)
{
    static char path[2][PATH_SIZE + 30];
    static int  n;
    n = !n;
    snprintf(path[n], sizeof(path[n]), "%s/%s", s->bin, name);
    return path[n];
}

static bool
find_programs(struct server *s)
{
    const char *given = getenv("TEST_PG_BIN");
    glob_t      found = {0};
    long        best = -1;

    snprintf(s->bin, sizeof(s->bin), "%s", given ? given : "");
    if (!given && glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            long version = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);
            char path[PATH_SIZE];
            snprintf(path, sizeof(path), "%s/initdb", found.gl_pathv[i]);
            if (version > best && access(path, X_OK) == 0) {
                best = version;
                snprintf(s->bin, sizeof(s->bin), "%s", found.gl_pathv[i]);
            }
        }
    globfree(&found);
    if (s->bin[0] == '\0' || access(program(s, "postgres"), X_OK) != 0)
        return fail(s, "no PostgreSQL server in %s: ./dev test installs it (or set TEST_PG_BIN)",
                    given ? given : "/usr/lib/postgresql/*/bin");
    return true;
}

static void
find_user(struct server *s)
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
    const char *initdb[] = {program(s, "initdb"),
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
    const char *single[] = {program(s, "postgres"), "--single", "-D", s->data, "postgres", NULL};

    return run(s, (struct launch){0}, initdb) &&
           write_file(s, "setup", O_TRUNC, "create extension pg_stat_statements\n") &&
           run(s, (struct launch){.input = "setup"}, single);
}

static bool
copy(struct server *s, const char *from, const char *to)
{
    return run(s, (struct launch){.as_self = true},
               (const char *[]){"cp", "-a", "--reflink=auto", from, to, NULL});
}

/* A version in the name, because one cannot use another's files. */
static void
name_template(const struct server *s, char *path, size_t size)
{
    char  command[PATH_SIZE + 50], line[100] = "";
    FILE *f;

    snprintf(command, sizeof(command), "'%s' --version", program(s, "postgres"));
    f = popen(command, "r");
    if (f && !fgets(line, sizeof(line), f))
        line[0] = '\0';
    if (f)
        pclose(f);
    const char *version = strpbrk(line, "0123456789");
    snprintf(path, size, "%s/hf-pgtemplate-%u-%.*s", s->tmp, (unsigned)s->uid,
             version ? (int)strcspn(version, " /\n") : 0, version ? version : "");
}

static bool
make_data(struct server *s)
{
    char template[PATH_SIZE + 100], other[PATH_SIZE + 150];
    struct stat st;
    int         fd;

    name_template(s, template, sizeof(template));
    snprintf(other, sizeof(other), "%s.lock", template);
    fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        return fail(s, "%s: %s", other, strerror(errno));
    bool is_there = lstat(template, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == s->uid;
    bool ok = true;
    if (!is_there) {
        snprintf(other, sizeof(other), "%s.new", template);
        remove_tree(other);
        ok = init_data(s) && copy(s, s->data, other);
        if (ok && rename(other, template) != 0)
            ok = fail(s, "%s: %s", template, strerror(errno));
    }
    close(fd);
    return ok && (!is_there || copy(s, template, s->data));
}

/* Below the range from which the system takes ports for outgoing connections, so that nobody takes
 * it while the server is restarted. */
static int
free_port(void)
{
    static unsigned seed;

    for (int i = 0; i < 1000; i++) {
        seed = seed * 1103515245 + 12345 + (unsigned)getpid() * 7919 + (unsigned)now_ms();
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

static bool
configure(struct server *s)
{
    s->port = s->tcp ? free_port() : 5432;
    return write_file(s, "data/postgresql.conf", O_APPEND,
                      "\nlisten_addresses = '%s'\nport = %d\nunix_socket_directories = '%s'\n"
                      "shared_preload_libraries = 'pg_stat_statements'\n"
                      "pg_stat_statements.track = top\ncompute_query_id = on\n"
                      "shared_buffers = 256MB\nmax_wal_size = 2GB\nmax_connections = 200\n"
                      "log_line_prefix = '%%m [%%p] %%d '\nfsync = %s\n%s\n",
                      s->tcp ? "127.0.0.1" : "", s->port, s->dir, s->fast ? "off" : "on",
                      s->settings ? s->settings : "");
}

/* --- start and stop --- */

static bool
wait_ready(struct server *s, pid_t *pid, int port, const char *log)
{
    char url[PATH_SIZE + 100];

    snprintf(url, sizeof(url), "host=%s port=%d user=postgres dbname=postgres", s->dir, port);
    for (int64_t end = now_ms() + START_MS; now_ms() < end && !told_to_end; sleep_ms(10)) {
        if (PQping(url) == PQPING_OK)
            return true;
        if (is_gone(pid, 0))
            return fail_with_log(s, "did not start", log);
    }
    return fail_with_log(s, "not ready in time", log);
}

static bool
start(struct server *s)
{
    const char *argv[] = {program(s, "postgres"), "-D", s->data, NULL};

    if (s->postmaster)
        return fail(s, "it is running");
    s->postmaster = launch(s, (struct launch){.log = "log", .death = SIGQUIT}, argv);
    return wait_ready(s, &s->postmaster, s->port, "log");
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
    bool gone = is_gone(&s->postmaster, STOP_MS);
    for (int i = 0; i < n; i++)
        gone = is_gone(&child[i], STOP_MS) && gone;
    return gone ? true : fail(s, "processes survive SIGKILL");
}

static bool
stop(struct server *s, const char *how)
{
    if (s->postmaster == 0)
        return true;
    if (strcmp(how, "kill") == 0)
        return kill_all(s);
    kill(s->postmaster, strcmp(how, "immediate") == 0 ? SIGQUIT : SIGINT);
    if (!is_gone(&s->postmaster, STOP_MS))
        return fail_with_log(s, "does not stop", "log");
    return true;
}

static void
stop_bouncer(struct server *s)
{
    if (s->bouncer) {
        kill(s->bouncer, SIGKILL);
        is_gone(&s->bouncer, STOP_MS);
    }
    s->bouncer_port = 0;
}

/* Debian has it in sbin, which is not in everybody's path. */
static bool
start_bouncer(struct server *s, char *settings)
{
    char        ini[PATH_SIZE + 50];
    const char *argv[] = {"/usr/sbin/pgbouncer", ini, NULL};

    if (s->bouncer)
        return fail(s, "PgBouncer is running");
    if (access(argv[0], X_OK) != 0)
        return fail(s, "no %s: ./dev test installs it", argv[0]);
    snprintf(ini, sizeof(ini), "%s/pgbouncer.ini", s->dir);
    for (char *p = settings; *p; p++)
        if (*p == ';')
            *p = '\n';
    s->bouncer_port = free_port();
    if (!write_file(s, "pgbouncer.ini", O_TRUNC,
                    "[databases]\n* = host=%s port=%d user=postgres\n[pgbouncer]\n"
                    "listen_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir = %s\n"
                    "auth_type = any\npool_mode = transaction\ndefault_pool_size = 20\n"
                    "max_client_conn = 1000\n%s\n",
                    s->dir, s->port, s->bouncer_port, s->dir, settings))
        return false;
    s->bouncer = launch(s, (struct launch){.log = "pgbouncer.log"}, argv);
    if (wait_ready(s, &s->bouncer, s->bouncer_port, "pgbouncer.log"))
        return true;
    stop_bouncer(s);
    return false;
}

/* --- requests --- */

/* Whether to go on. */
static bool
serve_one(struct server *s, char *line)
{
    char *rest, *word, *arg, *words = line;
    bool  ok;

    strtol(line, &rest, 10);
    words = rest + strspn(rest, " ");
    *rest = '\0';
    word = words;
    arg = word + strcspn(word, " ");
    if (*arg)
        *arg++ = '\0';
    if (strcmp(word, "start") == 0)
        ok = start(s);
    else if (strcmp(word, "stop") == 0)
        ok = stop(s, arg);
    else if (strcmp(word, "bouncer") == 0)
        ok = start_bouncer(s, arg);
    else if (strcmp(word, "bouncer-stop") == 0)
        stop_bouncer(s), ok = true;
    else if (strcmp(word, "end") == 0)
        return false;
    else
        ok = fail(s, "%s: no such request", word);
    if (ok)
        printf("%s ok %s %d %d %d\n", line, s->dir, s->port, (int)s->postmaster, s->bouncer_port);
    else
        printf("%s error %s\n", line, s->problem);
    return true;
}

static void
serve(struct server *s)
{
    char   text[4000];
    size_t n = 0;

    while (!told_to_end) {
        struct pollfd in = {.fd = 0, .events = POLLIN};
        if (poll(&in, 1, 1000) <= 0)
            continue;
        ssize_t got = read(0, text + n, sizeof(text) - 1 - n);
        if (got <= 0)
            return;
        n += (size_t)got;
        text[n] = '\0';
        for (char *end; (end = strchr(text, '\n')) != NULL;) {
            *end = '\0';
            if (!serve_one(s, text))
                return;
            n -= (size_t)(end + 1 - text);
            memmove(text, end + 1, n + 1);
        }
    }
}

static void
end(struct server *s)
{
    stop_bouncer(s);
    if (s->postmaster) {
        kill(s->postmaster, SIGQUIT);
        if (!is_gone(&s->postmaster, 5000))
            kill_all(s);
    }
    if (s->dir[0])
        remove_tree(s->dir);
}

static void
set_up_process(void)
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
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(022);
}

int
main(int argc, char **argv)
{
    struct server s = {.tmp = getenv("TMPDIR")};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--fast") == 0)
            s.fast = true;
        else if (strcmp(argv[i], "--tcp") == 0)
            s.tcp = true;
        else if (strcmp(argv[i], "--settings") == 0 && i + 1 < argc)
            s.settings = argv[++i];
        else
            return fprintf(stderr, "%s: what is %s?\n", argv[0], argv[i]), 64;
    }
    /* A socket's path has 107 bytes. */
    if (!s.tmp || s.tmp[0] != '/' || strlen(s.tmp) > 60)
        s.tmp = "/tmp";
    set_up_process();
    find_user(&s);
    sweep(&s);
    bool ok =
        find_programs(&s) && make_directory(&s) && make_data(&s) && configure(&s) && start(&s);
    if (ok) {
        printf("0 ok %s %d %d 0\n", s.dir, s.port, (int)s.postmaster);
        serve(&s);
    } else {
        printf("0 error %s\n", s.problem);
    }
    end(&s);
    printf("end ok\n");
    return !ok;
}
