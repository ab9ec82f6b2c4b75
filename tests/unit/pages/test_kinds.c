/* SPDX-License-Identifier: MIT */
/* kinds - what each kind of memory promises: to children, to the kernel's memory, to core dumps. */
#include "spans.h"

#include "mapping.h"
#include "pages/pages.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- Children ---- */

static int store_in_child(void *arg)
{
    *(unsigned char *)arg = 77;
    return 0;
}

static int load_in_child(void *arg)
{
    return *(unsigned char *)arg;
}

static unsigned char seen_by_child(void *address)
{
    int status = support_child(load_in_child, address);

    assert_true(WIFEXITED(status));
    return (unsigned char)WEXITSTATUS(status);
}

static void test_private_is_copied(void **state)
{
    struct verso_pages *pages = opened(2, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);

    (void)state;
    data_of(pages)[0] = 5;
    assert_int_equal(support_child(store_in_child, data_of(pages)), 0);
    assert_int_equal(data_of(pages)[0], 5);
    verso_pages_close(pages);
}

static void test_wiped_or_gone_in_a_child(void **state)
{
    size_t page = verso_page_bytes();
    const unsigned flags[] = { VERSO_PAGES_WIPE_ON_FORK, VERSO_PAGES_NO_FORK };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, flags[i]);

        assert_ok(verso_pages_commit(pages, 0, 2 * page));
        assert_ok(verso_pages_decommit(pages, page, page)); /* what comes back is as protected as what was there */
        assert_ok(verso_pages_commit(pages, page, 2 * page));
        memset(data_of(pages), 5, 3 * page);
        for (size_t at = 0; at < 3 * page; at += page) {
            if (flags[i] == VERSO_PAGES_NO_FORK)
                assert_no_read(data_of(pages) + at);
            else
                assert_int_equal(seen_by_child(data_of(pages) + at), 0);
        }
        assert_true(is_filled(data_of(pages), 3 * page, 5));
        verso_pages_close(pages);
    }
}

/* What stands in a child where the span was is the child's own: the span's calls let it be. */
static int keep_off(void *arg)
{
    struct verso_pages *pages = arg;
    size_t page = verso_page_bytes();
    unsigned char *own = mmap(data_of(pages), 2 * page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (own != data_of(pages))
        return 1;
    memset(own, 9, 2 * page);
    if (verso_pages_commit(pages, 0, page) != -EPERM || verso_pages_decommit(pages, 0, page) != -EPERM ||
        verso_pages_guard(pages, 0, page) != -EPERM || verso_pages_unguard(pages, 0, page) != -EPERM ||
        verso_pages_protect(pages, 0, page, VERSO_PAGES_ACCESS_READ) != -EPERM ||
        verso_pages_advise(pages, 0, page, VERSO_PAGES_ADVICE_DISCARD) != -EPERM ||
        verso_pages_populate(pages, 0, page) != -EPERM || verso_pages_lock(pages, 0, page) != -EPERM ||
        verso_pages_unlock(pages, 0, page) != -EPERM || verso_pages_resize(pages, page, 1) != -EPERM ||
        verso_pages_seal(pages) != -EPERM)
        return 2;
    if (!strstr(verso_error_last()->hint, "NO_FORK"))
        return 3;
    verso_pages_close(pages);
    return is_filled(own, 2 * page, 9) ? 0 : 4;
}

static void test_a_child_without_it_touches_nothing(void **state)
{
    struct verso_pages *pages = opened(2, VERSO_PAGES_PRIVATE, VERSO_PAGES_NO_FORK | VERSO_PAGES_COMMIT);

    (void)state;
    memset(verso_pages_data(pages), 1, 2 * verso_page_bytes());
    assert_int_equal(support_child(keep_off, pages), 0);
    assert_true(is_filled(data_of(pages), 2 * verso_page_bytes(), 1));
    assert_ok(verso_pages_decommit(pages, 0, verso_page_bytes()));
    verso_pages_close(pages);
}

static void test_left_out_of_core_dumps(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_NO_CORE);

    (void)state;
    assert_ok(verso_pages_commit(pages, page, page));
    assert_true(mapping_has_flag(data_of(pages) + page, "dd"));
    verso_pages_close(pages);
}

/* ---- Shared ---- */

