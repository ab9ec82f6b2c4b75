/* SPDX-License-Identifier: MIT */
/* Objects: handed out once, found when freed wrongly, walked through. */
#include "slabs.h"

static const unsigned kinds[] = { 0, VERSO_SLAB_SHARED, VERSO_SLAB_HANDLES, VERSO_SLAB_SHARED | VERSO_SLAB_CHECK };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void test_free_takes_null(void **state)
{
    struct verso_slab *slab = opened(16, 0);

    (void)state;
    assert_ok(verso_slab_free(slab, NULL));
    assert_null(verso_slab_next(slab, NULL));
    verso_slab_close(slab);
}

static void test_double_free_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct verso_slab *slab = opened(64, kinds[i]);
        void *object = taken(slab), *other = taken(slab);

        assert_ok(verso_slab_free(slab, object));
        assert_fails_in(verso_slab_free(slab, object), VERSO_E_STALE, "free");
        assert_int_equal(info_of(slab).live_count, 1);
        assert_ok(verso_slab_free(slab, other));
        assert_fails(verso_slab_free(slab, other), VERSO_E_STALE);
        assert_int_equal(info_of(slab).live_count, 0);
        assert_ptr_not_equal(taken(slab), taken(slab));
        verso_slab_close(slab);
    }
}

/* The last word of a block, and a block that has become empty and nobody's. */
static void test_double_free_at_the_ends_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct verso_slab *slab = opened(48, kinds[i]); /* 1,365 in 64 KiB: the last word has 21 */
        size_t count = 2 * info_of(slab).block_objects;
        void **objects = calloc(count, sizeof(void *));

        assert_non_null(objects);
        for (size_t k = 0; k < count; k++)
            objects[k] = taken(slab);
        for (size_t k = 0; k < count; k++) {
            assert_ok(verso_slab_free(slab, objects[k]));
            assert_fails(verso_slab_free(slab, objects[k]), VERSO_E_STALE);
        }
        for (size_t k = 0; k < count; k++)
            assert_fails(verso_slab_free(slab, objects[k]), VERSO_E_STALE);
        assert_true(info_of(slab).retained_bytes > 0);
        assert_int_equal(info_of(slab).live_count, 0);
        free(objects);
        verso_slab_close(slab);
    }
}

static void test_foreign_and_interior_pointers_are_found(void **state)
{
    static const size_t sizes[] = { 1, 24, 48, 64, 1020, 4096, 5 << 20 };
    unsigned char local = 0;

    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
            struct verso_slab *slab = opened(sizes[k], kinds[i]), *other = opened(sizes[k], kinds[i]);
            unsigned char *object = taken(slab);
            struct verso_slab_info info = info_of(slab);

            (void)taken(other);
            assert_fails(verso_slab_free(other, object), VERSO_E_FOREIGN);
            assert_fails(verso_slab_free(slab, &local), VERSO_E_FOREIGN);
            assert_fails(verso_slab_free(slab, object - 1), VERSO_E_FOREIGN);
            assert_fails(verso_slab_free(slab, (void *)(uintptr_t)1), VERSO_E_FOREIGN);
            assert_fails(verso_slab_free(slab, (void *)UINTPTR_MAX), VERSO_E_FOREIGN);
            if (sizes[k] > 1) {
                assert_fails(verso_slab_free(slab, object + 1), VERSO_E_FOREIGN);
                assert_fails(verso_slab_free(slab, object + sizes[k] - 1), VERSO_E_FOREIGN);
            }
            /* behind the last object of the block, and the next block, that does not exist */
            assert_fails(verso_slab_free(slab, object + info.block_objects * info.stride_bytes), VERSO_E_FOREIGN);
            assert_fails(verso_slab_free(slab, object + info.block_bytes), VERSO_E_FOREIGN);
            assert_int_equal(info_of(slab).live_count, 1);
            assert_ok(verso_slab_free(slab, object));
            verso_slab_close(other);
            verso_slab_close(slab);
        }
}

/* Of all addresses of a full block, those of its objects can be freed, and no other: the inline way tells them apart by
 * one multiplication, whose error depends on the size. */
