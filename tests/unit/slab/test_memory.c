/* SPDX-License-Identifier: MIT */
/* What memory a slab keeps, and what goes back to the kernel. */
#include "slabs.h"

#include <sys/mman.h>

/* Whether each page of a block is in memory: how many are. */
static size_t resident_pages(void *start, size_t bytes)
{
    static unsigned char pages[4096];
    size_t count = 0, page = verso_page_bytes();

    assert_true(bytes / page <= sizeof(pages));
    assert_int_equal(mincore(start, bytes / page * page, pages), 0);
    for (size_t i = 0; i < bytes / page; i++)
        count += pages[i] & 1;
    return count;
}

struct filled {
    struct verso_slab *slab;
    struct verso_slab_info info;
    unsigned char *start; /* of the first block */
    size_t bytes;
    size_t count;
    unsigned char **objects;
};

#define BLOCKS 10

static struct filled fill(uint64_t retain_bytes, unsigned flags)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct filled filled = { 0 };

    options.retain_bytes = retain_bytes;
    options.flags = flags;
    assert_ok(verso_slab_open(256, &options, &filled.slab));
    filled.info = info_of(filled.slab);
    filled.count = BLOCKS * filled.info.block_objects;
    filled.bytes = BLOCKS * filled.info.block_bytes;
    filled.objects = calloc(filled.count, sizeof(*filled.objects));
    assert_non_null(filled.objects);
    for (size_t i = 0; i < filled.count; i++) {
        filled.objects[i] = taken(filled.slab);
        memset(filled.objects[i], 1, 256);
    }
    filled.start = filled.objects[0];
    assert_true(resident_pages(filled.start, filled.bytes) >= filled.count * 256 / verso_page_bytes());
    return filled;
}

static void empty(struct filled *filled)
{
    for (size_t i = 0; i < filled->count; i++)
        assert_ok(verso_slab_free(filled->slab, filled->objects[i]));
}

static void done(struct filled *filled)
{
    free(filled->objects);
    verso_slab_close(filled->slab);
}

static void test_empty_blocks_are_kept_up_to_the_limit(void **state)
{
    struct filled filled = fill(0, 0);

    (void)state;
    empty(&filled);
    assert_int_equal(resident_pages(filled.start, filled.bytes), filled.bytes / verso_page_bytes());
    assert_true(info_of(filled.slab).retained_bytes >= (BLOCKS - 1) * filled.info.block_bytes);
    assert_int_equal(info_of(filled.slab).returned_bytes, 0);
    done(&filled);
}

static void test_beyond_the_limit_memory_goes_at_once(void **state)
{
    struct filled filled = fill(1, 0), some = fill((uint64_t)3 << 16, 0);
    size_t block_pages = filled.info.block_bytes / verso_page_bytes();

    (void)state;
    empty(&filled);
    assert_true(resident_pages(filled.start, filled.bytes) <= block_pages);
    assert_int_equal(info_of(filled.slab).retained_bytes, 0);
    assert_true(info_of(filled.slab).returned_bytes >= (BLOCKS - 1) * filled.info.block_bytes);
    done(&filled);
    empty(&some);
    assert_true(resident_pages(some.start, some.bytes) <= 4 * block_pages);
    assert_true(info_of(some.slab).retained_bytes <= (uint64_t)3 << 16);
    done(&some);
}

/* ---- Random steps, and which blocks have memory ---- */

#define STEPS 1000000

struct model {
    struct verso_slab *slab;
    struct verso_slab_info info;
    unsigned char *start;
    size_t live_in[BLOCKS]; /* of each block */
    size_t count;
    unsigned char *live[BLOCKS * 4096];
};

static size_t block_of(const struct model *model, const unsigned char *object)
{
    return (size_t)(object - model->start) / model->info.block_bytes;
}

static void model_take(struct model *model)
{
    unsigned char *object = taken(model->slab);

    *object = 1;
    model->live_in[block_of(model, object)]++;
    model->live[model->count++] = object;
}

static void model_give(struct model *model, uint64_t random)
{
    size_t i = (size_t)(random % model->count);
    unsigned char *object = model->live[i];

    model->live[i] = model->live[--model->count];
    assert_ok(verso_slab_free(model->slab, object));
    model->live_in[block_of(model, object)]--;
}

/* Memory is where objects are, and in one block at most where none is. */
static void assert_memory_follows(const struct model *model, size_t block_count)
{
    size_t kept = 0;

    for (size_t i = 0; i < block_count; i++) {
        size_t pages = resident_pages(model->start + i * model->info.block_bytes, model->info.block_bytes);

        if (model->live_in[i])
            assert_true(pages > 0);
        else
            kept += pages > 0;
    }
    assert_true(kept <= 1);
}

