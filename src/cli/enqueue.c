/* `holdfast enqueue`: one task, or many (load.c). */
#include "cli/load.h"
#include "cli/print.h"

static const struct load_way tasks = {"task", "enqueued", hf_enqueue_many};

static int
enqueue_one(struct cli *c, const hf_opt *opt)
{
    char id[HF_ID_SIZE];

    if (hf_enqueue(c->h, c->operands[0], args_text(c, "input", NULL), opt, id))
        return cli_fail(c);
    if (!c->json) {
        puts(id);
        return HF_OK;
    }
    struct buf b = {0};
    buf_puts(&b, "{\"ids\":[");
    buf_json(&b, id);
    buf_puts(&b, "]}");
    return print_buf(c, &b);
}

static int
check_options(struct cli *c)
{
    TRY(load_check_options(c, &tasks));
    if (args_given(c, "in") && args_given(c, "at"))
        return err_set(&c->err, HF_INVALID, "enqueue: --in or --at, not both");
    if (args_given(c, "max-attempts") && args_number(c, "max-attempts", 1) == 0)
        return err_set(&c->err, HF_INVALID, "enqueue: --max-attempts: 0; at least 1, or -1");
    return HF_OK;
}

int
run_enqueue(struct cli *c)
{
    TRY(check_options(c));
    TRY(cli_open(c, true));
    const hf_opt *opt =
        HF_OPT(.id = args_text(c, "id", NULL), .queue = args_text(c, "queue", NULL),
               .class_ = args_choice(c, "class", -1) + 1, .delay_ms = args_number(c, "in", 0),
               .at_ms = args_number(c, "at", 0), .timeout_ms = args_number(c, "timeout", 0),
               .deadline_ms = args_number(c, "deadline", 0),
               .max_attempts = (int)args_number(c, "max-attempts", 0),
               .on_crash = args_choice(c, "on-crash", HF_RETRY),
               .first_delay_ms = args_number(c, "first-delay", 0),
               .max_delay_ms = args_number(c, "max-delay", 0),
               .no_retry = args_text(c, "no-retry", NULL));
    return load_is_many(c) ? load_many(c, &tasks, opt) : enqueue_one(c, opt);
}
