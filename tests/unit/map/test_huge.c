/* SPDX-License-Identifier: MIT */
/*
 * huge - what a map says of its pages is held against smaps, on every rung of the ladder that this machine has.
 *
 * The pool of huge pages belongs to the machine, so whoever looks at it or fills it holds a lock.
 */
#include "support.h"

#include "child.h"
#include "huge/huge.h"
#include "map/map.h"
#include "mapping.h"
#include "maps.h"
#include "pool.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define MIB ((size_t)1 << 20)

static size_t huge_bytes(void)
{
    size_t bytes = verso__os_huge_page_bytes();

    if (bytes == 0)
        skip_because("this machine has no transparent huge pages");
    return bytes;
}

static struct verso_map *open_huge(const char *path, uint64_t offset, unsigned flags)
{
    struct verso_map_options options = options_of(VERSO_MAP_HUGE | flags, offset, 0);
    struct verso_map *map;

    assert_ok(verso_map_open(path, &options, &map));
    return map;
}

/* Bytes in huge pages, as smaps counts them. */
static uint64_t huge_seen(const struct verso_map *map)
{
    struct mapping_seen seen = mapping_at(map->base);

    return seen.memory.anonymous_huge + seen.memory.file_huge;
}

/* What the map says of its pages is so; of base pages it says why. */
static void assert_pages_are_true(const struct verso_map *map)
{
    struct verso_map_info info = info_of(map);

    if (info.pages == VERSO_MAP_PAGES_BASE) {
        assert_true(*info.pages_why);
        assert_int_equal(huge_seen(map), 0);
    } else if (info.pages == VERSO_MAP_PAGES_THP) {
        assert_true(huge_seen(map) > 0);
    } else {
        assert_true(mapping_at(map->base).memory.page_bytes > verso_page_bytes());
    }
}

static void evict(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(verso__os_cache_drop(fd, 0, 0), 0);
    assert_int_equal(close(fd), 0);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static void test_nothing_is_said_when_nothing_was_asked(void **state)
{
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(support_file("huge", 100), NULL, &map));
    assert_int_equal(info_of(map).pages, VERSO_MAP_PAGES_BASE);
    assert_string_equal(info_of(map).pages_why, "");
    verso_map_close(map);
}

static void test_file_pages_lie_where_huge_ones_fit(void **state)
{
    size_t huge = huge_bytes(), page = verso_page_bytes();
    const uint64_t offsets[] = { 0, 1, page - 1, page, 5 * page + 3, huge - 1, huge, huge + page };
    const char *path = support_file("huge", 4 * huge);

    (void)state;
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct verso_map *map = open_huge(path, offsets[i], 0);

        assert_int_equal(((uintptr_t)verso_map_data(map) - offsets[i]) & (huge - 1), 0);
        assert_true(support_matches(verso_map_data(map), offsets[i], verso_map_bytes(map)));
        verso_map_close(map);
    }
}

static void test_file_pages_are_what_is_said(void **state)
{
    const char *path = support_file("huge", 4 * huge_bytes());
    struct verso_map *map;

    (void)state;
    evict(path);
    map = open_huge(path, 0, 0);
    print_message("# evicted file: %d %s\n", (int)info_of(map).pages, info_of(map).pages_why);
    assert_pages_are_true(map);
    assert_true(support_matches(verso_map_data(map), 0, verso_map_bytes(map)));
    verso_map_close(map);
}

static void test_small_pages_in_the_cache_are_named(void **state)
{
    size_t huge = huge_bytes(), page = verso_page_bytes();
    const char *path = support_path("crumbs");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct verso_map *map;

    (void)state;
    assert_true(fd >= 0);
    for (size_t at = 0; at < 2 * huge; at += page) {
        unsigned char byte = support_byte(at);

        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1); /* page by page: no large folio can come of it */
    }
    assert_int_equal(close(fd), 0);
    map = open_huge(path, 0, 0);
    assert_int_equal(info_of(map).pages, VERSO_MAP_PAGES_BASE);
    assert_non_null(strstr(info_of(map).pages_why, "in the page cache before"));
    assert_pages_are_true(map);
    verso_map_close(map);
}

