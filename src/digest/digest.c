/* SPDX-License-Identifier: MIT */
/* digest - checksums by libxxhash, in their canonical form. */
#include "base/fail.h"
#include "base/processor.h"
#include "digest/xxh3.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <verso/digest.h>

struct verso_digest {
    enum verso_digest_kind kind;
    union {
        XXH3_state_t *xxh3;
        XXH64_state_t *xxh64;
        XXH32_state_t *xxh32;
    } state;
};

static bool is_known(enum verso_digest_kind kind)
{
    return kind >= VERSO_DIGEST_XXH3_64 && kind <= VERSO_DIGEST_XXH32;
}

/* ---- The form ---- */

/* Processors before VNNI run slower for a while after a 512-bit instruction. */
static const struct verso__xxh3 *best(void)
{
#if defined(__x86_64__)
    if (VERSO__PROCESSOR_HAS(AVX512F) && VERSO__PROCESSOR_HAS(AVX512_VNNI))
        return &verso__xxh3_avx512;
    if (VERSO__PROCESSOR_HAS(AVX2))
        return &verso__xxh3_avx2;
#endif
    return &verso__xxh3_plain;
}

/* Two threads may choose at once, and agree. */
static const struct verso__xxh3 *xxh3(void)
{
    static _Atomic(const struct verso__xxh3 *) chosen;
    const struct verso__xxh3 *form = atomic_load_explicit(&chosen, memory_order_relaxed);

    if (!form) {
        form = best();
        atomic_store_explicit(&chosen, form, memory_order_relaxed);
    }
    return form;
}

/* ---- Values ---- */

static void value_set(struct verso_digest_value *value, enum verso_digest_kind kind, const void *canonical,
                      unsigned bytes)
{
    *value = (struct verso_digest_value){ .kind = kind, .bytes = bytes };
    memcpy(value->value, canonical, bytes);
}

static void value_set_64(struct verso_digest_value *value, enum verso_digest_kind kind, XXH64_hash_t hash)
{
    XXH64_canonical_t canonical;

    XXH64_canonicalFromHash(&canonical, hash);
    value_set(value, kind, &canonical, sizeof(canonical));
}

static void value_set_128(struct verso_digest_value *value, XXH128_hash_t hash)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, hash);
    value_set(value, VERSO_DIGEST_XXH3_128, &canonical, sizeof(canonical));
}

static void value_set_32(struct verso_digest_value *value, XXH32_hash_t hash)
{
    XXH32_canonical_t canonical;

    XXH32_canonicalFromHash(&canonical, hash);
    value_set(value, VERSO_DIGEST_XXH32, &canonical, sizeof(canonical));
}

