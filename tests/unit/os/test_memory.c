/* SPDX-License-Identifier: MIT */
/* memory - what os.h promises of mappings and of files of memory. */
#include "support.h"

#include "os/os.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_WRITE (VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE)

static int opened_file(const char *name, uint64_t bytes)
{
    int fd = -1;

    assert_int_equal(verso__os_open(support_file(name, bytes), VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, 0, &fd), 0);
    return fd;
}

static void *mapped(size_t bytes, unsigned access, unsigned flags, int fd)
{
    void *address = NULL;

    assert_int_equal(verso__os_map(NULL, bytes, access, flags, fd, 0, &address), 0);
    return address;
}

static void unmapped(void *address, size_t bytes)
{
    assert_int_equal(verso__os_unmap(address, bytes), 0);
}

/* ---- Mapping ---- */

static void test_map_shows_the_file_from_an_offset(void **state)
{
    size_t page = verso__os_page_bytes();
    int fd = opened_file("f", 3 * page);
    void *data = NULL;

    (void)state;
    assert_int_equal(verso__os_map(NULL, 2 * page, VERSO__OS_ACCESS_READ, 0, fd, page, &data), 0);
    assert_true(support_matches(data, page, 2 * page));
    unmapped(data, 2 * page);
    verso__os_close(fd);
}

static void test_shared_stores_reach_the_file_private_ones_do_not(void **state)
{
    size_t page = verso__os_page_bytes();
    int fd = opened_file("f", page);
    unsigned char *shared = mapped(page, READ_WRITE, VERSO__OS_MAP_SHARED, fd);
    unsigned char *private = mapped(page, READ_WRITE, 0, fd);
    unsigned char byte;
    size_t done;

    (void)state;
    shared[0] = 's';
    private[0] = 'p';
    assert_int_equal(verso__os_sync_mapping(shared, page), 0);
    assert_int_equal(verso__os_read_at(fd, 0, &byte, 1, &done), 0);
    assert_int_equal(byte, 's');
    assert_int_equal(private[0], 'p');
    unmapped(shared, page);
    unmapped(private, page);
    verso__os_close(fd);
}

static void test_refused_map_leaves_its_output(void **state)
{
    void *out = &out;

    (void)state;
    assert_int_equal(verso__os_map(NULL, 0, VERSO__OS_ACCESS_READ, 0, -1, 0, &out), -EINVAL);
    assert_int_equal(verso__os_map(NULL, SIZE_MAX & ~(verso__os_page_bytes() - 1), 0, 0, -1, 0, &out), -ENOMEM);
    assert_int_equal(verso__os_map(NULL, 1, VERSO__OS_ACCESS_READ, 0, 9999, 0, &out), -EBADF);
    assert_int_equal(verso__os_reserve(SIZE_MAX - 5, 1 << 20, &out), -ENOMEM); /* bytes and slack would wrap */
    assert_int_equal(verso__os_reserve(SIZE_MAX / 2, 1 << 20, &out), -ENOMEM);
    assert_ptr_equal(out, &out);
}

static void test_at_is_exactly_there_or_not_at_all(void **state)
{
    size_t page = verso__os_page_bytes();
    unsigned char *span = mapped(3 * page, READ_WRITE, 0, -1);
    void *out = &out;

    (void)state;
    span[page] = 'x';
    assert_int_equal(verso__os_map(span + page, page, READ_WRITE, VERSO__OS_MAP_AT, -1, 0, &out), -EEXIST);
    assert_ptr_equal(out, &out);
    assert_int_equal(span[page], 'x');
    unmapped(span + page, page);
    assert_int_equal(verso__os_map(span + page, page, READ_WRITE, VERSO__OS_MAP_AT, -1, 0, &out), 0);
    assert_ptr_equal(out, span + page);
    assert_int_equal(span[page], 0);
    unmapped(span, 3 * page);
}

static void test_over_replaces_part_of_a_span(void **state)
{
    size_t page = verso__os_page_bytes();
    int fd = opened_file("f", page);
    unsigned char *span = mapped(3 * page, READ_WRITE, 0, -1);
    void *out = NULL;

    (void)state;
    span[0] = span[2 * page] = 'x';
    assert_int_equal(verso__os_map(span + page, page, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_OVER, fd, 0, &out), 0);
    assert_true(support_matches(span + page, 0, page));
    assert_int_equal(span[0], 'x');
    assert_int_equal(span[2 * page], 'x');
    unmapped(span, 3 * page);
    verso__os_close(fd);
}