static void assert_only_objects_are_freed(size_t bytes)
{
    struct verso_slab *slab = opened(bytes, 0);
    struct verso_slab_info info = info_of(slab);
    unsigned char *block = taken(slab);
    size_t wrong = 0;

    assert_int_equal(info.block_bytes, 65536);
    for (size_t i = 1; i < info.block_objects; i++)
        (void)taken(slab);
    for (size_t at = 0; at < info.block_bytes; at++) {
        bool is_object = at % info.stride_bytes == 0 && at / info.stride_bytes < info.block_objects;

        wrong += verso_slab_free(slab, block + at) != (is_object ? 0 : VERSO_E_FOREIGN);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(info_of(slab).live_count, 0);
    verso_slab_close(slab);
}

static void test_no_address_between_objects_is_taken_for_one(void **state)
{
    static const size_t sizes[] = {
        40, 48, 63, 64, 65, 100, 127, 128, 255, 256, 257, 1000, 4095, 4096, 7281, 8191, 8192
    };

    (void)state;
    for (size_t bytes = 1; bytes <= 33; bytes++)
        assert_only_objects_are_freed(bytes);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_only_objects_are_freed(sizes[i]);
}

static void test_the_record_says_where(void **state)
{
    struct verso_slab *slab = opened(32, 0);
    unsigned char *first = taken(slab), *second = taken(slab);

    (void)state;
    assert_int_equal(second - first, 32);
    assert_fails(verso_slab_free(slab, second + 4), VERSO_E_FOREIGN);
    assert_int_equal(verso_error_last()->offset_bytes, 36);
    assert_string_equal(verso_error_last()->path, "verso slab");
    verso_slab_close(slab);
}

static void test_what_was_freed_last_comes_first(void **state)
{
    struct verso_slab *slab = opened(64, 0);
    void *objects[300];

    (void)state;
    for (size_t i = 0; i < 300; i++)
        objects[i] = taken(slab);
    assert_ok(verso_slab_free(slab, objects[17]));
    assert_ok(verso_slab_free(slab, objects[250]));
    assert_ptr_equal(taken(slab), objects[250]);
    assert_int_equal(info_of(slab).live_count, 299);
    verso_slab_close(slab);
}

static void test_zero(void **state)
{
    struct verso_slab *slab = opened(100, VERSO_SLAB_ZERO);

    (void)state;
    for (int round = 0; round < 3; round++) {
        unsigned char *objects[200];

        for (size_t i = 0; i < 200; i++) {
            objects[i] = taken(slab);
            for (size_t k = 0; k < 100; k++)
                assert_int_equal(objects[i][k], 0);
            memset(objects[i], 0xff, 100);
        }
        for (size_t i = 0; i < 200; i++)
            assert_ok(verso_slab_free(slab, objects[i]));
    }
    verso_slab_close(slab);
}

/* ---- Churn: a model beside it ---- */

#define LIVE 5000
#define STEPS 200000

struct churn {
    struct verso_slab *slab;
    unsigned char *live[LIVE];
    unsigned char mark[LIVE];
};

static void churn_step(struct churn *churn, uint64_t *random)
{
    size_t i = (size_t)(random_next(random) % LIVE), bytes = 40;

    if (churn->live[i]) {
        for (size_t k = 0; k < bytes; k++)
            assert_int_equal(churn->live[i][k], churn->mark[i]); /* nobody else wrote into it */
        assert_ok(verso_slab_free(churn->slab, churn->live[i]));
        churn->live[i] = NULL;
        return;
    }
    churn->live[i] = taken(churn->slab);
    churn->mark[i] = (unsigned char)random_next(random);
    memset(churn->live[i], churn->mark[i], bytes);
}

static int compare_addresses(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

    return (x > y) - (x < y);
}

/* The walk meets exactly the live ones, each once. */
static void assert_walk(const struct churn *churn)
{
    static uintptr_t expected[LIVE];
    size_t count = 0, met = 0;

    for (size_t i = 0; i < LIVE; i++)
        if (churn->live[i])
            expected[count++] = (uintptr_t)churn->live[i];
    qsort(expected, count, sizeof(expected[0]), compare_addresses);
    for (void *object = verso_slab_next(churn->slab, NULL); object; object = verso_slab_next(churn->slab, object)) {
        assert_true(met < count);
        assert_int_equal((uintptr_t)object, expected[met++]);
    }
    assert_int_equal(met, count);
    assert_int_equal(info_of(churn->slab).live_count, count);
}

static void test_no_object_is_handed_out_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        static struct churn churn;
        uint64_t random = 88172645463325252;

        memset(&churn, 0, sizeof(churn));
        churn.slab = opened(40, kinds[i]);
        for (int step = 0; step < STEPS; step++) {
            churn_step(&churn, &random);
            if (step % (STEPS / 8) == 0)
                assert_walk(&churn);
        }
        assert_walk(&churn);
        assert_ok(verso_slab_trim(churn.slab));
        assert_walk(&churn);
        assert_true(info_of(churn.slab).block_count <= 2 * LIVE * 40 / 65536 + 2); /* holes are used again */
        verso_slab_close(churn.slab);
    }
}

static void test_next_goes_on_after_a_free(void **state)
{
    struct verso_slab *slab = opened(512, 0);
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        (void)taken(slab);
    for (void *object = verso_slab_next(slab, NULL); object; object = verso_slab_next(slab, object), count++)
        assert_ok(verso_slab_free(slab, object));
    assert_int_equal(count, 1000);
    assert_null(verso_slab_next(slab, NULL));
    assert_null(verso_slab_next(slab, &count)); /* no address of an object */
    verso_slab_close(slab);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_free_takes_null),
        cmocka_unit_test(test_double_free_is_found),
        cmocka_unit_test(test_double_free_at_the_ends_is_found),
        cmocka_unit_test(test_foreign_and_interior_pointers_are_found),
        cmocka_unit_test(test_no_address_between_objects_is_taken_for_one),
        cmocka_unit_test(test_the_record_says_where),
        cmocka_unit_test(test_what_was_freed_last_comes_first),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_no_object_is_handed_out_twice),
        cmocka_unit_test(test_next_goes_on_after_a_free),
    };

    return run_test_list(list);
}
