/* SPDX-License-Identifier: MIT */
/* registry - ranges are found while they are in, and only then; slots are used again; threads and fork() do no harm. */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "guard/registry.h"
#include "ranges.h"

static void range_at(struct verso__guard_range *range, uintptr_t start, size_t bytes, uint64_t offset)
{
    verso__guard_range_init(range);
    range->start = start;
    range->end = start + bytes;
    range->file_offset_bytes = offset;
}

static struct verso__guard_range *found(uintptr_t address)
{
    struct verso__guard_place place;

    return verso__guard_place_find(address, &place) ? place.range : NULL;
}

static void test_a_range_is_found_from_its_first_byte_to_its_last(void **state)
{
    struct verso__guard_range range;
    struct verso__guard_place place;

    (void)state;
    range_at(&range, 0x10000, 0x3000, 0x7000);
    assert_null(found(0x10000));
    assert_int_equal(verso__guard_range_add(&range), 0);
    assert_null(found(0xffff));
    assert_ptr_equal(found(0x10000), &range);
    assert_ptr_equal(found(0x12fff), &range);
    assert_null(found(0x13000));
    assert_null(found(0));
    assert_null(found(UINTPTR_MAX));
    assert_true(verso__guard_place_find(0x11234, &place));
    assert_int_equal(verso__guard_place_offset(&place), 0x8234);
    verso__guard_range_drop(&range);
    assert_null(found(0x10000));
    verso__guard_range_drop(&range);
}

static void test_offsets_are_right_beyond_the_address_and_before_it(void **state)
{
    struct verso__guard_range range;
    struct verso__guard_place place;

    (void)state;
    range_at(&range, 0x10000, 0x1000, UINT64_C(1) << 62);
    assert_int_equal(verso__guard_range_add(&range), 0);
    assert_true(verso__guard_place_find(0x10010, &place));
    assert_true(verso__guard_place_offset(&place) == (UINT64_C(1) << 62) + 0x10);
    verso__guard_range_move(&range, 0x10000, 0x11000, 0);
    assert_true(verso__guard_place_find(0x10010, &place));
    assert_int_equal(verso__guard_place_offset(&place), 0x10);
    verso__guard_range_drop(&range);
}

static void test_a_range_grows_shrinks_and_moves(void **state)
{
    struct verso__guard_range range;

    (void)state;
    range_at(&range, 0x10000, 0x1000, 0);
    verso__guard_range_move(&range, 0x20000, 0x21000, 5); /* not in: only what it says changes */
    assert_int_equal(range.start, 0x20000);
    assert_null(found(0x20000));
    assert_int_equal(verso__guard_range_add(&range), 0);
    verso__guard_range_move(&range, 0x20000, 0x24000, 5);
    assert_ptr_equal(found(0x23fff), &range);
    verso__guard_range_move(&range, 0x20000, 0x22000, 5);
    assert_ptr_equal(found(0x21fff), &range);
    assert_null(found(0x22000));
    verso__guard_range_move(&range, 0x50000, 0x51000, 0x3000);
    assert_null(found(0x20000));
    assert_ptr_equal(found(0x50000), &range);
    verso__guard_range_drop(&range);
    assert_null(found(0x50000));
}

static void test_an_empty_range_holds_nothing(void **state)
{
    struct verso__guard_range range;

    (void)state;
    range_at(&range, 0x10000, 0, 0);
    assert_int_equal(verso__guard_range_add(&range), 0);
    assert_null(found(0x10000));
    verso__guard_range_drop(&range);
}

/* As many maps as the kernel lets a process have, and more; dropped in another order than they came. */
static void test_as_many_as_a_process_can_map(void **state)
{
    enum {
        COUNT = 70000
    };
    struct verso__guard_range *ranges = calloc(COUNT, sizeof(*ranges));

    (void)state;
    assert_non_null(ranges);
    for (int turn = 0; turn < 3; turn++) {
        uint32_t highest = 0;

        for (size_t i = 0; i < COUNT; i++) {
            range_at(&ranges[i], (i + 1) << 20, 0x1000, 0);
            assert_int_equal(verso__guard_range_add(&ranges[i]), 0);
            highest = ranges[i].slot > highest ? ranges[i].slot : highest;
        }
        assert_true(highest < COUNT + 10); /* slots are used again */
        for (size_t i = 0; i < COUNT; i += 9973)
            assert_ptr_equal(found(((i + 1) << 20) + 5), &ranges[i]);
        for (size_t i = 0; i < COUNT; i += 2)
            verso__guard_range_drop(&ranges[i]);
        for (size_t i = 0; i < COUNT; i += 9001)
            assert_ptr_equal(found((i + 1) << 20), i % 2 ? &ranges[i] : NULL);
        for (size_t i = 1; i < COUNT; i += 2)
            verso__guard_range_drop(&ranges[i]);
    }
    free(ranges);
}