static void test_reserve_aligns_and_gives_back_the_slack(void **state)
{
    size_t page = verso__os_page_bytes(), mappings = support_mapping_count();
    void *span = NULL;

    (void)state;
    for (size_t align = page; align <= (size_t)8 << 20; align *= 4) {
        assert_int_equal(verso__os_reserve(3 * page, align, &span), 0);
        assert_int_equal((uintptr_t)span % align, 0);
        assert_true(support_mapping_count() <= mappings + 1);
        unmapped(span, 3 * page);
    }
    assert_int_equal(support_mapping_count(), mappings);
}

static int read_byte(void *arg)
{
    return *(volatile unsigned char *)arg == 0 ? 0 : 1;
}

static int write_byte(void *arg)
{
    *(volatile unsigned char *)arg = 1;
    return 0;
}

static bool dies(int (*function)(void *arg), void *arg)
{
    return WIFSIGNALED(support_child(function, arg));
}

static void test_access_is_what_was_asked(void **state)
{
    size_t page = verso__os_page_bytes();
    void *span = NULL;

    (void)state;
    assert_int_equal(verso__os_reserve(page, page, &span), 0);
    assert_true(dies(read_byte, span));
    assert_int_equal(verso__os_protect(span, page, VERSO__OS_ACCESS_READ), 0);
    assert_false(dies(read_byte, span));
    assert_true(dies(write_byte, span));
    assert_int_equal(verso__os_protect(span, page, READ_WRITE), 0);
    assert_false(dies(write_byte, span));
    unmapped(span, page);
    assert_int_equal(verso__os_protect(span, page, READ_WRITE), -ENOMEM);
    assert_int_equal(verso__os_unmap((char *)span + 1, page), -EINVAL);
}

static void test_remap(void **state)
{
    size_t page = verso__os_page_bytes();
    unsigned char *span = mapped(4 * page, READ_WRITE, 0, -1);
    void *out = &out;

    (void)state;
    span[0] = 'x';
    assert_int_equal(verso__os_remap(span, page, 2 * page, false, &out), -ENOMEM);
    assert_ptr_equal(out, &out);
    assert_int_equal(verso__os_remap(span, 4 * page, 2 * page, false, &out), 0);
    assert_ptr_equal(out, span);
    assert_int_equal(verso__os_remap(span, page, 3 * page, true, &out), 0);
    assert_int_equal(*(unsigned char *)out, 'x');
    unmapped(out, 3 * page);
    unmapped(span + page, page);
}

/* ---- Advice, populating, locking ---- */

static void test_advice_of_every_kind(void **state)
{
    size_t page = verso__os_page_bytes();
    void *memory = mapped(4 * page, READ_WRITE, 0, -1);

    (void)state;
    for (int advice = VERSO__OS_ADVICE_NORMAL; advice <= VERSO__OS_ADVICE_GUARD_REMOVE; advice++) {
        int r = verso__os_advise(memory, 4 * page, (enum verso__os_advice)advice);

        /* HUGE, COLLAPSE, MERGE and guards depend on the kernel's build and settings; REMOVE is for shared memory. */
        if (advice != VERSO__OS_ADVICE_HUGE && advice != VERSO__OS_ADVICE_NO_HUGE &&
            advice != VERSO__OS_ADVICE_COLLAPSE && advice != VERSO__OS_ADVICE_REMOVE && advice < VERSO__OS_ADVICE_MERGE)
            assert_int_equal(r, 0);
    }
    assert_int_equal(verso__os_advise(memory, page, (enum verso__os_advice)0), -EINVAL);
    assert_int_equal(verso__os_advise(memory, page, (enum verso__os_advice)(VERSO__OS_ADVICE_GUARD_REMOVE + 1)),
                     -EINVAL);
    assert_int_equal(verso__os_advise(memory, page, (enum verso__os_advice)(-1)), -EINVAL);
    unmapped(memory, 4 * page);
}

static void test_guards_come_and_go(void **state)
{
    size_t page = verso__os_page_bytes();
    unsigned char *memory = mapped(2 * page, READ_WRITE, 0, -1);

    (void)state;
    memory[0] = memory[page] = 1;
    if (verso__os_advise(memory, page, VERSO__OS_ADVICE_GUARD_INSTALL) == -EINVAL) {
        unmapped(memory, 2 * page);
        skip_because("no MADV_GUARD_INSTALL here");
    }
    assert_true(dies(read_byte, memory));
    assert_int_equal(memory[page], 1);
    assert_int_equal(verso__os_advise(memory, 2 * page, VERSO__OS_ADVICE_GUARD_REMOVE), 0);
    assert_int_equal(memory[0], 0);
    assert_int_equal(memory[page], 1);
    unmapped(memory, 2 * page);
}

