/*
 * A small test runner. Each TEST runs in a child process of its own, in an empty directory that is
 * removed afterwards, with a time limit; the outcome is TAP. A test ends at its first failed check.
 *
 *     PROGRAM            runs all tests
 *     PROGRAM NAME ...   runs those
 *     PROGRAM -l         lists them
 *
 * Environment: TEST_SLOW multiplies the time limits, TEST_QUICK asks long tests for a short form,
 * TEST_VERBOSE shows what passing tests print too.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <stdint.h>

#include "holdfast.h"

/* TEST(a_name_that_is_a_sentence) { ... } */
#define TEST(name) TEST_WITHIN(name, 30)
#define TEST_WITHIN(name, seconds)                                                                 \
    static void                              name(void);                                           \
    __attribute__((constructor)) static void test_add_##name(void)                                 \
    {                                                                                              \
        test_add(#name, name, seconds);                                                            \
    }                                                                                              \
    static void name(void)

/* A function that runs before the tests, once, in the process of which theirs are children. */
#define TEST_SETUP(fn)                                                                             \
    __attribute__((constructor)) static void test_set_up_##fn(void)                                \
    {                                                                                              \
        test_set_up(fn);                                                                           \
    }

#define CHECK(cond) ((cond) ? (void)0 : test_fail(__FILE__, __LINE__, "not true: %s", #cond))
#define CHECK_INT(is, should)                                                                      \
    test_check_int(__FILE__, __LINE__, #is, (int64_t)(is), (int64_t)(should))
#define CHECK_TEXT(is, should) test_check_text(__FILE__, __LINE__, #is, is, should)

/* Ends the test; it counts as skipped, loudly. */
#define SKIP(...) test_skip(__VA_ARGS__)

typedef void (*test_fn)(void);
void test_add(const char *name, test_fn fn, int seconds);
void test_set_up(test_fn fn);

_Noreturn void test_fail(const char *file, int line, const char *fmt, ...) HF_PRINTF(3, 4);
_Noreturn void test_skip(const char *fmt, ...) HF_PRINTF(1, 2);
void test_check_int(const char *file, int line, const char *what, int64_t is, int64_t should);
void
test_check_text(const char *file, int line, const char *what, const char *is, const char *should);

int test_is_quick(void); /* 1 if TEST_QUICK is set */
int test_slowness(void); /* the factor TEST_SLOW, 1 or more: for limits of real time in tests */

#endif