int verso_digest_of(enum verso_digest_kind kind, const void *data, size_t bytes, struct verso_digest_value *out_value)
{
    if (!out_value || (!data && bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    switch (kind) {
    case VERSO_DIGEST_XXH3_64:
        value_set_64(out_value, kind, xxh3()->of_64(data, bytes));
        return 0;
    case VERSO_DIGEST_XXH3_128:
        value_set_128(out_value, xxh3()->of_128(data, bytes));
        return 0;
    case VERSO_DIGEST_XXH64:
        value_set_64(out_value, kind, XXH64(data, bytes, 0));
        return 0;
    case VERSO_DIGEST_XXH32:
        value_set_32(out_value, XXH32(data, bytes, 0));
        return 0;
    case VERSO_DIGEST_NONE:
        break;
    }
    return verso__fail(VERSO_E_OPTIONS, "kind", NULL);
}

char *verso_digest_text(const struct verso_digest_value *value, char *out_text)
{
    static const char digits[] = "0123456789abcdef";

    for (unsigned i = 0; i < value->bytes; i++) {
        out_text[2 * i] = digits[value->value[i] >> 4];
        out_text[2 * i + 1] = digits[value->value[i] & 15];
    }
    out_text[2 * value->bytes] = '\0';
    return out_text;
}

int verso_digest_equal(const struct verso_digest_value *a, const struct verso_digest_value *b)
{
    return a->kind == b->kind && a->bytes == b->bytes && memcmp(a->value, b->value, a->bytes) == 0;
}

/* ---- Piece by piece ---- */

/* False without memory. */
static bool state_make(struct verso_digest *digest)
{
    switch (digest->kind) {
    case VERSO_DIGEST_XXH3_64:
    case VERSO_DIGEST_XXH3_128:
        return (digest->state.xxh3 = XXH3_createState());
    case VERSO_DIGEST_XXH64:
        return (digest->state.xxh64 = XXH64_createState());
    case VERSO_DIGEST_XXH32:
        return (digest->state.xxh32 = XXH32_createState());
    case VERSO_DIGEST_NONE:
        break;
    }
    return false;
}

int verso_digest_open(enum verso_digest_kind kind, struct verso_digest **out_digest)
{
    struct verso_digest *digest;

    if (!out_digest)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!is_known(kind))
        return verso__fail(VERSO_E_OPTIONS, "kind", NULL);
    digest = calloc(1, sizeof(*digest));
    if (digest)
        digest->kind = kind;
    if (!digest || !state_make(digest)) {
        free(digest);
        return verso__fail(-ENOMEM, "allocate", NULL);
    }
    verso_digest_reset(digest);
    *out_digest = digest;
    return 0;
}

void verso_digest_close(struct verso_digest *digest)
{
    if (!digest)
        return;
    switch (digest->kind) {
    case VERSO_DIGEST_XXH3_64:
    case VERSO_DIGEST_XXH3_128:
        (void)XXH3_freeState(digest->state.xxh3);
        break;
    case VERSO_DIGEST_XXH64:
        (void)XXH64_freeState(digest->state.xxh64);
        break;
    case VERSO_DIGEST_XXH32:
        (void)XXH32_freeState(digest->state.xxh32);
        break;
    case VERSO_DIGEST_NONE:
        break;
    }
    free(digest);
}

/* libxxhash's calls fail for NULL alone. */
void verso_digest_reset(struct verso_digest *digest)
{
    switch (digest->kind) {
    case VERSO_DIGEST_XXH3_64:
        (void)XXH3_64bits_reset(digest->state.xxh3);
        break;
    case VERSO_DIGEST_XXH3_128:
        (void)XXH3_128bits_reset(digest->state.xxh3);
        break;
    case VERSO_DIGEST_XXH64:
        (void)XXH64_reset(digest->state.xxh64, 0);
        break;
    case VERSO_DIGEST_XXH32:
        (void)XXH32_reset(digest->state.xxh32, 0);
        break;
    case VERSO_DIGEST_NONE:
        break;
    }
}

void verso_digest_update(struct verso_digest *digest, const void *data, size_t bytes)
{
    if (bytes == 0)
        return;
    switch (digest->kind) {
    case VERSO_DIGEST_XXH3_64:
        (void)xxh3()->update_64(digest->state.xxh3, data, bytes);
        break;
    case VERSO_DIGEST_XXH3_128:
        (void)xxh3()->update_128(digest->state.xxh3, data, bytes);
        break;
    case VERSO_DIGEST_XXH64:
        (void)XXH64_update(digest->state.xxh64, data, bytes);
        break;
    case VERSO_DIGEST_XXH32:
        (void)XXH32_update(digest->state.xxh32, data, bytes);
        break;
    case VERSO_DIGEST_NONE:
        break;
    }
}

void verso_digest_value(const struct verso_digest *digest, struct verso_digest_value *out_value)
{
    switch (digest->kind) {
    case VERSO_DIGEST_XXH3_64:
        value_set_64(out_value, digest->kind, XXH3_64bits_digest(digest->state.xxh3));
        break;
    case VERSO_DIGEST_XXH3_128:
        value_set_128(out_value, XXH3_128bits_digest(digest->state.xxh3));
        break;
    case VERSO_DIGEST_XXH64:
        value_set_64(out_value, digest->kind, XXH64_digest(digest->state.xxh64));
        break;
    case VERSO_DIGEST_XXH32:
        value_set_32(out_value, XXH32_digest(digest->state.xxh32));
        break;
    case VERSO_DIGEST_NONE:
        break;
    }
}

void verso_digest_copy(struct verso_digest *digest, const struct verso_digest *from)
{
    switch (digest->kind) {
    case VERSO_DIGEST_XXH3_64:
    case VERSO_DIGEST_XXH3_128:
        XXH3_copyState(digest->state.xxh3, from->state.xxh3);
        break;
    case VERSO_DIGEST_XXH64:
        XXH64_copyState(digest->state.xxh64, from->state.xxh64);
        break;
    case VERSO_DIGEST_XXH32:
        XXH32_copyState(digest->state.xxh32, from->state.xxh32);
        break;
    case VERSO_DIGEST_NONE:
        break;
    }
}
