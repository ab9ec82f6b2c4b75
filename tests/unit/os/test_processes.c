/* SPDX-License-Identifier: MIT */
/* processes - which there are, what they count, and that one which ends is never half a list. */
#include "support.h"

#include "children.h"
#include "os/os.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* More text than any buffer holds: the end can come in the middle of it. */
#define MANY 5000

static int map_many(void *arg)
{
    size_t page_bytes = verso__os_page_bytes();
    char *span = mmap(NULL, MANY * 2 * page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)arg;
    if (span == MAP_FAILED)
        return -1;
    for (size_t i = 0; i < MANY; i++)
        if (mprotect(span + 2 * i * page_bytes, page_bytes, PROT_READ) != 0)
            return -1;
    return 0;
}

static int never(const struct verso__os_mapping *mapping, void *arg)
{
    (void)mapping;
    (void)arg;
    return 1;
}

static void test_a_process_that_is_gone(void **state)
{
    struct verso__os_process_info info = { .start_ticks = 7 };
    struct verso__os_mapping mapping;
    pid_t child = support_child_start(NULL, NULL);
    int fd;

    (void)state;
    support_child_kill(child); /* a zombie: still in the list of processes, without memory */
    assert_int_equal(verso__os_mappings(child, never, NULL), 0);
    assert_int_equal(verso__os_process_info(child, &info), 0);
    assert_int_equal(info.state, 'Z');
    support_child_stop(child);
    assert_int_equal(verso__os_mappings(child, never, NULL), -ESRCH);
    assert_int_equal(verso__os_mapping_at(child, 0, &mapping, NULL, 0), -ESRCH);
    assert_int_equal(verso__os_pagemap_open(child, &fd), -ESRCH);
    info.start_ticks = 7;
    assert_int_equal(verso__os_process_info(child, &info), -ESRCH);
    assert_true(info.start_ticks == 7);
    assert_int_equal(verso__os_process_info(-1, &info), -ESRCH);
}

struct ending {
    pid_t child;
    int calls;
};

static int end_the_process(const struct verso__os_mapping *mapping, void *arg)
{
    struct ending *ending = arg;

    (void)mapping;
    if (ending->calls++ == 0)
        support_child_kill(ending->child);
    return 0;
}

static void test_a_process_that_ends_meanwhile(void **state)
{
    struct ending ending = { support_child_start(map_many, NULL), 0 };

    (void)state;
    assert_int_equal(verso__os_mappings(ending.child, end_the_process, &ending), -ESRCH);
    assert_true(ending.calls > 0 && ending.calls < MANY);
    support_child_stop(ending.child);
}

static int take_command(void *arg)
{
    return prctl(PR_SET_NAME, arg);
}

static void test_process_info(void **state)
{
    char name[] = ") R 1 (\n\xff";
    pid_t child = support_child_start(take_command, name);
    struct verso__os_process_info info;

    (void)state;
    assert_int_equal(verso__os_process_info(child, &info), 0);
    assert_string_equal(info.command, name);
    assert_true(info.state == 'S' || info.state == 'R'); /* it may be on its way to sleep */
    assert_true(info.start_ticks > 0);
    assert_true(info.resident_bytes > 0 && info.virtual_bytes >= info.resident_bytes);
    assert_false(info.is_kernel_thread);
    support_child_stop(child);
}

static void test_faults_are_counted(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    struct verso__os_process_info before, after;
    volatile char *pages = mmap(NULL, 100 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(pages != MAP_FAILED);
    (void)madvise((void *)pages, 100 * page_bytes, MADV_NOHUGEPAGE); /* EINVAL where there are none */
    assert_int_equal(verso__os_process_info(0, &before), 0);
    for (size_t i = 0; i < 100; i++)
        pages[i * page_bytes] = 1;
    assert_int_equal(verso__os_process_info(0, &after), 0);
    assert_true(after.minor_faults - before.minor_faults >= 100);
    munmap((void *)pages, 100 * page_bytes);
}

static int find_pid(pid_t pid, void *arg)
{
    return pid == *(pid_t *)arg;
}

static int count_pid(pid_t pid, void *arg)
{
    assert_true(pid > 0);
    ++*(int *)arg;
    return 0;
}

static void test_the_list_of_processes(void **state)
{
    size_t descriptors = support_descriptor_count();
    pid_t own = getpid();
    int count = 0;

    (void)state;
    assert_int_equal(verso__os_processes(find_pid, &own), 1);
    assert_int_equal(verso__os_processes(count_pid, &count), 0);
    assert_true(count >= 1);
    assert_int_equal(support_descriptor_count(), descriptors);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_process_that_is_gone), cmocka_unit_test(test_a_process_that_ends_meanwhile),
        cmocka_unit_test(test_process_info),           cmocka_unit_test(test_faults_are_counted),
        cmocka_unit_test(test_the_list_of_processes),
    };

    return run_test_list(list);
}