static void test_too_small_a_file(void **state)
{
    size_t huge = huge_bytes();
    struct verso_map *map = open_huge(support_file("small", huge / 2), 0, 0);

    (void)state;
    assert_int_equal(info_of(map).pages, VERSO_MAP_PAGES_BASE);
    assert_non_null(strstr(info_of(map).pages_why, "no huge page fits"));
    verso_map_close(map);
    map = open_huge(support_file("small", 0), 0, 0);
    assert_true(*info_of(map).pages_why);
    verso_map_close(map);
}

static void test_an_address_that_does_not_suit(void **state)
{
    size_t huge = huge_bytes(), page = verso_page_bytes();
    struct verso_map_options options = options_with(VERSO_MAP_HUGE);
    struct verso_map *map;
    void *room;

    (void)state;
    assert_int_equal(verso__os_reserve(4 * huge, huge, &room), 0);
    assert_int_equal(verso__os_unmap(room, 4 * huge), 0);
    options.address = (char *)room + page;
    assert_ok(verso_map_open(support_file("huge", huge + huge / 2), &options, &map));
    assert_ptr_equal(verso_map_data(map), options.address);
    assert_int_equal(info_of(map).pages, VERSO_MAP_PAGES_BASE);
    assert_true(*info_of(map).pages_why);
    verso_map_close(map);
}

static void test_room_to_grow_in_is_congruent_too(void **state)
{
    size_t huge = huge_bytes();
    struct verso_map *map = open_huge(support_file("huge", huge), 0, VERSO_MAP_WRITE | VERSO_MAP_GROW);
    void *data = verso_map_data(map);

    (void)state;
    assert_int_equal((uintptr_t)data & (huge - 1), 0);
    assert_ok(verso_map_resize(map, 3 * huge));
    assert_ptr_equal(verso_map_data(map), data);
    assert_true(support_matches(data, 0, huge));
    verso_map_close(map);
}

