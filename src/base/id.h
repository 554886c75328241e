/*
 * Ids and names: making them (UUIDv7, RFC 9562), hashing, and the checks that every text from
 * outside goes through.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { UUID_SIZE = 37 }; /* 36 characters and the NUL */

/* A UUIDv7: 48 bits of Unix milliseconds, then random bits from getrandom. Sorts by time of making.
 */
void id_uuid7(int64_t now_us, char out[UUID_SIZE]);

/* A UUIDv8 made of 128 given bits: for ids derived from (run, execution, ref). */
void id_uuid8(uint64_t hi, uint64_t lo, char out[UUID_SIZE]);

/* 64-bit FNV-1a with a finishing mix, for hash tables and derived randomness; chain by passing the
 * last value as seed. */
uint64_t id_hash(uint64_t seed, const void *bytes, size_t n);
uint64_t id_hash_text(const char *text);

uint64_t id_random(void); /* 64 random bits of the system */

/* 1 if the n bytes are valid UTF-8 without NUL: no overlong forms, surrogates, or code points over
 * U+10FFFF. */
int id_is_utf8(const char *bytes, size_t n);

/* HF_INVALID with a sentence that begins with `what` ("signal name"): empty, over HF_NAME_MAX
 * bytes, no UTF-8, control characters. */
int id_check_name(const char *what, const char *name, struct err *err);

/* HF_INVALID or HF_TOO_BIG for a payload; NULL is fine. */
int id_check_payload(const char *what, const char *text, struct err *err);

#endif
