/* SPDX-License-Identifier: MIT */
/* fake - the kernel that fails when told to: it counts, refuses, and keeps its ledger. */
#include "support.h"

#include "os/fake/fake.h"
#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

static int calm(void **state)
{
    (void)state;
    fake_reset();
    fake_forgive();
    return 0;
}

static void test_nth_call_fails_and_outputs_stay(void **state)
{
    struct verso__os_file_info info = { .bytes = 7 };
    int fd = -7, second = -7;

    (void)state;
    fake_begin();
    fake_fail_nth(2, 0);
    fake_fail_nth(3, -EIO);
    fake_fail_nth(4, 1);
    assert_int_equal(verso__os_open(support_directory(), VERSO__OS_OPEN_READ, 0, &fd), 0);
    assert_int_equal(verso__os_duplicate(fd, &second), -EMFILE);
    assert_int_equal(second, -7);
    assert_string_equal(fake_failed_call(), "duplicate");
    assert_int_equal(fake_failed_call_errors(), 1);
    assert_int_equal(verso__os_file_info(fd, &info), -EIO);
    assert_int_equal(info.bytes, 7);
    assert_int_equal(verso__os_open("/", VERSO__OS_OPEN_READ, 0, &second), -EACCES);
    assert_int_equal(verso__os_file_info(fd, &info), 0);
    fake_end();
    assert_int_equal(fake_calls_seen(), 5);
    assert_int_equal(fake_failures(), 3);
    verso__os_close(fd);
    assert_null(fake_complaint());
}

static void test_every_call_fails_from_the_nth_on(void **state)
{
    struct verso__os_file_info info;

    (void)state;
    fake_begin();
    fake_fail_from(2);
    assert_int_equal(verso__os_path_info("/", true, &info), 0);
    assert_int_equal(verso__os_path_info("/", true, &info), -EACCES);
    assert_null(malloc(1));
    assert_null(strdup("x"));
    fake_end();
    assert_int_equal(verso__os_path_info("/", true, &info), 0);
    assert_int_equal(fake_failures(), 3);
}

static void test_a_call_fails_by_name_without_counting(void **state)
{
    int fd;

    (void)state;
    fake_fail_call("sync_data", -ENOSPC, 2);
    assert_int_equal(verso__os_open(support_file("f", 10), VERSO__OS_OPEN_READ, 0, &fd), 0);
    assert_int_equal(verso__os_sync_data(fd), -ENOSPC);
    assert_int_equal(verso__os_sync_full(fd), 0);
    assert_int_equal(verso__os_sync_data(fd), -ENOSPC);
    assert_int_equal(verso__os_sync_data(fd), 0);
    fake_fail_call("sync_data", -EIO, UINT_MAX);
    assert_int_equal(verso__os_sync_data(fd), -EIO);
    fake_fail_call("sync_data", 0, 0);
    assert_int_equal(verso__os_sync_data(fd), 0);
    verso__os_close(fd);
}

static void test_reads_can_be_short(void **state)
{
    unsigned char data[100];
    size_t done = 0;
    int fd;

    (void)state;
    assert_int_equal(verso__os_open(support_file("f", 100), VERSO__OS_OPEN_READ, 0, &fd), 0);
    fake_short_transfers(7);
    assert_int_equal(verso__os_read(fd, data, sizeof(data), &done), 0);
    assert_int_equal(done, 7);
    fake_short_transfers(0);
    assert_int_equal(verso__os_read(fd, data, sizeof(data), &done), 0);
    assert_int_equal(done, 93);
    verso__os_close(fd);
}

static void test_a_failing_write_leaves_half(void **state)
{
    size_t done = 99;
    int fd;

    (void)state;
    assert_int_equal(verso__os_open(support_file("f", 0), VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, 0, &fd), 0);
    fake_fail_call("write_at", -ENOSPC, 1);
    assert_int_equal(verso__os_write_at(fd, 0, "abcdef", 6, &done), -ENOSPC);
    assert_int_equal(done, 3);
    assert_int_equal(lseek(fd, 0, SEEK_END), 3);
    verso__os_close(fd);
}

