/* SPDX-License-Identifier: MIT */
/* Sizes, alignments, counts: the smallest, the largest, and those that are refused. */
#include "slabs.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define UNTOUCHED ((struct verso_slab *)(uintptr_t)0x5a5a)

static void assert_refused(size_t object_bytes, const struct verso_slab_options *options, int code)
{
    struct verso_slab *slab = UNTOUCHED;

    assert_fails(verso_slab_open(object_bytes, options, &slab), code);
    assert_ptr_equal(slab, UNTOUCHED);
}

static void test_sizes_that_are_refused(void **state)
{
    (void)state;
    assert_refused(0, NULL, VERSO_E_RANGE);
    assert_refused(SIZE_MAX, NULL, VERSO_E_OVERFLOW);
    assert_refused(SIZE_MAX / 2, NULL, VERSO_E_OVERFLOW);
    assert_refused((size_t)PTRDIFF_MAX / 2 + 1, NULL, VERSO_E_OVERFLOW);
    assert_refused((size_t)1 << 61, NULL, -ENOMEM); /* fits into numbers, but into no address space */
}

static void test_options_that_are_refused(void **state)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;

    (void)state;
    options.flags = VERSO_SLAB_HUGE << 1;
    assert_refused(16, &options, VERSO_E_OPTIONS);
    options = (struct verso_slab_options)VERSO_SLAB_OPTIONS_INIT;
    options.align_bytes = 24;
    assert_refused(16, &options, VERSO_E_OPTIONS);
    options.align_bytes = SIZE_MAX / 2 + 1;
    assert_refused(16, &options, VERSO_E_OVERFLOW);
    options = (struct verso_slab_options)VERSO_SLAB_OPTIONS_INIT;
    options.name = "new\nline";
    assert_refused(16, &options, VERSO_E_OPTIONS);
    options = (struct verso_slab_options)VERSO_SLAB_OPTIONS_INIT;
    options.struct_bytes = 0;
    assert_refused(16, &options, VERSO_E_OPTIONS);
}

static void test_counts_that_are_refused(void **state)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;

    (void)state;
    options.objects_max = UINT64_MAX;
    assert_refused(1, &options, VERSO_E_OVERFLOW);
    assert_refused(16, &options, VERSO_E_OVERFLOW);
    assert_refused(1 << 20, &options, VERSO_E_OVERFLOW);
    options.objects_max = UINT32_MAX;
    options.objects_max += 2;
    options.flags = VERSO_SLAB_HANDLES;
    assert_refused(16, &options, VERSO_E_OVERFLOW);
}

/* A process of 1 GiB of addresses: a slab takes part of them, and works. */
static int open_in_little(void *arg)
{
    struct rlimit limit = { (rlim_t)1 << 30, (rlim_t)1 << 30 };
    struct verso_slab_info info = VERSO_SLAB_INFO_INIT;
    struct verso_slab *slab;
    size_t bytes = *(size_t *)arg;

    if (setrlimit(RLIMIT_AS, &limit) < 0)
        return 99;
    if (verso_slab_open(bytes, NULL, &slab) < 0)
        return 1;
    for (int i = 0; i < 100; i++)
        if (!verso_slab_alloc(slab))
            return 2;
    if (verso_slab_info(slab, &info) < 0 || info.objects_max * info.stride_bytes > limit.rlim_cur / 2)
        return 3;
    return 0;
}

