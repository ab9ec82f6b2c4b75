/* SPDX-License-Identifier: MIT */
/* pages - what the kernel charges for, what guards survive, what moves: what src/pages builds on. */
#include "kernel_facts.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIB ((size_t)1 << 30)

static int64_t committed_kib(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    int64_t value = -1;

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "Committed_AS:", 13) == 0)
            value = strtoll(line + 13, NULL, 10);
    if (file)
        (void)fclose(file);
    return value;
}

static bool is_charged(int64_t before)
{
    return committed_kib() - before > 3 << 20;
}

/* vm.overcommit_memory 2, which knows no MAP_NORESERVE. */
static bool promises_strictly(void)
{
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "re");
    int mode = file ? fgetc(file) : '0';

    if (file)
        (void)fclose(file);
    return mode == '2';
}

static void skip_where_memory_is_taken(void)
{
    if (sizeof(void *) < 8 || support_is_asan() || support_is_tsan())
        skip_because("not enough addresses, or the sanitizers commit on their own");
}

/* Why verso__os_reserve() has no MAP_NORESERVE: with it, the kernel promises nothing for what is committed later. */
static void test_what_is_charged(void **state)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    int64_t before = committed_kib();
    unsigned char *span, *same;

    (void)state;
    skip_where_memory_is_taken();
    span = mmap(NULL, 4 * GIB, PROT_NONE, flags, -1, 0);
    assert_ptr_not_equal(span, MAP_FAILED);
    assert_false(is_charged(before)); /* reserved: no */
    if (mprotect(span, 4 * GIB, PROT_READ | PROT_WRITE) < 0) {
        assert_int_equal(munmap(span, 4 * GIB), 0);
        skip_because("the kernel does not promise 4 GiB here");
    }
    assert_true(is_charged(before)); /* made writable: yes */
    *span = 1;
    assert_int_equal(mprotect(span, 4 * GIB, PROT_NONE), 0);
    assert_true(is_charged(before)); /* made inaccessible: still, once anything was in use */
    same = mmap(span, 4 * GIB, PROT_NONE, flags | MAP_FIXED, -1, 0);
    assert_ptr_equal(same, span);
    assert_false(is_charged(before)); /* mapped over: no more */
    assert_int_equal(munmap(span, 4 * GIB), 0);
    span = mmap(NULL, 4 * GIB, PROT_NONE, flags | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(span, MAP_FAILED);
    assert_int_equal(mprotect(span, 4 * GIB, PROT_READ | PROT_WRITE), 0);
    if (!promises_strictly())
        assert_false(is_charged(before)); /* never */
    assert_int_equal(munmap(span, 4 * GIB), 0);
}

static int load(void *arg)
{
    (void)*(volatile unsigned char *)arg;
    return 0;
}

