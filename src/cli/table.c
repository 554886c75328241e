/* Text for people: colours, columns, tables. */
#include "cli/print.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"

enum { CELL_MAX = 60 };

bool
on_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

int
terminal_columns(void)
{
    struct winsize w;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        return w.ws_col;
    return 100;
}

const char *
paint(enum paint p)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m", "\033[31m",
                                        "\033[32m", "\033[33m", "\033[34m"};
    const char              *no_color = getenv("NO_COLOR");
    return on_terminal() && (no_color == NULL || no_color[0] == '\0') ? codes[p] : "";
}

enum paint
status_paint(const char *status)
{
    static const struct {
        const char *status;
        enum paint  paint;
    } paints[] = {{"completed", PAINT_GREEN},   {"failed", PAINT_RED},
                  {"blocked", PAINT_RED},       {"cancelled", PAINT_YELLOW},
                  {"terminated", PAINT_YELLOW}, {"paused", PAINT_YELLOW},
                  {"running", PAINT_BLUE}};
    for (size_t i = 0; i < sizeof(paints) / sizeof(paints[0]); i++)
        if (strcmp(status, paints[i].status) == 0)
            return paints[i].paint;
    return PAINT_OFF;
}

size_t
text_width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

void
print_text(const char *text, size_t max)
{
    bool   cut = text_width(text) > max;
    size_t room = cut && max > 3 ? max - 3 : max;

    for (size_t n = 0; *text; text++) {
        unsigned char ch = (unsigned char)*text;
        if ((ch & 0xc0) != 0x80 && ++n > room)
            break;
        putchar(ch < 0x20 || ch == 0x7f ? ' ' : ch);
    }
    if (cut && max > 3)
        fputs("...", stdout);
}

bool
table_add(struct table *t, const char *const *cells)
{
    if (t->rows == t->size) {
        size_t size = t->size ? t->size * 2 : 64;
        void  *grown = mem_realloc(t->cells, size * (size_t)t->columns * sizeof(*t->cells));
        if (grown == NULL)
            return false;
        t->cells = grown;
        t->size = size;
    }
    memcpy(t->cells + t->rows++ * (size_t)t->columns, cells, (size_t)t->columns * sizeof(*cells));
    return true;
}

static void
print_cell(const struct table *t, const char *text, int column, size_t width, bool head)
{
    bool coloured = head || column == t->status;

    if (coloured)
        fputs(paint(head ? PAINT_DIM : status_paint(text)), stdout);
    print_text(text, CELL_MAX);
    if (coloured)
        fputs(paint(PAINT_OFF), stdout);
    size_t n = text_width(text);
    if (column + 1 < t->columns)
        printf("%*s", (int)(width - (n > CELL_MAX ? CELL_MAX : n)) + 2, "");
}

void
table_print(struct table *t)
{
    size_t width[TABLE_COLUMNS] = {0};

    for (int k = 0; k < t->columns; k++) {
        width[k] = text_width(t->head[k]);
        for (size_t i = 0; i < t->rows; i++) {
            size_t n = text_width(t->cells[i * (size_t)t->columns + (size_t)k]);
            if (n > width[k])
                width[k] = n > CELL_MAX ? CELL_MAX : n;
        }
    }
    for (int k = 0; k < t->columns; k++)
        print_cell(t, t->head[k], k, width[k], true);
    putchar('\n');
    for (size_t i = 0; i < t->rows; i++) {
        for (int k = 0; k < t->columns; k++)
            print_cell(t, t->cells[i * (size_t)t->columns + (size_t)k], k, width[k], false);
        putchar('\n');
    }
    mem_free(t->cells);
    t->cells = NULL;
    t->rows = t->size = 0;
}
