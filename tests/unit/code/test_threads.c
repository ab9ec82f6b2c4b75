/* SPDX-License-Identifier: MIT */
/* threads - a pool in the hands of several, watched, and of a child made in the middle. */
#include "wx.h"

#include <pthread.h>
#include <stdatomic.h>
#include <verso/base.h>

enum {
    THREADS = 4,
    BLOCKS_EACH = 16,
    ROUNDS = 400
};

struct worker {
    struct verso_code *code;
    unsigned number;
    atomic_bool *failed;
};

/* Makes, runs, rewrites and frees blocks of its own. */
static void *work(void *arg)
{
    const struct worker *worker = arg;
    const void *blocks[BLOCKS_EACH] = { NULL };
    uint16_t numbers[BLOCKS_EACH] = { 0 };
    uint32_t random = worker->number * 2654435761U + 1;

    for (int i = 0; i < ROUNDS && !*worker->failed; i++) {
        unsigned char bytes[MACHINE_BYTES_MAX];
        unsigned slot = (random = random * 1664525U + 1013904223U) >> 28;
        uint16_t number = (uint16_t)(worker->number << 12 | (unsigned)i);
        size_t length = machine_return(bytes, number);
        bool well = true;
        void *write;

        if (!blocks[slot]) {
            well = verso_code_add(worker->code, bytes, length, &blocks[slot]) == 0;
        } else if (random >> 27 & 1) {
            well = verso_code_begin(worker->code, blocks[slot], &write) == 0;
            if (well)
                memcpy(write, bytes, length);
            well = well && verso_code_end(worker->code, blocks[slot]) == 0;
        } else {
            well = verso_code_free(worker->code, blocks[slot]) == 0;
            blocks[slot] = NULL;
        }
        numbers[slot] = number;
        for (int b = 0; b < BLOCKS_EACH; b++)
            well = well && (!blocks[b] || machine_call(blocks[b]) == numbers[b]);
        if (!well)
            *worker->failed = true;
    }
    for (int b = 0; b < BLOCKS_EACH; b++)
        if (verso_code_free(worker->code, blocks[b]) < 0)
            *worker->failed = true;
    return NULL;
}

static void test_threads_under_watch(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = named_pool(mode, 0, 4 * verso_page_bytes());
        struct worker workers[THREADS];
        pthread_t threads[THREADS];
        atomic_bool failed = false;

        assert_non_null(code);
        for (unsigned i = 0; i < THREADS; i++) {
            workers[i] = (struct worker){ code, i, &failed };
            assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (int looks = 0; looks < 50; looks++)
            assert_no_both();
        for (unsigned i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(failed);
        assert_no_both();
        assert_int_equal(info_of(code).blocks, 0);
        assert_int_equal(info_of(code).used_bytes, 0);
        verso_code_close(code);
    }
}

static int close_as_child(void *arg)
{
    struct verso_code *code = arg;
    const void *block = NULL;

    child_assert(verso_code_alloc(code, 1, &block) == -EPERM);
    verso_code_close(code);
    return 0;
}

/* A child may be made while another thread holds the pool's lock, which nobody will ever open again there. */
static void test_fork_beside_a_working_thread(void **state)
{
    atomic_bool failed = false;
    struct worker worker = { NULL, 1, &failed };
    struct verso_code *code;
    pthread_t thread;

    (void)state;
    need_machine();
    if (support_is_tsan())
        skip_because("ThreadSanitizer takes the parent's threads for leaks of its children");
    code = pool(VERSO_CODE_DUAL);
    worker.code = code;
    assert_int_equal(pthread_create(&thread, NULL, work, &worker), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(support_child(close_as_child, code), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(failed);
    verso_code_close(code);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_setup(test_threads_under_watch, begin_looking),
        cmocka_unit_test(test_fork_beside_a_working_thread),
    };

    return run_test_list(list);
}
