/* Text for people: colours, columns, tables. */
#include "cli/print.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"

enum { CELL_MAX = 60, GAP = 2, LAST_MIN = 20 };

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

    size_t left = strlen(text);
    while (left > 0 && (unsigned char)text[left - 1] <= ' ')
        left--;
    for (size_t n = 0; left > 0; text++, left--) {
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

static const char *
cell(const struct table *t, size_t row, int column)
{
    return t->cells[row * (size_t)t->columns + (size_t)column];
}

/* Width of a column, 0 if nothing is in it. */
static size_t
column_width(const struct table *t, int column)
{
    size_t widest = 0;

    for (size_t i = 0; i < t->rows; i++) {
        size_t n = text_width(cell(t, i, column));
        widest = n > widest ? n : widest;
    }
    size_t head = text_width(t->head[column]);
    widest = widest > CELL_MAX ? CELL_MAX : widest;
    return widest == 0 ? 0 : head > widest ? head : widest;
}

/* What the last column may take: the rest of a terminal's line. */
static size_t
last_room(const struct table *t, const size_t *width)
{
    size_t used = 0;

    if (!on_terminal())
        return SIZE_MAX;
    for (int k = 0; k + 1 < t->columns; k++)
        used += width[k] ? width[k] + GAP : 0;
    size_t columns = (size_t)terminal_columns();
    return columns > used + LAST_MIN ? columns - used : LAST_MIN;
}

/* One line; row SIZE_MAX is the head. Blanks are printed before a cell, never at the line's end. */
static void
print_row(const struct table *t, const size_t *width, size_t row)
{
    size_t blanks = 0, room = last_room(t, width);

    for (int k = 0; k < t->columns; k++) {
        bool        head = row == SIZE_MAX;
        const char *text = head ? t->head[k] : cell(t, row, k);
        size_t      max = k + 1 == t->columns ? room : CELL_MAX, n = text_width(text);
        if (width[k] == 0)
            continue;
        if (n > 0) {
            bool coloured = head || k == t->status;
            printf("%*s%s", (int)blanks, "",
                   !coloured ? "" : paint(head ? PAINT_DIM : status_paint(text)));
            print_text(text, max);
            fputs(coloured ? paint(PAINT_OFF) : "", stdout);
            blanks = 0;
        }
        n = n > max ? max : n;
        blanks += (width[k] > n ? width[k] - n : 0) + GAP;
    }
    putchar('\n');
}

void
table_print(struct table *t)
{
    size_t width[TABLE_COLUMNS] = {0};

    for (int k = 0; k < t->columns; k++)
        width[k] = column_width(t, k);
    print_row(t, width, SIZE_MAX);
    for (size_t i = 0; i < t->rows; i++)
        print_row(t, width, i);
    mem_free(t->cells);
    t->cells = NULL;
    t->rows = t->size = 0;
}