static void test_nodes(void **state)
{
    size_t page = verso__os_page_bytes();
    void *memory = mapped(page, READ_WRITE, 0, -1);
    int r = verso__os_prefer_nodes(memory, page, 1);

    (void)state;
    assert_true(r == 0 || r == -ENOSYS || r == -EPERM);
    r = verso__os_prefer_nodes(memory, page, UINT64_C(1) << 63);
    assert_true(r == -EINVAL || r == -ENOSYS || r == -EPERM);
    unmapped(memory, page);
}

static void test_move(void **state)
{
    size_t page = verso__os_page_bytes();
    unsigned char *from = mapped(2 * page, READ_WRITE, 0, -1), *to = mapped(4 * page, READ_WRITE, 0, -1);
    void *hole;

    (void)state;
    from[0] = 1;
    from[page] = 2;
    to[0] = to[page] = to[3 * page] = 9;
    assert_int_equal(verso__os_move(from, 2 * page, to + page), 0);
    assert_int_equal(to[0], 9);
    assert_int_equal(to[page], 1);
    assert_int_equal(to[2 * page], 2);
    assert_int_equal(to[3 * page], 9);
    assert_int_equal(verso__os_map(from, 2 * page, READ_WRITE, VERSO__OS_MAP_AT, -1, 0, &hole), 0); /* nothing there */
    unmapped(hole, 2 * page);
    unmapped(to, 4 * page);
}

static void test_secret_memory(void **state)
{
    size_t page = verso__os_page_bytes();
    unsigned char *memory;
    int fd, r = verso__os_memory_file("ignored", VERSO__OS_MEMORY_FILE_SECRET, &fd);

    (void)state;
    if (r < 0)
        skip_because("no memfd_secret here");
    assert_int_equal(verso__os_truncate(fd, page), 0);
    memory = mapped(page, READ_WRITE, VERSO__OS_MAP_SHARED, fd);
    memory[0] = 1;
    assert_true(verso__os_populate(memory, page, true) < 0); /* the kernel does not look in there */
    unmapped(memory, page);
    verso__os_close(fd);
}

static void test_dontneed_drops_private_stores(void **state)
{
    size_t page = verso__os_page_bytes();
    unsigned char *memory = mapped(page, READ_WRITE, 0, -1);

    (void)state;
    memory[0] = 'x';
    assert_int_equal(verso__os_advise(memory, page, VERSO__OS_ADVICE_DONTNEED), 0);
    assert_int_equal(memory[0], 0);
    unmapped(memory, page);
}

static void test_populate_past_the_end(void **state)
{
    size_t page = verso__os_page_bytes();
    int fd = opened_file("f", page), r;
    void *data = mapped(2 * page, READ_WRITE, VERSO__OS_MAP_SHARED, fd);

    (void)state;
    r = verso__os_populate(data, page, false);
    if (r == -EINVAL)
        skip_because("this kernel can't populate (before 5.14)");
    assert_int_equal(r, 0);
    assert_int_equal(verso__os_populate(data, 2 * page, false), -EFAULT);
    assert_int_equal(verso__os_populate(data, 2 * page, true), -EFAULT);
    unmapped(data, 2 * page);
    assert_int_equal(verso__os_populate(data, page, false), -ENOMEM);
    verso__os_close(fd);
}

static int lock_over_the_limit(void *arg)
{
    const struct rlimit none = { 0, 0 };

    if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
        return 1;
    return verso__os_lock(arg, verso__os_page_bytes(), false) == -EPERM ? 0 : 2;
}

static void test_lock_and_its_limit(void **state)
{
    size_t page = verso__os_page_bytes();
    void *memory = mapped(page, READ_WRITE, 0, -1);

    (void)state;
    assert_int_equal(verso__os_lock(memory, page, false), 0);
    assert_int_equal(verso__os_unlock(memory, page), 0);
    assert_int_equal(verso__os_lock(memory, page, true), 0);
    assert_int_equal(verso__os_unlock(memory, page), 0);
    if (support_is_root())
        assert_int_equal(support_child(lock_over_the_limit, memory), 0);
    unmapped(memory, page);
    assert_int_equal(verso__os_lock(memory, page, false), -ENOMEM);
    assert_int_equal(verso__os_unlock(memory, page), -ENOMEM);
}

static int seal_and_try(void *arg)
{
    size_t page = verso__os_page_bytes();
    int r = verso__os_seal_mapping(arg, page);

    if (r == -ENOSYS)
        return 77;
    return r == 0 && verso__os_unmap(arg, page) == -EPERM ? 0 : 1;
}

static void test_sealed_memory_stays(void **state)
{
    size_t page = verso__os_page_bytes();
    void *memory = mapped(page, READ_WRITE, 0, -1);
    int status = support_child(seal_and_try, memory);

    (void)state;
    unmapped(memory, page);
    if (status == 77 << 8)
        skip_because("this kernel has no mseal");
    assert_int_equal(status, 0);
}

