/* SPDX-License-Identifier: MIT */
/*
 * copy - a range of a file in sealed memory.
 *
 *      file      |.......|=========|......|
 *                         \ copied  \
 *      copy      |  hole |=========|            the same offsets, so that the rest of the library need not know;
 *                                               the hole takes no memory
 *
 * Once sealed (SHRINK, GROW, WRITE, SEAL) the kernel refuses every change, by anybody, for good.
 */
#include "base/sums.h"
#include "huge/huge.h"
#include "map/stability.h"

#include <errno.h>
#include <stdlib.h>

/* Long enough that system calls don't show, short enough to stay in the second-level cache. */
#define STEP_BYTES ((size_t)256 << 10)

static const unsigned for_good =
    VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW | VERSO__OS_SEAL_WRITE | VERSO__OS_SEAL_SEAL;

static bool is_zero(const unsigned char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i])
            return false;
    return true;
}

static int fail_at(struct verso__map_copy *copy, uint64_t offset, int code)
{
    copy->bad_offset_bytes = offset;
    return code;
}

/* One piece of the file. Zeros need not be written: a hole reads the same and takes no memory. */
static int copy_step(struct verso__map_copy *copy, int fd, int target, uint64_t offset, unsigned char *step,
                     size_t bytes)
{
    size_t done;
    int r = verso__os_read_at(fd, offset, step, bytes, &done);

    if (r < 0)
        return fail_at(copy, offset, r);
    if (done < bytes)
        return fail_at(copy, offset + done, VERSO_E_CHANGED);
    return is_zero(step, bytes) ? 0 : verso__os_write_at(target, offset, step, bytes, &done);
}

static int fill_by_steps(struct verso__map_copy *copy, int fd, int target)
{
    uint64_t end = copy->offset_bytes + copy->length_bytes;
    unsigned char *step = malloc(STEP_BYTES);
    int r = step ? 0 : -ENOMEM;

    for (uint64_t at = copy->offset_bytes; r == 0 && at < end; at += STEP_BYTES)
        r = copy_step(copy, fd, target, at, step, (size_t)verso__min_u64(end - at, STEP_BYTES));
    free(step);
    return r;
}

/* Huge pages are given to mappings, not to write(); so the copy is read straight into one. */
static int fill_through_map(struct verso__map_copy *copy, int fd, int target)
{
    uint64_t start = verso__round_down(copy->offset_bytes, copy->granule_bytes);
    uint64_t end =
        verso__round_down(copy->offset_bytes + copy->length_bytes + copy->granule_bytes - 1, copy->granule_bytes);
    size_t bytes = (size_t)(end - start), done = 0;
    unsigned access = VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE;
    void *address;
    int r;

    r = verso__map_huge_reserve(start, bytes, &address);
    if (r < 0)
        return r;
    r = verso__os_map(address, bytes, access, VERSO__OS_MAP_SHARED | VERSO__OS_MAP_OVER, target, start, &address);
    if (r == 0) {
        (void)verso__os_advise(address, bytes, VERSO__OS_ADVICE_HUGE);
        r = verso__os_read_at(fd, copy->offset_bytes, (char *)address + (copy->offset_bytes - start),
                              (size_t)copy->length_bytes, &done);
        if (r == -EFAULT)
            r = -ENOMEM; /* it is our own memory that could not be had */
        else if (r < 0 || done < copy->length_bytes)
            r = fail_at(copy, copy->offset_bytes + done, r < 0 ? r : VERSO_E_CHANGED);
    }
    (void)verso__os_unmap(address, bytes);
    return r;
}

static int new_target(const struct verso__map_copy *copy, unsigned flags, int *out_fd)
{
    uint64_t end = copy->offset_bytes + copy->length_bytes;
    int target, r;

    if (copy->is_executable)
        flags |= VERSO__OS_MEMORY_FILE_EXEC;
    r = verso__os_memory_file(copy->name, flags, &target);
    if (r < 0)
        return r;
    r = verso__os_truncate(target, verso__round_down(end + copy->granule_bytes - 1, copy->granule_bytes));
    if (r < 0)
        verso__os_close(target);
    else
        *out_fd = target;
    return r;
}

static int finish(int target, int r, int *out_fd)
{
    if (r == 0)
        r = verso__os_seals_add(target, for_good);
    if (r < 0)
        verso__os_close(target);
    else
        *out_fd = target;
    return r;
}

static void plain_pages(struct verso__map_copy *copy)
{
    copy->granule_bytes = verso__os_page_bytes();
    copy->pages = VERSO_MAP_PAGES_BASE;
    copy->bad_offset_bytes = VERSO_OFFSET_NONE;
}

/* -ENOMEM when the pool has too few free pages, as most have none. */
static int copy_to_hugetlb(struct verso__map_copy *copy, int fd, int *out_fd)
{
    struct verso__map_copy wanted = *copy;
    int target, r;

    wanted.granule_bytes = verso__huge_pool_bytes();
    if (wanted.granule_bytes == 0 || copy->length_bytes < wanted.granule_bytes)
        return -ENOMEM;
    wanted.pages = VERSO_MAP_PAGES_HUGETLB;
    r = new_target(&wanted, VERSO__OS_MEMORY_FILE_HUGE, &target);
    if (r < 0)
        return r;
    r = finish(target, fill_through_map(&wanted, fd, target), out_fd);
    if (r == 0)
        *copy = wanted;
    return r;
}

int verso__map_copy_file(struct verso__map_copy *copy, int fd, int *out_fd)
{
    int target, r;

    plain_pages(copy);
    if (copy->wants_huge && copy->takes_hugetlb && copy_to_hugetlb(copy, fd, out_fd) == 0)
        return 0;
    r = new_target(copy, 0, &target);
    if (r < 0)
        return r;
    return finish(target, copy->wants_huge ? fill_through_map(copy, fd, target) : fill_by_steps(copy, fd, target),
                  out_fd);
}

int verso__map_copy_memory(struct verso__map_copy *copy, const void *source, int *out_fd)
{
    size_t done;
    int target, r;

    plain_pages(copy);
    r = new_target(copy, 0, &target);
    if (r < 0)
        return r;
    r = verso__os_write_at(target, copy->offset_bytes, source, (size_t)copy->length_bytes, &done);
    if (r == -EFAULT)
        (void)fail_at(copy, copy->offset_bytes + done, r);
    return finish(target, r, out_fd);
}
