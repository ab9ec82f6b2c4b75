/* SPDX-License-Identifier: MIT */
/*
 * form_avx512 - the loops for x86-64 with AVX-512: 64 bytes are a vector, and comparisons answer masks by themselves.
 *
 * Asks for VBMI, which came with the processors that no longer slow down for 512 bits; it looks 64 bytes up at once in
 * tables of 64, by their low six bits: buckets need one table for each byte where nibbles need two, and in text let
 * fewer places through, for letters of one case differ in those bits. Older ones take AVX2.
 */
#include "base/processor.h"
#include "scan/form.h"

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,popcnt")))

TARGET static inline __m512i load(const unsigned char *at)
{
    return _mm512_loadu_si512(at);
}

TARGET static inline uint64_t newlines_in(const unsigned char *at)
{
    return _mm512_cmpeq_epi8_mask(load(at), _mm512_set1_epi8('\n'));
}

/* \t to \r are what is at most 4 when \t is taken away. */
TARGET static inline uint64_t words_in(const unsigned char *at)
{
    __m512i bytes = load(at), above = _mm512_sub_epi8(bytes, _mm512_set1_epi8('\t'));

    return _mm512_mask_cmpgt_epu8_mask(_mm512_cmpneq_epi8_mask(bytes, _mm512_set1_epi8(' ')), above,
                                       _mm512_set1_epi8('\r' - '\t'));
}

/* 10xxxxxx are the lowest of signed bytes. */
TARGET static inline uint64_t characters_in(const unsigned char *at)
{
    return _mm512_cmpgt_epi8_mask(load(at), _mm512_set1_epi8((char)0xbf));
}

#include "scan/lines_loop.h"
#include "scan/text_loop.h"

/* ---- Filters ---- */

/* A byte to compare with, in all bytes of a vector. */
struct wanted {
    __m512i want, fold;
};

TARGET static inline struct wanted wanted(const struct verso__scan_byte *byte)
{
    return (struct wanted){ _mm512_set1_epi8((char)byte->want), _mm512_set1_epi8((char)byte->fold) };
}

/* Where it stands, of the places in @among. */
TARGET static inline uint64_t where(const unsigned char *at, struct wanted byte, uint64_t among)
{
    return _mm512_mask_cmpeq_epi8_mask(among, _mm512_or_si512(load(at), byte.fold), byte.want);
}

TARGET static uint64_t pair(const struct verso__scan_pair *f, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    struct wanted first = wanted(&f->bytes[0]), second = wanted(&f->bytes[1]);
    uint64_t marked = 0;

    for (size_t block = 0; block < blocks; block++, at += VERSO__SCAN_BLOCK) {
        uint64_t places;

        verso__scan_ask_ahead(at);
        places = where(at + f->bytes[0].offset, first, UINT64_MAX);
        masks[block] = where(at + f->bytes[1].offset, second, places);
        marked += (unsigned)__builtin_popcountll(masks[block]);
    }
    return marked;
}

#include "scan/others_loop.h"

/* What a byte of the print is looked up in, by its low six bits. */
struct table {
    __m512i six;
};

TARGET static inline struct table table_of(const struct verso__scan_buckets *f, size_t k)
{
    return (struct table){ load(f->six[k]) };
}

TARGET static inline uint64_t left_in(const unsigned char *at, const struct table *tables, size_t count)
{
    __m512i left = _mm512_permutexvar_epi8(load(at), tables[0].six);

    for (size_t k = 1; k < count; k++)
        left = _mm512_and_si512(left, _mm512_permutexvar_epi8(load(at + k), tables[k].six));
    return _mm512_test_epi8_mask(left, left);
}

#include "scan/buckets_loop.h"

static bool is_supported(void)
{
    return VERSO__PROCESSOR_HAS(AVX512BW) && VERSO__PROCESSOR_HAS(AVX512VL) && VERSO__PROCESSOR_HAS(AVX512_VBMI) &&
           VERSO__PROCESSOR_HAS(BMI1) && VERSO__PROCESSOR_HAS(POPCNT);
}

const struct verso__scan_form verso__scan_avx512 = {
    .name = "AVX-512",
    .is_supported = is_supported,
    .text = text,
    .pair = pair,
    .others = others,
    .buckets = buckets,
    .lines = lines,
};
