/* SPDX-License-Identifier: MIT */
/*
 * racing - another process that stores between two of our system calls.
 *
 * The program has an lseek() of its own, before libc's: what happens between two calls is decided there, and not by
 * chance.
 */
#include "support.h"

#include "maps.h"

#include <sys/syscall.h>

static const char *stored_to; /* by the other process, when a hole has been found; NULL: not, or done */

static void store(void)
{
    int fd = open(stored_to, O_WRONLY | O_CLOEXEC);

    stored_to = NULL;
    if (fd < 0 || pwrite(fd, "other", 5, 0) != 5 || close(fd) < 0)
        abort();
}

off_t lseek(int fd, off_t offset, int whence)
{
    if (whence == SEEK_DATA && stored_to)
        store();
    return syscall(SYS_lseek, fd, offset, whence);
}

static void test_a_hole_that_is_filled_while_we_look(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = sparse_file("sparse", 64 * page);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    struct verso_map *map;

    (void)state;
    stored_to = path;
    assert_ok(verso_map_open(path, &options, &map));
    if (stored_to)
        skip_because("this file system does not tell its holes");
    assert_true((uint64_t)status_of(path).st_blocks * 512 >= 64 * page);
    assert_int_equal(status_of(path).st_size, 64 * page);
    assert_memory_equal(verso_map_data(map), "other", 5);
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_hole_that_is_filled_while_we_look),
    };

    return run_test_list(list);
}
