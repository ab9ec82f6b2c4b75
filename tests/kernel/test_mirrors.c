/* SPDX-License-Identifier: MIT */
/* mirrors - one memory file mapped twice; what a child gets of it; whose pages a lock holds. */
#include "kernel_facts.h"

#include <signal.h>

/* Two pages of a memory file, and the same again behind them, over a reserved span: what src/ring/open.c builds. */
static unsigned char *mirrored(int *out_fd)
{
    size_t half = 2 * page_bytes();
    unsigned char *span = mapped(-1, 2 * half, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
    int fd = memfd_create("fact", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)half), 0);
    for (size_t i = 0; i < 2; i++)
        assert_ptr_equal(mmap(span + i * half, half, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
                         span + i * half);
    *out_fd = fd;
    return span;
}

static void test_the_halves_are_one_memory(void **state)
{
    size_t half = 2 * page_bytes();
    int fd;
    unsigned char *span = mirrored(&fd);

    (void)state;
    assert_int_equal(close(fd), 0); /* the mappings outlive it */
    memcpy(span + half - 3, "across", 6);
    assert_memory_equal(span + 2 * half - 3, "acr", 3);
    assert_memory_equal(span, "oss", 3);
    assert_int_equal(munmap(span, 2 * half), 0);
}

/* Size seals stand beside writable maps, and fallocate within the size is still allowed. */
static void test_size_seals_leave_writing_alone(void **state)
{
    size_t half = 2 * page_bytes();
    int fd;
    unsigned char *span = mirrored(&fd);

    (void)state;
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    assert_int_equal(error_of(ftruncate(fd, (off_t)half / 2)), EPERM);
    assert_int_equal(error_of(ftruncate(fd, (off_t)half * 2)), EPERM);
    assert_int_equal(error_of(fallocate(fd, 0, 0, (off_t)half)), 0);
    span[0] = 1;
    assert_int_equal(span[half], 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(munmap(span, 2 * half), 0);
}

static int first_byte(void *arg)
{
    return *(volatile unsigned char *)arg;
}

/* The advice belongs to the mapping, so what is mapped over it does not have it. */
static void test_a_new_mapping_forgets_advice(void **state)
{
    unsigned char *data;
    int fd, status;

    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer takes the signal for itself");
    data = mirrored(&fd);
    data[0] = 7;
    assert_int_equal(madvise(data, page_bytes(), MADV_DONTFORK), 0);
    status = support_child(first_byte, data);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_ptr_equal(mmap(data, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), data);
    status = support_child(first_byte, data);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_int_equal(close(fd), 0);
    assert_int_equal(munmap(data, 4 * page_bytes()), 0);
}

/* A ring's own page in a child of fork(). */
static void test_wiped_pages_are_zeros_in_a_child(void **state)
{
    unsigned char *page = mapped(-1, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    int status;

    (void)state;
    page[0] = 7;
    assert_int_equal(madvise(page, page_bytes(), MADV_WIPEONFORK), 0);
    status = support_child(first_byte, page);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(page[0], 7);
    assert_int_equal(munmap(page, page_bytes()), 0);
}

/* Whether /proc/kpageflags has the frame behind @address as unevictable: 1, 0, negative when it can't be asked. */
static int is_unevictable(const unsigned char *address)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), flags_fd = open("/proc/kpageflags", O_RDONLY);
    const uint64_t frame_mask = ((uint64_t)1 << 55) - 1, unevictable = (uint64_t)1 << 18;
    uint64_t entry = 0, flags = 0;
    int answer = -1;

    if (pagemap >= 0 && flags_fd >= 0 &&
        pread(pagemap, &entry, 8, (off_t)((uintptr_t)address / page_bytes() * 8)) == 8 && entry & frame_mask &&
        pread(flags_fd, &flags, 8, (off_t)((entry & frame_mask) * 8)) == 8)
        answer = flags & unevictable ? 1 : 0;
    if (pagemap >= 0)
        (void)close(pagemap);
    if (flags_fd >= 0)
        (void)close(flags_fd);
    return answer;
}

/* So a ring locks one half, and counts once against RLIMIT_MEMLOCK. */
static void test_a_lock_holds_the_page_whoever_maps_it(void **state)
{
    size_t half = 2 * page_bytes();
    int fd, before, after;
    unsigned char *span = mirrored(&fd);

    (void)state;
    memset(span, 1, 2 * half);
    before = is_unevictable(span + half);
    assert_int_equal(syscall(SYS_mlock2, span, half, 0), 0);
    after = is_unevictable(span + half); /* of the mapping that was not locked */
    assert_int_equal(close(fd), 0);
    assert_int_equal(munmap(span, 2 * half), 0);
    if (before < 0)
        skip_because("needs /proc/kpageflags (root)");
    assert_int_equal(before, 0);
    assert_int_equal(after, 1);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_the_halves_are_one_memory),
        cmocka_unit_test(test_size_seals_leave_writing_alone),
        cmocka_unit_test(test_a_new_mapping_forgets_advice),
        cmocka_unit_test(test_wiped_pages_are_zeros_in_a_child),
        cmocka_unit_test(test_a_lock_holds_the_page_whoever_maps_it),
    };

    return run_test_list(list);
}
