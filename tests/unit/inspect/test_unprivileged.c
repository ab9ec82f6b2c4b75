/* SPDX-License-Identifier: MIT */
/*
 * unprivileged - what an ordinary user is told, and what he is told about the rest.
 *
 * Each case runs in a child that has given up root: it looks at files and at a process that are root's. A child's
 * answer is its exit code: 0, or the line of the check that failed.
 */
#include "support.h"

#include "children.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/inspect.h>

static pid_t roots_process;
#define ROOTS_PAGES 64
static int roots_file_fd = -1;   /* read-only, of a file that root owns, readable by all; two of its pages are cached */
static int roots_writer_fd = -1; /* opened for writing while still root */
static unsigned char roots_view[ROOTS_PAGES]; /* what mincore tells root of it */

/* In a child: cmocka's asserts would jump into the parent's test. Lines fit into an exit code modulo 255, plus 1. */
#define check(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            return __LINE__ % 255 + 1;                                              \
        }                                                                           \
    } while (0)

static void run_as_nobody(int (*function)(void *))
{
    int status = support_child(function, NULL);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define needs_what_is_roots()                                                          \
    do {                                                                               \
        if (!support_is_root())                                                        \
            skip_because("needs root, to have something that others may not look at"); \
    } while (0)

static bool refused(int r)
{
    return (r == -EACCES || r == -EPERM) && verso_error_last()->code == r && *verso_error_last()->hint;
}

static int own_pages(void *arg)
{
    size_t page_bytes = verso__os_page_bytes();
    struct verso_inspect_page pages[2];
    char *memory = mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int frames_error = 7;

    (void)arg;
    check(memory != MAP_FAILED);
    check(support_drop_privileges() == 0);
    /* Nothing present: whether frames are hidden is told all the same. */
    check(verso_inspect_pages(0, (uintptr_t)memory, 2, pages, &frames_error) == 0);
    check(frames_error == -EPERM);
    memory[page_bytes] = 1;
    frames_error = 7;
    check(verso_inspect_pages(0, (uintptr_t)memory, 2, pages, &frames_error) == 0);
    check(frames_error == -EPERM);
    check(pages[1].state & VERSO_INSPECT_PAGE_PRESENT);
    check(pages[1].frame == 0);
    return 0;
}

static void test_frame_numbers_are_hidden(void **state)
{
    (void)state;
    run_as_nobody(own_pages);
}

static int frames(void *arg)
{
    struct verso_inspect_frame frame = { 7, 7 };

    (void)arg;
    check(support_drop_privileges() == 0);
    check(refused(verso_inspect_frames(1, 1, &frame)));
    check(strstr(verso_error_last()->hint, "root") != NULL);
    check(frame.state == 7);
    return 0;
}

static void test_frames_are_refused(void **state)
{
    (void)state;
    run_as_nobody(frames);
}

static int others(void *arg)
{
    struct verso_inspect_space *space = (void *)1;
    struct verso_inspect_mapping mapping;
    struct verso_inspect_process process;
    struct verso_inspect_run *runs;
    struct verso_inspect_page page;
    size_t count;

    (void)arg;
    check(support_drop_privileges() == 0);
    check(refused(verso_inspect_space(roots_process, 0, &space)));
    check(refused(verso_inspect_space(roots_process, VERSO_INSPECT_SPACE_MEMORY, &space)));
    check(space == (void *)1);
    check(refused(verso_inspect_find(roots_process, 0, &mapping, NULL, 0)));
    check(refused(verso_inspect_pages(roots_process, 0, 1, &page, NULL)));
    check(refused(verso_inspect_runs(roots_process, 0, verso__os_page_bytes(), &runs, &count)));
    check(verso_inspect_process(roots_process, &process) == 0); /* counters are for all */
    check(process.virtual_bytes > 0);
    return 0;
}

static void test_other_users_processes_are_refused(void **state)
{
    (void)state;
    needs_what_is_roots();
    run_as_nobody(others);
}

static int own_space(void *arg)
{
    struct verso_inspect_space *space;

    (void)arg;
    check(support_drop_privileges() == 0);
    check(verso_inspect_space(0, VERSO_INSPECT_SPACE_MEMORY, &space) == 0);
    check(space->count > 0 && space->total.resident_bytes > 0);
    verso_inspect_space_free(space);
    return 0;
}

static void test_the_own_space_is_told(void **state)
{
    (void)state;
    run_as_nobody(own_space);
}

static int dishonest(void *arg)
{
    struct verso_inspect_cached_run *runs = (void *)1;
    struct verso_inspect_cache cache;
    size_t count = 7;

    (void)arg;
    check(support_drop_privileges() == 0);
    check(verso_inspect_cache(roots_file_fd, 0, 0, &cache) == 0);
    check(cache.pages == ROOTS_PAGES);
    check(cache.cached.error == -EPERM && cache.cached.value == 0);
    check(strstr(cache.cached.why, "owner") != NULL);
    check(cache.dirty.error != 0 && *cache.dirty.why);
    check(refused(verso_inspect_cached_runs(roots_file_fd, 0, 0, &runs, &count)));
    check(runs == (void *)1 && count == 7);
    return 0;
}

static void test_no_number_where_the_kernel_would_lie(void **state)
{
    (void)state;
    needs_what_is_roots();
    run_as_nobody(dishonest);
}

/*
 * A descriptor that root opened for writing, in the hands of one who could not: cachestat tells it the truth, mincore
 * says "all". Only what root has seen may come out.
 */
static int with_a_writing_descriptor(void *arg)
{
    struct verso_inspect_cached_run *runs;
    struct verso_inspect_cache cache;
    uint64_t cached = 0;
    size_t count;
    int r;

    (void)arg;
    for (size_t i = 0; i < ROOTS_PAGES; i++)
        cached += roots_view[i] & 1;
    check(support_drop_privileges() == 0);
    check(verso_inspect_cache(roots_writer_fd, 0, 0, &cache) == 0);
    check(cache.cached.error != 0 || cache.cached.value == cached);
    r = verso_inspect_cached_runs(roots_writer_fd, 0, 0, &runs, &count);
    if (r < 0) {
        check(refused(r)); /* without cachestat: no answer, rather than a false one */
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        for (uint64_t page = runs[i].first_page; page < runs[i].first_page + runs[i].page_count; page++)
            check((roots_view[page] & 1) == runs[i].cached);
    free(runs);
    return 0;
}

static void test_never_a_false_all(void **state)
{
    (void)state;
    needs_what_is_roots();
    run_as_nobody(with_a_writing_descriptor);
}

struct census {
    size_t kernel_threads;
    size_t others;
};

static int count_one(pid_t pid, void *arg)
{
    struct verso__os_process_info info;
    struct census *census = arg;

    if (verso__os_process_info(pid, &info) == 0)
        *(info.is_kernel_thread ? &census->kernel_threads : &census->others) += 1;
    return 0;
}

static int mappers(void *arg)
{
    struct census census = { 0, 0 };
    size_t page_bytes = verso__os_page_bytes(), count, hidden = 0;
    char *map = mmap(NULL, page_bytes, PROT_READ, MAP_PRIVATE, roots_file_fd, 0);
    struct verso_inspect_mapper *found;

    (void)arg;
    check(map != MAP_FAILED);
    check(support_drop_privileges() == 0);
    check(verso_inspect_mappers(roots_file_fd, &found, &count, &hidden) == 0);
    check(count == 1);
    check(found[0].pid == getpid() && found[0].start == (uintptr_t)map);
    check(hidden >= 1);
    check(verso__os_processes(count_one, &census) == 0);
    /* Threads of the kernel hide nothing. Half of them is room for processes that came or went meanwhile. */
    check(hidden <= census.others + census.kernel_threads / 2);
    free(found);
    return 0;
}

static void test_hidden_processes_are_counted(void **state)
{
    (void)state;
    needs_what_is_roots();
    run_as_nobody(mappers);
}

/* Two pages in, the rest out, as far as the file system lets go of them. */
static int cache_two_pages(void)
{
    size_t page_bytes = verso__os_page_bytes();
    void *map;
    char byte;
    int r;

    if (fsync(roots_writer_fd) != 0 || posix_fadvise(roots_writer_fd, 0, 0, POSIX_FADV_DONTNEED) != 0 ||
        posix_fadvise(roots_writer_fd, 0, 0, POSIX_FADV_RANDOM) != 0 ||
        pread(roots_writer_fd, &byte, 1, (off_t)(5 * page_bytes)) != 1 ||
        pread(roots_writer_fd, &byte, 1, (off_t)(50 * page_bytes)) != 1)
        return -1;
    map = mmap(NULL, ROOTS_PAGES * page_bytes, PROT_NONE, MAP_SHARED, roots_writer_fd, 0);
    if (map == MAP_FAILED)
        return -1;
    r = mincore(map, ROOTS_PAGES * page_bytes, roots_view);
    munmap(map, ROOTS_PAGES * page_bytes);
    return r;
}

static int prepare(void **state)
{
    const char *path;

    if (support_setup(state) != 0)
        return -1;
    if (!support_is_root())
        return 0;
    path = support_file("roots", ROOTS_PAGES * verso__os_page_bytes());
    roots_writer_fd = open(path, O_RDWR | O_CLOEXEC);
    roots_file_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (roots_writer_fd < 0 || roots_file_fd < 0 || fchmod(roots_writer_fd, 0644) != 0 || cache_two_pages() != 0)
        return -1;
    roots_process = support_child_start(NULL, NULL);
    return 0;
}

static int finish(void **state)
{
    if (roots_process > 0)
        support_child_stop(roots_process);
    return support_teardown(state);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_frame_numbers_are_hidden),
        cmocka_unit_test(test_frames_are_refused),
        cmocka_unit_test(test_other_users_processes_are_refused),
        cmocka_unit_test(test_the_own_space_is_told),
        cmocka_unit_test(test_no_number_where_the_kernel_would_lie),
        cmocka_unit_test(test_never_a_false_all),
        cmocka_unit_test(test_hidden_processes_are_counted),
    };

    return cmocka_run_group_tests(list, prepare, finish);
}