/* Few objects and many by turns, so that blocks become empty and full again in every way. */
static void churn(size_t object_bytes)
{
    static struct model model;
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    uint64_t random = 88172645463325252;
    size_t most;

    memset(&model, 0, sizeof(model));
    options.retain_bytes = 1;
    options.objects_max = BLOCKS * 4096;
    assert_ok(verso_slab_open(object_bytes, &options, &model.slab));
    model.info = info_of(model.slab);
    model.start = taken(model.slab);
    assert_ok(verso_slab_free(model.slab, model.start));
    most = BLOCKS / 2 * model.info.block_objects;
    for (size_t step = 0; step < STEPS; step++) {
        size_t wanted = step / (STEPS / 20) % 2 ? most : random_next(&random) % 8;

        if (model.count == 0 || (model.count < wanted && random_next(&random) % 4))
            model_take(&model);
        else
            model_give(&model, random_next(&random));
        if (step % 1000 == 0)
            assert_memory_follows(&model, (size_t)info_of(model.slab).block_count);
    }
    while (model.count > 0)
        model_give(&model, random_next(&random));
    assert_memory_follows(&model, (size_t)info_of(model.slab).block_count);
    verso_slab_close(model.slab);
}

static void test_a_block_goes_when_its_last_object_does(void **state)
{
    (void)state;
    churn(16);
    churn(48);
    churn(256);
    churn(8192);
}

static void test_trim_gives_all_of_it_back(void **state)
{
    static const unsigned kinds[] = { 0, VERSO_SLAB_SHARED, VERSO_SLAB_GUARD };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct filled filled = fill(0, kinds[i]);

        empty(&filled);
        assert_ok(verso_slab_trim(filled.slab));
        assert_int_equal(resident_pages(filled.start, filled.bytes), 0);
        assert_int_equal(info_of(filled.slab).retained_bytes, 0);
        for (size_t k = 0; k < filled.count; k++)
            memset(taken(filled.slab), 2, 256); /* and it can be had again */
        assert_int_equal(info_of(filled.slab).block_count, BLOCKS);
        done(&filled);
    }
}

/* One object holds its block, and no other. */
static void test_trim_leaves_live_objects_alone(void **state)
{
    struct filled filled = fill(0, 0);
    unsigned char *kept = filled.objects[filled.count / 2];

    (void)state;
    for (size_t i = 0; i < filled.count; i++)
        if (filled.objects[i] != kept)
            assert_ok(verso_slab_free(filled.slab, filled.objects[i]));
    assert_ok(verso_slab_trim(filled.slab));
    for (size_t i = 0; i < 256; i++)
        assert_int_equal(kept[i], 1);
    assert_int_equal(resident_pages(filled.start, filled.bytes), filled.info.block_bytes / verso_page_bytes());
    assert_ptr_equal(verso_slab_next(filled.slab, NULL), kept);
    done(&filled);
}

static void test_trim_of_nothing(void **state)
{
    struct verso_slab *slab = opened(16, 0), *shared = opened(16, VERSO_SLAB_SHARED);

    (void)state;
    assert_ok(verso_slab_trim(slab));
    assert_ok(verso_slab_trim(shared));
    assert_ok(verso_slab_trim(shared));
    verso_slab_close(slab);
    verso_slab_close(shared);
}

/* Fewer blocks than ever are used when objects come and go: those partly in use come before empty ones. */
static void test_holes_come_before_new_blocks(void **state)
{
    struct filled filled = fill(0, 0);

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < filled.count; i += 3)
            assert_ok(verso_slab_free(filled.slab, filled.objects[i]));
        for (size_t i = 0; i < filled.count; i += 3)
            filled.objects[i] = taken(filled.slab);
        assert_int_equal(info_of(filled.slab).block_count, BLOCKS);
        assert_int_equal(info_of(filled.slab).live_count, filled.count);
    }
    done(&filled);
}

static void test_nothing_is_left_of_a_closed_slab(void **state)
{
    size_t mappings = support_mapping_count();

    (void)state;
    for (unsigned flags = 0; flags < VERSO_SLAB_HUGE * 2; flags++) {
        struct verso_slab *slab = opened(100, flags);

        for (int i = 0; i < 2000; i++)
            (void)taken(slab);
        verso_slab_close(slab);
    }
    assert_true(support_mapping_count() <= mappings + 1); /* the allocator's own */
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_empty_blocks_are_kept_up_to_the_limit),
        cmocka_unit_test(test_beyond_the_limit_memory_goes_at_once),
        cmocka_unit_test(test_a_block_goes_when_its_last_object_does),
        cmocka_unit_test(test_trim_gives_all_of_it_back),
        cmocka_unit_test(test_trim_leaves_live_objects_alone),
        cmocka_unit_test(test_trim_of_nothing),
        cmocka_unit_test(test_holes_come_before_new_blocks),
        cmocka_unit_test(test_nothing_is_left_of_a_closed_slab),
    };

    return run_test_list(list);
}
