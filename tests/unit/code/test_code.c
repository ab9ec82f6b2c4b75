/* SPDX-License-Identifier: MIT */
/* code - the calls as the header promises them: blocks, limits, errors, counts; each in both modes. */
#include "machine.h"

#include <verso/base.h>

static void *begun(struct verso_code *code, const void *block)
{
    void *write;

    assert_ok(verso_code_begin(code, block, &write));
    return write;
}

/* Whether [start, end) of a block is as it was handed out: no byte of it has been written to. */
static bool is_trap(const void *block, size_t start, size_t end)
{
#if defined(__x86_64__)
    static const unsigned char trap[4] = { 0xcc, 0xcc, 0xcc, 0xcc };
#elif defined(__aarch64__)
    static const unsigned char trap[4] = { 0x00, 0x00, 0x20, 0xd4 };
#else
    static const unsigned char trap[4] = { 0 };
#endif

    for (size_t i = start; i < end; i++)
        if (((const unsigned char *)block)[i] != trap[i % 4])
            return false;
    return true;
}

/* ---- Blocks ---- */

static void test_code_that_was_added_runs(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, 0);
        const void *first = block_of(code, 42), *second = block_of(code, 4711);

        assert_int_equal(machine_call(first), 42);
        assert_int_equal(machine_call(second), 4711);
        assert_ok(verso_code_free(code, first));
        assert_int_equal(machine_call(second), 4711);
        verso_code_close(code);
    }
}

static void test_default_is_two_views(void **state)
{
    struct verso_code *code;
    struct verso_code_info info;

    (void)state;
    assert_ok(verso_code_open(NULL, &code));
    info = info_of(code);
    assert_int_equal(info.mode, VERSO_CODE_DUAL);
    assert_string_equal(info.mode_why, "");
    assert_int_equal(info.granule_bytes, 64);
    assert_int_equal(info.segments, 1);
    assert_int_equal(info.blocks, 0);
    assert_int_equal(info.used_bytes, 0);
    verso_code_close(code);
}

static void test_writing_in_pieces(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, 0);
        unsigned char bytes[MACHINE_BYTES_MAX];
        size_t length = machine_return(bytes, 7);
        const void *block;
        void *write;

        assert_ok(verso_code_alloc(code, length, &block));
        assert_true(is_trap(block, 0, info_of(code).granule_bytes));
        write = begun(code, block);
        memcpy(write, bytes, 2);
        memcpy((char *)write + 2, bytes + 2, length - 2);
        assert_ok(verso_code_end(code, block));
        assert_int_equal(machine_call(block), 7);
        assert_true(is_trap(block, 8, info_of(code).granule_bytes)); /* behind it still traps */
        verso_code_close(code);
    }
}

static void test_block_can_be_written_again(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, 0);
        const void *block = block_of(code, 1);
        uint64_t barriers = info_of(code).barriers;

        assert_int_equal(machine_call(block), 1);
        for (uint16_t n = 2; n < 50; n++) {
            (void)machine_return(begun(code, block), n);
            assert_ok(verso_code_end(code, block));
            assert_int_equal(machine_call(block), n);
        }
        if (!*info_of(code).sync_why) /* what may have been run is not changed without a barrier */
            assert_int_equal(info_of(code).barriers, barriers + 48);
        verso_code_close(code);
    }
}

static void test_sizes_at_their_limits(void **state)
{
    (void)state;
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, 0);
        const size_t granule = (size_t)info_of(code).granule_bytes;
        const size_t sizes[] = { 1, granule - 1, granule, granule + 1, 2 * granule, verso_page_bytes() + 1 };
        const void *block = NULL, *before = NULL;
        uint64_t used = 0;

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            assert_ok(verso_code_alloc(code, sizes[i], &block));
            assert_int_equal((uintptr_t)block % granule, 0);
            assert_true(i == 0 || (uintptr_t)block > (uintptr_t)before);
            used += (sizes[i] + granule - 1) / granule * granule;
            assert_int_equal(info_of(code).used_bytes, used);
            assert_int_equal(info_of(code).blocks, i + 1);
            before = block;
        }
        verso_code_close(code);
    }
}

