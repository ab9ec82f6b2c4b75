/* SPDX-License-Identifier: MIT */
/* base - making and opening, what children share, and freezing. */
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

static struct verso_clone_base *made(uint64_t bytes)
{
    struct verso_clone_base *base;

    assert_ok(verso_clone_base_make(bytes, 0, &base));
    return base;
}

static void test_made_memory_is_zeros_and_writable(void **state)
{
    const uint64_t page = verso_page_bytes(), sizes[] = { 1, page - 1, page, page + 1, 5 * page };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct verso_clone_base *base = made(sizes[i]);
        unsigned char *data = verso_clone_base_data(base);

        assert_true(verso_clone_base_bytes(base) == sizes[i]);
        for (uint64_t at = 0; at < sizes[i]; at++)
            assert_int_equal(data[at], 0);
        memset(data, 7, sizes[i]);
        assert_int_equal(verso_clone_base_frozen(base), VERSO_CLONE_NOT_FROZEN);
        verso_clone_base_close(base);
    }
}

static void test_bad_lengths(void **state)
{
    struct verso_clone_base *base = (void *)&base;

    (void)state;
    assert_fails(verso_clone_base_make(0, 0, &base), VERSO_E_RANGE);
    assert_fails(verso_clone_base_make(UINT64_MAX, 0, &base), VERSO_E_OVERFLOW);
    assert_fails(verso_clone_base_make((uint64_t)1 << 63, 0, &base), VERSO_E_OVERFLOW);
    assert_fails(verso_clone_base_make((uint64_t)1 << 60, 0, &base), VERSO_E_OVERFLOW);
    assert_ptr_equal(base, &base);
}

static void test_bad_flags_and_arguments(void **state)
{
    const char *path = support_file("f", 100);
    struct verso_clone_base *base = (void *)&base;

    (void)state;
    assert_fails(verso_clone_base_make(1, 1 << 10, &base), VERSO_E_OPTIONS);
    assert_fails(verso_clone_base_open(path, VERSO_CLONE_ALLOCATE, &base), VERSO_E_OPTIONS);
    assert_fails(verso_clone_base_open_fd(0, 1 << 10, &base), VERSO_E_OPTIONS);
    assert_fails(verso_clone_base_open(NULL, 0, &base), -EINVAL);
    assert_fails(verso_clone_base_open(path, 0, NULL), -EINVAL);
    assert_fails(verso_clone_base_open_fd(0, 0, NULL), -EINVAL);
    assert_fails(verso_clone_base_make(1, 0, NULL), -EINVAL);
    assert_fails(verso_clone_base_freeze(NULL, VERSO_CLONE_FROZEN), -EINVAL);
    assert_ptr_equal(base, &base);
    verso_clone_base_close(NULL);
}

static void test_a_file_is_a_base(void **state)
{
    const uint64_t bytes = 3 * verso_page_bytes() + 17;
    const char *path = support_file("f", bytes);
    struct verso_clone_base *base;

    (void)state;
    assert_ok(verso_clone_base_open(path, 0, &base));
    assert_true(verso_clone_base_bytes(base) == bytes);
    assert_true(support_matches(verso_clone_base_data(base), 0, bytes));
    verso_clone_base_close(base);
}

static void test_stores_reach_a_writable_file(void **state)
{
    const char *path = support_file("f", 100);
    struct verso_clone_base *base;
    char byte = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_ok(verso_clone_base_open(path, VERSO_CLONE_WRITE | VERSO_CLONE_ALLOCATE, &base));
    ((char *)verso_clone_base_data(base))[99] = 'x';
    assert_int_equal(pread(fd, &byte, 1, 99), 1);
    assert_int_equal(byte, 'x');
    verso_clone_base_close(base);
    assert_int_equal(close(fd), 0);
}

static void test_what_can_not_be_a_base(void **state)
{
    const char *fifo = support_path("fifo"), *link_path = support_path("link");
    struct verso_clone_base *base = (void *)&base;
    int ends[2];

    (void)state;
    assert_fails(verso_clone_base_open(support_file("empty", 0), 0, &base), VERSO_E_RANGE);
    assert_fails(verso_clone_base_open(support_directory(), 0, &base), -EISDIR);
    assert_fails(verso_clone_base_open(support_path("absent"), 0, &base), -ENOENT);
    assert_fails(verso_clone_base_open("/proc/self/maps", 0, &base), VERSO_E_NOT_MAPPED);
    assert_fails(verso_clone_base_open("/dev/null", 0, &base), VERSO_E_NOT_MAPPED);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_fails(verso_clone_base_open(fifo, 0, &base), VERSO_E_NOT_MAPPED);
    assert_int_equal(symlink("empty", link_path), 0);
    assert_fails(verso_clone_base_open(link_path, VERSO_CLONE_NOFOLLOW, &base), -ELOOP);
    assert_int_equal(pipe(ends), 0);
    assert_fails(verso_clone_base_open_fd(ends[0], 0, &base), VERSO_E_NOT_MAPPED);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
    assert_fails(verso_clone_base_open_fd(ends[0], 0, &base), -EBADF);
    assert_ptr_equal(base, &base);
}

