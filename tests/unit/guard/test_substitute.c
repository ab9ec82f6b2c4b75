/* SPDX-License-Identifier: MIT */
/* substitute - zeros where the file has nothing to give, in one piece, and the map says from where. */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "guard/scope.h"
#include "ranges.h"

#define PAGES 16U

static size_t page;
static struct watched file;

static void set_up(const char *name, int protection, int how)
{
    page = verso__os_page_bytes();
    watch_fd(&file, open(support_file(name, PAGES * page), O_RDWR | O_CLOEXEC), PAGES * page, protection, how);
    file.range.substitute = true;
}

static unsigned char at(size_t offset)
{
    return *(volatile unsigned char *)(file.data + offset);
}

static bool is_zero(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (at(i) != 0)
            return false;
    return true;
}

/* A fault far in mends everything from the new end on, at once. */
static void test_all_behind_the_end_becomes_zeros_at_once(void **state)
{
    const size_t ends[] = { 0, 1, page, page + 1, 5 * page - 1, 5 * page, 15 * page, 15 * page + 1 };
    size_t mappings;

    (void)state;
    guard_on();
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        set_up("cut", PROT_READ, MAP_SHARED);
        mappings = support_mapping_count();
        cut(&file, ends[i]);
        if (ends[i] > 15 * page) { /* the last page is still there */
            assert_true(support_matches(file.data, 0, ends[i]) && is_zero(ends[i], PAGES * page));
            assert_int_equal(file.range.torn_count, 0);
            unwatch(&file);
            continue;
        }
        assert_int_equal(at(PAGES * page - 1), 0);
        assert_true(support_matches(file.data, 0, ends[i]));
        assert_true(is_zero(ends[i], PAGES * page));
        assert_int_equal(file.range.torn_count, 1);
        assert_int_equal(file.range.torn_offset_bytes, ends[i]);
        assert_true(support_mapping_count() <= mappings + 1);
        unwatch(&file);
    }
    guard_off();
}

/* The range starts in the middle of the file; the file now ends before it. */
static void test_a_range_past_the_end_is_torn_from_its_start(void **state)
{
    (void)state;
    guard_on();
    page = verso__os_page_bytes();
    set_up("middle", PROT_READ, MAP_SHARED);
    assert_true(mmap(file.data, 4 * page, PROT_READ, MAP_SHARED | MAP_FIXED, file.fd, (off_t)(4 * page)) == file.data);
    verso__guard_range_move(&file.range, (uintptr_t)file.data, (uintptr_t)file.data + 4 * page, 4 * page);
    cut(&file, 2 * page);
    assert_int_equal(at(3 * page), 0);
    assert_true(is_zero(0, 4 * page));
    assert_int_equal(file.range.torn_count, 1);
    assert_int_equal(file.range.torn_offset_bytes, 4 * page);
    unwatch(&file);
    guard_off();
}

static void test_zeros_can_be_written_where_the_map_could(void **state)
{
    (void)state;
    guard_on();
    set_up("write", PROT_READ | PROT_WRITE, MAP_SHARED);
    cut(&file, page);
    *(volatile unsigned char *)(file.data + 3 * page) = 7;
    assert_int_equal(at(3 * page), 7);
    assert_int_equal(at(3 * page + 1), 0);
    assert_int_equal(file.range.torn_count, 1);
    unwatch(&file);
    set_up("private", PROT_READ | PROT_WRITE, MAP_PRIVATE);
    *(volatile unsigned char *)file.data = 9;
    cut(&file, page);
    *(volatile unsigned char *)(file.data + 2 * page) = 7;
    assert_int_equal(at(0), 9);
    assert_int_equal(at(2 * page), 7);
    unwatch(&file);
    guard_off();
}

/* A file that grew back between the fault and the look at it, or a page that failed alone: only that page goes. */
static void test_a_page_inside_the_file_goes_alone(void **state)
{
    struct verso__guard_place place;

    (void)state;
    guard_on();
    set_up("inside", PROT_READ, MAP_SHARED);
    assert_true(verso__guard_place_find((uintptr_t)file.data + 3 * page + 5, &place));
    assert_true(verso__guard_substitute(&place));
    assert_true(support_matches(file.data, 0, 3 * page));
    assert_true(is_zero(3 * page, 4 * page));
    assert_true(support_matches(file.data + 4 * page, 4 * page, 12 * page));
    assert_int_equal(file.range.torn_offset_bytes, 3 * page + 5);
    unwatch(&file);
    guard_off();
}