static void test_sizes_that_can_not_be(void **state)
{
    struct verso_code *code = pool_of(VERSO_CODE_DUAL, 0);
    const void *const untouched = &code;
    const void *block = untouched;

    (void)state;
    assert_fails(verso_code_alloc(code, 0, &block), VERSO_E_RANGE);
    assert_fails(verso_code_alloc(code, SIZE_MAX, &block), VERSO_E_OVERFLOW);
    assert_fails(verso_code_alloc(code, SIZE_MAX - 4096, &block), VERSO_E_OVERFLOW);
    assert_fails(verso_code_alloc(code, SIZE_MAX / 2, &block), VERSO_E_OVERFLOW);
    if (!support_is_asan() && !support_is_tsan()) /* whose allocators die of such sizes */
        assert_fails(verso_code_alloc(code, (size_t)1 << 46, &block), -ENOMEM);
    assert_fails(verso_code_add(code, "", 0, &block), VERSO_E_RANGE);
    assert_fails(verso_code_add(code, NULL, 1, &block), -EINVAL);
    assert_fails(verso_code_alloc(NULL, 1, &block), -EINVAL);
    assert_fails(verso_code_alloc(code, 1, NULL), -EINVAL);
    assert_ptr_equal(block, untouched);
    assert_int_equal(info_of(code).blocks, 0);
    verso_code_close(code);
}

/* ---- Segments ---- */

static void test_pool_grows_by_segments_and_gives_them_back(void **state)
{
    (void)state;
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        const size_t segment = 2 * (size_t)verso_page_bytes();
        struct verso_code *code = pool_of(mode, segment);
        const void *whole, *second, *large;

        assert_ok(verso_code_alloc(code, segment, &whole));
        assert_int_equal(info_of(code).segments, 1);
        assert_ok(verso_code_alloc(code, 1, &second));
        assert_int_equal(info_of(code).segments, 2);
        assert_ok(verso_code_alloc(code, segment + 1, &large)); /* larger than a segment: one of its own */
        assert_int_equal(info_of(code).segments, 3);
        assert_int_equal(info_of(code).reserved_bytes, 2 * segment + segment + verso_page_bytes());
        memset(begun(code, large), 0x90, segment + 1);
        assert_ok(verso_code_end(code, large));
        assert_ok(verso_code_free(code, large));
        assert_int_equal(info_of(code).segments, 2);
        assert_ok(verso_code_free(code, whole));
        assert_int_equal(info_of(code).segments, 2); /* the first one stays */
        assert_ok(verso_code_free(code, second));
        assert_int_equal(info_of(code).segments, 1);
        assert_int_equal(info_of(code).reserved_bytes, segment);
        assert_int_equal(info_of(code).blocks, 0);
        assert_int_equal(info_of(code).waiting_bytes, 0);
        verso_code_close(code);
    }
}

/* Blocks in many segments are found again, whichever order the kernel placed them in. */
static void test_blocks_of_many_segments(void **state)
{
    enum {
        BLOCKS = 200
    };
    static const void *blocks[BLOCKS];

    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, verso_page_bytes());
        const size_t bytes = verso_page_bytes() - 8;

        for (int n = 0; n < BLOCKS; n++) {
            assert_ok(verso_code_alloc(code, bytes, &blocks[n]));
            (void)machine_return(begun(code, blocks[n]), (uint16_t)n);
            assert_ok(verso_code_end(code, blocks[n]));
        }
        assert_int_equal(info_of(code).segments, BLOCKS);
        for (int n = 0; n < BLOCKS; n++)
            assert_int_equal(machine_call(blocks[n]), n);
        for (int n = 0; n < BLOCKS; n += 2)
            assert_ok(verso_code_free(code, blocks[n]));
        for (int n = 1; n < BLOCKS; n += 2)
            assert_int_equal(machine_call(blocks[n]), n);
        verso_code_close(code);
    }
}