static void test_few_addresses_will_do(void **state)
{
    size_t sizes[] = { 64, 5000 };

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers need more addresses than that");
    for (size_t i = 0; i < 2; i++) {
        int status = support_child(open_in_little, &sizes[i]);

        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void test_info_wants_its_size(void **state)
{
    struct verso_slab *slab = opened(16, 0);
    struct verso_slab_info info = { 0 };

    (void)state;
    assert_fails(verso_slab_info(slab, &info), VERSO_E_OPTIONS);
    verso_slab_close(slab);
    verso_slab_close(NULL);
}

/* Two blocks full of objects, each where it should be, none on another. */
static void fill_two_blocks(size_t object_bytes, size_t align, unsigned flags)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct verso_slab_info info;
    struct verso_slab *slab;
    unsigned char *last = NULL;
    size_t count = 0;

    options.align_bytes = align;
    options.flags = flags;
    assert_ok(verso_slab_open(object_bytes, &options, &slab));
    info = info_of(slab);
    assert_true(info.stride_bytes >= object_bytes && info.stride_bytes < object_bytes + info.align_bytes);
    assert_true(align == 0 || info.align_bytes == align);
    for (size_t i = 0; i <= info.block_objects; i++) {
        unsigned char *object = taken(slab);

        assert_int_equal((uintptr_t)object % info.align_bytes, 0);
        object[0] = (unsigned char)i;
        object[object_bytes - 1] = (unsigned char)i;
    }
    for (unsigned char *object = verso_slab_next(slab, NULL); object; object = verso_slab_next(slab, object), count++) {
        assert_true(!last || object >= last + object_bytes);
        assert_int_equal(object[0], (unsigned char)count);
        assert_int_equal(object[object_bytes - 1], (unsigned char)count);
        last = object;
    }
    assert_int_equal(count, info.block_objects + 1);
    assert_int_equal(info_of(slab).block_count, 2);
    for (unsigned char *object = verso_slab_next(slab, NULL); object; object = verso_slab_next(slab, object))
        assert_ok(verso_slab_free(slab, object));
    assert_int_equal(info_of(slab).live_count, 0);
    verso_slab_close(slab);
}

static void test_every_size(void **state)
{
    static const size_t sizes[] = { 1,    2,    3,    4,    7,    8,     12,    15,    16,    17,   24,
                                    31,   32,   48,   63,   64,   65,    80,    100,   127,   128,  192,
                                    255,  256,  257,  511,  512,  1000,  1008,  1020,  1024,  1025, 2048,
                                    4095, 4096, 4097, 8191, 8192, 65535, 65536, 65537, 200001 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill_two_blocks(sizes[i], 0, 0);
        fill_two_blocks(sizes[i], 0, VERSO_SLAB_SHARED | VERSO_SLAB_GUARD | VERSO_SLAB_HANDLES);
    }
}

static void test_large_objects(void **state)
{
    (void)state;
    fill_two_blocks((1 << 20) - 1, 0, 0);
    fill_two_blocks(1 << 20, 0, VERSO_SLAB_GUARD);
    fill_two_blocks((1 << 20) + 1, 0, VERSO_SLAB_SHARED);
    fill_two_blocks((size_t)3 << 30, 0, 0);
    fill_two_blocks((size_t)3 << 30, 0, VERSO_SLAB_GUARD);
}

static void test_every_alignment(void **state)
{
    (void)state;
    for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
        fill_two_blocks(1, align, 0);
        fill_two_blocks(40, align, VERSO_SLAB_SHARED);
        fill_two_blocks(align + 1, align, VERSO_SLAB_GUARD);
    }
}

static void test_default_alignment_is_what_the_size_can_need(void **state)
{
    static const size_t sizes[][2] = { { 1, 1 }, { 6, 2 }, { 12, 4 }, { 24, 8 }, { 48, 16 }, { 64, 16 }, { 4096, 16 } };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct verso_slab *slab = opened(sizes[i][0], 0);

        assert_int_equal(info_of(slab).align_bytes, sizes[i][1]);
        assert_int_equal(info_of(slab).stride_bytes, sizes[i][0]);
        verso_slab_close(slab);
    }
}

static void test_no_more_than_objects_max(void **state)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct verso_slab_info info;
    struct verso_slab *slab;
    void *object = NULL;

    (void)state;
    options.objects_max = 1500;
    assert_ok(verso_slab_open(64, &options, &slab));
    info = info_of(slab);
    assert_true(info.objects_max >= 1500 && info.objects_max < 1500 + info.block_objects);
    for (uint64_t i = 0; i < info.objects_max; i++)
        object = taken(slab);
    assert_no_object(slab, VERSO_E_SPAN);
    assert_ok(verso_slab_free(slab, object));
    assert_ptr_equal(taken(slab), object);
    assert_no_object(slab, VERSO_E_SPAN);
    verso_slab_close(slab);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_sizes_that_are_refused),
        cmocka_unit_test(test_options_that_are_refused),
        cmocka_unit_test(test_counts_that_are_refused),
        cmocka_unit_test(test_few_addresses_will_do),
        cmocka_unit_test(test_info_wants_its_size),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_large_objects),
        cmocka_unit_test(test_every_alignment),
        cmocka_unit_test(test_default_alignment_is_what_the_size_can_need),
        cmocka_unit_test(test_no_more_than_objects_max),
    };

    return run_test_list(list);
}