static void test_ledger_counts_what_is_held(void **state)
{
    struct fake_holdings before = fake_held(), held;
    size_t page = verso__os_page_bytes();
    void *span, *moved, *memory;
    int fd;

    (void)state;
    fake_begin();
    memory = realloc(malloc(10), 1000000);
    assert_int_equal(verso__os_memory_file("m", 0, &fd), 0);
    assert_int_equal(verso__os_reserve(8 * page, page, &span), 0);
    assert_int_equal(verso__os_map(span, 2 * page, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_OVER, -1, 0, &moved), 0);
    fake_end();
    held = fake_held();
    assert_int_equal(held.descriptors, before.descriptors + 1);
    assert_int_equal(held.mapped_bytes, before.mapped_bytes + 8 * page);
    assert_int_equal(held.allocations, before.allocations + 1);
    assert_int_equal(verso__os_unmap((char *)span + 2 * page, 2 * page), 0); /* a hole */
    assert_int_equal(fake_held().mapped_bytes, before.mapped_bytes + 6 * page);
    assert_int_equal(verso__os_unmap(span, 2 * page), 0);
    assert_int_equal(verso__os_remap((char *)span + 4 * page, 4 * page, page, false, &moved), 0);
    assert_int_equal(fake_held().mapped_bytes, before.mapped_bytes + page);
    assert_int_equal(verso__os_unmap(moved, page), 0);
    verso__os_close(fd);
    free(memory);
    held = fake_held();
    assert_memory_equal(&held, &before, sizeof(held));
    assert_null(fake_complaint());
}

static void expect_complaint(const char *part)
{
    assert_non_null(fake_complaint());
    assert_non_null(strstr(fake_complaint(), part));
    fake_forgive();
}

static void test_ledger_complains_of_what_is_not_ours(void **state)
{
    size_t page = verso__os_page_bytes();
    void *span, *got;
    int fd;

    (void)state;
    fd = open("/", O_RDONLY | O_CLOEXEC);
    verso__os_close(fd);
    expect_complaint("close");
    assert_int_equal(verso__os_open("/", VERSO__OS_OPEN_READ, 0, &fd), 0);
    verso__os_close(fd);
    assert_null(fake_complaint());
    verso__os_close(fd);
    expect_complaint("closed before");

    assert_int_equal(verso__os_reserve(4 * page, page, &span), 0);
    assert_int_equal(verso__os_unmap((char *)span + page, page), 0);
    assert_null(fake_complaint());
    assert_int_equal(verso__os_map(span, 2 * page, 0, VERSO__OS_MAP_OVER, -1, 0, &got), 0);
    expect_complaint("map over"); /* its second page was given back */
    assert_int_equal(verso__os_protect((char *)span + 3 * page, page, VERSO__OS_ACCESS_READ), 0);
    assert_null(fake_complaint());
    assert_int_equal(verso__os_unmap(span, 4 * page), 0);
    expect_complaint("unmap");
}

static void *acquire_and_release(void *arg)
{
    size_t page = verso__os_page_bytes();

    for (int i = 0; i < 500; i++) {
        void *volatile memory = malloc((size_t)i + 1); /* volatile: or the compiler drops both */
        void *span;
        int fd;

        free(memory);
        if (verso__os_open("/", VERSO__OS_OPEN_READ, 0, &fd) == 0)
            verso__os_close(fd);
        if (verso__os_reserve(2 * page, page, &span) == 0)
            (void)verso__os_unmap(span, 2 * page);
    }
    return arg;
}

static void test_threads_keep_the_books_straight(void **state)
{
    struct fake_holdings before = fake_held(), held;
    pthread_t threads[4];

    (void)state;
    fake_begin();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, acquire_and_release, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    fake_end();
    held = fake_held();
    assert_memory_equal(&held, &before, sizeof(held));
    assert_null(fake_complaint());
    assert_int_equal(fake_calls_seen(), 4 * 500 * 3 + 4); /* and the four threads themselves */
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_setup(test_nth_call_fails_and_outputs_stay, calm),
        cmocka_unit_test_setup(test_every_call_fails_from_the_nth_on, calm),
        cmocka_unit_test_setup(test_a_call_fails_by_name_without_counting, calm),
        cmocka_unit_test_setup(test_reads_can_be_short, calm),
        cmocka_unit_test_setup(test_a_failing_write_leaves_half, calm),
        cmocka_unit_test_setup(test_ledger_counts_what_is_held, calm),
        cmocka_unit_test_setup(test_ledger_complains_of_what_is_not_ours, calm),
        cmocka_unit_test_setup(test_threads_keep_the_books_straight, calm),
    };

    return run_test_list(list);
}
