/* SPDX-License-Identifier: MIT */
/* cold - see cold.h. */
#include "support.h"

#include "cold.h"
#include "os/fake/fake.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

size_t page_bytes;

int cold_prepare(void **state)
{
    (void)state;
    page_bytes = verso__os_page_bytes();
    return 0;
}

int cold_calm(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

int make_cold(const char *name, uint64_t bytes)
{
    int fd = open(support_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0); /* a read brings in what it reads, no more */
    return fd;
}

void read_page(int fd, uint64_t page)
{
    char byte;

    assert_int_equal(pread(fd, &byte, 1, (off_t)(page * page_bytes)), 1);
}

void read_pages(int fd, uint64_t first, uint64_t end)
{
    for (uint64_t page = first; page < end; page++)
        read_page(fd, page);
}

unsigned char *ask_mincore(int fd, uint64_t pages)
{
    unsigned char *answer = malloc(pages);
    void *map = mmap(NULL, pages * page_bytes, PROT_NONE, MAP_SHARED, fd, 0);

    assert_non_null(answer);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, pages * page_bytes, answer), 0);
    munmap(map, pages * page_bytes);
    for (uint64_t i = 0; i < pages; i++)
        answer[i] &= 1;
    return answer;
}

const char *cold_refusal(void)
{
    int fd = make_cold("probe", 8 * page_bytes);
    unsigned char *answer;
    bool works;

    read_page(fd, 1);
    answer = ask_mincore(fd, 8);
    works = answer[1] && !answer[7];
    free(answer);
    close(fd);
    return works ? NULL : "reads of holes are not cached page by page here (tmpfs?); set TEST_DIRECTORY";
}

bool has_cachestat(int fd)
{
    struct verso__os_cache_counts counts;

    return verso__os_cache_counts(fd, 0, 1, &counts) == 0;
}