static bool dies(void *address)
{
    int status = support_child(load, address);

    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static unsigned char *guarded_pages(int fd)
{
    size_t page = page_bytes();
    unsigned char *memory =
        mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    memset(memory, 1, 4 * page);
    if (madvise(memory + page, page, MADV_GUARD_INSTALL) < 0) {
        assert_int_equal(errno, EINVAL);
        skip_because("no MADV_GUARD_INSTALL for this memory");
    }
    return memory;
}

static void test_what_a_guard_survives(void **state)
{
    size_t page = page_bytes();
    unsigned char *memory = guarded_pages(-1);

    (void)state;
    assert_true(dies(memory + page)); /* in a child, too */
    assert_false(dies(memory + 2 * page));
    assert_int_equal(madvise(memory, 4 * page, MADV_DONTNEED), 0);
    assert_true(dies(memory + page));
    assert_int_equal(mprotect(memory, 4 * page, PROT_NONE), 0);
    assert_int_equal(mprotect(memory, 4 * page, PROT_READ | PROT_WRITE), 0);
    assert_true(dies(memory + page));
    assert_ptr_equal(mmap(memory, 4 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), memory);
    assert_false(dies(memory + page)); /* mapping anew takes it away */
    assert_int_equal(munmap(memory, 4 * page), 0);
}

/* Why pages.h promises a child no guards in memory that is wiped for it. */
static void test_wiping_for_a_child_takes_guards(void **state)
{
    size_t page = page_bytes();
    unsigned char *memory = guarded_pages(-1);

    (void)state;
    assert_int_equal(madvise(memory, 4 * page, MADV_WIPEONFORK), 0);
    assert_int_equal(support_child(load, memory + 2 * page), 0);
    assert_false(dies(memory + page));
    assert_int_equal(munmap(memory, 4 * page), 0);
}

static void test_a_guard_moves_along(void **state)
{
    size_t page = page_bytes();
    unsigned char *memory = guarded_pages(-1);
    unsigned char *moved = mremap(memory, 4 * page, 64 * page, MREMAP_MAYMOVE);

    (void)state;
    assert_ptr_not_equal(moved, MAP_FAILED);
    assert_true(dies(moved + page));
    assert_int_equal(moved[2 * page], 1);
    assert_int_equal(munmap(moved, 64 * page), 0);
}

/* Why spans with LOCK have no markers, and why a lock that fails may be a guard's doing. */
static void test_guards_and_what_brings_pages_in(void **state)
{
    size_t page = page_bytes();
    unsigned char *memory = guarded_pages(-1);

    (void)state;
    assert_int_equal(error_of(madvise(memory, 4 * page, MADV_POPULATE_WRITE)), EFAULT);
    assert_int_equal(error_of(syscall(SYS_mlock, memory, 4 * page)), ENOMEM); /* the sanitizers' mlock() does nothing */
    assert_int_equal(syscall(SYS_munlock, memory, 4 * page), 0);
    assert_int_equal(syscall(SYS_mlock, memory + 2 * page, page), 0);
    assert_int_equal(error_of(madvise(memory + 2 * page, page, MADV_GUARD_INSTALL)), EINVAL);
    assert_int_equal(munmap(memory, 4 * page), 0);
}

/* Why a guard in shared memory punches a hole, too: what the file holds stays. */
static void test_a_guard_empties_no_file(void **state)
{
    size_t page = page_bytes();
    int fd = memfd_create("guard", MFD_CLOEXEC);
    unsigned char *memory;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)(4 * page)), 0);
    memory = guarded_pages(fd);
    assert_true(dies(memory + page));
    assert_int_equal(madvise(memory + page, page, MADV_GUARD_REMOVE), 0);
    assert_int_equal(memory[page], 1);
    assert_int_equal(munmap(memory, 4 * page), 0);
    assert_int_equal(close(fd), 0);
}

/* Of no bytes, the kernel only says whether it knows the advice. */
static void test_advice_of_no_bytes(void **state)
{
    size_t page = page_bytes();
    void *memory = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(madvise(memory, 0, MADV_NORMAL), 0);
    assert_int_equal(error_of(madvise(memory, 0, 9999)), EINVAL);
    assert_int_equal(munmap(memory, page), 0);
}

/* What mremap leaves where pages were: nothing, so that another thread may map there at once. */
static void test_a_move_leaves_a_hole(void **state)
{
    size_t page = page_bytes();
    unsigned char *from = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *to = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    *from = 7;
    assert_ptr_equal(mremap(from, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
    assert_int_equal(*to, 7);
    assert_int_equal(error_of(msync(from, page, MS_ASYNC)), ENOMEM);
    assert_int_equal(munmap(to, page), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_what_is_charged),
        cmocka_unit_test(test_what_a_guard_survives),
        cmocka_unit_test(test_wiping_for_a_child_takes_guards),
        cmocka_unit_test(test_a_guard_moves_along),
        cmocka_unit_test(test_guards_and_what_brings_pages_in),
        cmocka_unit_test(test_a_guard_empties_no_file),
        cmocka_unit_test(test_advice_of_no_bytes),
        cmocka_unit_test(test_a_move_leaves_a_hole),
    };

    return run_test_list(list);
}
