/* SPDX-License-Identifier: MIT */
/*
 * form_avx2 - the loops for x86-64 with AVX2: 64 bytes are two vectors.
 *
 * One shuffle finds white space: each byte looks up, by its low nibble, the one white-space byte that ends in that
 * nibble, and is compared with it. No nibble is shared by two of them, and bytes from 128 on look up 0.
 */
#include "base/processor.h"
#include "scan/form.h"

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,bmi,popcnt")))

TARGET static inline __m256i load(const unsigned char *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

/* Bit i: the highest of byte i. */
TARGET static inline uint64_t gather(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

TARGET static inline uint64_t newlines_in(const unsigned char *at)
{
    __m256i newline = _mm256_set1_epi8('\n');

    return gather(_mm256_cmpeq_epi8(load(at), newline), _mm256_cmpeq_epi8(load(at + 32), newline));
}

TARGET static inline __m256i spaces(__m256i bytes)
{
    __m256i by_nibble =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', '\v', '\f', '\r', 0, 0));

    return _mm256_cmpeq_epi8(_mm256_shuffle_epi8(by_nibble, bytes), bytes);
}

TARGET static inline uint64_t words_in(const unsigned char *at)
{
    return ~gather(spaces(load(at)), spaces(load(at + 32)));
}

/* 10xxxxxx are the lowest of signed bytes. */
TARGET static inline uint64_t characters_in(const unsigned char *at)
{
    __m256i last = _mm256_set1_epi8((char)0xbf);

    return gather(_mm256_cmpgt_epi8(load(at), last), _mm256_cmpgt_epi8(load(at + 32), last));
}

#include "scan/lines_loop.h"
#include "scan/text_loop.h"

/* ---- Filters ---- */

/* A byte to compare with, in all bytes of a vector. */
struct wanted {
    __m256i want, fold;
};

TARGET static inline struct wanted wanted(const struct verso__scan_byte *byte)
{
    return (struct wanted){ _mm256_set1_epi8((char)byte->want), _mm256_set1_epi8((char)byte->fold) };
}

TARGET static inline __m256i is_wanted(const unsigned char *at, struct wanted byte)
{
    return _mm256_cmpeq_epi8(_mm256_or_si256(load(at), byte.fold), byte.want);
}

TARGET static inline uint64_t where(const unsigned char *at, struct wanted byte, uint64_t among)
{
    return among & gather(is_wanted(at, byte), is_wanted(at + 32, byte));
}

TARGET static uint64_t pair(const struct verso__scan_pair *f, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    struct wanted first = wanted(&f->bytes[0]), second = wanted(&f->bytes[1]);
    uint64_t marked = 0;

    for (size_t block = 0; block < blocks; block++, at += VERSO__SCAN_BLOCK) {
        const unsigned char *a = at + f->bytes[0].offset, *b = at + f->bytes[1].offset;
        __m256i low = _mm256_and_si256(is_wanted(a, first), is_wanted(b, second));
        __m256i high = _mm256_and_si256(is_wanted(a + 32, first), is_wanted(b + 32, second));

        verso__scan_ask_ahead(at);
        masks[block] = gather(low, high);
        marked += (unsigned)__builtin_popcountll(masks[block]);
    }
    return marked;
}

#include "scan/others_loop.h"

/* What a byte of the print is looked up in, by either nibble; in both halves of a vector. */
struct table {
    __m256i low, high;
};

TARGET static inline __m256i twice(const unsigned char nibbles[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)nibbles));
}

TARGET static inline struct table table_of(const struct verso__scan_buckets *f, size_t k)
{
    return (struct table){ twice(f->low[k]), twice(f->high[k]) };
}

TARGET static inline __m256i buckets_of(__m256i bytes, struct table table)
{
    __m256i nibble = _mm256_set1_epi8(15);
    __m256i low = _mm256_and_si256(bytes, nibble), high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);

    return _mm256_and_si256(_mm256_shuffle_epi8(table.low, low), _mm256_shuffle_epi8(table.high, high));
}

/* 0xff where no bucket is left. */
TARGET static inline __m256i no_bucket(const unsigned char *at, const struct table *tables, size_t count)
{
    __m256i buckets = buckets_of(load(at), tables[0]);

    for (size_t k = 1; k < count; k++)
        buckets = _mm256_and_si256(buckets, buckets_of(load(at + k), tables[k]));
    return _mm256_cmpeq_epi8(buckets, _mm256_setzero_si256());
}

TARGET static inline uint64_t left_in(const unsigned char *at, const struct table *tables, size_t count)
{
    return ~gather(no_bucket(at, tables, count), no_bucket(at + 32, tables, count));
}

#include "scan/buckets_loop.h"

/* Processors with AVX2 have the others too; emulators may not. */
static bool is_supported(void)
{
    return VERSO__PROCESSOR_HAS(AVX2) && VERSO__PROCESSOR_HAS(BMI1) && VERSO__PROCESSOR_HAS(POPCNT);
}

const struct verso__scan_form verso__scan_avx2 = {
    .name = "AVX2",
    .is_supported = is_supported,
    .text = text,
    .pair = pair,
    .others = others,
    .buckets = buckets,
    .lines = lines,
};
