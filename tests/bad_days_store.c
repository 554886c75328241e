/*
 * Days on which the store is in trouble: it answers no, does not answer, is full, damaged, or not
 * ours. What was said to be stored stays so, the worker says what it waits for, and goes on.
 */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handle.h"
#include "proc.h"

static hf *h;

/* ---- a value that the store refuses (the memory store's rule: "\x01refuse" in it) */

static int
returns_input(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "echo", hf_input(wf), &out));
    HF_TRY(hf_sleep(wf, 1000));
    return hf_return(wf, out);
}

static int
echo(hf_tk *tk, void *arg)
{
    (void)arg;
    if (contains(hf_tk_input(tk), "bad"))
        return hf_tk_return(tk, "\x01refuse");
    return contains(hf_tk_input(tk), "error") ? hf_tk_fail_final(tk, "e", "\x01refuse")
                                              : hf_tk_return(tk, hf_tk_input(tk));
}

/* One odd byte must not stop everybody who happened to be in the same commit. */
TEST(a_value_that_the_store_refuses_blocks_its_run_and_the_batchs_neighbours_commit)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, returns_input));
    OK(h, hf_handler(h, "echo", echo, NULL, NULL));
    char id[40];
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        const char *in = i % 10 == 3 ? "bad" : i % 10 == 7 ? "error" : "good";
        OK(h, hf_start(h, "w", in, HF_OPT(.id = id), NULL));
    }
    OK(h, hf_test_advance(h, 1000));
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        if (i % 10 != 3 && i % 10 != 7) {
            CHECK_TEXT(output_of(h, id), "good");
            continue;
        }
        CHECK_TEXT(status_of(h, id), "blocked");
        CHECK_TEXT(error_of(h, id), "HF_REFUSED");
        CHECK(contains(message_of(h, id), "does not take it"));
    }
}

static int
first_bad_then_good(hf_tk *tk, void *arg)
{
    int *times = arg;
    return hf_tk_return(tk, ++*times == 1 ? "\x01refuse" : "good");
}

TEST(a_run_blocked_by_a_refused_value_goes_on_after_resume)
{
    int times = 0;
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, returns_input));
    OK(h, hf_handler(h, "echo", first_bad_then_good, &times, NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "blocked");
    OK(h, hf_resume(h, "r"));
    OK(h, hf_test_advance(h, 1000));
    CHECK_TEXT(output_of(h, "r"), "good");
}

/* ---- a fault at every call of the store */

static int        fault_at, calls_made;
static enum fault fault_kind;

static enum fault
fault_hook_fn(void *arg, const char *verb, struct batch *batch)
{
    (void)arg, (void)batch;
    if (strcmp(verb, "cycle") != 0 && strcmp(verb, "load") != 0)
        return FAULT_NONE;
    return ++calls_made == fault_at ? fault_kind : FAULT_NONE;
}

static int
child(hf_wf *wf)
{
    HF_TRY(hf_sleep(wf, 100));
    return hf_return(wf, "child");
}

static int
eventful(hf_wf *wf)
{
    hf_call     calls[4];
    const char *a, *b, *c;

    HF_TRY(hf_on_fail(wf, "echo", "undo"));
    HF_TRY(hf_task_start(wf, "echo", "1", &calls[0]));
    HF_TRY(hf_task_start(wf, "flaky", NULL, &calls[1], HF_OPT(.first_delay_ms = 50)));
    HF_TRY(hf_child_start(wf, "child", NULL, &calls[2]));
    HF_TRY(hf_signal_start(wf, "s", &calls[3], HF_OPT(.timeout_ms = 5000)));
    HF_TRY(hf_all(wf, calls, 4));
    HF_TRY(hf_result(wf, calls[1], &a));
    HF_TRY(hf_result(wf, calls[2], &b));
    HF_TRY(hf_result(wf, calls[3], &c));
    if (hf_execution(wf) == 1)
        return hf_continue(wf, hf_sprintf(wf, "%s %s %s", a, b, c));
    return hf_fail(wf, "end", "%s, %s %s %s", hf_input(wf), a, b, c);
}

