/*
 * Many inputs, for `enqueue` and `start`: all alike, or one of each line of a file. They are stored
 * in batches, each in one commit; a bad line stops before its batch is stored, and the message says
 * which line it is and how many stand.
 */
#include "cli/load.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "base/mem.h"
#include "cli/print.h"

enum { BATCH_ITEMS = 5000, BATCH_BYTES = 8 * 1024 * 1024 };

/* One call of the command. */
struct load {
    struct cli            *c;
    const struct load_way *way;
    const hf_opt          *opt;
    const char           **inputs; /* BATCH_ITEMS of them */
    char                  *ids;
    size_t                 n;     /* of this batch */
    size_t                 bytes; /* of this batch */
    struct arena           lines; /* of this batch */
    size_t                 stored;
    int64_t                shown_us; /* when progress was last shown */
};

static void
print_id(const char *id, bool first)
{
    struct buf b = {0};

    buf_puts(&b, first ? "{\"ids\":[" : ",");
    buf_json(&b, id);
    if (!b.failed)
        fputs(b.data, stdout);
    buf_release(&b);
}

static void
print_end(const struct load *l)
{
    if (l->c->json)
        puts(l->stored == 0 ? "{\"ids\":[]}" : "]}");
}

static void
show_progress(struct load *l, bool last)
{
    int64_t now_us = clock_steady_us();
    char    count[TIME_SIZE];

    if (!isatty(STDERR_FILENO) || (!last && now_us - l->shown_us < 100 * US_PER_MS))
        return;
    if (!last)
        fprintf(stderr, "\r%s", format_count((int64_t)l->stored, l->way->noun, count));
    else if (l->shown_us > 0)
        fputs("\r\033[K", stderr); /* what is printed next says it */
    l->shown_us = now_us;
}

static int
store_batch(struct load *l)
{
    if (l->n == 0)
        return HF_OK;
    if (l->way->store(l->c->h, l->c->operands[0], l->inputs, l->n, l->opt, l->ids))
        return cli_fail(l->c);
    for (size_t i = 0; l->c->json && i < l->n; i++)
        print_id(l->ids + i * HF_ID_SIZE, l->stored + i == 0);
    l->stored += l->n;
    l->n = l->bytes = 0;
    arena_reset(&l->lines);
    show_progress(l, false);
    return HF_OK;
}

static int
add(struct load *l, const char *input)
{
    l->inputs[l->n++] = input;
    return l->n == BATCH_ITEMS || l->bytes >= BATCH_BYTES ? store_batch(l) : HF_OK;
}

static int
check_line(struct cli *c, const struct buf *line)
{
    if (line->failed)
        return cli_nomem(c);
    if (line->len > HF_PAYLOAD_MAX)
        return err_set(&c->err, HF_TOO_BIG, "over %d bytes", HF_PAYLOAD_MAX);
    if (line->len > 0 && memchr(line->data, '\0', line->len))
        return err_set(&c->err, HF_INVALID, "a NUL byte in it");
    if (line->len > 0 && !id_is_utf8(line->data, line->len))
        return err_set(&c->err, HF_INVALID, "not UTF-8");
    return HF_OK;
}

static int
add_lines(struct load *l, FILE *from, struct buf *line)
{
    for (size_t number = 1; read_line(from, line, HF_PAYLOAD_MAX); number++) {
        if (check_line(l->c, line))
            return err_prefix(&l->c->err, "line %zu: ", number);
        char *text = arena_strndup(&l->lines, line->len ? line->data : "", line->len);
        if (text == NULL)
            return cli_nomem(l->c);
        l->bytes += line->len;
        TRY(add(l, text));
    }
    if (ferror(from))
        return err_set(&l->c->err, HF_UNAVAILABLE, "cannot be read: %s", strerror(errno));
    return store_batch(l);
}

static int
load_file(struct load *l, const char *path)
{
    struct buf line = {0};
    bool       standard = strcmp(path, "-") == 0;
    FILE      *from = standard ? stdin : fopen(path, "re");

    if (from == NULL)
        return err_set(&l->c->err, HF_INVALID, "%s: %s", path, strerror(errno));
    int rc = add_lines(l, from, &line);
    if (rc)
        err_prefix(&l->c->err, "%s: ", standard ? "standard input" : path);
    buf_release(&line);
    if (!standard)
        fclose(from);
    return rc;
}

static int
load_all(struct load *l)
{
    const char *input = args_text(l->c, "input", NULL);
    int64_t     count = args_number(l->c, "count", 1);

    if (args_given(l->c, "lines"))
        return load_file(l, args_text(l->c, "lines", NULL));
    for (int64_t i = 0; i < count; i++)
        TRY(add(l, input));
    return store_batch(l);
}

int
load_many(struct cli *c, const struct load_way *way, const hf_opt *opt)
{
    struct load l = {
        .c = c,
        .way = way,
        .opt = opt,
        .inputs = mem_alloc(BATCH_ITEMS * sizeof(*l.inputs)),
        .ids = mem_alloc((size_t)BATCH_ITEMS * HF_ID_SIZE),
    };
    char count[TIME_SIZE];
    int  rc = l.inputs && l.ids ? load_all(&l) : cli_nomem(c);
    show_progress(&l, true);
    if (rc == HF_OK || l.stored > 0)
        print_end(&l);
    if (!c->json) /* nobody reads a hundred thousand ids: --json has them */
        puts(format_count((int64_t)l.stored, way->noun, count));
    if (rc && l.stored > 0) {
        char text[sizeof(c->err.text)];
        memcpy(text, c->err.text, sizeof(text));
        err_set(&c->err, rc, "%.400s (%s before it %s %s)", text,
                format_count((int64_t)l.stored, way->noun, count), l.stored == 1 ? "is" : "are",
                way->done);
    }
    mem_free(l.inputs);
    mem_free(l.ids);
    arena_release(&l.lines);
    return rc;
}

bool
load_is_many(const struct cli *c)
{
    return args_given(c, "lines") || args_given(c, "count");
}

int
load_check_options(struct cli *c, const struct load_way *way)
{
    const char *name = c->command->name;

    if (args_given(c, "lines") && (args_given(c, "input") || args_given(c, "count")))
        return err_set(&c->err, HF_INVALID, "%s: --lines goes without --input and --count", name);
    if (load_is_many(c) && args_given(c, "id"))
        return err_set(&c->err, HF_INVALID, "%s: --id goes with one %s only", name, way->noun);
    return HF_OK;
}