static void test_descriptors_need_the_right_mode(void **state)
{
    const char *path = support_file("f", 100);
    int reader = open(path, O_RDONLY | O_CLOEXEC), writer = open(path, O_WRONLY | O_CLOEXEC);
    struct verso_clone_base *base;

    (void)state;
    assert_fails(verso_clone_base_open_fd(reader, VERSO_CLONE_WRITE, &base), -EBADF);
    assert_fails(verso_clone_base_open_fd(writer, 0, &base), -EBADF);
    assert_ok(verso_clone_base_open_fd(reader, 0, &base));
    assert_int_equal(close(reader) + close(writer), 0);
    assert_true(support_matches(verso_clone_base_data(base), 0, 100)); /* the caller's descriptor is not needed */
    verso_clone_base_close(base);
}

static int store_in_the_base(void *arg)
{
    struct verso_clone_base *base = arg;

    ((unsigned char *)verso_clone_base_data(base))[3] = 42;
    verso_clone_base_close(base);
    return 0;
}

static void test_a_child_shares_the_base(void **state)
{
    struct verso_clone_base *base = made(10);

    (void)state;
    assert_int_equal(support_child(store_in_the_base, base), 0);
    assert_int_equal(((unsigned char *)verso_clone_base_data(base))[3], 42);
    verso_clone_base_close(base);
}

static void test_another_process_opens_it_by_descriptor(void **state)
{
    struct verso_clone_base *base = made(10), *other;

    (void)state;
    ((unsigned char *)verso_clone_base_data(base))[3] = 42;
    assert_ok(verso_clone_base_open_fd(verso_clone_base_fd(base), VERSO_CLONE_WRITE, &other));
    assert_int_equal(((unsigned char *)verso_clone_base_data(other))[3], 42);
    ((unsigned char *)verso_clone_base_data(other))[3] = 43;
    assert_int_equal(((unsigned char *)verso_clone_base_data(base))[3], 43);
    verso_clone_base_close(base);
    verso_clone_base_close(other);
}

static void test_made_memory_keeps_its_length(void **state)
{
    struct verso_clone_base *base = made(3 * verso_page_bytes());

    (void)state;
    assert_int_equal(ftruncate(verso_clone_base_fd(base), 1), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(verso_clone_base_fd(base), 1 << 20), -1);
    assert_int_equal(errno, EPERM);
    verso_clone_base_close(base);
}

/* ---- Freezing ---- */

static void test_frozen_is_for_everybody(void **state)
{
    struct verso_clone_base *base = made(10);
    unsigned char *data = verso_clone_base_data(base);
    int fd = verso_clone_base_fd(base);

    (void)state;
    data[1] = 9;
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN));
    assert_int_equal(verso_clone_base_frozen(base), VERSO_CLONE_FROZEN);
    assert_ptr_equal(verso_clone_base_data(base), data);
    assert_int_equal(data[1], 9);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_ptr_equal(mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN)); /* once more says the same */
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN_FOR_OTHERS));
    assert_int_equal(verso_clone_base_frozen(base), VERSO_CLONE_FROZEN);
    verso_clone_base_close(base);
}

static int store_in_the_frozen(void *arg)
{
    struct verso_clone_base *base = arg;

    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile char *)verso_clone_base_data(base) = 1;
    return 0;
}

static void test_stores_into_the_frozen_are_wrong_at_the_store(void **state)
{
    struct verso_clone_base *base = made(10);
    int status;

    (void)state;
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN));
    if (support_is_asan())
        skip_because("ASan reports the store itself");
    status = support_child(store_in_the_frozen, base);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    verso_clone_base_close(base);
}

static void test_frozen_for_others_leaves_the_maker(void **state)
{
    struct verso_clone_base *base = made(10), *other;
    unsigned char *data = verso_clone_base_data(base);

    (void)state;
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN_FOR_OTHERS));
    assert_int_equal(verso_clone_base_frozen(base), VERSO_CLONE_FROZEN_FOR_OTHERS);
    data[2] = 5;
    assert_fails(verso_clone_base_open_fd(verso_clone_base_fd(base), VERSO_CLONE_WRITE, &other), -EPERM);
    assert_ok(verso_clone_base_open_fd(verso_clone_base_fd(base), 0, &other));
    assert_int_equal(((unsigned char *)verso_clone_base_data(other))[2], 5);
    assert_int_equal(verso_clone_base_frozen(other), VERSO_CLONE_FROZEN_FOR_OTHERS);
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN)); /* and from there on for all */
    verso_clone_base_close(other);
    verso_clone_base_close(base);
}

