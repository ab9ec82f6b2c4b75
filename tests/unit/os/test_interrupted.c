/* SPDX-License-Identifier: MIT */
/*
 * interrupted - signals in the middle of system calls never come out of os.h, and never keep it from coming to an end.
 *
 * When signals come is for the kernel to say, so here it is not asked: the program has calls of its own before libc's,
 * which are interrupted as often as the test wants.
 */
#include "support.h"

#include "os/os.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* ---- A disk that gives space as tmpfs does: all of what was asked for, or, after a signal, none ---------------- */

static struct {
    uint64_t given;           /* up to where, without a gap */
    uint64_t most;            /* more than this at once takes longer than the signals leave */
    unsigned interrupt_first; /* so many calls are interrupted whatever they ask for */
    uint64_t full_at;         /* -ENOSPC past here */
    unsigned calls;
    bool is_odd; /* asked for nothing, for a place that does not follow the last, or without end */
} disk;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    (void)fd;
    disk.is_odd = disk.is_odd || mode != 0 || len <= 0 || (uint64_t)offset != disk.given || disk.calls > 100000;
    if (disk.is_odd) {
        errno = EIO;
    } else if (disk.calls++ < disk.interrupt_first || (uint64_t)len > disk.most) {
        errno = EINTR;
    } else if (disk.given + (uint64_t)len > disk.full_at) {
        errno = ENOSPC;
    } else {
        disk.given += (uint64_t)len;
        return 0;
    }
    return -1;
}

static void new_disk(uint64_t offset, uint64_t most, unsigned interrupt_first)
{
    memset(&disk, 0, sizeof(disk));
    disk.given = offset;
    disk.most = most;
    disk.interrupt_first = interrupt_first;
    disk.full_at = UINT64_MAX;
}

static void test_allocate_asks_for_less_after_a_signal(void **state)
{
    const uint64_t sizes[] = { 1, 64 * KIB - 1, 64 * KIB, 128 * KIB, MIB + 1, 100 * MIB + 4097 };
    const uint64_t most[] = { UINT64_MAX, 16 * MIB, MIB + 17, 128 * KIB };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t j = 0; j < sizeof(most) / sizeof(most[0]); j++) {
            new_disk(4095, most[j], 0);
            assert_int_equal(verso__os_allocate(0, 4095, sizes[i]), 0);
            assert_false(disk.is_odd);
            assert_int_equal(disk.given, 4095 + sizes[i]);
        }
    }
}

/* Pieces are halved no further than makes sense; those are asked for again. */
static void test_allocate_asks_for_the_smallest_piece_again(void **state)
{
    const uint64_t sizes[] = { 1, 4096, 64 * KIB, 3 * MIB + 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        new_disk(0, UINT64_MAX, 1000);
        assert_int_equal(verso__os_allocate(0, 0, sizes[i]), 0);
        assert_false(disk.is_odd);
        assert_int_equal(disk.given, sizes[i]);
        assert_true(disk.calls <= 1000 + sizes[i] / (32 * KIB) + 1);
    }
}

static void test_allocate_in_pieces_meets_the_end_of_the_disk(void **state)
{
    (void)state;
    new_disk(0, MIB, 0);
    disk.full_at = 5 * MIB;
    assert_int_equal(verso__os_allocate(0, 0, 8 * MIB), -ENOSPC);
    assert_false(disk.is_odd);
    assert_int_equal(disk.given, 5 * MIB);
}

/* ---- Calls that are just made again -------------------------- */

static unsigned interruptions, made;

static int interrupted(void)
{
    made++;
    if (interruptions == 0)
        return 0;
    interruptions--;
    errno = EINTR;
    return -1;
}

int msync(void *addr, size_t len, int flags)
{
    (void)addr;
    (void)len;
    return flags == MS_SYNC ? interrupted() : -1;
}

int fsync(int fd)
{
    (void)fd;
    return interrupted();
}

int fdatasync(int fildes)
{
    (void)fildes;
    return interrupted();
}

int syncfs(int fd)
{
    (void)fd;
    return interrupted();
}

static int sync_a_mapping(int fd)
{
    (void)fd;
    return verso__os_sync_mapping(NULL, 4096);
}

static void test_syncing_goes_on_after_signals(void **state)
{
    int (*const calls[])(int fd) = { sync_a_mapping, verso__os_sync_full, verso__os_sync_data,
                                     verso__os_sync_file_system };

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        interruptions = 3;
        made = 0;
        assert_int_equal(calls[i](0), 0);
        assert_int_equal(made, 4);
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_allocate_asks_for_less_after_a_signal),
        cmocka_unit_test(test_allocate_asks_for_the_smallest_piece_again),
        cmocka_unit_test(test_allocate_in_pieces_meets_the_end_of_the_disk),
        cmocka_unit_test(test_syncing_goes_on_after_signals),
    };

    return run_test_list(list);
}