static int use_shared(void *arg)
{
    struct verso_pages *pages = arg;
    size_t page = verso_page_bytes();

    if (data_of(pages)[page] != 1)
        return 1;
    data_of(pages)[page] = 2;
    if (verso_pages_commit(pages, 3 * page, page) != 0)
        return 2;
    data_of(pages)[3 * page] = 3;
    return 0;
}

static void test_shared_with_children(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_SHARED, VERSO_PAGES_GUARD_ENDS);
    unsigned char *data = data_of(pages);

    (void)state;
    assert_no_read(data);
    assert_ok(verso_pages_commit(pages, page, page));
    assert_true(is_filled(data + page, page, 0));
    data[page] = 1;
    assert_int_equal(support_child(use_shared, pages), 0);
    assert_int_equal(data[page], 2);
    assert_no_read(data + 3 * page); /* each process commits for itself */
    assert_ok(verso_pages_commit(pages, 2 * page, 2 * page));
    assert_int_equal(data[3 * page], 3);
    assert_ok(verso_pages_decommit(pages, page, page));
    assert_no_read(data + page);
    assert_ok(verso_pages_commit(pages, page, page));
    assert_int_equal(data[page], 0);
    assert_int_equal(data[3 * page], 3);
    assert_no_read(data - 1);
    assert_no_read(data + 4 * page);
    verso_pages_close(pages);
}

/* Memory that the file behind it has taken, in bytes. */
static uint64_t promised(const struct verso_pages *pages)
{
    struct stat status;

    assert_int_equal(fstat(pages->fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static void test_shared_memory_is_there_when_committed(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_SHARED, 0);

    (void)state;
    assert_int_equal(promised(pages), 0);
    assert_ok(verso_pages_commit(pages, page, 2 * page));
    assert_int_equal(promised(pages), 2 * page);
    memset(data_of(pages) + page, 6, 2 * page);
    assert_ok(verso_pages_advise(pages, page, page, VERSO_PAGES_ADVICE_DISCARD));
    assert_int_equal(promised(pages), page);
    assert_true(is_filled(data_of(pages) + page, page, 0));
    assert_true(is_filled(data_of(pages) + 2 * page, page, 6));
    assert_ok(verso_pages_advise(pages, 2 * page, page, VERSO_PAGES_ADVICE_FREE)); /* as DISCARD */
    assert_int_equal(data_of(pages)[2 * page], 0);
    assert_ok(verso_pages_decommit(pages, 0, 4 * page));
    assert_int_equal(promised(pages), 0);
    verso_pages_close(pages);
}

static void test_guards_in_shared_memory(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_SHARED, VERSO_PAGES_COMMIT);
    unsigned char *data = data_of(pages);

    (void)state;
    memset(data, 8, 4 * page);
    assert_ok(verso_pages_guard(pages, page, 2 * page));
    assert_no_read(data + page);
    assert_no_write(data + 3 * page - 1);
    assert_int_equal(promised(pages), 2 * page); /* what it held is gone, for others as well */
    assert_true(is_filled(data, page, 8));
    assert_true(is_filled(data + 3 * page, page, 8));
    assert_ok(verso_pages_unguard(pages, page, 2 * page));
    assert_int_equal(promised(pages), 4 * page); /* again */
    assert_true(is_filled(data + page, 2 * page, 0));
    assert_ok(verso_pages_guard(pages, 0, page));
    assert_ok(verso_pages_decommit(pages, 0, page));
    assert_ok(verso_pages_commit(pages, 0, page)); /* decommitting took the guard with it */
    assert_int_equal(data[0], 0);
    verso_pages_close(pages);
}

/* ---- Droppable ---- */

static void test_droppable(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    size_t page = verso_page_bytes();
    struct verso_pages *pages = (void *)1;
    unsigned char *data;
    int r;

    (void)state;
    options.kind = VERSO_PAGES_DROPPABLE;
    options.flags = VERSO_PAGES_GUARD_ENDS;
    r = verso_pages_open(4 * page, &options, &pages);
    if (r == VERSO_E_UNSUPPORTED) {
        assert_ptr_equal(pages, (void *)1);
        skip_because("no MAP_DROPPABLE here");
    }
    assert_ok(r);
    data = data_of(pages);
    assert_no_read(data);
    assert_ok(verso_pages_commit(pages, page, 2 * page));
    memset(data + page, 4, 2 * page);
    assert_true(mapping_has_flag(data + page, "dp") || !strstr(mapping_at(data + page).memory.flags, "ac"));
    assert_int_equal(seen_by_child(data + page), 0);
    assert_ok(verso_pages_decommit(pages, page, page));
    assert_no_read(data + page);
    assert_ok(verso_pages_commit(pages, page, page));
    assert_int_equal(data[page], 0);
    assert_no_read(data + 4 * page);
    assert_ok(verso_pages_info(pages, &info));
    assert_int_equal(info.kind, VERSO_PAGES_DROPPABLE);
    assert_true(info.flags & VERSO_PAGES_NO_CORE && info.flags & VERSO_PAGES_WIPE_ON_FORK);
    verso_pages_close(pages);
    options.flags = VERSO_PAGES_LOCK;
    assert_fails(verso_pages_open(page, &options, &pages), VERSO_E_OPTIONS);
}

/* ---- Secret ---- */

static struct verso_pages *opened_secret(size_t count, unsigned flags)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages = (void *)1;
    int r;

    options.kind = VERSO_PAGES_SECRET;
    options.flags = flags;
    r = verso_pages_open(count * verso_page_bytes(), &options, &pages);
    if (r == VERSO_E_UNSUPPORTED) {
        assert_ptr_equal(pages, (void *)1);
        assert_int_equal(verso_error_last()->cause, -ENOSYS);
        skip_because("no memfd_secret here");
    }
    assert_ok(r);
    return pages;
}

