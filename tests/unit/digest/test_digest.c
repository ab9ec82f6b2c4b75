/* SPDX-License-Identifier: MIT */
/* test_digest.c - checksums agree with published ones, and however the bytes come, the answer is the same. */
#include "support.h"

#include <verso/digest.h>

static const enum verso_digest_kind kinds[] = {
    VERSO_DIGEST_XXH3_64,
    VERSO_DIGEST_XXH3_128,
    VERSO_DIGEST_XXH64,
    VERSO_DIGEST_XXH32,
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* What the xxHash specification and `xxhsum` say of nothing at all. */
static void test_known_values(void **state)
{
    static const char *const empty[KIND_COUNT] = {
        "2d06800538d394c2",
        "99aa06d3014798d86001c324468d497f",
        "ef46db3751d8e999",
        "02cc5d05",
    };
    struct verso_digest_value value;
    char text[VERSO_DIGEST_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        assert_ok(verso_digest_of(kinds[i], NULL, 0, &value));
        assert_int_equal(value.kind, kinds[i]);
        assert_int_equal(2 * value.bytes, strlen(empty[i]));
        assert_string_equal(verso_digest_text(&value, text), empty[i]);
    }
}

static void test_pieces_are_the_whole(void **state)
{
    static unsigned char data[5000];
    const size_t steps[] = { 1, 7, 64, 239, 240, 241, 1024, 4096, 4999, 5000 };

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = support_byte(i);
    for (size_t k = 0; k < KIND_COUNT; k++) {
        struct verso_digest_value whole, pieces;
        struct verso_digest *digest;

        assert_ok(verso_digest_of(kinds[k], data, sizeof(data), &whole));
        assert_ok(verso_digest_open(kinds[k], &digest));
        for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
            verso_digest_reset(digest);
            for (size_t at = 0; at < sizeof(data); at += steps[s])
                verso_digest_update(digest, data + at, at + steps[s] < sizeof(data) ? steps[s] : sizeof(data) - at);
            verso_digest_update(digest, NULL, 0);
            verso_digest_value(digest, &pieces);
            assert_true(verso_digest_equal(&whole, &pieces));
        }
        verso_digest_close(digest);
    }
}

/* Asking does not end it, and a copy goes its own way. */
static void test_going_on(void **state)
{
    (void)state;
    for (size_t k = 0; k < KIND_COUNT; k++) {
        struct verso_digest_value first, both, other, wanted;
        struct verso_digest *digest, *copy;

        assert_ok(verso_digest_open(kinds[k], &digest));
        assert_ok(verso_digest_open(kinds[k], &copy));
        verso_digest_update(digest, "one", 3);
        verso_digest_value(digest, &first);
        verso_digest_copy(copy, digest);
        verso_digest_update(digest, "two", 3);
        verso_digest_value(digest, &both);
        assert_ok(verso_digest_of(kinds[k], "one", 3, &wanted));
        assert_true(verso_digest_equal(&first, &wanted));
        assert_ok(verso_digest_of(kinds[k], "onetwo", 6, &wanted));
        assert_true(verso_digest_equal(&both, &wanted));
        verso_digest_update(copy, "2", 1);
        verso_digest_value(copy, &other);
        assert_ok(verso_digest_of(kinds[k], "one2", 4, &wanted));
        assert_true(verso_digest_equal(&other, &wanted));
        assert_false(verso_digest_equal(&other, &both));
        verso_digest_close(digest);
        verso_digest_close(copy);
    }
    verso_digest_close(NULL);
}

static void test_kinds_differ(void **state)
{
    struct verso_digest_value a = { VERSO_DIGEST_XXH3_64, 8, { 0 } }, b = { VERSO_DIGEST_XXH64, 8, { 0 } };

    (void)state;
    assert_false(verso_digest_equal(&a, &b));
}

static void test_refusals(void **state)
{
    struct verso_digest_value value = { 77, 0, { 0 } };
    struct verso_digest *digest = (void *)&value;

    (void)state;
    assert_fails_in(verso_digest_of(VERSO_DIGEST_NONE, "", 0, &value), VERSO_E_OPTIONS, "kind");
    assert_fails_in(verso_digest_of(VERSO_DIGEST_XXH32 + 1, "", 0, &value), VERSO_E_OPTIONS, "kind");
    assert_fails_in(verso_digest_of(VERSO_DIGEST_XXH32, NULL, 1, &value), -EINVAL, "arguments");
    assert_fails_in(verso_digest_of(VERSO_DIGEST_XXH32, "", 0, NULL), -EINVAL, "arguments");
    assert_int_equal(value.kind, 77);
    assert_fails_in(verso_digest_open(VERSO_DIGEST_NONE, &digest), VERSO_E_OPTIONS, "kind");
    assert_fails_in(verso_digest_open(VERSO_DIGEST_XXH32, NULL), -EINVAL, "arguments");
    assert_ptr_equal(digest, &value);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_known_values), cmocka_unit_test(test_pieces_are_the_whole),
        cmocka_unit_test(test_going_on),     cmocka_unit_test(test_kinds_differ),
        cmocka_unit_test(test_refusals),
    };

    return run_test_list(list);
}
