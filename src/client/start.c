/* Starting runs: one, one with a signal, or many in one commit. */
#include "client/client.h"

#include <string.h>

#include "base/mem.h"
#include "client/submit.h"
#include "core/opt.h"

static int
stream_of(int class_)
{
    return class_ == HF_URGENT ? STREAM_URGENT : class_ == HF_BULK ? STREAM_BULK : STREAM_NORMAL;
}

/* Hands out an id if the caller wants it. */
static void
give_id(char *to, const char *id)
{
    if (to)
        memcpy(to, id, strlen(id) + 1);
}

/* Checks a start and fills its submit; *out holds the id and token that it points to. */
static int
prepare_start(const char *workflow, const char *input, const hf_opt *opt, struct submit *s,
              struct started *out, struct err *err)
{
    hf_opt o;

    TRY(id_check_name("workflow", workflow, err));
    TRY(id_check_payload("input", input, err));
    TRY(opt_read(opt, &o, err));
    *out = (struct started){0};
    if (o.id)
        give_id(out->id, o.id);
    else
        id_uuid7(clock_system_us(), out->id);
    id_uuid7(clock_system_us(), out->token);
    *s = (struct submit){
        .kind = SUBMIT_START,
        .id = out->id,
        .name = workflow,
        .payload = input,
        .queue = o.queue ? o.queue : "default",
        .token = out->token,
        .cls = stream_of(o.class_),
        .version = o.version,
        .if_exists = o.if_exists,
    };
    return HF_OK;
}

static int
start_run(hf *h, const char *workflow, const char *input, const hf_opt *opt, struct started *out,
          struct err *err)
{
    struct submit s;

    TRY(prepare_start(workflow, input, opt, &s, out, err));
    TRY(submit_again(h, &s, 1, NULL, err));
    out->existed = s.existed;
    if (s.existed && s.if_exists == HF_IF_EXISTS_USE)
        out->token[0] = '\0';
    return HF_OK;
}

int
client_start(hf *h, const char *workflow, const char *input, const hf_opt *opt, struct started *out)
{
    struct err err = {0};
    return start_run(h, workflow, input, opt, out, &err) ? handle_fail(h, &err) : HF_OK;
}

int
hf_start(hf *h, const char *workflow, const char *input, const hf_opt *opt, char *id)
{
    struct started started;
    TRY(client_start(h, workflow, input, opt, &started));
    give_id(id, started.id);
    return HF_OK;
}

static int
start_and_send(hf *h, const char *workflow, const char *input, const char *signal,
               const char *payload, const hf_opt *opt, struct started *out, struct err *err)
{
    struct submit s[2];
    hf_opt        o;

    TRY(opt_read(opt, &o, err));
    TRY(prepare_start(workflow, input, opt, &s[0], out, err));
    TRY(submit_check_signal(out->id, signal, payload, err));
    s[0].if_exists = IF_EXISTS_LIVE;
    s[1] = (struct submit){
        .kind = SUBMIT_SIGNAL, .id = out->id, .name = signal, .payload = payload, .key = o.key};
    return o.key ? submit_again(h, s, 2, NULL, err) : submit_once(h, s, 2, NULL, err);
}

int
hf_start_send(hf *h, const char *workflow, const char *input, const char *signal,
              const char *payload, const hf_opt *opt, char *id)
{
    struct started started;
    struct err     err = {0};

    if (start_and_send(h, workflow, input, signal, payload, opt, &started, &err))
        return handle_fail(h, &err);
    give_id(id, started.id);
    return HF_OK;
}

/* ---- many */

/* Checks run i and fills its submit from what all have in common. */
static int
prepare_one(struct submit *s, const char *input, const char *id, char made[2][UUID_SIZE],
            struct err *err)
{
    TRY(id_check_payload("input", input, err));
    if (id)
        TRY(id_check_name("id", id, err));
    else
        id_uuid7(clock_system_us(), made[0]);
    id_uuid7(clock_system_us(), made[1]);
    s->payload = input;
    s->id = id ? id : made[0];
    s->token = made[1];
    return HF_OK;
}

static int
start_all(hf *h, const char *workflow, const char *const *inputs, const char *const *ids, size_t n,
          const hf_opt *opt, struct submit *items, char (*made)[2][UUID_SIZE], struct err *err)
{
    struct submit  common;
    struct started ignored;
    hf_opt         o;
    size_t         bad = 0;

    TRY(opt_read(opt, &o, err));
    if (o.id)
        return err_set(err, HF_INVALID, "id: one id for %zu runs", n);
    if (o.if_exists == HF_IF_EXISTS_REPLACE)
        return err_set(err, HF_INVALID, "if_exists: many runs at once cannot be replaced");
    TRY(prepare_start(workflow, NULL, opt, &common, &ignored, err));
    for (size_t i = 0; i < n; i++) {
        items[i] = common;
        if (prepare_one(&items[i], inputs ? inputs[i] : NULL, ids ? ids[i] : NULL, made[i], err))
            return err_prefix(err, "start %zu: ", i + 1);
    }
    if (n == 0)
        return HF_OK;
    int rc = submit_again(h, items, n, &bad, err);
    return rc == HF_EXISTS ? err_prefix(err, "start %zu: ", bad + 1) : rc;
}

int
hf_start_many(hf *h, const char *workflow, const char *const *inputs, const char *const *ids,
              size_t n, const hf_opt *opt, char *ids_out)
{
    struct err     err = {0};
    bool           fits = n < SIZE_MAX / sizeof(struct submit);
    struct submit *items = fits ? mem_alloc((n + 1) * sizeof(*items)) : NULL;
    char(*made)[2][UUID_SIZE] = fits ? mem_alloc((n + 1) * sizeof(*made)) : NULL;

    int rc = items && made ? start_all(h, workflow, inputs, ids, n, opt, items, made, &err)
                           : err_nomem(&err);
    for (size_t i = 0; rc == HF_OK && ids_out && i < n; i++)
        give_id(ids_out + i * HF_ID_SIZE, items[i].id);
    mem_free(items);
    mem_free(made);
    return rc ? handle_fail(h, &err) : HF_OK;
}
