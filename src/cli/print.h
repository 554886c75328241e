/* Output of commands: JSON values, times and durations, tables, colour. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "cli/cli.h"

enum { TIME_SIZE = 80 };

/* "2026-11-20T19:25:29.123Z"; a duration as "12 ms", "3.21 s", "5m 12s", "3d 4h". */
const char *format_time(int64_t ms, char out[TIME_SIZE]);
const char *format_duration(int64_t ms, char out[TIME_SIZE]);
/* "in 5m 12s", "3.2 s ago" */
const char *format_from_now(int64_t ms, int64_t now_ms, char out[TIME_SIZE]);
/* "1 task", "2 tasks"; the noun in the singular, short, with a regular plural. */
const char *format_count(int64_t n, const char *noun, char out[TIME_SIZE]);

/* A payload: itself if it is JSON, else a JSON string; NULL gives null. */
void put_payload(struct buf *b, const char *payload);
void put_time(struct buf *b, int64_t ms); /* a string; 0 gives null */
/* Members of an object: ,"name":... (no comma after a brace). */
void put_member(struct buf *b, const char *name);
void put_text_member(struct buf *b, const char *name, const char *text);
void put_int_member(struct buf *b, const char *name, int64_t v);
void put_time_member(struct buf *b, const char *name, int64_t ms);
void put_payload_member(struct buf *b, const char *name, const char *payload);
/* null, or {"name":...,"message":...} */
void put_error_member(struct buf *b, const char *name, const char *error, const char *message);

/* Writes the buffer and a newline to standard output, and releases it. */
int print_buf(struct cli *c, struct buf *b);

/* Text for people, on one line: control characters become spaces, blanks at its end are dropped,
 * what is over max columns is cut. */
void print_text(const char *text, size_t max);
/* Columns that a text takes. */
size_t text_width(const char *text);

/* Colours: "" unless standard output is a terminal and NO_COLOR is not set. */
enum paint { PAINT_OFF, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN, PAINT_YELLOW, PAINT_BLUE };
const char *paint(enum paint p);
enum paint  status_paint(const char *status);
bool        on_terminal(void);
int         terminal_columns(void);

/* A table with a head. Cells are kept as given: they must live until it is printed. A column with
 * nothing in it is left out; the last one has what room there is. */
enum { TABLE_COLUMNS = 9 };
struct table {
    const char  *head[TABLE_COLUMNS];
    int          columns, status; /* column that holds a status, -1 if none */
    const char **cells;
    size_t       rows, size;
};
bool table_add(struct table *t, const char *const *cells); /* false: out of memory */
void table_print(struct table *t);                         /* and releases it */

#endif
