/* The throw-away server of tests (pg.h): what it promises to those that use it. */
#include "pg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"

static const struct pg_opt fast = {.fast = true};

TEST_WITHIN(a_server_keeps_what_was_committed_through_any_end, 120)
{
    struct pg  *pg = pg_start(NULL);
    const char *url = pg_new_database(pg, "orders");

    CHECK_TEXT(pg_text(url, "show fsync"), "on");
    CHECK_TEXT(pg_text(url, "show server_encoding"), "UTF8");
    pg_exec(url, "create table t (a int); insert into t values (1)");
    pg_restart(pg, "fast");
    CHECK_INT(pg_int(url, "select count(*) from t"), 1);
    pg_exec(url, "insert into t values (2)");
    pg_restart(pg, "immediate");
    CHECK_INT(pg_int(url, "select count(*) from t"), 2);
    pg_exec(url, "insert into t values (3)");
    pg_kill9(pg);
    CHECK_INT(pg_pid(pg), 0);
    pg_start_again(pg);
    CHECK_INT(pg_int(url, "select count(*) from t"), 3);
    CHECK_INT(pg_int(pg_new_database(pg, "orders"), "select count(*) from pg_tables "
                                                    "where schemaname = 'public'"),
              0);
    pg_stop(pg);
}

TEST_WITHIN(a_server_has_the_settings_that_are_asked_for, 120)
{
    struct pg  *pg = pg_start(&(struct pg_opt){
         .fast = true, .tcp = true, .settings = "work_mem = '7MB'\nautovacuum = off"});
    const char *url = pg_tcp_url(pg, "postgres", 0);

    CHECK_TEXT(pg_text(url, "show fsync"), "off");
    CHECK_TEXT(pg_text(url, "show work_mem"), "7MB");
    CHECK_TEXT(pg_text(url, "show autovacuum"), "off");
    CHECK_TEXT(pg_text(url, "select null"), NULL);
    CHECK(pg_int(url, "select count(*) from pg_stat_statements") > 0);
    pg_stop(pg);
}

TEST_WITHIN(pgbouncer_gives_a_session_to_others_between_transactions, 120)
{
    struct pg  *pg = pg_start(&fast);
    const char *url = pg_bouncer_start(pg, "default_pool_size=1");

    int64_t first = pg_int(url, "select pg_backend_pid()");
    CHECK_INT(pg_int(url, "select pg_backend_pid()"), first);
    pg_new_database(pg, "other");
    CHECK_TEXT(pg_text(pg_bouncer_url(pg, "other"), "select current_database()"), "other");
    pg_bouncer_stop(pg);
    CHECK_INT(pg_int(pg_url(pg), "select 1"), 1);
    pg_stop(pg);
}

static int
is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Processes that have a path among their arguments. */
static int
processes_with(const char *path)
{
    DIR *proc = opendir("/proc");
    int  n = 0;

    for (struct dirent *e; proc && (e = readdir(proc)) != NULL;) {
        char name[300], text[1000];
        snprintf(name, sizeof(name), "/proc/%s/cmdline", e->d_name);
        int     fd = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? open(name, O_RDONLY) : -1;
        ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text));
        if (fd >= 0)
            close(fd);
        n += got > 0 && memmem(text, (size_t)got, path, strlen(path)) != NULL;
    }
    if (proc)
        closedir(proc);
    return n;
}

/* A run of the tests that is killed must not leave servers on the developer's machine. */
TEST_WITHIN(a_server_is_gone_when_its_owner_was_killed, 120)
{
    int  tell[2];
    char dir[300] = "";

    CHECK(pipe(tell) == 0);
    pid_t owner = fork();
    if (owner == 0) {
        struct pg *pg = pg_start(&fast);
        pg_bouncer_start(pg, NULL);
        CHECK(write(tell[1], pg_dir(pg), strlen(pg_dir(pg))) > 0);
        pause();
        _exit(0);
    }
    close(tell[1]);
    CHECK(read(tell[0], dir, sizeof(dir) - 1) > 0);
    CHECK(is_there(dir));
    CHECK(processes_with(dir) > 1); /* the server and PgBouncer */
    worker_kill(owner);
    UNTIL_WITHIN(30, !is_there(dir) && processes_with(dir) == 0);
}

TEST_WITHIN(servers_start_side_by_side, 120)
{
    struct pg *pg[3];

    for (int i = 0; i < 3; i++)
        pg[i] = pg_start(&(struct pg_opt){.fast = true, .tcp = true});
    for (int i = 0; i < 3; i++) {
        CHECK_INT(pg_int(pg_tcp_url(pg[i], "postgres", 0), "select 1"), 1);
        char *dir = strdup(pg_dir(pg[i]));
        pg_stop(pg[i]);
        CHECK(!is_there(dir));
        free(dir);
    }
}

TEST(where_no_server_is_installed_a_test_fails_and_says_what_to_do)
{
    int  tell[2], status;
    char text[1000] = "";

    CHECK(pipe(tell) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(tell[1], STDERR_FILENO);
        setenv("TEST_PG_BIN", "/nowhere", 1);
        pg_start(NULL);
        _exit(0);
    }
    close(tell[1]);
    CHECK(waitpid(child, &status, 0) == child && status != 0);
    CHECK(read(tell[0], text, sizeof(text) - 1) > 0);
    CHECK(contains(text, "./dev test installs it"));
}