static void test_a_copy_is_in_what_is_said(void **state)
{
    size_t huge = huge_bytes();
    struct verso_map_options options = options_of(VERSO_MAP_HUGE | VERSO_MAP_PRIVATE, 3, 0); /* not from the pool */
    struct verso_map *map;

    (void)state;
    options.stability = VERSO_MAP_COPY;
    assert_ok(verso_map_open(support_file("huge", 3 * huge), &options, &map));
    print_message("# copy: %d %s\n", (int)info_of(map).pages, info_of(map).pages_why);
    assert_pages_are_true(map);
    assert_true(support_matches(verso_map_data(map), 3, verso_map_bytes(map)));
    verso_map_close(map);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* A map of what a pipe gives: @bytes of the pattern. */
static struct verso_map *open_pipe(size_t bytes, unsigned flags, const char *name)
{
    struct verso_map_options options = options_with(flags);
    struct verso_map *map;
    int ends[2], status;
    pid_t child;

    options.name = name;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static unsigned char block[65536];

        for (size_t done = 0; done < bytes; done += sizeof(block)) {
            size_t want = bytes - done < sizeof(block) ? bytes - done : sizeof(block);

            for (size_t i = 0; i < want; i++)
                block[i] = support_byte(done + i);
            if (write(ends[1], block, want) != (ssize_t)want)
                _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(close(ends[1]), 0);
    assert_ok(verso_map_open_fd(ends[0], &options, &map));
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return map;
}

static void test_what_is_read_in_may_be_huge(void **state)
{
    size_t bytes = 2 * huge_bytes() + 5;
    int pool = hold_pool();
    struct verso_map *map = open_pipe(bytes, VERSO_MAP_HUGE, "from-pipe");

    (void)state;
    print_message("# read in: %d %s\n", (int)info_of(map).pages, info_of(map).pages_why);
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_BUFFER);
    assert_pages_are_true(map);
    if (info_of(map).pages == VERSO_MAP_PAGES_THP)
        assert_non_null(strstr(info_of(map).pages_why, "pool")); /* why not hugetlb */
    assert_int_equal(verso_map_bytes(map), bytes);
    assert_true(support_matches(verso_map_data(map), 0, bytes));
    assert_int_equal(mapping_at(verso_map_data(map)).mapping.access, VERSO__OS_ACCESS_READ);
    verso_map_close(map);
    let_pool(pool);
}

static void test_memory_has_a_name(void **state)
{
    struct verso_map *map = open_pipe(100, 0, "from-pipe");

    (void)state;
    if (strstr(mapping_at(verso_map_data(map)).name, "anon:") == NULL)
        skip_because("this kernel has no names for memory (CONFIG_ANON_VMA_NAME)");
    assert_string_equal(mapping_at(verso_map_data(map)).name, "[anon:from-pipe]");
    verso_map_close(map);
}

static void test_too_little_to_be_huge(void **state)
{
    struct verso_map *map = open_pipe(1000, VERSO_MAP_HUGE, NULL);

    (void)state;
    assert_int_equal(info_of(map).pages, VERSO_MAP_PAGES_BASE);
    assert_true(*info_of(map).pages_why);
    assert_true(support_matches(verso_map_data(map), 0, 1000));
    verso_map_close(map);
}

static int without_huge_pages(void *arg)
{
    struct verso_map_options options = options_with(VERSO_MAP_HUGE);
    struct verso_map_info info = VERSO_MAP_INFO_INIT;
    struct verso_map map = { .flags = VERSO_MAP_HUGE }, *file;
    size_t bytes;
    void *address;

    child_assert(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    child_assert(verso__map_memory(&map, "none", 4 * verso__os_huge_page_bytes(), &address, &bytes) == 0);
    child_assert(map.pages == VERSO_MAP_PAGES_BASE);
    child_assert(strstr(map.pages_why, "this process") || strstr(map.pages_why, "never"));
    child_assert(mapping_at(address).memory.anonymous_huge == 0);
    child_assert(verso__os_unmap(address, bytes) == 0);
    child_assert(verso_map_open(arg, &options, &file) == 0);
    child_assert(verso_map_info(file, &info) == 0);
    child_assert(info.pages == VERSO_MAP_PAGES_BASE && *info.pages_why);
    child_assert(huge_seen(file) == 0);
    verso_map_close(file);
    return 0;
}

static void test_a_process_that_gets_none(void **state)
{
    const char *path = support_file("huge", 2 * huge_bytes());
    int pool = hold_pool();

    (void)state;
    evict(path);
    assert_child_ok(without_huge_pages, (void *)(uintptr_t)path);
    let_pool(pool);
}

/* ---- The pool ---------------------------------------------------------------------------------------------------- */

static int without_a_pool(void *arg)
{
    struct verso_map map = { .flags = VERSO_MAP_HUGE };
    size_t bytes = verso__huge_pool_bytes();
    void *address;

    (void)arg;
    child_assert(verso__map_memory(&map, "pool", bytes * (size_t)(pool_pages() + 1000), &address, &bytes) == 0);
    child_assert(map.pages != VERSO_MAP_PAGES_HUGETLB);
    child_assert(map.pages == VERSO_MAP_PAGES_BASE || strstr(map.pages_why, "vm.nr_hugepages"));
    return 0;
}

static void test_an_empty_pool_is_named(void **state)
{
    int pool = hold_pool();

    (void)state;
    if (verso__huge_pool_bytes() == 0)
        skip_because("this kernel has no pool of huge pages");
    assert_child_ok(without_a_pool, NULL);
    let_pool(pool);
}

static void from_the_pool(size_t huge)
{
    struct verso_map_options options = options_of(VERSO_MAP_HUGE | VERSO_MAP_KEEP_FD, 4097, 2 * huge);
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT;
    struct verso_map *map;

    map = open_pipe(huge + 3, VERSO_MAP_HUGE, NULL);
    assert_int_equal(info_of(map).pages, VERSO_MAP_PAGES_HUGETLB);
    assert_string_equal(info_of(map).pages_why, "");
    assert_pages_are_true(map);
    assert_true(support_matches(verso_map_data(map), 0, huge + 3));
    verso_map_close(map);

    options.stability = VERSO_MAP_COPY;
    assert_ok(verso_map_open(support_file("huge", 3 * huge), &options, &map));
    assert_int_equal(info_of(map).pages, VERSO_MAP_PAGES_HUGETLB);
    assert_int_equal(info_of(map).stability, VERSO_MAP_COPY);
    assert_pages_are_true(map);
    assert_true(support_matches(verso_map_data(map), 4097, 2 * huge));
    assert_true(pwrite(info_of(map).fd, "x", 1, 0) < 0);
    assert_ok(verso_map_populate(map, 0, 0, 0));
    assert_ok(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_NONE));
    assert_ok(verso_map_residency(map, 0, 0, &counts));
    assert_int_equal(counts.cached, counts.pages);
    verso_map_close(map);
}

/* A file of the pool, as one of hugetlbfs: only whole huge pages of it can be mapped. */
static void a_file_of_the_pool(size_t huge)
{
    struct verso_map_options options = options_of(VERSO_MAP_WRITE, huge + 10, 20);
    int fd = memfd_create("pool", MFD_CLOEXEC | MFD_HUGETLB);
    struct verso_map *map;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(2 * huge)), 0);
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_int_equal(info_of(map).pages, VERSO_MAP_PAGES_HUGETLB);
    assert_int_equal(verso_map_bytes(map), 20);
    memset(verso_map_data(map), 7, 20);
    assert_pages_are_true(map);
    verso_map_close(map);
    options.offset_bytes = huge + 29;
    options.length_bytes = 2;
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_int_equal(((unsigned char *)verso_map_data(map))[0], 7);
    assert_int_equal(((unsigned char *)verso_map_data(map))[1], 0);
    verso_map_close(map);
    assert_int_equal(close(fd), 0);
}

