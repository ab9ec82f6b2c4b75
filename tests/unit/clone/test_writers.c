/* SPDX-License-Identifier: MIT */
/*
 * writers - threads that store all the time, while pages are taken and copied: no store is lost.
 *
 * Every writer owns one word of every page and counts it up. The reader takes, copies the pages it was told, and so
 * on. After the last writer has stopped and one more take, the copy must hold every word.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso.h>

#define WRITERS 4
#define PAGES 64
#define FEW_PAGES 2 /* so that writers and reader meet in one page all the time */
#define TAKES 400

typedef _Atomic uint64_t word;

static uint64_t page;
static atomic_bool stop;

struct writer {
    pthread_t thread;
    unsigned char *memory;
    uint64_t pages;
    unsigned index;
    uint64_t stores;
};

static word *word_of(unsigned char *memory, uint64_t number, unsigned index)
{
    return (word *)(void *)(memory + number * page) + index * 16; /* not all in one cache line */
}

static void *write_all_the_time(void *arg)
{
    struct writer *writer = arg;
    uint64_t seed = writer->index + 1;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        atomic_fetch_add_explicit(word_of(writer->memory, (seed >> 33) % writer->pages, writer->index), 1,
                                  memory_order_relaxed);
        writer->stores++;
    }
    return NULL;
}

static void start(struct writer *writers, unsigned char *memory, uint64_t pages)
{
    atomic_store(&stop, false);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].memory = memory;
        writers[i].pages = pages;
        writers[i].index = i;
        writers[i].stores = 0;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_all_the_time, &writers[i]), 0);
    }
}

static void join(struct writer *writers)
{
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
}

/* Copies what was told; relaxed word by word, as the writers go on. */
static void copy_told(const struct verso_clone_track *track, unsigned char *memory, unsigned char *copy)
{
    struct verso_clone_run run = { 0, 0 };

    while (verso_clone_track_next(track, run.offset_bytes + run.length_bytes, &run))
        for (uint64_t at = run.offset_bytes; at < run.offset_bytes + run.length_bytes; at += sizeof(word))
            atomic_store_explicit((word *)(void *)(copy + at),
                                  atomic_load_explicit((word *)(void *)(memory + at), memory_order_relaxed),
                                  memory_order_relaxed);
}

static uint64_t sum_of(const struct writer *writer, unsigned char *memory)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < PAGES; i++)
        sum += atomic_load(word_of(memory, i, writer->index));
    return sum;
}

static unsigned char *new_memory(int flags)
{
    void *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static struct verso_clone_track *tracked(void *memory, unsigned method)
{
    struct verso_clone_track *track;
    int r = verso_clone_track_begin(memory, PAGES * page, method, &track);

    if (r == VERSO_E_UNSUPPORTED && method == VERSO_CLONE_TRACK_KERNEL)
        skip_because("no userfaultfd with asynchronous write-protection here");
    assert_ok(r);
    return track;
}

static void no_store_is_lost(unsigned method, int flags, uint64_t pages)
{
    unsigned char *memory = new_memory(flags), *copy = new_memory(MAP_PRIVATE);
    struct verso_clone_track *track = tracked(memory, method);
    struct writer writers[WRITERS];
    uint64_t bytes;

    start(writers, memory, pages);
    for (uint64_t i = 0; i < TAKES * PAGES / pages; i++) {
        assert_ok(verso_clone_track_take(track, NULL));
        copy_told(track, memory, copy);
        if (i % 8 == 0)
            assert_ok(verso_clone_track_look(track, NULL));
    }
    join(writers);
    assert_ok(verso_clone_track_take(track, NULL));
    copy_told(track, memory, copy);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_true(sum_of(&writers[i], memory) == writers[i].stores);
        assert_true(sum_of(&writers[i], copy) == writers[i].stores);
    }
    assert_memory_equal(memory, copy, PAGES * page);
    assert_ok(verso_clone_track_take(track, &bytes));
    assert_true(bytes == 0);
    verso_clone_track_end(track);
    assert_int_equal(munmap(memory, PAGES * page) + munmap(copy, PAGES * page), 0);
}

static void test_by_the_kernel(void **state)
{
    (void)state;
    no_store_is_lost(VERSO_CLONE_TRACK_KERNEL, MAP_PRIVATE, PAGES);
    no_store_is_lost(VERSO_CLONE_TRACK_KERNEL, MAP_SHARED, PAGES);
    no_store_is_lost(VERSO_CLONE_TRACK_KERNEL, MAP_PRIVATE, FEW_PAGES);
}

static void test_by_faults(void **state)
{
    (void)state;
    no_store_is_lost(VERSO_CLONE_TRACK_FAULTS, MAP_PRIVATE, PAGES);
    no_store_is_lost(VERSO_CLONE_TRACK_FAULTS, MAP_SHARED, PAGES);
    no_store_is_lost(VERSO_CLONE_TRACK_FAULTS, MAP_PRIVATE, FEW_PAGES);
}

/* Tracking may end while others store: a fault that comes too late for it must not kill. */
static void test_ending_under_writers(void **state)
{
    unsigned char *memory = new_memory(MAP_PRIVATE);
    struct writer writers[WRITERS];

    (void)state;
    start(writers, memory, PAGES);
    for (unsigned i = 0; i < 2 * TAKES; i++) {
        struct verso_clone_track *track = tracked(memory, VERSO_CLONE_TRACK_FAULTS);

        assert_ok(verso_clone_track_take(track, NULL));
        verso_clone_track_end(track);
    }
    join(writers);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_true(sum_of(&writers[i], memory) == writers[i].stores);
    assert_int_equal(munmap(memory, PAGES * page), 0);
}

static int end_in_a_child(void *arg)
{
    (void)alarm(60);            /* a child that hangs must not outlive the test */
    verso_clone_track_end(arg); /* must not wait for handlers of threads that this process does not have */
    return 0;
}

static void test_forking_under_writers(void **state)
{
    unsigned char *memory = new_memory(MAP_PRIVATE);
    struct verso_clone_track *track = tracked(memory, VERSO_CLONE_TRACK_FAULTS);
    struct writer writers[WRITERS];

    (void)state;
    start(writers, memory, PAGES);
    for (unsigned i = 0; i < TAKES / 4; i++) {
        assert_ok(verso_clone_track_take(track, NULL));
        assert_int_equal(support_child(end_in_a_child, track), 0);
    }
    join(writers);
    verso_clone_track_end(track);
    assert_int_equal(munmap(memory, PAGES * page), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_by_the_kernel),
        cmocka_unit_test(test_by_faults),
        cmocka_unit_test(test_ending_under_writers),
        cmocka_unit_test(test_forking_under_writers),
    };

    page = verso_page_bytes();
    return run_test_list(list);
}
