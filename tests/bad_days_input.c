/*
 * What clients get wrong: names that nobody has, texts that are none, ids that are taken, words to
 * runs that are not there. Each gets its code and a sentence, and changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs.h"

static hf *h;

static int
echo_run(hf_wf *wf)
{
    return hf_return(wf, hf_input(wf));
}

static int
waits(hf_wf *wf)
{
    HF_TRY(hf_signal(wf, "go", NULL));
    return 0;
}

static void
open_input_world(void)
{
    h = world_open();
    OK(h, hf_workflow(h, "echo", 1, echo_run));
    OK(h, hf_workflow(h, "waits", 1, waits));
}

static void
refused(int rc, int code, const char *part)
{
    if (rc != code || !contains(hf_errmsg(h), part))
        test_fail(__FILE__, __LINE__, "%s '%s', should be %s with '%s'", hf_code_name(rc),
                  hf_errmsg(h), hf_code_name(code), part);
    CHECK_INT(hf_errcode(h), code);
    CHECK(strchr(hf_errmsg(h), '\n') == NULL);
}

/* A name that no worker has may come with the next deploy: it is no error, it waits. */
TEST(an_unknown_workflow_or_task_is_taken_and_waits_for_a_worker_that_has_it)
{
    open_input_world();
    OK(h, hf_start(h, "echo2", "x", HF_OPT(.id = "r"), NULL));
    OK(h, hf_enqueue(h, "task2", NULL, HF_OPT(.id = "t"), NULL));
    OK(h, hf_test_advance(h, HF_DAY));
    CHECK_TEXT(status_of(h, "r"), "running");
    CHECK_TEXT(error_of(h, "r"), NULL);
    OK(h, hf_test_crash(h));
    OK(h, hf_workflow(h, "echo2", 1, echo_run));
    OK(h, hf_test_fake(h, "task2", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "x");
    CHECK_INT(hf_test_count(h, "task2"), 1);
}

TEST(an_input_over_the_limit_or_not_utf_8_is_refused)
{
    char *big = malloc(HF_PAYLOAD_MAX + 2);

    open_input_world();
    memset(big, 'x', HF_PAYLOAD_MAX + 1);
    big[HF_PAYLOAD_MAX + 1] = '\0';
    OK(h, hf_start(h, "waits", NULL, HF_OPT(.id = "w"), NULL));
    refused(hf_start(h, "echo", big, HF_OPT(.id = "r"), NULL), HF_TOO_BIG, "1048577");
    refused(hf_enqueue(h, "t", big, NULL, NULL), HF_TOO_BIG, "input");
    refused(hf_send(h, "w", "go", big, NULL), HF_TOO_BIG, "payload");
    refused(hf_start(h, "echo", "a\xc3", NULL, NULL), HF_INVALID, "UTF-8");
    refused(hf_start(h, "echo", "\xed\xa0\x80", NULL, NULL), HF_INVALID, "UTF-8"); /* half a pair */
    refused(hf_send(h, "w", "go", "\xc0\x80", NULL), HF_INVALID, "UTF-8"); /* a NUL in disguise */
    refused(hf_cancel(h, "w", "\xff"), HF_INVALID, "reason");
    GIVES(h, hf_describe(h, "r", &(hf_info *){0}), HF_NOT_FOUND);
    big[HF_PAYLOAD_MAX] = '\0';
    OK(h, hf_start(h, "echo", big, HF_OPT(.id = "r"), NULL)); /* exactly the limit */
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), big);
    free(big);
}

TEST(bad_names_and_ids_are_refused)
{
    char name[HF_NAME_MAX + 2];

    open_input_world();
    memset(name, 'n', sizeof(name));
    name[HF_NAME_MAX + 1] = '\0';
    refused(hf_start(h, "", NULL, NULL, NULL), HF_INVALID, "workflow");
    refused(hf_start(h, NULL, NULL, NULL, NULL), HF_INVALID, "workflow");
    refused(hf_start(h, name, NULL, NULL, NULL), HF_INVALID, "workflow");
    refused(hf_start(h, "echo", NULL, HF_OPT(.id = name), NULL), HF_INVALID, "id");
    refused(hf_start(h, "echo", NULL, HF_OPT(.id = ""), NULL), HF_INVALID, "id");
    refused(hf_start(h, "echo", NULL, HF_OPT(.id = "\xff"), NULL), HF_INVALID, "id");
    refused(hf_start(h, "echo", NULL, HF_OPT(.queue = "a,b"), NULL), HF_INVALID, "queue");
    refused(hf_enqueue(h, "", NULL, NULL, NULL), HF_INVALID, "task");
    refused(hf_send(h, "", "go", NULL, NULL), HF_INVALID, "run");
    refused(hf_send(h, "r", NULL, NULL, NULL), HF_INVALID, "signal");
    refused(hf_start(h, "echo", NULL, HF_OPT(.version = -1), NULL), HF_INVALID, "version");
    refused(hf_enqueue(h, "t", NULL, HF_OPT(.delay_ms = -1), NULL), HF_INVALID, "delay");
    refused(hf_workflow(h, "v", 0, echo_run), HF_INVALID, "version");
    refused(hf_workflow(h, "echo", 1, echo_run), HF_INVALID, "echo");
    refused(hf_workflow(h, "v", 1, NULL), HF_INVALID, "v");
    name[HF_NAME_MAX] = '\0';
    OK(h, hf_start(h, "echo", "x", HF_OPT(.id = name), NULL)); /* exactly the limit */
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, name), "x");
}

TEST(an_id_that_is_taken_is_refused_and_the_run_that_has_it_is_left_alone)
{
    open_input_world();
    OK(h, hf_start(h, "waits", "first", HF_OPT(.id = "r"), NULL));
    refused(hf_start(h, "echo", "second", HF_OPT(.id = "r"), NULL), HF_EXISTS, "r");
    OK(h, hf_test_run(h));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    refused(hf_start(h, "echo", "third", HF_OPT(.id = "r"), NULL), HF_EXISTS, "r");
    hf_info *info;
    OK(h, hf_describe(h, "r", &info));
    CHECK_TEXT(info->workflow, "waits");
    CHECK_TEXT(info->input, "first");
    hf_info_free(info);
}

TEST(words_to_a_run_that_is_not_there_or_has_ended_are_refused)
{
    open_input_world();
    OK(h, hf_start(h, "echo", NULL, HF_OPT(.id = "done"), NULL));
    OK(h, hf_test_run(h));
    static const struct {
        const char *run;
        int         code;
    } cases[] = {{"nowhere", HF_NOT_FOUND}, {"done", HF_DONE}};
    for (size_t i = 0; i < 2; i++) {
        const char *run = cases[i].run;
        refused(hf_send(h, run, "s", NULL, NULL), cases[i].code, run);
        refused(hf_cancel(h, run, NULL), cases[i].code, run);
        refused(hf_terminate(h, run, NULL), cases[i].code, run);
        refused(hf_pause(h, run), cases[i].code, run);
        refused(hf_resume(h, run), cases[i].code, run);
    }
    refused(hf_wait(h, "nowhere", 0, NULL), HF_NOT_FOUND, "nowhere");
    OK(h, hf_wait(h, "done", 0, NULL));
}
