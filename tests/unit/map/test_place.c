/* SPDX-License-Identifier: MIT */
/* Where a map lies and what its memory is like: fixed addresses, locked, populated, left out of dumps and children. */
#include "children.h"
#include "maps.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Room that was free a moment ago: reserved and given back. */
static char *free_room(size_t bytes)
{
    char *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(room, MAP_FAILED);
    assert_int_equal(munmap(room, bytes), 0);
    return room;
}

static void test_fixed_address(void **state)
{
    const unsigned flags[] = { 0, VERSO_MAP_WRITE, VERSO_MAP_PRIVATE, VERSO_MAP_GROW | VERSO_MAP_WRITE };
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 4 * page);

    (void)state;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct verso_map_options options = options_of(flags[i], page + 5, 2 * page);
        char *room = free_room(16 * page);
        struct verso_map *map;

        if (flags[i] & VERSO_MAP_GROW)
            options.span_bytes = 15 * page;
        options.address = room + 5;
        assert_ok(verso_map_open(path, &options, &map));
        assert_ptr_equal(verso_map_data(map), room + 5);
        assert_true(support_matches(room + 5, page + 5, 2 * page));
        verso_map_close(map);
    }
}

static void test_nothing_is_displaced(void **state)
{
    const unsigned flags[] = { 0, VERSO_MAP_WRITE, VERSO_MAP_GROW };
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 3 * page);
    char *mine = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    memcpy(mine, "mine", sizeof("mine"));
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct verso_map_options options = options_with(flags[i]);

        if (flags[i] & VERSO_MAP_GROW)
            options.span_bytes = 3 * page;
        options.address = mine;
        assert_open_fails(path, &options, -EEXIST, "mmap");
        options.address = mine - 2 * page; /* only the last page is in the way */
        if (i == 0 && msync(mine - page, page, MS_ASYNC) == 0)
            continue; /* somebody else stands before it: then that is what is in the way */
        assert_open_fails(path, &options, -EEXIST, "mmap");
    }
    assert_string_equal(mine, "mine");
    assert_int_equal(munmap(mine, page), 0);
}

static void test_address_suits_the_offset(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 2 * page);
    struct verso_map_options options = options_with(0);

    (void)state;
    options.address = free_room(4 * page) + 1;
    assert_open_fails(path, &options, VERSO_E_OPTIONS, "options");
    assert_hint("same remainder");
    options.offset_bytes = 2;
    assert_open_fails(path, &options, VERSO_E_OPTIONS, "options");
}

static void test_empty_at_an_address(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    struct verso_map *map;

    (void)state;
    options.address = free_room(verso_page_bytes());
    assert_ok(verso_map_open(support_file("empty", 0), &options, &map));
    assert_ptr_equal(verso_map_data(map), options.address);
    assert_ok(verso_map_resize(map, 10));
    assert_ptr_equal(verso_map_data(map), options.address);
    verso_map_close(map);
}

/* ---- What the kernel says of the memory ------------------------------------------------------------------------- */

/* What smaps says behind a word, of the mapping at an address. */
static const char *smaps_line(const void *address, const char *word)
{
    unsigned long start, end;
    FILE *maps = fopen("/proc/self/smaps", "re");
    static char found[8192];
    bool inside = false;
    char line[8192];

    assert_non_null(maps);
    *found = '\0';
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = start <= (uintptr_t)address && (uintptr_t)address < end;
        else if (inside && strncmp(line, word, strlen(word)) == 0)
            memcpy(found, line + strlen(word), strlen(line + strlen(word)) + 1);
    }
    fclose(maps);
    return found;
}

/* Whether a word is among the VmFlags of the mapping at an address. */
static bool has_vm_flag(const void *address, const char *word)
{
    return strstr(smaps_line(address, "VmFlags:"), word) != NULL;
}

static void check_vm_flag(unsigned flag, const char *word)
{
    const unsigned ways[] = { 0, VERSO_MAP_WRITE, VERSO_MAP_WRITE | VERSO_MAP_GROW };
    size_t page = verso_page_bytes();
    struct verso_map *map;

    for (size_t i = 0; i < 3; i++) {
        const char *path = support_file("file", page);
        struct verso_map_options options = options_with(ways[i]);

        assert_ok(verso_map_open(path, &options, &map));
        assert_false(has_vm_flag(verso_map_data(map), word));
        verso_map_close(map);
        options.flags |= flag;
        assert_ok(verso_map_open(path, &options, &map));
        assert_true(has_vm_flag(verso_map_data(map), word));
        if (ways[i] & VERSO_MAP_WRITE) {
            assert_ok(verso_map_resize(map, 5 * page));
            assert_true(has_vm_flag((char *)verso_map_data(map) + 4 * page, word));
        }
        verso_map_close(map);
    }
}

static void test_no_core(void **state)
{
    (void)state;
    check_vm_flag(VERSO_MAP_NO_CORE, " dd");
}

static void test_no_fork(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_NO_FORK);
    struct verso_map *map;

    (void)state;
    check_vm_flag(VERSO_MAP_NO_FORK, " dc");
    assert_ok(verso_map_open(support_file("file", 100), &options, &map));
    assert_int_equal(signal_of_touch(verso_map_data(map), false), SIGSEGV);
    verso_map_close(map);
}

