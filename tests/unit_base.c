/* Base: arena, buf, map, queue, id. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/queue.h"
#include "test.h"

static uint64_t seed = 1;

static uint64_t
draw(void)
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

/* ---- arena ---- */

TEST(memory_of_an_arena_is_aligned_apart_and_kept)
{
    struct arena a = {0};
    enum { N = 2000 };
    static unsigned char *at[N];
    static size_t         size[N];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            size[i] = i % 97 == 0 ? 70000 : draw() % 300;
            at[i] = arena_alloc(&a, size[i]);
            CHECK(at[i] && (uintptr_t)at[i] % _Alignof(max_align_t) == 0);
            memset(at[i], i & 255, size[i]);
        }
        for (int i = 0; i < N; i++)
            for (size_t k = 0; k < size[i]; k += 17)
                CHECK_INT(at[i][k], i & 255);
        arena_reset(&a);
        CHECK(a.total <= 64 * 1024);
    }
    arena_release(&a);
    CHECK(a.head == NULL && a.total == 0);
}

TEST(texts_of_an_arena_are_copies)
{
    struct arena a = {0};
    CHECK(arena_strdup(&a, NULL) == NULL);
    CHECK_TEXT(arena_strdup(&a, ""), "");
    CHECK_TEXT(arena_strndup(&a, "abcdef", 3), "abc");
    CHECK_TEXT(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    char *zero = arena_zalloc(&a, 100);
    for (int i = 0; i < 100; i++)
        CHECK_INT(zero[i], 0);
    char *longer = arena_printf(&a, "%0*d", 100000, 1);
    CHECK_INT(strlen(longer), 100000);
    arena_release(&a);
}

TEST(an_arena_without_memory_says_so_and_goes_on)
{
    struct arena a = {0};
    mem_fail_at(1, 0);
    CHECK(arena_alloc(&a, 10) == NULL);
    mem_fail_at(0, 0);
    CHECK(arena_alloc(&a, 10));
    CHECK(arena_alloc(&a, SIZE_MAX - 8) == NULL);
    arena_release(&a);
}

/* ---- buf ---- */

TEST(a_buffer_is_what_was_put)
{
    struct buf  b = {0};
    static char naive[200000];
    size_t      n = 0;
    while (n < 150000) {
        char   part[300];
        size_t len = draw() % sizeof(part);
        for (size_t i = 0; i < len; i++)
            part[i] = (char)('a' + draw() % 26);
        buf_put(&b, part, len);
        memcpy(naive + n, part, len);
        n += len;
    }
    CHECK_INT(b.len, n);
    CHECK(memcmp(b.data, naive, n) == 0 && b.data[n] == '\0');
    buf_clear(&b);
    buf_int(&b, INT64_MIN);
    buf_putc(&b, ' ');
    buf_int(&b, INT64_MAX);
    buf_putc(&b, ' ');
    buf_int(&b, 0);
    buf_printf(&b, " %s", "end");
    CHECK_TEXT(b.data, "-9223372036854775808 9223372036854775807 0 end");
    buf_release(&b);
}

TEST(json_strings_are_escaped)
{
    struct buf b = {0};
    buf_json(&b, "a\"b\\c\n\t\r\b\f\x01\x1f/\xc3\xa9\xf0\x9f\x90\x99");
    CHECK_TEXT(b.data,
               "\"a\\\"b\\\\c\\n\\t\\u000d\\u0008\\u000c\\u0001\\u001f/\xc3\xa9\xf0\x9f\x90\x99\"");
    buf_clear(&b);
    buf_json(&b, NULL);
    buf_json_n(&b, "abc", 2);
    CHECK_TEXT(b.data, "null\"ab\"");
    buf_release(&b);
}

TEST(a_buffer_without_memory_keeps_that_in_mind)
{
    struct buf b = {0};
    buf_puts(&b, "x");
    mem_fail_at(1, 0);
    for (int i = 0; i < 10000; i++)
        buf_puts(&b, "0123456789");
    mem_fail_at(0, 0);
    CHECK(b.failed);
    buf_release(&b);
}

/* ---- map ---- */

TEST(a_map_is_like_a_plain_table)
{
    enum { KEYS = 3000 };
    static int   values[KEYS];
    static void *naive[KEYS];
    struct map   m = {0};
    size_t       count = 0;

    for (int i = 0; i < 400000; i++) {
        size_t  k = draw() % KEYS;
        int64_t key = (int64_t)(k + 1) << (k % 3 * 16); /* also keys that differ high up only */
        switch (draw() % 3) {
        case 0:
            CHECK(map_put(&m, key, &values[k]));
            count += naive[k] == NULL;
            naive[k] = &values[k];
            break;
        case 1:
            CHECK(map_remove(&m, key) == naive[k]);
            count -= naive[k] != NULL;
            naive[k] = NULL;
            break;
        default:
            CHECK(map_get(&m, key) == naive[k]);
        }
        CHECK_INT(m.count, count);
    }
    size_t at = 0, seen = 0;
    while (map_next(&m, &at))
        seen++;
    CHECK_INT(seen, count);
    map_release(&m);
    CHECK(map_get(&m, 1) == NULL && map_remove(&m, 1) == NULL);
}

TEST(a_map_without_memory_stays_as_it_was)
{
    struct map m = {0};
    int        value = 0;
    int64_t    key = 1;
    for (int fails = 0; fails < 3; key++) {
        mem_fail_at(1, 0);
        bool put = map_put(&m, key, &value);
        mem_fail_at(0, 0);
        CHECK(put == (map_get(&m, key) != NULL));
        if (!put) {
            fails++;
            CHECK(map_put(&m, key, &value));
        }
        for (int64_t k = 1; k <= key; k++)
            CHECK(map_get(&m, k) == &value);
    }
    map_release(&m);
}

/* ---- queues ---- */

enum { ITEMS = 100000, TAKERS = 3 };

static struct ring *ring;
static _Atomic int  taken[ITEMS + 1];
static _Atomic int  left = ITEMS;

static void *
take_items(void *arg)
{
    intptr_t last = 0;
    (void)arg;
    while (atomic_load(&left) > 0) {
        intptr_t item = (intptr_t)ring_take(ring);
        if (item == 0)
            continue;
        if (item <= last)
            abort(); /* one taker sees them in order */
        last = item;
        atomic_fetch_add(&taken[item], 1);
        atomic_fetch_sub(&left, 1);
    }
    return NULL;
}

TEST(every_item_of_a_ring_is_taken_once)
{
    pthread_t t[TAKERS];
    ring = ring_new();
    CHECK(ring && ring_take(ring) == NULL && ring_count(ring) == 0);
    for (int i = 0; i < TAKERS; i++)
        CHECK_INT(pthread_create(&t[i], NULL, take_items, NULL), 0);
    for (intptr_t i = 1; i <= ITEMS; i++)
        while (!ring_put(ring, (void *)i))
            ;
    for (int i = 0; i < TAKERS; i++)
        pthread_join(t[i], NULL);
    for (int i = 1; i <= ITEMS; i++)
        CHECK_INT(taken[i], 1);
    mem_free(ring);
}

TEST(a_full_ring_takes_nothing_more)
{
    int value;
    ring = ring_new();
    for (int i = 0; i < RING_SIZE; i++)
        CHECK(ring_put(ring, &value));
    CHECK(!ring_put(ring, &value));
    CHECK_INT(ring_count(ring), RING_SIZE);
    CHECK(ring_take(ring) == &value && ring_put(ring, &value));
    mem_free(ring);
}

struct item {
    struct node node;
    int         from, number;
};

enum { PUSHES = 30000 };
static struct stack stack;
static struct item  items[TAKERS][PUSHES];

static void *
push_items(void *arg)
{
    int from = (int)(intptr_t)arg;
    for (int i = 0; i < PUSHES; i++) {
        items[from][i].from = from;
        items[from][i].number = i;
        stack_push(&stack, &items[from][i].node);
    }
    return NULL;
}

TEST(a_stack_gives_back_what_each_pushed_in_order)
{
    pthread_t t[TAKERS];
    int       next[TAKERS] = {0}, n = 0;
    CHECK(stack_take(&stack) == NULL);
    for (int i = 0; i < TAKERS; i++)
        CHECK_INT(pthread_create(&t[i], NULL, push_items, (void *)(intptr_t)i), 0);
    while (n < TAKERS * PUSHES)
        for (struct node *node = stack_take(&stack); node; node = node->next, n++) {
            struct item *item = (struct item *)node;
            CHECK_INT(item->number, next[item->from]++);
        }
    for (int i = 0; i < TAKERS; i++)
        pthread_join(t[i], NULL);
}

/* ---- ids ---- */

TEST(uuids_have_their_form_and_bits)
{
    char last[UUID_SIZE] = "", id[UUID_SIZE];
    for (int i = 0; i < 2000; i++) {
        id_uuid7(1767225600000000LL + i * 1000LL, id);
        CHECK_INT(strlen(id), 36);
        CHECK_INT(strspn(id, "0123456789abcdef-"), 36);
        CHECK(id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-');
        CHECK_INT(id[14], '7');
        CHECK(strchr("89ab", id[19]));
        CHECK(strcmp(last, id) < 0); /* sorts by time */
        memcpy(last, id, sizeof(id));
        id_uuid8(draw(), draw(), id);
        CHECK_INT(id[14], '8');
        CHECK(strchr("89ab", id[19]));
    }
    id_uuid8(0, 0, id);
    CHECK_TEXT(id, "00000000-0000-8000-8000-000000000000");
    id_uuid8(UINT64_MAX, UINT64_MAX, id);
    CHECK_TEXT(id, "ffffffff-ffff-8fff-bfff-ffffffffffff");
}

TEST(utf8_is_what_the_standard_says)
{
    static const struct {
        const char *bytes;
        size_t      n;
        int         valid;
    } cases[] = {
        {"", 0, 1},
        {"a", 1, 1},
        {"\x7f", 1, 1},
        {"\0", 1, 0},
        {"\x80", 1, 0},
        {"\xbf", 1, 0},
        {"\xc0\x80", 2, 0},
        {"\xc1\xbf", 2, 0},
        {"\xc2\x80", 2, 1},
        {"\xdf\xbf", 2, 1},
        {"\xdf", 1, 0},
        {"\xdf\x7f", 2, 0},
        {"\xe0\x9f\xbf", 3, 0},
        {"\xe0\xa0\x80", 3, 1},
        {"\xed\x9f\xbf", 3, 1},
        {"\xed\xa0\x80", 3, 0},
        {"\xed\xbf\xbf", 3, 0},
        {"\xee\x80\x80", 3, 1},
        {"\xef\xbf\xbf", 3, 1},
        {"\xef\xbf", 2, 0},
        {"\xf0\x8f\xbf\xbf", 4, 0},
        {"\xf0\x90\x80\x80", 4, 1},
        {"\xf4\x8f\xbf\xbf", 4, 1},
        {"\xf4\x90\x80\x80", 4, 0},
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
        {"ab\xf0\x9f\x90\x99z", 7, 1},
        {"ab\xf0\x9f\x90z", 6, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (id_is_utf8(cases[i].bytes, cases[i].n) != cases[i].valid)
            test_fail(__FILE__, __LINE__, "case %zu", i);
}

/* All sequences of three bytes, against the code points they stand for. */
TEST(utf8_of_all_short_sequences)
{
    for (unsigned v = 0; v < 1u << 24; v += 1 + v % 3) {
        unsigned char b[3] = {(unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v};
        int           valid = 1;
        for (int i = 0; i < 3 && valid;) {
            int      rest = b[i] < 0x80                   ? 0
                            : b[i] >= 0xc2 && b[i] < 0xe0 ? 1
                            : (b[i] & 0xf0) == 0xe0       ? 2
                                                          : 9;
            unsigned code = rest == 1 ? b[i] & 31u : rest == 2 ? b[i] & 15u : b[i];
            valid = b[i] && i + rest < 3;
            for (int k = 1; valid && k <= rest; k++) {
                valid = (b[i + k] & 0xc0) == 0x80;
                code = code << 6 | (b[i + k] & 63u);
            }
            valid = valid && !(rest == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000)));
            i += rest + 1;
        }
        if (id_is_utf8((const char *)b, 3) != valid)
            test_fail(__FILE__, __LINE__, "%02x %02x %02x", b[0], b[1], b[2]);
    }
}

TEST(names_are_checked)
{
    struct err err = {0};
    char       longest[HF_NAME_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[HF_NAME_MAX + 1] = '\0';
    CHECK_INT(id_check_name("signal", longest, &err), HF_INVALID);
    longest[HF_NAME_MAX] = '\0';
    CHECK_INT(id_check_name("signal", longest, &err), HF_OK);
    CHECK_INT(id_check_name("signal", "", &err), HF_INVALID);
    CHECK_INT(id_check_name("signal", NULL, &err), HF_INVALID);
    CHECK(strncmp(err.text, "signal", 6) == 0);
    CHECK_INT(id_check_name("signal", "a\nb", &err), HF_INVALID);
    CHECK_INT(id_check_name("signal", "a\x7f", &err), HF_INVALID);
    CHECK_INT(id_check_name("signal", "\xc3\x28", &err), HF_INVALID);
    CHECK_INT(id_check_name("signal",
                            "gr\xc3\xbc\xc3\x9f "
                            "dich",
                            &err),
              HF_OK);
}

TEST(payloads_are_checked)
{
    struct err err = {0};
    char      *big = malloc(HF_PAYLOAD_MAX + 2);
    memset(big, 'x', HF_PAYLOAD_MAX + 1);
    big[HF_PAYLOAD_MAX + 1] = '\0';
    CHECK_INT(id_check_payload("input", big, &err), HF_TOO_BIG);
    big[HF_PAYLOAD_MAX] = '\0';
    CHECK_INT(id_check_payload("input", big, &err), HF_OK);
    big[5] = '\xff';
    CHECK_INT(id_check_payload("input", big, &err), HF_INVALID);
    CHECK_INT(id_check_payload("input", NULL, &err), HF_OK);
    free(big);
}

TEST(hashes_of_different_texts_differ)
{
    CHECK(id_hash_text("a") != id_hash_text("b"));
    CHECK(id_hash(1, "a", 1) != id_hash(2, "a", 1));
    CHECK(id_hash(0, "", 0) != id_hash(0, "\0", 1));
    CHECK(id_random() != id_random());
}
