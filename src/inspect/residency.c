/* SPDX-License-Identifier: MIT */
/*
 * residency - mincore on a map that nothing can touch.
 *
 * mincore wants addresses, so the file must be mapped to be asked about. The map has no access at all: no page of it
 * can ever be faulted in, so none is marked as used, and the file stands with the kernel's reclaim as it stood before.
 * A window slides over the file, so that a file larger than the address space can be asked about too.
 */
#include "base/sums.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>

/* Address space, not memory: large enough that sliding costs nothing, small enough for 32-bit systems. */
#define WINDOW_BYTES (UINT64_C(1) << 28)

/* The file is mapped through @fd, or, when that can't read, through a descriptor of the window's own. */
static int map(struct verso__inspect_window *window, uint64_t start, uint64_t bytes)
{
    int fd = window->reader_fd >= 0 ? window->reader_fd : window->fd;

    return verso__os_map(NULL, (size_t)bytes, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_SHARED | VERSO__OS_MAP_NORESERVE, fd,
                         start, &window->address);
}

static void unmap(struct verso__inspect_window *window)
{
    if (window->page_count > 0)
        (void)verso__os_unmap(window->address, (size_t)window->map_bytes);
    window->page_count = 0;
}

/* Moves the window so that it holds @first_page and goes on towards @end_page. Maps of hugetlbfs begin and end at whole
 * huge pages. */
static int slide(struct verso__inspect_window *window, uint64_t first_page, uint64_t end_page)
{
    uint64_t page_bytes = verso__os_page_bytes();
    uint64_t granule_bytes = verso__os_file_page_bytes(window->fd);
    uint64_t start = verso__round_down(first_page * page_bytes, granule_bytes);
    uint64_t bytes;
    int r;

    unmap(window);
    if (!verso__round_up(verso__min_u64(end_page * page_bytes - start, WINDOW_BYTES), granule_bytes, &bytes) ||
        bytes > SIZE_MAX)
        return -EOVERFLOW;
    r = map(window, start, bytes);
    if (r == -EACCES && window->reader_fd < 0) {
        r = verso__os_reopen(window->fd, VERSO__OS_OPEN_READ, &window->reader_fd);
        if (r == 0)
            r = map(window, start, bytes);
    }
    if (r < 0)
        return r;
    window->first_page = start / page_bytes;
    window->page_count = bytes / page_bytes;
    window->map_bytes = bytes;
    return 0;
}

int verso__inspect_window_look(struct verso__inspect_window *window, uint64_t first_page, size_t count,
                               uint64_t end_page, unsigned char *out_pages)
{
    uint64_t page_bytes = verso__os_page_bytes();
    int r;

    if (first_page < window->first_page || !verso__within(first_page - window->first_page, count, window->page_count)) {
        r = slide(window, first_page, end_page);
        if (r < 0)
            return r;
    }
    return verso__os_resident((char *)window->address + (first_page - window->first_page) * page_bytes,
                              (size_t)(count * page_bytes), out_pages);
}

void verso__inspect_window_close(struct verso__inspect_window *window)
{
    unmap(window);
    if (window->reader_fd >= 0)
        verso__os_close(window->reader_fd);
    window->reader_fd = -1;
}

int verso__inspect_count_resident(int fd, uint64_t first_page, uint64_t end_page, uint64_t *out_cached)
{
    struct verso__inspect_window window = VERSO__INSPECT_WINDOW_ON(fd);
    unsigned char pages[VERSO__INSPECT_LEAF_PAGES];
    uint64_t cached = 0;
    int r = verso__os_residency_is_honest(fd) ? 0 : -EPERM;

    while (r == 0 && first_page < end_page) {
        size_t count = (size_t)verso__min_u64(end_page - first_page, VERSO__INSPECT_LEAF_PAGES);

        r = verso__inspect_window_look(&window, first_page, count, end_page, pages);
        for (size_t i = 0; r == 0 && i < count; i++)
            cached += pages[i] & 1;
        first_page += count;
    }
    verso__inspect_window_close(&window);
    if (r == 0)
        *out_cached = cached;
    return r;
}
