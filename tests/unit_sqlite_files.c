/*
 * Files that an SQLite store is asked to open, or finds no room in: newer, shared with an
 * application, damaged, not to be had, on a network, on a full disk.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite.h"
#include "test.h"

static const char file[] = "s.db";

static struct store *
open_store(void)
{
    struct err    err = {0};
    struct store *s = NULL;
    if (store_open(file, NULL, &s, &err) != HF_OK)
        test_fail(__FILE__, __LINE__, "open: %s", err.text);
    return s;
}

static void
run_sql(const char *sql)
{
    sqlite3 *db;
    CHECK_INT(sqlite3_open(file, &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

TEST(a_schema_from_the_future_is_refused)
{
    struct err    err = {0};
    struct store *s = open_store();
    s->ops->close(s);
    run_sql("insert into hf_migration (number, checksum, applied_us) values (99, '', 0)");
    CHECK_INT(store_open(file, NULL, &s, &err), HF_NEWER);
    CHECK(s == NULL);
}

TEST(a_file_of_an_application_may_be_shared)
{
    run_sql("create table mine (x); pragma application_id = 7; pragma user_version = 9");
    struct store *s = open_store();
    s->ops->close(s);
    run_sql("insert into mine (x) values (1)");
}

TEST(a_file_that_is_no_database_is_corrupt)
{
    struct err    err = {0};
    struct store *s;
    FILE         *f = fopen(file, "w");
    for (int i = 0; i < 1000; i++)
        fputs("no database at all\n", f);
    fclose(f);
    CHECK_INT(store_open(file, NULL, &s, &err), HF_CORRUPT);
}

TEST(a_path_that_cannot_be_opened_is_unavailable)
{
    struct err    err = {0};
    struct store *s;
    mkdir("d", 0755);
    CHECK_INT(store_open("sqlite:d", NULL, &s, &err), HF_UNAVAILABLE);
    CHECK(strstr(err.text, "d") != NULL);
    CHECK_INT(store_open("nowhere/s.db", NULL, &s, &err), HF_UNAVAILABLE);
    CHECK_INT(store_open("mysql://x", NULL, &s, &err), HF_INVALID);
    CHECK_INT(store_open("ftp://x", NULL, &s, &err), HF_INVALID);
}

TEST(a_network_file_system_is_refused)
{
    struct err err = {0};
    CHECK_INT(sqlite_check_fs("p", 0x6969, &err), HF_UNAVAILABLE);
    CHECK_INT(sqlite_check_fs("p", (long)0xff534d42u, &err), HF_UNAVAILABLE);
    CHECK_INT(sqlite_check_fs("p", 0xef53, &err), HF_OK);
}

/* A full disk: nothing of the commit is stored, and the store works again when there is room. */
TEST(a_full_disk_loses_nothing_and_passes)
{
    static char    big[200000];
    struct err     err = {0};
    struct pending p;
    struct store  *s = open_store();
    size_t         bad;
    memset(big, 'x', sizeof(big) - 1);
    struct submit items[2] = {{.kind = SUBMIT_ENQUEUE, .name = "t"},
                              {.kind = SUBMIT_ENQUEUE, .name = "t", .payload = big, .queue = "q"}};
    CHECK_INT(sqlite_store_limit_pages(s, 40), HF_OK);
    CHECK_INT(s->ops->submit(s, items, 2, &bad, &err), HF_UNAVAILABLE);
    CHECK_INT(bad, 1);
    CHECK_INT(s->ops->pending(s, NULL, 0, &p, &err), HF_OK);
    CHECK_INT(p.tasks, 0);
    CHECK_INT(sqlite_store_limit_pages(s, 100000), HF_OK);
    CHECK_INT(s->ops->submit(s, items, 2, &bad, &err), HF_OK);
    CHECK_INT(s->ops->pending(s, "q", 0, &p, &err), HF_OK);
    CHECK_INT(p.tasks, 1);
    s->ops->close(s);
}
