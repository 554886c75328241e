/* Ids, hashes and the checks of text from outside. */
#include "base/id.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

static void
fill_random(uint64_t *v, size_t n)
{
    size_t size = n * sizeof(*v);
    if (getrandom(v, size, 0) == (ssize_t)size)
        return;
    for (size_t i = 0; i < n; i++) { /* only before the pool is ready, in early boot */
        int64_t t = clock_system_us() + (int64_t)i;
        v[i] = id_hash((uint64_t)clock_steady_us(), &t, sizeof(t));
    }
}

uint64_t
id_random(void)
{
    uint64_t v;
    fill_random(&v, 1);
    return v;
}

/* By hand: a client that starts runs makes two for each. */
static void
format_uuid(uint64_t hi, uint64_t lo, char out[UUID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    for (int digit = 0; digit < 32; digit++) {
        uint64_t half = digit < 16 ? hi : lo;
        if (digit == 8 || digit == 12 || digit == 16 || digit == 20)
            *out++ = '-';
        *out++ = hex[half >> (60 - digit % 16 * 4) & 15];
    }
    *out = '\0';
}

void
id_uuid7(int64_t now_us, char out[UUID_SIZE])
{
    uint64_t ms = (uint64_t)(now_us / US_PER_MS) & 0xffffffffffffULL, random[2];
    fill_random(random, 2);
    format_uuid(ms << 16 | 0x7000 | (random[0] & 0x0fff),
                (random[1] & 0x3fffffffffffffffULL) | 0x8000000000000000ULL, out);
}

void
id_uuid8(uint64_t hi, uint64_t lo, char out[UUID_SIZE])
{
    format_uuid((hi & ~0xf000ULL) | 0x8000, (lo & 0x3fffffffffffffffULL) | 0x8000000000000000ULL,
                out);
}

uint64_t
id_hash(uint64_t seed, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t             h = seed ^ 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3ULL;
    h ^= h >> 32; /* mix: splitmix64's finish */
    h *= 0xd6e8feb86659fd93ULL;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ULL;
    return h ^ h >> 32;
}

uint64_t
id_hash_text(const char *text)
{
    return id_hash(0, text, strlen(text));
}

/* Bytes of the sequence that begins at p, 0 if it is not well-formed (Unicode 15, table 3-7). */
static size_t
utf8_length(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (len == 0 || len > n || c == 0)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
        (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

int
id_is_utf8(const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t i = 0; i < n;) {
        if (p[i] - 1u < 0x7f) { /* 1 to 0x7f: the common case */
            i++;
            continue;
        }
        size_t len = utf8_length(p + i, n - i);
        if (len == 0)
            return 0;
        i += len;
    }
    return 1;
}

int
id_check_name(const char *what, const char *name, struct err *err)
{
    if (name == NULL || name[0] == '\0')
        return err_set(err, HF_INVALID, "%s: empty", what);
    size_t n = strnlen(name, HF_NAME_MAX + 1);
    if (n > HF_NAME_MAX)
        return err_set(err, HF_INVALID, "%s: over %d bytes: %.40s...", what, HF_NAME_MAX, name);
    if (!id_is_utf8(name, n))
        return err_set(err, HF_INVALID, "%s: not UTF-8", what);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return err_set(err, HF_INVALID, "%s: control character in it", what);
    return HF_OK;
}

int
id_check_payload(const char *what, const char *text, struct err *err)
{
    if (text == NULL)
        return HF_OK;
    size_t n = strlen(text);
    if (n > HF_PAYLOAD_MAX)
        return err_set(err, HF_TOO_BIG, "%s: %zu bytes, the limit is %d", what, n, HF_PAYLOAD_MAX);
    if (!id_is_utf8(text, n))
        return err_set(err, HF_INVALID, "%s: not UTF-8", what);
    return HF_OK;
}