static bool is_named(const char *wanted)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4096];
    bool found = false;

    assert_non_null(maps);
    while (!found && fgets(line, sizeof(line), maps))
        found = strstr(line, wanted);
    assert_int_equal(fclose(maps), 0);
    return found;
}

static void test_names_lose_what_the_kernel_would_refuse(void **state)
{
    static const char long_name[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901";
    size_t page = verso__os_page_bytes();
    void *memory = mapped(page, READ_WRITE, 0, -1);
    int r = verso__os_name(memory, page, "a[b]\\c\n\xff/d");

    (void)state;
    if (r == -EINVAL) {
        unmapped(memory, page);
        skip_because("this kernel does not name memory (CONFIG_ANON_VMA_NAME)");
    }
    assert_int_equal(r, 0);
    assert_true(is_named("[anon:abc/d]"));
    assert_int_equal(verso__os_name(memory, page, long_name), 0);
    assert_true(is_named("[anon:0123456789"));
    unmapped(memory, page);
}

/* ---- Files of memory ---- */

static void test_memory_file_is_for_its_owner_and_not_to_be_run(void **state)
{
    struct stat status;
    int fd = -1;

    (void)state;
    assert_int_equal(verso__os_memory_file("m", 0, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    verso__os_close(fd);
}

static void test_seals_come_back_as_they_were_put(void **state)
{
    const unsigned wanted = VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW | VERSO__OS_SEAL_WRITE | VERSO__OS_SEAL_SEAL;
    unsigned seals = 99;
    size_t done;
    int fd = -1;

    (void)state;
    assert_int_equal(verso__os_memory_file("m", 0, &fd), 0);
    assert_int_equal(verso__os_write_at(fd, 0, "abc", 3, &done), 0);
    assert_int_equal(verso__os_seals_get(fd, &seals), 0);
    assert_int_equal(seals, 0);
    assert_int_equal(verso__os_seals_add(fd, wanted), 0);
    assert_int_equal(verso__os_seals_get(fd, &seals), 0);
    assert_int_equal(seals, wanted);
    assert_int_equal(verso__os_write_at(fd, 0, "x", 1, &done), -EPERM);
    assert_int_equal(verso__os_truncate(fd, 1), -EPERM);
    assert_int_equal(verso__os_truncate(fd, 10), -EPERM);
    assert_int_equal(verso__os_seals_add(fd, VERSO__OS_SEAL_FUTURE_WRITE), -EPERM);
    verso__os_close(fd);
    seals = 99;
    assert_int_equal(verso__os_seals_get(-1, &seals), -EBADF);
    assert_int_equal(seals, 99);
}

/* ---- The machine ---- */

static void test_sizes_of_the_machine(void **state)
{
    size_t page = verso__os_page_bytes(), huge = verso__os_huge_page_bytes();

    (void)state;
    assert_true(page >= 4096 && (page & (page - 1)) == 0);
    assert_true(huge == 0 || (huge > page && (huge & (huge - 1)) == 0));
    assert_int_equal(verso__os_huge_page_bytes(), huge);
    assert_true(verso__os_address_space_bytes() > (uintptr_t)&page);
}

static void test_clock_never_goes_back(void **state)
{
    uint64_t before = verso__os_clock_ns();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = verso__os_clock_ns();

        assert_true(now >= before);
        before = now;
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_map_shows_the_file_from_an_offset),
        cmocka_unit_test(test_shared_stores_reach_the_file_private_ones_do_not),
        cmocka_unit_test(test_refused_map_leaves_its_output),
        cmocka_unit_test(test_at_is_exactly_there_or_not_at_all),
        cmocka_unit_test(test_over_replaces_part_of_a_span),
        cmocka_unit_test(test_reserve_aligns_and_gives_back_the_slack),
        cmocka_unit_test(test_access_is_what_was_asked),
        cmocka_unit_test(test_remap),
        cmocka_unit_test(test_advice_of_every_kind),
        cmocka_unit_test(test_guards_come_and_go),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_secret_memory),
        cmocka_unit_test(test_dontneed_drops_private_stores),
        cmocka_unit_test(test_populate_past_the_end),
        cmocka_unit_test(test_lock_and_its_limit),
        cmocka_unit_test(test_sealed_memory_stays),
        cmocka_unit_test(test_names_lose_what_the_kernel_would_refuse),
        cmocka_unit_test(test_memory_file_is_for_its_owner_and_not_to_be_run),
        cmocka_unit_test(test_seals_come_back_as_they_were_put),
        cmocka_unit_test(test_sizes_of_the_machine),
        cmocka_unit_test(test_clock_never_goes_back),
    };

    return run_test_list(list);
}