static void test_total_limit(void **state)
{
    const size_t page = verso_page_bytes();
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;
    const void *block, *other;

    (void)state;
    options.segment_bytes = page;
    options.total_bytes_max = 2 * page;
    assert_ok(verso_code_open(&options, &code));
    assert_ok(verso_code_alloc(code, page, &block));
    assert_ok(verso_code_alloc(code, page, &other));
    assert_fails(verso_code_alloc(code, 1, &other), VERSO_E_TOO_LARGE);
    assert_ok(verso_code_free(code, block));
    assert_ok(verso_code_alloc(code, 1, &other));
    verso_code_close(code);

    options.segment_bytes = 0; /* the default is larger than the limit: then the limit */
    assert_ok(verso_code_open(&options, &code));
    assert_int_equal(info_of(code).reserved_bytes, 2 * page);
    verso_code_close(code);
}

/* ---- Reuse ---- */

static void test_what_was_never_run_is_used_again_at_once(void **state)
{
    (void)state;
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, 0);
        const void *block, *again;

        assert_ok(verso_code_alloc(code, 100, &block));
        assert_ok(verso_code_free(code, block));
        assert_int_equal(info_of(code).waiting_bytes, 0);
        assert_ok(verso_code_alloc(code, 100, &again));
        assert_ptr_equal(again, block);
        verso_code_close(code);
    }
}

static void test_what_may_have_run_waits_for_a_barrier(void **state)
{
    struct verso_code *code = pool_of(VERSO_CODE_DUAL, 0);
    const void *first = block_of(code, 1), *block = first;
    uint64_t barriers = info_of(code).barriers;

    (void)state;
    if (*info_of(code).sync_why)
        skip_because("%s", info_of(code).sync_why);
    for (int i = 0; i < 512; i++) { /* 32 KiB of granules */
        assert_int_equal(info_of(code).waiting_bytes, 64 * i);
        assert_ok(verso_code_free(code, block));
        assert_true(is_trap(block, 0, 64));
        block = block_of(code, 1);
        assert_true(i == 511 || block != first);
    }
    assert_ptr_equal(block, first); /* one barrier for all of them, and the lowest address again */
    if (FETCHES_ARE_COHERENT)
        assert_int_equal(info_of(code).barriers, barriers + 1);
    assert_int_equal(info_of(code).waiting_bytes, 0);
    verso_code_close(code);
}

/* A small pool does not grow while some of it only waits. */
static void test_waiting_memory_comes_before_a_new_segment(void **state)
{
    struct verso_code *code = pool_of(VERSO_CODE_DUAL, verso_page_bytes());
    const void *blocks[4];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            assert_ok(verso_code_add(code, "x", 1, &blocks[i]));
        for (int i = 0; i < 4; i++)
            assert_ok(verso_code_free(code, blocks[i]));
    }
    for (int i = 0; i < 3; i++) {
        assert_ok(verso_code_alloc(code, verso_page_bytes(), &blocks[0]));
        assert_int_equal(info_of(code).segments, 1);
        (void)begun(code, blocks[0]);
        assert_ok(verso_code_end(code, blocks[0]));
        assert_ok(verso_code_free(code, blocks[0]));
    }
    verso_code_close(code);
}

static void test_lowest_hole_that_fits_is_used(void **state)
{
    struct verso_code *code = pool_of(VERSO_CODE_DUAL, 0);
    const void *blocks[6], *block;

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_ok(verso_code_alloc(code, i == 3 ? 200 : 64, &blocks[i]));
    assert_ok(verso_code_free(code, blocks[1]));
    assert_ok(verso_code_free(code, blocks[3]));
    assert_ok(verso_code_alloc(code, 129, &block)); /* three granules: the small hole will not do */
    assert_ptr_equal(block, blocks[3]);
    assert_ok(verso_code_alloc(code, 64, &block));
    assert_ptr_equal(block, blocks[1]);
    assert_ok(verso_code_alloc(code, 64, &block)); /* the fourth granule of the large one */
    assert_ptr_equal(block, (const char *)blocks[3] + 192);
    verso_code_close(code);
}

/* ---- Shrinking ---- */