/* ---- Marks ------------------------------------------------------------------------------------------------------ */

static void test_the_lowest_offset_stays(void **state)
{
    struct verso__guard_range range;
    struct verso__guard_place place;

    (void)state;
    range_at(&range, 0x10000, 0x10000, 0);
    assert_int_equal(verso__guard_range_add(&range), 0);
    assert_true(verso__guard_place_find(0x10000, &place));
    verso__guard_place_mark(&place, 500);
    verso__guard_place_mark(&place, 900);
    verso__guard_place_mark(&place, 300);
    verso__guard_place_mark(&place, 300);
    assert_int_equal(range.torn_offset_bytes, 300);
    assert_int_equal(range.torn_count, 4);
    verso__guard_range_drop(&range);
}

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

static struct watched cut_file;
static atomic_bool stop;

static void *come_and_go(void *arg)
{
    struct verso__guard_range ranges[100];
    uintptr_t place = ((uintptr_t)arg + 1) << 32;

    while (!atomic_load(&stop)) {
        for (size_t i = 0; i < 100; i++) {
            range_at(&ranges[i], place + (i << 16), 0x1000, i);
            assert_int_equal(verso__guard_range_add(&ranges[i]), 0);
        }
        for (size_t i = 0; i < 100; i++) {
            assert_ptr_equal(found(place + (i << 16) + 1), &ranges[i]);
            verso__guard_range_move(&ranges[i], place + (i << 16) + 0x2000, place + (i << 16) + 0x3000, i);
            assert_null(found(place + (i << 16) + 1));
            assert_ptr_equal(found(place + (i << 16) + 0x2fff), &ranges[i]);
            verso__guard_range_drop(&ranges[i]);
        }
    }
    return NULL;
}

static void *fault_on(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop))
        assert_int_equal(verso_guard_fill(cut_file.data + 10, 1, 100), 0);
    return NULL;
}

static int faults_in_a_child(void *arg)
{
    struct verso__guard_range range;

    (void)arg;
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(60); /* whatever waits for a thread that does not exist here would wait for ever */
    for (size_t i = 0; i < 300; i++) {
        range_at(&range, (i + 7) << 40, 0x1000, i);
        if (verso__guard_range_add(&range) < 0 || found((i + 7) << 40) != &range)
            return 1;
    }
    if (verso_guard_fill(cut_file.data, 1, 1) != 0)
        return 2;
    if (verso_guard_install() < 0 || verso_guard_remove() < 0)
        return 3;
    return verso_guard_fill(cut_file.data, 1, 1) == 0 ? 0 : 4;
}

static void *install_and_remove(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        assert_ok(verso_guard_install());
        assert_ok(verso_guard_remove());
    }
    return NULL;
}

/* Ranges come and go in two threads, a third faults, a fourth installs; meanwhile children are made, and work. */
static void test_threads_and_children(void **state)
{
    void *(*const bodies[])(void *) = { come_and_go, come_and_go, fault_on, install_and_remove };
    const size_t children = support_is_tsan() ? 5 : 20; /* each takes ThreadSanitizer seconds */
    pthread_t threads[4];

    (void)state;
    guard_on();
    watch_fd(&cut_file, memfd_create("empty", MFD_CLOEXEC), verso__os_page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED);
    atomic_store(&stop, false);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], (void *)i), 0);
    for (size_t i = 0; i < children; i++) {
        int status = support_child(faults_in_a_child, NULL);

        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    unwatch(&cut_file);
    guard_off();
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_range_is_found_from_its_first_byte_to_its_last),
        cmocka_unit_test(test_offsets_are_right_beyond_the_address_and_before_it),
        cmocka_unit_test(test_a_range_grows_shrinks_and_moves),
        cmocka_unit_test(test_an_empty_range_holds_nothing),
        cmocka_unit_test(test_as_many_as_a_process_can_map),
        cmocka_unit_test(test_the_lowest_offset_stays),
        cmocka_unit_test(test_threads_and_children),
    };

    return run_test_list(list);
}
