/* SPDX-License-Identifier: MIT */
/*
 * substitute - zeros where the file has nothing to give.
 *
 *      file      |=========|..  cut here
 *      map       |====|====|====|====|====|
 *                          |<-- one mmap -->|     however far in the fault was
 *
 * A file that was cut short is mended in one piece: page by page would take a mapping each, and a process has some
 * 65,000. A page in the middle (a failed read, a hole on a full disk, broken memory) is mended alone, so that the good
 * data behind it stays; only when the kernel has no mapping left for that, everything behind it goes, too.
 *
 * Several threads may fault in the same range at once and all do this: putting zeros over zeros changes nothing.
 */
#include "base/sums.h"
#include "guard/scope.h"
#include "os/os.h"

static bool zero(const struct verso__guard_place *place, uintptr_t from, uintptr_t to)
{
    unsigned access = atomic_load(&place->range->access);

    return verso__os_zero_over((void *)from, to - from, access) == 0; // NOLINT(performance-no-int-to-ptr)
}

/* The address in the range where the file, @file_bytes long, has ended: the first page without a byte of it. */
static uintptr_t end_of_file(const struct verso__guard_place *place, uint64_t file_bytes, size_t page_bytes)
{
    uint64_t start_offset = place->start + place->file_shift;
    uint64_t present;

    if (file_bytes <= start_offset)
        return place->start;
    if (!verso__round_up(file_bytes - start_offset, page_bytes, &present) || present > place->end - place->start)
        return place->end;
    return place->start + (uintptr_t)present;
}

bool verso__guard_substitute(const struct verso__guard_place *place)
{
    size_t page_bytes = place->range->granule_bytes;
    uintptr_t page = place->address & ~(uintptr_t)(page_bytes - 1);
    int fd = atomic_load(&place->range->fd);
    int64_t file_bytes = fd < 0 ? -1 : verso__os_file_bytes_now(fd);
    uintptr_t file_end = file_bytes < 0 ? place->end : end_of_file(place, (uint64_t)file_bytes, page_bytes);
    uint64_t bad = verso__guard_place_offset(place);

    if (page >= file_end) {
        bad = verso__max_u64((uint64_t)file_bytes, place->start + place->file_shift);
        if (!zero(place, file_end, place->end))
            return false;
    } else if (!zero(place, page, page + page_bytes) && !zero(place, page, place->end)) {
        return false;
    }
    verso__guard_place_mark(place, bad);
    return true;
}