static void test_shrink(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, 0);
        const size_t granule = (size_t)info_of(code).granule_bytes;
        const void *block, *next;

        assert_ok(verso_code_alloc(code, 10 * granule, &block));
        memset(begun(code, block), 0x5a, 10 * granule);
        assert_fails(verso_code_shrink(code, block, 1), -EBUSY);
        assert_ok(verso_code_end(code, block));
        assert_fails(verso_code_shrink(code, block, 0), VERSO_E_RANGE);
        assert_fails(verso_code_shrink(code, block, 10 * granule + 1), VERSO_E_RANGE);
        assert_fails(verso_code_shrink(code, block, SIZE_MAX), VERSO_E_RANGE);
        assert_ok(verso_code_shrink(code, block, 10 * granule));
        assert_ok(verso_code_shrink(code, block, 9 * granule + 1));
        assert_int_equal(info_of(code).used_bytes, 10 * granule);
        (void)machine_return(begun(code, block), 9);
        assert_ok(verso_code_end(code, block));
        assert_ok(verso_code_shrink(code, block, granule));
        assert_int_equal(info_of(code).used_bytes, granule);
        assert_int_equal(info_of(code).blocks, 1);
        assert_true(is_trap((const char *)block + granule, 0, 9 * granule));
        assert_int_equal(machine_call(block), 9);
        assert_fails(verso_code_free(code, (const char *)block + granule), VERSO_E_RANGE); /* no block of its own */
        assert_ok(verso_code_alloc(code, granule, &next));
        assert_ptr_not_equal(next, block);
        assert_ok(verso_code_free(code, block));
        assert_ok(verso_code_free(code, next));
        assert_int_equal(info_of(code).used_bytes, 0);
        verso_code_close(code);
    }
}

/* ---- Misuse ---- */

static void test_blocks_that_are_none(void **state)
{
    (void)state;
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, 0), *other = pool_of(mode, 0);
        const size_t granule = (size_t)info_of(code).granule_bytes;
        const void *block, *freed, *foreign;
        void *const untouched = &code, *write = untouched;

        assert_ok(verso_code_alloc(other, 1, &foreign));
        assert_ok(verso_code_alloc(code, 3 * granule, &block));
        assert_ok(verso_code_alloc(code, 1, &freed));
        assert_ok(verso_code_free(code, freed));

        const void *const wrong[] = {
            NULL,
            &code,
            foreign,
            freed,
            (const char *)block + 1,
            (const char *)block + granule,
            (const char *)block - 1,
            (const char *)block + (16U << 20) + 2 * granule,
        };

        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            assert_fails_in(verso_code_begin(code, wrong[i], &write), VERSO_E_RANGE, "begin");
            assert_fails_in(verso_code_end(code, wrong[i]), VERSO_E_RANGE, "end");
            assert_fails_in(verso_code_shrink(code, wrong[i], 1), VERSO_E_RANGE, "shrink");
            assert_fails_in(verso_code_name(code, wrong[i], "x"), VERSO_E_RANGE, "name");
            if (wrong[i])
                assert_fails_in(verso_code_free(code, wrong[i]), VERSO_E_RANGE, "free");
        }
        assert_ptr_equal(write, untouched);
        assert_ok(verso_code_free(code, NULL));
        verso_code_close(code);
        verso_code_close(other);
        verso_code_close(NULL);
    }
}

static void test_begin_and_end_come_in_pairs(void **state)
{
    (void)state;
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, 0);
        const void *block, *other;
        void *write;

        assert_ok(verso_code_alloc(code, 1, &block));
        assert_ok(verso_code_alloc(code, 1, &other));
        assert_fails(verso_code_end(code, block), -EINVAL);
        (void)begun(code, block);
        assert_fails(verso_code_begin(code, block, &write), -EBUSY);
        assert_fails(verso_code_free(code, block), -EBUSY);
        assert_fails(verso_code_name(code, block, "x"), -EBUSY);
        (void)begun(code, other); /* another one at the same time */
        assert_ok(verso_code_end(code, block));
        assert_fails(verso_code_end(code, block), -EINVAL);
        assert_ok(verso_code_end(code, other));
        assert_ok(verso_code_name(code, block, "nobody wants to know"));
        assert_ok(verso_code_free(code, block));
        assert_fails(verso_code_begin(NULL, block, &write), -EINVAL);
        assert_fails(verso_code_begin(code, other, NULL), -EINVAL);
        assert_fails(verso_code_end(NULL, block), -EINVAL);
        assert_fails(verso_code_free(NULL, block), -EINVAL);
        assert_fails(verso_code_shrink(NULL, block, 1), -EINVAL);
        assert_fails(verso_code_name(code, other, NULL), -EINVAL);
        verso_code_close(code);
    }
}