static int
flaky(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_attempt(tk) < 3 ? hf_tk_fail(tk, "no", "not yet") : hf_tk_return(tk, "flaky");
}

/* A caller that repeats what gave HF_UNAVAILABLE or HF_UNKNOWN, as a worker does. */
static void
advance(int64_t ms)
{
    int rc = hf_test_advance(h, ms);
    if (rc == HF_UNAVAILABLE || rc == HF_UNKNOWN)
        rc = hf_test_advance(h, ms);
    OK(h, rc);
}

/* The whole story with one fault; false: the fault did not come any more. */
static int
tell_story(enum fault kind, int at)
{
    struct err err = {0};

    fault_at = at;
    fault_kind = kind;
    calls_made = 0;
    h = world_open();
    CHECK_INT(fault_store_open(h->store, fault_hook_fn, NULL, &h->store, &err), HF_OK);
    OK(h, hf_workflow(h, "w", 1, eventful));
    OK(h, hf_workflow(h, "child", 1, child));
    OK(h, hf_handler(h, "echo", echo, NULL, NULL));
    OK(h, hf_handler(h, "flaky", flaky, NULL, NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_start(h, "child", NULL, HF_OPT(.id = "neighbour"), NULL));
    advance(60);
    OK(h, hf_send(h, "r", "s", "one", NULL));
    OK(h, hf_send(h, "r", "s", "two", NULL));
    for (int i = 0; i < 5; i++)
        advance(400);
    int came = calls_made >= at;
    fault_at = -1;
    advance(1000);
    if (strcmp(status_of(h, "r"), "failed") != 0 ||
        strcmp(message_of(h, "r"), "flaky child one, flaky child two") != 0)
        test_fail(__FILE__, __LINE__, "fault %d at call %d: %s, %s", kind, at, status_of(h, "r"),
                  message_of(h, "r"));
    CHECK_TEXT(output_of(h, "neighbour"), "child");
    hf_close(h);
    return came;
}

/* Whatever call of the store does not answer, the story ends the same. */
TEST_WITHIN(a_store_that_is_away_at_any_call_changes_nothing, 60)
{
    int at = 1;
    while (tell_story(FAULT_BEFORE, at))
        at++;
    CHECK(at > 10);
}

TEST_WITHIN(an_answer_that_is_lost_at_any_call_changes_nothing, 60)
{
    int at = 1;
    while (tell_story(FAULT_AFTER, at))
        at++;
    CHECK(at > 10);
}

/* ---- a full disk */

static int
fills(hf_tk *tk, void *arg)
{
    (void)arg;
    char *text = hf_tk_alloc(tk, 20001);
    memset(text, 'x', 20000);
    while (access("../go", F_OK) != 0)
        sleep_ms(5);
    effect("filled");
    return hf_tk_return(tk, text);
}

static int
big_results(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "fills", NULL, &out));
    return hf_return(wf, out + 19990);
}

static void
offer_fills(hf *handle)
{
    OK(handle, hf_workflow(handle, "w", 1, big_results));
    OK(handle, hf_handler(handle, "fills", fills, NULL, NULL));
}

static void
write_file(const char *path, size_t n)
{
    char buf[4096] = {1};
    int  fd = open(path, O_WRONLY | O_CREAT, 0666);
    while (n > 0 && write(fd, buf, n < sizeof(buf) ? n : sizeof(buf)) > 0)
        n -= n < sizeof(buf) ? n : sizeof(buf);
    close(fd);
}

enum { FILLERS = 30 };

/* Full disks are the commonest outage: the worker says so, waits, and goes on when there is room.
 */
