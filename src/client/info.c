/* hf_info: a run as people see it, in one block of memory with its texts behind the struct. */
#include "client/info.h"

#include <string.h>

#include "base/mem.h"

enum { TEXTS = 9 };

/* The texts of an info beside the row's that each is taken from. */
struct text {
    const char **to;
    const char  *from;
};

int
info_make(const struct run_row *run, hf_info **out, struct err *err)
{
    hf_info info = {
        .version = run->version,
        .execution = run->execution,
        .done = run_has_ended(run->status),
        .started_ms = run->started_us / US_PER_MS,
        .ended_ms = run->ended_us / US_PER_MS,
    };
    struct text texts[TEXTS] = {
        {&info.id, run->id},
        {&info.workflow, run->workflow},
        {&info.queue, run->queue},
        {&info.status, run_status_name(run->status)},
        {&info.input, run->input},
        {&info.output, run->output},
        {&info.error_name, run->error_name},
        {&info.error_message, run->error_message},
        {&info.custom_status, run->custom},
    };

    size_t size = sizeof(info);
    for (int i = 0; i < TEXTS; i++)
        size += texts[i].from ? strlen(texts[i].from) + 1 : 0;
    char *block = mem_alloc(size);
    if (block == NULL)
        return err_nomem(err);
    char *at = block + sizeof(info);
    for (int i = 0; i < TEXTS; i++) {
        if (texts[i].from == NULL)
            continue;
        size_t n = strlen(texts[i].from) + 1;
        *texts[i].to = memcpy(at, texts[i].from, n);
        at += n;
    }
    *out = memcpy(block, &info, sizeof(info));
    return HF_OK;
}

void
hf_info_free(hf_info *info)
{
    mem_free(info);
}