/* Without a descriptor nobody knows where the file ends: page by page. */
static void test_without_a_descriptor_each_page_goes_by_itself(void **state)
{
    (void)state;
    guard_on();
    set_up("no-fd", PROT_READ, MAP_SHARED);
    file.range.fd = -1;
    cut(&file, page);
    assert_int_equal(at(5 * page), 0);
    assert_int_equal(file.range.torn_offset_bytes, 5 * page);
    assert_int_equal(at(2 * page + 3), 0);
    assert_int_equal(file.range.torn_offset_bytes, 2 * page + 3);
    assert_int_equal(file.range.torn_count, 2);
    unwatch(&file);
    guard_off();
}

static int read_under_guard(void *arg)
{
    return at(*(size_t *)arg);
}

/* Who asks to be told is told, even where zeros would be had. */
static void test_a_guard_is_nearer_than_zeros(void **state)
{
    unsigned char target[8];
    size_t offset = 4 * verso__os_page_bytes();

    (void)state;
    guard_on();
    set_up("nearer", PROT_READ, MAP_SHARED);
    cut(&file, page);
    assert_int_equal(verso__guard_run(&file.range, read_under_guard, &offset, NULL), VERSO_E_TORN);
    assert_int_equal(verso_guard_copy(target, file.data + page - 3, sizeof(target)), 3);
    assert_int_equal(file.range.torn_count, 2);
    assert_int_equal(at(offset), 0);
    assert_int_equal(verso_guard_copy(target, file.data + page - 3, sizeof(target)), sizeof(target));
    unwatch(&file);
    guard_off();
}

static void *read_everything(void *arg)
{
    for (size_t i = 0; i < PAGES * page; i++)
        if (at(i) != (i < page + 1 ? support_byte(i) : 0))
            return arg;
    return NULL;
}

static void test_many_threads_at_once(void **state)
{
    enum {
        THREADS = 8
    };
    pthread_t threads[THREADS];

    (void)state;
    guard_on();
    for (int round = 0; round < 50; round++) {
        set_up("threads", PROT_READ, MAP_SHARED);
        cut(&file, page + 1);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, read_everything, &file), 0);
        for (size_t i = 0; i < THREADS; i++) {
            void *wrong;

            assert_int_equal(pthread_join(threads[i], &wrong), 0);
            assert_null(wrong);
        }
        assert_in_range(file.range.torn_count, 1, THREADS);
        assert_int_equal(file.range.torn_offset_bytes, page + 1);
        unwatch(&file);
    }
    guard_off();
}

/* ---- When the kernel would not ----------------------------------------------------------------------------------- */

/* Uses up the process's mappings but for @left. */
static bool use_up_mappings(size_t left)
{
    size_t page_bytes = verso__os_page_bytes();
    size_t limit = 0;
    FILE *setting = fopen("/proc/sys/vm/max_map_count", "re");
    unsigned char *span;

    if (!setting || fscanf(setting, "%zu", &limit) != 1 || limit > 200000)
        return false;
    (void)fclose(setting);
    span = mmap(NULL, 2 * limit * page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if ((void *)span == MAP_FAILED)
        return false;
    for (size_t i = 0; i < limit; i++)
        if (mprotect(span + 2 * i * page_bytes, page_bytes, PROT_READ) < 0)
            break;
    for (size_t i = 0; i < left; i++)
        (void)mprotect(span + 2 * i * page_bytes, page_bytes, PROT_NONE);
    return true;
}

/* No mapping is left to replace one page in the middle: all that follows goes. */
static int no_mapping_left(void *arg)
{
    struct verso__guard_place place;

    (void)arg;
    if (!verso__guard_place_find((uintptr_t)file.data + 3 * page, &place))
        return 2;
    if (!use_up_mappings(0))
        return 77;
    if (!verso__guard_substitute(&place))
        return 3;
    return support_matches(file.data, 0, 3 * page) && is_zero(3 * page, PAGES * page) ? 0 : 4;
}

static void test_without_mappings_left_the_rest_goes_too(void **state)
{
    int status;

    (void)state;
    if (support_is_tsan() || support_is_asan())
        skip_because("the sanitizer dies when it can't map memory of its own");
    guard_on();
    set_up("limit", PROT_READ, MAP_SHARED);
    status = support_child(no_mapping_left, NULL);
    unwatch(&file);
    guard_off();
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip_because("vm.max_map_count is too high to reach");
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    page = verso__os_page_bytes();

    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_all_behind_the_end_becomes_zeros_at_once),
        cmocka_unit_test(test_a_range_past_the_end_is_torn_from_its_start),
        cmocka_unit_test(test_zeros_can_be_written_where_the_map_could),
        cmocka_unit_test(test_a_page_inside_the_file_goes_alone),
        cmocka_unit_test(test_without_a_descriptor_each_page_goes_by_itself),
        cmocka_unit_test(test_a_guard_is_nearer_than_zeros),
        cmocka_unit_test(test_many_threads_at_once),
        cmocka_unit_test(test_without_mappings_left_the_rest_goes_too),
    };

    return run_test_list(list);
}