/* What a child does with a map that its parent kept; other memory stands in its place by then. */
static int call_in_child(void *arg)
{
    struct verso_map_residency residency = VERSO_MAP_RESIDENCY_INIT;
    size_t page = verso_page_bytes(), count;
    struct verso_map *map = arg;
    unsigned char *there = mmap(verso_map_data(map), page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    unsigned char state;

    if (there != verso_map_data(map))
        return 1;
    there[0] = 'x';
    if (verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_DONTNEED) != -EPERM || verso_map_lock(map, 0, 0, 0) != -EPERM ||
        verso_map_unlock(map, 0, 0) != -EPERM || verso_map_populate(map, 0, 0, 0) != -EPERM ||
        verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_NONE) != -EPERM || verso_map_refresh(map) != -EPERM ||
        verso_map_remap(map, 0, 0) != -EPERM || verso_map_residency(map, 0, 0, &residency) != -EPERM ||
        verso_map_residency_pages(map, 0, 0, &state, 1, &count) != -EPERM || verso_map_resize(map, 0) != -EPERM ||
        verso_map_seal(map) != -EPERM || verso_map_settle(map) != -EPERM ||
        verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA) != -EPERM)
        return 2;
    if (strcmp(verso_error_last()->step, "fork") != 0 || !strstr(verso_error_last()->hint, "NO_FORK"))
        return 3;
    verso_map_close(map);
    return there[0] == 'x' && msync(there, page, MS_ASYNC) == 0 ? 0 : 4;
}

static void test_a_child_leaves_what_is_not_its_own(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_NO_FORK | VERSO_MAP_WRITE);
    struct verso_map *map;

    (void)state;
    if (support_is_tsan() || support_is_asan())
        skip_because("sanitizers keep addresses for themselves");
    assert_ok(verso_map_open(support_file("file", 100), &options, &map));
    assert_int_equal(support_child(call_in_child, map), 0);
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA));
    verso_map_close(map);
}

static void test_lock(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (!support_is_root() && limit.rlim_cur < 64 * verso_page_bytes())
        skip_because("ulimit -l allows too little to be locked");
    check_vm_flag(VERSO_MAP_LOCK, " lo");
}

static int lock_too_much(void *path)
{
    struct verso_map_options options = options_with(VERSO_MAP_LOCK);
    struct rlimit limit = { verso_page_bytes(), verso_page_bytes() };
    struct verso_map *map = UNTOUCHED;
    int r;

    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() == 0 && support_drop_privileges() != 0))
        return 2;
    r = verso_map_open(path, &options, &map);
    if ((r != -ENOMEM && r != -EAGAIN && r != -EPERM) || map != UNTOUCHED)
        return 3;
    return strcmp(verso_error_last()->step, "mlock") == 0 && strstr(verso_error_last()->hint, "ulimit -l") ? 0 : 4;
}

static void test_lock_over_the_limit(void **state)
{
    const char *path = support_file("file", 10 * verso_page_bytes());
    int status;

    (void)state;
    assert_int_equal(chmod(support_directory(), 0755), 0);
    assert_int_equal(chmod(path, 0644), 0);
    status = support_child(lock_too_much, (void *)(uintptr_t)path);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_populate(void **state)
{
    size_t bytes = 256 * verso_page_bytes();
    const unsigned flags[] = { VERSO_MAP_POPULATE, VERSO_MAP_POPULATE | VERSO_MAP_WRITE,
                               VERSO_MAP_POPULATE | VERSO_MAP_GROW };
    const char *path = support_file("file", bytes);
    struct verso_map *map;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct verso_map_options options = options_with(flags[i]);

        assert_ok(verso_map_open(path, &options, &map));
        assert_int_equal(strtoul(smaps_line(verso_map_data(map), "Rss:"), NULL, 10), bytes / 1024);
        verso_map_close(map);
    }
    assert_ok(verso_map_open(path, NULL, &map));
    assert_int_equal(strtoul(smaps_line(verso_map_data(map), "Rss:"), NULL, 10), 0);
    verso_map_close(map);
}

static void test_durable_needs_dax(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_DURABLE);
    const char *path = support_file("file", 100);
    struct verso_map *map = UNTOUCHED;
    int r = verso_map_open(path, &options, &map);

    (void)state;
    if (r == 0) {
        verso_map_close(map);
        skip_because("these files lie on persistent memory");
    }
    assert_int_equal(r, VERSO_E_UNSUPPORTED);
    assert_int_equal(verso_error_last()->cause, -EOPNOTSUPP);
    assert_hint("dax");
    assert_ptr_equal(map, UNTOUCHED);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_fixed_address),
        cmocka_unit_test(test_nothing_is_displaced),
        cmocka_unit_test(test_address_suits_the_offset),
        cmocka_unit_test(test_empty_at_an_address),
        cmocka_unit_test(test_no_core),
        cmocka_unit_test(test_no_fork),
        cmocka_unit_test(test_a_child_leaves_what_is_not_its_own),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_lock_over_the_limit),
        cmocka_unit_test(test_populate),
        cmocka_unit_test(test_durable_needs_dax),
    };

    return run_test_list(list);
}