static bool kernel_can_read(void *address)
{
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char byte;
    ssize_t got;

    assert_true(fd >= 0);
    got = pread(fd, &byte, 1, (off_t)(uintptr_t)address);
    assert_int_equal(close(fd), 0);
    return got == 1;
}

static void test_secret(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened_secret(4, VERSO_PAGES_GUARD_ENDS | VERSO_PAGES_LOCK);
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    unsigned char *data = data_of(pages);

    (void)state;
    assert_true(kernel_can_read(&info));
    assert_no_read(data);
    assert_ok(verso_pages_commit(pages, 0, 3 * page));
    memset(data, 0x5e, 3 * page);
    assert_false(kernel_can_read(data));
    assert_true(mapping_has_flag(data, "dd"));
    assert_true(mapping_has_flag(data, "lo"));
    assert_ok(verso_pages_populate(pages, 0, 3 * page));
    assert_ok(verso_pages_lock(pages, 0, 3 * page));
    assert_ok(verso_pages_unlock(pages, 0, 3 * page));
    assert_ok(verso_pages_decommit(pages, page, page));
    assert_no_read(data + page);
    assert_ok(verso_pages_commit(pages, page, page));
    assert_true(is_filled(data + page, page, 0));
    assert_true(is_filled(data, page, 0x5e));
    assert_ok(verso_pages_guard(pages, 0, page));
    assert_no_read(data);
    assert_ok(verso_pages_unguard(pages, 0, page));
    assert_true(is_filled(data, page, 0));
    assert_ok(verso_pages_protect(pages, 2 * page, page, VERSO_PAGES_ACCESS_READ));
    assert_ok(verso_pages_advise(pages, 2 * page, page, VERSO_PAGES_ADVICE_DISCARD));
    assert_true(is_filled(data + 2 * page, page, 0));
    assert_no_write(data + 2 * page);
    assert_no_read(data + 4 * page);
    assert_ok(verso_pages_info(pages, &info));
    assert_int_equal(info.guard_method, VERSO_PAGES_GUARD_MAPPINGS);
    assert_true(info.flags & VERSO_PAGES_LOCK && info.flags & VERSO_PAGES_NO_CORE);
    verso_pages_close(pages);
}

static void test_secrets_that_may_only_be_read_are_locked(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;

    (void)state;
    options.kind = VERSO_PAGES_SECRET;
    options.flags = VERSO_PAGES_COMMIT;
    if (verso_pages_open(2 * verso_page_bytes(), &options, &pages) < 0)
        skip_because("no secret memory here: %s", verso_error_last()->hint);
    data_of(pages)[0] = 3;
    assert_ok(verso_pages_protect(pages, 0, 2 * verso_page_bytes(), VERSO_PAGES_ACCESS_READ));
    assert_ok(verso_pages_lock(pages, 0, 0));
    assert_int_equal(data_of(pages)[0], 3);
    verso_pages_close(pages);
}

/* ---- Threads ---- */

static atomic_bool is_over;

