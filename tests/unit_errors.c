/* errors.def is the one table of codes: it agrees with the public header. */
#include <string.h>

#include "base/err.h"
#include "test.h"

struct row {
    const char *name;
    int         in_header, in_table, exit_code;
};

static const struct row rows[] = {
#define X(name, value, retry, exit_code, text) {#name, name, value, exit_code},
#include "base/errors.def"
#undef X
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

TEST(every_code_has_the_value_of_the_header)
{
    for (int i = 0; i < ROWS; i++)
        test_check_int(__FILE__, __LINE__, rows[i].name, rows[i].in_header, rows[i].in_table);
}

TEST(no_code_is_in_the_table_twice)
{
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < i; k++)
            CHECK(rows[i].in_table != rows[k].in_table);
}

TEST(every_code_has_a_name_a_text_and_an_exit_code_of_one_byte)
{
    for (int i = 0; i < ROWS; i++) {
        CHECK_TEXT(err_name(rows[i].in_table), rows[i].name);
        CHECK(strlen(err_text(rows[i].in_table)) > 0);
        CHECK_INT(err_exit_code(rows[i].in_table), rows[i].exit_code);
        CHECK(rows[i].exit_code >= 0 && rows[i].exit_code < 126);
    }
}

TEST(an_unknown_code_is_an_internal_error)
{
    CHECK_TEXT(err_name(-999), "HF_INTERNAL");
    CHECK_INT(err_exit_code(-999), 70);
}

TEST(only_ok_exits_with_0)
{
    for (int i = 0; i < ROWS; i++)
        CHECK_INT(rows[i].exit_code == 0, rows[i].in_table == HF_OK);
}