TEST(a_full_disk_is_waited_for_and_nothing_is_lost)
{
    char id[40];

    CHECK(mkdir("small", 0777) == 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "small", "tmpfs", 0, "size=2m") != 0)
        SKIP("a small file system cannot be mounted here");
    proc_keep_files_in("..");
    CHECK(chdir("small") == 0);
    hf *client = client_open();
    for (int i = 0; i < FILLERS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "w", NULL, HF_OPT(.id = id), NULL));
    }
    pid_t worker = worker_start(offer_fills, HF_WORKER(.slots = 4, .spill_ms = 100));
    UNTIL(logged("started") == 1);
    sleep_ms(200);
    write_file("filler", 8 << 20); /* as much as there is */
    write_file("../go", 1);
    UNTIL(logged("store_unavailable") >= 1);
    int code = 0;
    for (int i = 0; i < 50 && code == 0; i++) /* a client is told too */
        code = hf_enqueue(client, "nobody", "some input", HF_OPT(.queue = "q"), NULL);
    CHECK_INT(code, HF_UNAVAILABLE);
    CHECK(contains(hf_errmsg(client), "full"));
    sleep_ms(300);
    CHECK(unlink("filler") == 0);
    UNTIL(logged("store_back") >= 1);
    for (int i = 0; i < FILLERS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_wait(client, id, 15000 * test_slowness(), NULL));
    }
    CHECK_INT(effects("filled"), FILLERS); /* nothing was done twice */
    CHECK_INT(worker_stop(worker), 0);
    hf_close(client);
    CHECK(chdir("..") == 0);
}

/* ---- files that are not as they should be */

static void
cannot_open(const char *path, int code, const char *part)
{
    hf  *handle;
    char url[300];
    snprintf(url, sizeof(url), "sqlite:%s", path);
    int rc = hf_open(url, &handle);
    if (rc != code || !contains(hf_errmsg(handle), part))
        test_fail(__FILE__, __LINE__, "%s: %s (%s), should be %s with '%s'", path, hf_code_name(rc),
                  hf_errmsg(handle), hf_code_name(code), part);
    GIVES(handle, hf_run(handle, NULL), code); /* a handle that is not open says why, always */
    hf_close(handle);
}

TEST(a_store_that_is_a_directory_or_nowhere_is_unavailable)
{
    CHECK(mkdir("dir", 0777) == 0);
    cannot_open("dir", HF_UNAVAILABLE, "dir");
    cannot_open("nowhere/t.db", HF_UNAVAILABLE, "nowhere");
}

static void
as_nobody(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
            _exit(77);
        fn();
        exit(0);
    }
    int code = worker_wait(pid);
    if (code == 77)
        SKIP("cannot become another user");
    CHECK_INT(code, 0);
}

static void
open_unreadable(void)
{
    cannot_open("t.db", HF_UNAVAILABLE, "t.db");
}

static void
open_read_only(void)
{
    cannot_open("t.db", HF_UNAVAILABLE, "no permission to write");
}

TEST(a_file_of_another_user_is_unavailable_with_a_sentence)
{
    hf_close(client_open());
    CHECK(chmod(".", 0777) == 0);
    CHECK(chmod("t.db", 0400) == 0);
    if (geteuid() == 0)
        as_nobody(open_unreadable);
    CHECK(chmod("t.db", 0444) == 0);
    as_nobody(open_read_only);
    CHECK(chmod("t.db", 0600) == 0);
}

TEST(a_read_only_file_system_is_unavailable)
{
    CHECK(mkdir("ro", 0777) == 0 && chdir("ro") == 0);
    hf_close(client_open());
    CHECK(chdir("..") == 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("ro", "ro", NULL, MS_BIND, NULL) != 0 ||
        mount("ro", "ro", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)
        SKIP("no bind mounts here");
    cannot_open("ro/t.db", HF_UNAVAILABLE, "write");
}

/* Half of the file is somebody else's bytes: say so, do not serve from it, and do not crash. */
TEST(a_damaged_file_stops_the_worker_with_a_sentence)
{
    char text[3000], id[40];
    hf  *client = client_open();

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "w", text, HF_OPT(.id = id), NULL));
    }
    hf_close(client);
    struct stat st;
    CHECK(stat("t.db", &st) == 0);
    int fd = open("t.db", O_WRONLY);
    memset(text, 0x5a, sizeof(text));
    for (off_t at = 8192; at < st.st_size; at += sizeof(text))
        CHECK(pwrite(fd, text, sizeof(text), at) == (ssize_t)sizeof(text));
    close(fd);
    int code = worker_wait(worker_start(offer_fills, NULL));
    CHECK(code == 1 || code == 99);
    CHECK(logged("damaged") + logged("malformed") + logged("not a database") >= 1);
}
