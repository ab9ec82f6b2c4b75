/* SPDX-License-Identifier: MIT */
/*
 * inspect - looking, on a kernel that refuses. What falls back may still answer; what fails leaves nothing behind.
 *
 * verso_inspect_mappers() asks every process of the machine several times: refusing each call in turn would take for
 * ever, so only its first calls are refused.
 */
#include "torture.h"

#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso/inspect.h>

static int file_fd;
static char *map;
static size_t map_bytes;

static void look_at_the_file(void)
{
    struct verso_inspect_cached_run *runs = UNTOUCHED;
    struct verso_inspect_extent *extents = UNTOUCHED;
    struct verso_inspect_cache cache = { .pages = 7 };
    size_t count = 7;

    attempt(verso_inspect_cache(file_fd, 0, 0, &cache)) assert_true(cache.pages == 7);
    assert_true(torture_refusals() || cache.cached.error == 0);
    attempt(verso_inspect_cached_runs(file_fd, 0, 0, &runs, &count)) assert_true(runs == UNTOUCHED && count == 7);
    free(runs);
    count = 7;
    attempt(verso_inspect_extents(file_fd, &extents, &count)) assert_true(extents == UNTOUCHED && count == 7);
    free(extents);
}

/* Three scenarios of few calls each: the runs of one grow with the square of its calls. */
static void list_with_memory(void)
{
    struct verso_inspect_space *space = UNTOUCHED;

    attempt(verso_inspect_space(0, VERSO_INSPECT_SPACE_MEMORY, &space)) assert_ptr_equal(space, UNTOUCHED);
    assert_true(space->count > 0);
    verso_inspect_space_free(space);
}

static void list_without_memory(void)
{
    struct verso_inspect_space *space = UNTOUCHED;

    attempt(verso_inspect_space(0, 0, &space)) assert_ptr_equal(space, UNTOUCHED);
    assert_true(space->count > 0);
    verso_inspect_space_free(space);
}

static void find_and_count(void)
{
    struct verso_inspect_process process = { .minor_faults = 7 };
    struct verso_inspect_mapping mapping = { .start = 7 };
    char name[PATH_MAX] = "as was";

    attempt(verso_inspect_find(0, (uintptr_t)map, &mapping, name, sizeof(name)))
    {
        assert_true(mapping.start == 7);
        assert_string_equal(name, "as was");
    }
    attempt(verso_inspect_process(0, &process)) assert_true(process.minor_faults == 7);
}

static void look_at_pages(void)
{
    struct verso_inspect_run *runs = UNTOUCHED;
    struct verso_inspect_page pages[8];
    struct verso_inspect_guards guards = { { 7, 7, "", "" }, { 7, 7, "", "" } };
    int frames_error = 7;
    size_t count = 7;

    attempt(verso_inspect_pages(0, (uintptr_t)map, 8, pages, &frames_error)) assert_int_equal(frames_error, 7);
    attempt(verso_inspect_runs(0, (uintptr_t)map, (uintptr_t)map + map_bytes, &runs, &count))
        assert_true(runs == UNTOUCHED && count == 7);
    assert_true(count > 0);
    free(runs);
    attempt(verso_inspect_guards(0, (uintptr_t)map, (uintptr_t)map + map_bytes, &guards))
        assert_int_equal(guards.pages.value, 7);
}

static void test_files(void **state)
{
    (void)state;
    torture(look_at_the_file);
}

static void test_processes(void **state)
{
    (void)state;
    torture(list_with_memory);
    torture(list_without_memory);
    torture(find_and_count);
}

static void test_pages(void **state)
{
    (void)state;
    torture(look_at_pages);
}

static void test_mappers(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 12; n++) {
        struct verso_inspect_mapper *mappers = UNTOUCHED;
        size_t count = 7;
        int r;

        fake_begin();
        fake_fail_nth(n, 0);
        r = verso_inspect_mappers(file_fd, &mappers, &count, NULL);
        fake_end();
        if (r < 0) {
            assert_int_equal(verso_error_last()->code, r);
            assert_true(mappers == UNTOUCHED && count == 7);
        } else {
            free(mappers);
        }
        assert_int_equal(fake_held().descriptors, 0);
        assert_int_equal(fake_held().mapped_bytes, 0);
        assert_null(fake_complaint());
    }
}

static int prepare(void **state)
{
    if (support_setup(state) != 0)
        return -1;
    map_bytes = 1200 * verso__os_page_bytes(); /* more than two leaves of the search for cached runs */
    file_fd = open(support_file("looked at", map_bytes), O_RDWR | O_CLOEXEC);
    if (file_fd < 0 || fsync(file_fd) != 0 || posix_fadvise(file_fd, 0, (off_t)map_bytes / 2, POSIX_FADV_DONTNEED) != 0)
        return -1;
    map = mmap(NULL, map_bytes, PROT_READ, MAP_SHARED, file_fd, 0);
    return map == MAP_FAILED ? -1 : madvise(map + map_bytes / 3 * 2, map_bytes / 3, MADV_POPULATE_READ);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_files),
        torture_test(test_processes),
        torture_test(test_pages),
        torture_test(test_mappers),
    };

    return cmocka_run_group_tests(list, prepare, support_teardown);
}