static void *map_and_unmap(void *arg)
{
    size_t bytes = 16 * verso_page_bytes();

    (void)arg;
    while (!atomic_load(&is_over)) {
        void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (room != MAP_FAILED)
            (void)munmap(room, bytes);
    }
    return NULL;
}

/* A place that another thread's mmap takes meanwhile is no reason to fail: there are others. */
static void test_opened_beside_threads_that_map(void **state)
{
    pthread_t thread;
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;

    (void)state;
    options.kind = VERSO_PAGES_SHARED;
    options.flags = VERSO_PAGES_GUARD_ENDS;
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&thread, NULL, map_and_unmap, NULL), 0);
    for (int i = 0; i < 2000; i++) {
        struct verso_pages *pages;

        assert_ok(verso_pages_open(16 * verso_page_bytes(), &options, &pages));
        verso_pages_close(pages);
    }
    atomic_store(&is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Wiping must not bring in what was never touched: it could not be given back. */
static void test_wiping_touches_nothing_new(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened_secret(200, VERSO_PAGES_COMMIT);
    unsigned char *data = data_of(pages);
    unsigned char in[200];
    size_t count = 0;

    (void)state;
    data[130 * page] = 1;
    assert_ok(verso_pages_advise(pages, 0, 0, VERSO_PAGES_ADVICE_DISCARD));
    assert_int_equal(data[130 * page], 0);
    assert_int_equal(mincore(data, 200 * page, in), 0);
    for (size_t i = 0; i < 200; i++)
        count += in[i] & 1;
    assert_int_equal(count, 1);
    verso_pages_close(pages);
}

/* ---- What does not go together ---- */

static void test_what_contradicts_itself(void **state)
{
    const struct {
        unsigned kind;
        unsigned flags;
    } wrong[] = {
        { VERSO_PAGES_SECRET + 1, 0 },
        { 0, VERSO_PAGES_WIPE_ON_FORK * 2 },
        { 0, VERSO_PAGES_NO_FORK | VERSO_PAGES_WIPE_ON_FORK },
        { VERSO_PAGES_SHARED, VERSO_PAGES_WIPE_ON_FORK },
        { VERSO_PAGES_SECRET, VERSO_PAGES_WIPE_ON_FORK },
        { VERSO_PAGES_DROPPABLE, VERSO_PAGES_LOCK },
    };
    const char *names[] = { "", "semi;colon", "line\nbreak",
                            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901" };
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages = (void *)1;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        options.kind = wrong[i].kind;
        options.flags = wrong[i].flags;
        assert_fails_in(verso_pages_open(1, &options, &pages), VERSO_E_OPTIONS, "options");
        assert_true(*verso_error_last()->hint);
    }
    options.kind = 0;
    options.flags = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        options.name = names[i];
        assert_fails(verso_pages_open(1, &options, &pages), VERSO_E_OPTIONS);
    }
    options.name = "arena-7: scratch/x_y.z";
    options.align_bytes = 3;
    assert_fails(verso_pages_open(1, &options, &pages), VERSO_E_OPTIONS);
    options.align_bytes = 1 << 20;
    options.address = (void *)(uintptr_t)(verso_page_bytes() * 3);
    assert_fails(verso_pages_open(1, &options, &pages), VERSO_E_OPTIONS);
    options.align_bytes = 0;
    options.address = NULL;
    options.struct_bytes = 0;
    assert_fails(verso_pages_open(1, &options, &pages), VERSO_E_OPTIONS);
    assert_ptr_equal(pages, (void *)1);
    options.struct_bytes = sizeof(options);
    assert_ok(verso_pages_open(1, &options, &pages));
    verso_pages_close(pages);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_private_is_copied),
        cmocka_unit_test(test_wiped_or_gone_in_a_child),
        cmocka_unit_test(test_a_child_without_it_touches_nothing),
        cmocka_unit_test(test_left_out_of_core_dumps),
        cmocka_unit_test(test_shared_with_children),
        cmocka_unit_test(test_shared_memory_is_there_when_committed),
        cmocka_unit_test(test_guards_in_shared_memory),
        cmocka_unit_test(test_droppable),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_wiping_touches_nothing_new),
        cmocka_unit_test(test_secrets_that_may_only_be_read_are_locked),
        cmocka_unit_test(test_opened_beside_threads_that_map),
        cmocka_unit_test(test_what_contradicts_itself),
    };

    return run_test_list(list);
}