static void test_a_writer_elsewhere_prevents_freezing(void **state)
{
    struct verso_clone_base *base = made(10), *other;
    unsigned char *data = verso_clone_base_data(base);

    (void)state;
    data[1] = 8;
    assert_ok(verso_clone_base_open_fd(verso_clone_base_fd(base), VERSO_CLONE_WRITE, &other));
    assert_fails(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN), -EBUSY);
    assert_int_equal(verso_clone_base_frozen(base), VERSO_CLONE_NOT_FROZEN);
    data[1] = 9; /* it is as it was: shared, and writable */
    assert_int_equal(((unsigned char *)verso_clone_base_data(other))[1], 9);
    verso_clone_base_close(other);
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN));
    assert_int_equal(data[1], 9);
    verso_clone_base_close(base);
}

static void test_readers_do_not_prevent_freezing(void **state)
{
    struct verso_clone_base *base = made(10), *other;

    (void)state;
    assert_ok(verso_clone_base_open_fd(verso_clone_base_fd(base), 0, &other));
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN));
    assert_int_equal(verso_clone_base_frozen(other), VERSO_CLONE_FROZEN);
    verso_clone_base_close(other);
    verso_clone_base_close(base);
}

static void test_files_can_not_be_frozen(void **state)
{
    struct verso_clone_base *base;
    int fd = memfd_create("unsealable", MFD_CLOEXEC);

    (void)state;
    assert_ok(verso_clone_base_open(support_file("f", 100), VERSO_CLONE_WRITE, &base));
    assert_fails(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN), VERSO_E_UNSUPPORTED);
    assert_fails(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN_FOR_OTHERS), VERSO_E_UNSUPPORTED);
    assert_true(verso_error_last()->cause < 0);
    assert_fails(verso_clone_base_freeze(base, VERSO_CLONE_NOT_FROZEN), VERSO_E_OPTIONS);
    ((char *)verso_clone_base_data(base))[0] = 1;
    verso_clone_base_close(base);

    assert_true(fd >= 0 && ftruncate(fd, 100) == 0);
    assert_ok(verso_clone_base_open_fd(fd, VERSO_CLONE_WRITE, &base));
    assert_fails(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN), VERSO_E_UNSUPPORTED);
    ((char *)verso_clone_base_data(base))[0] = 1;
    assert_int_equal(pread(fd, &(char){ 0 }, 1, 0), 1);
    verso_clone_base_close(base);
    assert_int_equal(close(fd), 0);
}

static void test_allocated_memory_is_there(void **state)
{
    const uint64_t bytes = 16 * verso_page_bytes();
    struct verso_clone_base *base, *sparse = made(bytes);
    struct stat status;

    (void)state;
    assert_ok(verso_clone_base_make(bytes, VERSO_CLONE_ALLOCATE, &base));
    assert_int_equal(fstat(verso_clone_base_fd(base), &status), 0);
    assert_true((uint64_t)status.st_blocks * 512 >= bytes);
    assert_int_equal(fstat(verso_clone_base_fd(sparse), &status), 0);
    assert_int_equal(status.st_blocks, 0);
    verso_clone_base_close(base);
    verso_clone_base_close(sparse);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_made_memory_is_zeros_and_writable),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_bad_flags_and_arguments),
        cmocka_unit_test(test_a_file_is_a_base),
        cmocka_unit_test(test_stores_reach_a_writable_file),
        cmocka_unit_test(test_what_can_not_be_a_base),
        cmocka_unit_test(test_descriptors_need_the_right_mode),
        cmocka_unit_test(test_a_child_shares_the_base),
        cmocka_unit_test(test_another_process_opens_it_by_descriptor),
        cmocka_unit_test(test_made_memory_keeps_its_length),
        cmocka_unit_test(test_frozen_is_for_everybody),
        cmocka_unit_test(test_stores_into_the_frozen_are_wrong_at_the_store),
        cmocka_unit_test(test_frozen_for_others_leaves_the_maker),
        cmocka_unit_test(test_a_writer_elsewhere_prevents_freezing),
        cmocka_unit_test(test_readers_do_not_prevent_freezing),
        cmocka_unit_test(test_files_can_not_be_frozen),
        cmocka_unit_test(test_allocated_memory_is_there),
    };

    return run_test_list(list);
}
