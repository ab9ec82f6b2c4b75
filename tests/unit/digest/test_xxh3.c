/* SPDX-License-Identifier: MIT */
/* test_xxh3.c - every form of XXH3's loops that this processor has gives what the plain one gives. */
#include "support.h"

#include "base/processor.h"
#include "digest/xxh3.h"

#include <stdlib.h>

#define BYTES 20000 /* several blocks of the longest secret there is */

struct form {
    const char *name;
    const struct verso__xxh3 *loops;
};

/* Answers how many there are. */
static size_t forms_here(struct form *forms)
{
    size_t count = 0;

#if defined(__x86_64__)
    if (VERSO__PROCESSOR_HAS(AVX2))
        forms[count++] = (struct form){ "AVX2", &verso__xxh3_avx2 };
    if (VERSO__PROCESSOR_HAS(AVX512F))
        forms[count++] = (struct form){ "AVX-512", &verso__xxh3_avx512 };
#endif
    if (count == 0)
        skip_because("this processor has the plain form alone");
    return count;
}

/* Ends where memory does: nothing behind it is read. */
static unsigned char *bytes_before_end(size_t bytes)
{
    unsigned char *data = malloc(bytes ? bytes : 1);

    assert_non_null(data);
    for (size_t i = 0; i < bytes; i++)
        data[i] = support_byte(i);
    return data;
}

static void test_any_length(void **state)
{
    struct form forms[2];
    size_t count = forms_here(forms);

    (void)state;
    for (size_t bytes = 0; bytes < BYTES; bytes += bytes < 2100 ? 1 : 997) {
        unsigned char *data = bytes_before_end(bytes);

        for (size_t i = 0; i < count; i++) {
            assert_true(forms[i].loops->of_64(data, bytes) == verso__xxh3_plain.of_64(data, bytes));
            assert_true(XXH128_isEqual(forms[i].loops->of_128(data, bytes), verso__xxh3_plain.of_128(data, bytes)));
        }
        free(data);
    }
}

/* A state that one form began, another goes on with: copies of states are made and used by whoever is there. */
static void test_forms_share_a_state(void **state)
{
    struct form forms[2];
    size_t count = forms_here(forms), turn = 0;
    unsigned char *data = bytes_before_end(BYTES);
    XXH3_state_t *narrow = XXH3_createState(), *wide = XXH3_createState();

    (void)state;
    assert_true(narrow && wide);
    assert_int_equal(XXH3_64bits_reset(narrow), XXH_OK);
    assert_int_equal(XXH3_128bits_reset(wide), XXH_OK);
    for (size_t at = 0, step = 1; at < BYTES; at += step, step = step * 3 % 1500 + 1, turn++) {
        const struct verso__xxh3 *loops =
            turn % (count + 1) < count ? forms[turn % (count + 1)].loops : &verso__xxh3_plain;

        step = step < BYTES - at ? step : BYTES - at;
        assert_int_equal(loops->update_64(narrow, data + at, step), XXH_OK);
        assert_int_equal(loops->update_128(wide, data + at, step), XXH_OK);
    }
    assert_true(XXH3_64bits_digest(narrow) == verso__xxh3_plain.of_64(data, BYTES));
    assert_true(XXH128_isEqual(XXH3_128bits_digest(wide), verso__xxh3_plain.of_128(data, BYTES)));
    (void)XXH3_freeState(narrow);
    (void)XXH3_freeState(wide);
    free(data);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_any_length),
        cmocka_unit_test(test_forms_share_a_state),
    };

    return run_test_list(list);
}