/* It consists of whole huge pages; so its size is more than the map's, unless the map ends with one. */
static void resize_a_file_of_the_pool(size_t huge, unsigned way)
{
    struct verso_map_options options = options_of(VERSO_MAP_WRITE | way, 0, 0);
    int fd = memfd_create("pool", MFD_CLOEXEC | MFD_HUGETLB);
    struct verso_map *map;
    struct stat status;

    assert_true(fd >= 0);
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_ok(verso_map_resize(map, huge + 5));
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, 2 * huge);
    memset(verso_map_data(map), 'x', huge + 5);
    assert_ok(verso_map_resize(map, 3 * huge));
    assert_int_equal(((char *)verso_map_data(map))[huge + 4], 'x');
    memset(verso_map_data(map), 'y', 3 * huge);
    assert_true(verso_map_resize(map, 10000 * huge) < 0);
    assert_int_equal(verso_map_bytes(map), 3 * huge);
    assert_ok(verso_map_resize(map, 1));
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, huge);
    assert_ok(verso_map_resize(map, 0));
    assert_ok(verso_map_resize(map, huge));
    assert_int_equal(*(char *)verso_map_data(map), 0);
    verso_map_close(map);
    assert_int_equal(close(fd), 0);
}

static int use_the_pool(void *arg)
{
    size_t huge = verso__huge_pool_bytes();

    (void)arg;
    from_the_pool(huge);
    a_file_of_the_pool(huge);
    resize_a_file_of_the_pool(huge, VERSO_MAP_GROW);
    resize_a_file_of_the_pool(huge, VERSO_MAP_KEEP_FD);
    return 0;
}

static void test_pages_of_the_pool(void **state)
{
    int pool = hold_pool(), status;
    uint64_t before = pool_pages();

    (void)state;
    if (verso__huge_pool_bytes() == 0 || verso__huge_pool_bytes() > 16 * MIB)
        skip_because("this kernel's pool has no pages of a size that can be tried");
    if (!support_is_root())
        skip_because("only root can fill the pool of huge pages");
    if (!set_pool(before + 12)) {
        (void)set_pool(before);
        skip_because("the kernel found no 12 huge pages for the pool");
    }
    status = support_child(use_the_pool, NULL); /* whatever becomes of it, the pool is given back */
    assert_true(set_pool(before));
    let_pool(pool);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_nothing_is_said_when_nothing_was_asked),
        cmocka_unit_test(test_file_pages_lie_where_huge_ones_fit),
        cmocka_unit_test(test_file_pages_are_what_is_said),
        cmocka_unit_test(test_small_pages_in_the_cache_are_named),
        cmocka_unit_test(test_too_small_a_file),
        cmocka_unit_test(test_an_address_that_does_not_suit),
        cmocka_unit_test(test_room_to_grow_in_is_congruent_too),
        cmocka_unit_test(test_a_copy_is_in_what_is_said),
        cmocka_unit_test(test_what_is_read_in_may_be_huge),
        cmocka_unit_test(test_memory_has_a_name),
        cmocka_unit_test(test_too_little_to_be_huge),
        cmocka_unit_test(test_a_process_that_gets_none),
        cmocka_unit_test(test_an_empty_pool_is_named),
        cmocka_unit_test(test_pages_of_the_pool),
    };

    return run_test_list(list);
}
