/* SPDX-License-Identifier: MIT */
/*
 * model - long random use beside a plain list of what should be there.
 *
 * Each block holds its own number in every byte, so any overlap, any trap written into the wrong place and any block
 * lost or moved shows; in between, what the pool says it holds is compared with the list.
 */
#include "machine.h"

#include "code/bits.h"

#include <verso/base.h>

enum {
    BLOCKS = 300,
    STEPS = 20000
};

struct model {
    struct verso_code *code;
    struct {
        const unsigned char *block; /* NULL: none */
        size_t bytes;
        unsigned char fill; /* 0: never written */
    } list[BLOCKS];
    uint64_t random;
};

static uint64_t draw(struct model *model, uint64_t below)
{
    model->random = model->random * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (model->random >> 33) % below;
}

static void write_block(struct model *model, size_t i)
{
    void *write;

    model->list[i].fill = (unsigned char)(1 + draw(model, 255));
    assert_ok(verso_code_begin(model->code, model->list[i].block, &write));
    memset(write, model->list[i].fill, model->list[i].bytes);
    assert_ok(verso_code_end(model->code, model->list[i].block));
}

static void check_block(const struct model *model, size_t i)
{
    if (!model->list[i].block || !model->list[i].fill)
        return;
    for (size_t b = 0; b < model->list[i].bytes; b++)
        assert_int_equal(model->list[i].block[b], model->list[i].fill);
}

static void step(struct model *model, size_t size_max)
{
    size_t i = (size_t)draw(model, BLOCKS);
    const void *block;

    check_block(model, i);
    if (!model->list[i].block) {
        model->list[i].bytes = 1 + (size_t)draw(model, draw(model, 10) == 0 ? size_max : 300);
        model->list[i].fill = 0;
        assert_ok(verso_code_alloc(model->code, model->list[i].bytes, &block));
        model->list[i].block = block;
        if (draw(model, 4) > 0)
            write_block(model, i);
        return;
    }
    switch (draw(model, 4)) {
    case 0:
        write_block(model, i);
        break;
    case 1:
        model->list[i].bytes = 1 + (size_t)draw(model, model->list[i].bytes);
        assert_ok(verso_code_shrink(model->code, model->list[i].block, model->list[i].bytes));
        break;
    default:
        assert_ok(verso_code_free(model->code, model->list[i].block));
        model->list[i].block = NULL;
        break;
    }
}

static void compare(const struct model *model)
{
    struct verso_code_info info = info_of(model->code);
    uint64_t blocks = 0, used = 0;

    for (size_t i = 0; i < BLOCKS; i++) {
        if (!model->list[i].block)
            continue;
        check_block(model, i);
        blocks++;
        used += (model->list[i].bytes + info.granule_bytes - 1) / info.granule_bytes * info.granule_bytes;
    }
    assert_int_equal(info.blocks, blocks);
    assert_int_equal(info.used_bytes, used);
    assert_true(info.used_bytes + info.waiting_bytes <= info.ready_bytes);
    assert_true(info.ready_bytes <= info.reserved_bytes);
}

static void run(unsigned mode, uint64_t segment_bytes, size_t size_max, unsigned steps)
{
    static struct model model;

    memset(&model, 0, sizeof(model));
    model.random = mode * 1000003U + segment_bytes;
    model.code = pool_of(mode, segment_bytes);
    for (unsigned i = 0; i < steps; i++) {
        step(&model, size_max);
        if (i % 512 == 0)
            compare(&model);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        assert_ok(verso_code_free(model.code, model.list[i].block));
    memset(model.list, 0, sizeof(model.list));
    compare(&model);
    assert_int_equal(info_of(model.code).segments, 1);
    verso_code_close(model.code);
}

static void test_random_use_of_one_segment(void **state)
{
    (void)state;
    run(VERSO_CODE_DUAL, 0, 5000, STEPS);
}

static void test_random_use_of_many_small_segments(void **state)
{
    (void)state;
    run(VERSO_CODE_DUAL, 2 * verso_page_bytes(), 3 * verso_page_bytes(), STEPS);
}

static void test_random_use_of_an_odd_number_of_pages(void **state)
{
    (void)state;
    run(VERSO_CODE_DUAL, 19 * verso_page_bytes(), 2 * verso_page_bytes(), STEPS);
}

static void test_random_use_toggled(void **state)
{
    (void)state;
    run(VERSO_CODE_TOGGLE, 37 * verso_page_bytes(), 5 * verso_page_bytes(), STEPS / 4);
}

/* The bitmaps, against a byte for each bit: all ranges of a few words. */
static void test_bits_of_all_ranges(void **state)
{
    enum {
        BITS = 3 * 64
    };

    (void)state;
    for (size_t start = 0; start <= BITS; start++)
        for (size_t end = start; end <= BITS; end++) {
            uint64_t words[3] = { 0 }, holes[3] = { UINT64_MAX, UINT64_MAX, UINT64_MAX };
            size_t count = 0;

            verso__bits_set(words, start, end);
            verso__bits_clear(holes, start, end);
            for (size_t i = 0; i < 3; i++) {
                assert_int_equal(words[i], ~holes[i]);
                count += (size_t)__builtin_popcountll(words[i]);
            }
            assert_int_equal(count, end - start);
            assert_int_equal(verso__bits_find(words, true, 0, BITS), start < end ? start : BITS);
            assert_int_equal(verso__bits_find(words, false, start, BITS), end);
            assert_int_equal(verso__bits_find(holes, false, 0, BITS), start < end ? start : BITS);
            assert_int_equal(verso__bits_find(words, true, end, BITS), BITS);
            assert_int_equal(verso__bits_find(words, true, 0, start), start);
        }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_bits_of_all_ranges),
        cmocka_unit_test(test_random_use_of_one_segment),
        cmocka_unit_test(test_random_use_of_many_small_segments),
        cmocka_unit_test(test_random_use_of_an_odd_number_of_pages),
        cmocka_unit_test(test_random_use_toggled),
    };

    return run_test_list(list);
}