/* A block that was freed while nobody ended it is as new. */
static void test_reused_block_is_not_begun(void **state)
{
    struct verso_code *code = pool_of(VERSO_CODE_DUAL, 0);
    const void *block, *again;

    (void)state;
    assert_ok(verso_code_alloc(code, 1, &block));
    (void)begun(code, block);
    assert_ok(verso_code_end(code, block));
    assert_ok(verso_code_free(code, block));
    do /* until the same granule comes back */
        assert_ok(verso_code_add(code, "x", 1, &again));
    while (again != block && verso_code_free(code, again) == 0);
    assert_fails(verso_code_end(code, again), -EINVAL);
    verso_code_close(code);
}

static void test_options_that_make_no_sense(void **state)
{
    struct verso_code *const untouched = (struct verso_code *)&state, *code = untouched;
    const struct verso_code_options plain = VERSO_CODE_OPTIONS_INIT;
    struct verso_code_options options = plain;
    char name[300];

    options.struct_bytes = 8;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options = plain;
    options.flags = 1U << 30;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options = plain;
    options.mode = 3;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options.mode = VERSO_CODE_TOGGLE;
    options.flags = VERSO_CODE_SEAL;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options = plain;
    options.segment_bytes = 8 * verso_page_bytes();
    options.total_bytes_max = options.segment_bytes - 1;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options = plain;
    options.total_bytes_max = 1; /* less than a page */
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options = plain;
    options.segment_bytes = UINT64_MAX;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OVERFLOW);
    options = plain;
    options.near_bytes = 1;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options = plain;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    options.name = name;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    assert_fails(verso_code_open(&plain, NULL), -EINVAL);
    assert_ptr_equal(code, untouched);
}

static void test_info_wants_its_size(void **state)
{
    struct verso_code *code = pool_of(0, 0);
    struct verso_code_info info = VERSO_CODE_INFO_INIT;

    (void)state;
    info.struct_bytes = sizeof(info) - 1;
    assert_fails(verso_code_info(code, &info), VERSO_E_OPTIONS);
    assert_fails(verso_code_info(code, NULL), -EINVAL);
    assert_fails(verso_code_info(NULL, &info), -EINVAL);
    verso_code_close(code);
}

static void test_nothing_is_left(void **state)
{
    size_t mappings = support_mapping_count(), descriptors = support_descriptor_count();

    (void)state;
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool_of(mode, verso_page_bytes());

        for (uint16_t n = 0; n < 100; n++)
            (void)block_of(code, n);
        verso_code_close(code);
    }
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_true(support_mapping_count() <= mappings + 1); /* the heap may have grown a neighbour */
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_code_that_was_added_runs),
        cmocka_unit_test(test_default_is_two_views),
        cmocka_unit_test(test_writing_in_pieces),
        cmocka_unit_test(test_block_can_be_written_again),
        cmocka_unit_test(test_sizes_at_their_limits),
        cmocka_unit_test(test_sizes_that_can_not_be),
        cmocka_unit_test(test_pool_grows_by_segments_and_gives_them_back),
        cmocka_unit_test(test_blocks_of_many_segments),
        cmocka_unit_test(test_total_limit),
        cmocka_unit_test(test_what_was_never_run_is_used_again_at_once),
        cmocka_unit_test(test_what_may_have_run_waits_for_a_barrier),
        cmocka_unit_test(test_waiting_memory_comes_before_a_new_segment),
        cmocka_unit_test(test_lowest_hole_that_fits_is_used),
        cmocka_unit_test(test_shrink),
        cmocka_unit_test(test_blocks_that_are_none),
        cmocka_unit_test(test_begin_and_end_come_in_pairs),
        cmocka_unit_test(test_reused_block_is_not_begun),
        cmocka_unit_test(test_options_that_make_no_sense),
        cmocka_unit_test(test_info_wants_its_size),
        cmocka_unit_test(test_nothing_is_left),
    };

    return run_test_list(list);
}
