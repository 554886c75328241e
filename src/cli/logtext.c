/*
 * The worker's log for people: a sentence for each event, with the event's fields put into it. A
 * program that reads the log gets the fields as they are (logline.c).
 */
#include <stdlib.h>
#include <string.h>

#include "cli/offer.h"
#include "cli/print.h"

/* {key} stands for the field's value, {key#noun} for a count of things. A row with a field is for
 * lines that have this field. */
static const struct sentence {
    const char *event, *field, *text;
} sentences[] = {
    {"started", NULL, "serving {partitions#queue} with {slots#slot}, process {pid}"},
    {"stopped", NULL, "stopped after {tasks#task}, {turns#turn} of runs and {commits#commit}"},
    {"owner", NULL, "waiting for the present owner to end: {message}"},
    {"signal", NULL, "told to stop by signal {number}; running tasks get their grace"},
    {"drained", NULL,
     "no task is left and no run can go on within an hour: {waiting#run} waiting, {paused} paused, "
     "{blocked} "
     "blocked, {dead#dead letter}"},
    {"careful", NULL,
     "careful: {crashes#worker} of queue {queue} died; what was under way is noted before it runs"},
    {"task_timeout", NULL,
     "task {task} ({id}): attempt {attempt} took longer than it may, and is told to stop"},
    {"slot_lost", NULL,
     "task {task} ({id}) does not return: its slot is lost, {lost} of {slots#slot} so far"},
    {"run_blocked", NULL,
     "run {run} ({workflow}) is blocked by {code}: {message}; mend it, then resume the run"},
    {"store_unavailable", NULL, "the store is not available, trying again: {message}"},
    {"store_back", NULL, "the store is back"},
    {"renewal_failed", NULL, "the lease cannot be renewed, trying again: {message}"},
    {"renewed", NULL, "the lease is renewed again"},
    {"no_worker", "workflow",
     "this worker does not offer workflow {workflow} (version {version}): its runs stay as they "
     "are"},
    {"no_worker", "task", "this worker does not offer task {task}: it stays as it is"},
    {"memory_dropped", NULL, "reading everything again from the store: {message}"},
    {"no_memory", NULL, "out of memory: a turn of run {run} is put off"},
    {"leave", NULL,
     "stopped, but the store does not know: the next worker counts a crash: {message}"},
    {"bad_options", NULL, "task {task}: its options cannot be read, those of its handler hold"},
    {"inbox_unknown", NULL,
     "run {run}: a message of a kind that this version does not know ({kind}) was dropped"},
    {"workflow", NULL, "run {run}: {message}"},
};

/* The value of a field; false if the line has none of this name. */
static bool
find_field(const char *fields, const char *key, size_t key_len, const char **value, size_t *len)
{
    struct log_field f;

    for (const char *p = fields; next_field(&p, &f);)
        if (f.key_len == key_len && memcmp(f.key, key, key_len) == 0) {
            *value = f.value;
            *len = f.value_len;
            return true;
        }
    return false;
}

static void
put_value(struct buf *b, const char *fields, const char *name, size_t name_len)
{
    const char *value, *noun = memchr(name, '#', name_len);
    size_t      len, key_len = noun ? (size_t)(noun - name) : name_len;
    char        count[TIME_SIZE], word[32];

    if (!find_field(fields, name, key_len, &value, &len)) {
        buf_putc(b, '?');
        return;
    }
    if (noun == NULL) {
        while (len > 0 && value[len - 1] == ' ')
            len--;
        for (size_t i = 0; i < len; i++)
            buf_putc(b, (unsigned char)value[i] < 0x20 || value[i] == 0x7f ? ' ' : value[i]);
        return;
    }
    snprintf(word, sizeof(word), "%.*s", (int)(name_len - key_len - 1), noun + 1);
    buf_puts(b, format_count(strtoll(value, NULL, 10), word, count));
}

bool
put_sentence(struct buf *b, const char *event, const char *fields)
{
    const struct sentence *s = sentences, *end = s + sizeof(sentences) / sizeof(sentences[0]);
    const char            *value;
    size_t                 len;

    while (s < end && (strcmp(s->event, event) != 0 ||
                       (s->field && !find_field(fields, s->field, strlen(s->field), &value, &len))))
        s++;
    if (s == end)
        return false;
    for (const char *p = s->text; *p;) {
        size_t n = strcspn(p, "{");
        buf_put(b, p, n);
        p += n;
        if (*p == '{') {
            n = strcspn(p, "}");
            put_value(b, fields, p + 1, n - 1);
            p += n + 1;
        }
    }
    return true;
}
