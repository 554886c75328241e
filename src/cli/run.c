/* Commands that start runs, wait for them, and send them something. */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

#include "cli/load.h"
#include "cli/print.h"
#include "client/client.h"

/* How often a wait looks whether the run rests; the first look comes soon. */
enum { FIRST_SLICE_MS = 200, SLICE_MS = 1000 };

static int
print_result(struct cli *c, const hf_info *info)
{
    struct buf b = {0};

    if (!c->json) {
        if (info->output) {
            fputs(info->output, stdout);
            putchar('\n');
        }
        return HF_OK;
    }
    buf_putc(&b, '{');
    put_text_member(&b, "id", info->id);
    put_text_member(&b, "status", info->status);
    put_payload_member(&b, "output", info->output);
    put_error_member(&b, "error", info->error_name, info->error_message);
    buf_putc(&b, '}');
    return print_buf(c, &b);
}

/* Tells people, once, that a run which others wait for needs one of them. */
static void
tell_rest(const hf_info *info)
{
    const char *text = info->error_message ? info->error_message : info->error_name;
    bool        blocked = strcmp(info->status, "blocked") == 0;

    fprintf(stderr, "holdfast: run %s is %s", info->id, info->status);
    size_t len = blocked && text ? strlen(text) : 0;
    while (len > 0 && text[len - 1] == ' ')
        len--;
    fputs(len > 0 ? ": " : "", stderr);
    for (size_t i = 0; i < len; i++)
        fputc((unsigned char)text[i] < 0x20 ? ' ' : text[i], stderr);
    fputs("; still waiting\n", stderr);
}

/* client_wait in slices, for ever too: a look at the run between them. */
static int
wait_in_slices(struct cli *c, const char *run, const char *token, hf_info **out)
{
    int64_t timeout_ms = args_number(c, "timeout", -1), slice_ms = FIRST_SLICE_MS;
    int64_t begin_us = clock_steady_us();
    bool    told = false;

    for (;;) {
        int64_t left_ms = timeout_ms - (clock_steady_us() - begin_us) / US_PER_MS;
        bool    last = timeout_ms >= 0 && left_ms <= slice_ms;
        left_ms = left_ms < 0 ? 0 : left_ms;
        int rc = client_wait(c->h, run, token, last ? left_ms : slice_ms, out);
        if (rc != HF_TIMEOUT || last)
            return rc ? cli_fail(c) : HF_OK;
        bool rests = *out && (strcmp((*out)->status, "blocked") == 0 ||
                              strcmp((*out)->status, "paused") == 0);
        if (rests && !told)
            tell_rest(*out);
        told = rests;
        hf_info_free(*out);
        *out = NULL;
        slice_ms = SLICE_MS;
    }
}

/* Waits for a life of a run and prints how it ended; the code says the same. */
static int
wait_and_print(struct cli *c, const char *run, const char *token)
{
    hf_info *info = NULL;

    int rc = wait_in_slices(c, run, token, &info);
    if (info && print_result(c, info))
        rc = c->err.code;
    hf_info_free(info);
    return rc;
}

static int
print_id(struct cli *c, const char *id)
{
    struct buf b = {0};

    if (c->json)
        buf_puts(&b, "{\"id\":");
    if (c->json)
        buf_json(&b, id);
    else
        buf_puts(&b, id);
    if (c->json)
        buf_putc(&b, '}');
    return print_buf(c, &b);
}

static int
start_batch(hf *h, const char *workflow, const char *const *inputs, size_t n, const hf_opt *opt,
            char *ids)
{
    return hf_start_many(h, workflow, inputs, NULL, n, opt, ids);
}

static const struct load_way runs = {"run", "started", start_batch};

static int
check_start_options(struct cli *c)
{
    if (args_given(c, "timeout") && !args_given(c, "wait"))
        return err_set(&c->err, HF_INVALID, "start: --timeout goes with --wait");
    if (load_is_many(c) && args_given(c, "wait"))
        return err_set(&c->err, HF_INVALID, "start: --wait goes with one run only");
    return load_check_options(c, &runs);
}

int
run_start(struct cli *c)
{
    struct started started;
    bool           wait = args_given(c, "wait");

    TRY(check_start_options(c));
    TRY(cli_open(c, true));
    const hf_opt *opt = HF_OPT(.id = args_text(c, "id", NULL), .queue = args_text(c, "queue", NULL),
                               .class_ = args_choice(c, "class", -1) + 1,
                               .if_exists = args_choice(c, "if-exists", 0),
                               .version = (int)args_number(c, "version", 0));
    if (load_is_many(c))
        return load_many(c, &runs, opt);
    if (client_start(c->h, c->operands[0], args_text(c, "input", NULL), opt, &started))
        return cli_fail(c);
    if (!wait || !c->json)
        TRY(print_id(c, started.id));
    if (!wait)
        return HF_OK;
    fflush(stdout); /* who reads a pipe learns the id now */
    return wait_and_print(c, started.id, started.token);
}

int
run_wait(struct cli *c)
{
    TRY(cli_open(c, false));
    return wait_and_print(c, c->operands[0], NULL);
}

int
run_signal(struct cli *c)
{
    const char *run = c->operands[0], *name = c->operands[1];
    const char *payload = args_text(c, "payload", NULL);
    const char *workflow = args_text(c, "start", NULL);

    if (c->n_operands == 3 && payload)
        return err_set(&c->err, HF_INVALID, "signal: the payload is given twice");
    if (c->n_operands == 3)
        payload = c->operands[2];
    if (workflow == NULL && (args_given(c, "input") || args_given(c, "queue")))
        return err_set(&c->err, HF_INVALID, "signal: --input and --queue go with --start");
    TRY(cli_open(c, workflow != NULL));
    const hf_opt *opt =
        HF_OPT(.id = run, .key = args_text(c, "key", NULL), .queue = args_text(c, "queue", NULL));
    int rc = workflow ? hf_start_send(c->h, workflow, args_text(c, "input", NULL), name, payload,
                                      opt, NULL)
                      : hf_send(c->h, run, name, payload, HF_OPT(.key = opt->key));
    return rc ? cli_fail(c) : HF_OK;
}

/* Does one thing to each run named; the first that fails ends it. */
static int
for_each_run(struct cli *c, int (*tell)(hf *, const char *, const char *))
{
    TRY(cli_open(c, false));
    for (int i = 0; i < c->n_operands; i++)
        if (tell(c->h, c->operands[i], args_text(c, "reason", NULL)))
            return cli_fail(c);
    return HF_OK;
}

static int
pause_one(hf *h, const char *run, const char *reason)
{
    (void)reason;
    return hf_pause(h, run);
}

static int
resume_one(hf *h, const char *run, const char *reason)
{
    (void)reason;
    return hf_resume(h, run);
}

int
run_cancel(struct cli *c)
{
    return for_each_run(c, hf_cancel);
}

int
run_terminate(struct cli *c)
{
    return for_each_run(c, hf_terminate);
}

int
run_pause(struct cli *c)
{
    return for_each_run(c, pause_one);
}

int
run_resume(struct cli *c)
{
    return for_each_run(c, resume_one);
}
