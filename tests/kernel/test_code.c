/* SPDX-License-Identifier: MIT */
/* code - executable memory: what seals, fork() and policies do to it, and when other CPUs see new instructions. */
#include "kernel_facts.h"

#include <linux/membarrier.h>
#include <signal.h>
#include <sys/prctl.h>

/* code/segment.c's order: the view for writing, the seal, the view for running. */
struct views {
    int fd;
    unsigned char *write;
    unsigned char *run;
};

static struct views views_of(unsigned flags)
{
    struct views views = { .fd = memfd_create("fact", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags) };

    if (views.fd < 0)
        skip_because("this kernel has no files of memory like that");
    assert_int_equal(ftruncate(views.fd, (off_t)page_bytes()), 0);
    views.write = mapped_shared(views.fd, 1);
    if (fcntl(views.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        skip_because("this kernel has no F_SEAL_FUTURE_WRITE");
    views.run = mapped(views.fd, page_bytes(), PROT_READ | PROT_EXEC, MAP_SHARED);
    return views;
}

static void drop(struct views *views)
{
    assert_int_equal(munmap(views->write, page_bytes()), 0);
    assert_int_equal(munmap(views->run, page_bytes()), 0);
    assert_int_equal(close(views->fd), 0);
}

/* os/linux/memory.c asks for MFD_NOEXEC_SEAL: such a file can't be executed, but mapped it can be. */
static void test_noexec_sealed_file_can_be_mapped_executable(void **state)
{
    struct views views = views_of(MFD_NOEXEC_SEAL);

    (void)state;
    views.write[7] = 0x5a;
    assert_int_equal(views.run[7], 0x5a);
    drop(&views);
}

static void test_view_after_the_seal_can_not_become_writable(void **state)
{
    struct views views = views_of(0);

    (void)state;
    assert_int_equal(error_of(mprotect(views.run, page_bytes(), PROT_READ | PROT_WRITE)), EACCES);
    assert_int_equal(error_of(mprotect(views.run, page_bytes(), PROT_READ | PROT_WRITE | PROT_EXEC)), EACCES);
    assert_int_equal(error_of(mprotect(views.run, page_bytes(), PROT_READ)), 0);
    assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, views.fd, 0), EPERM);
    drop(&views);
}

/* What the seal does not take, and code.h says so: the view from before it may be made executable. */
static void test_view_before_the_seal_can_become_executable(void **state)
{
    struct views views = views_of(0);

    (void)state;
    assert_int_equal(error_of(mprotect(views.write, page_bytes(), PROT_READ | PROT_EXEC)), 0);
    drop(&views);
}

static void test_space_of_a_sealed_file_can_not_be_given_back(void **state)
{
    struct views views = views_of(0);

    (void)state;
    assert_int_equal(error_of(madvise(views.write, page_bytes(), MADV_REMOVE)), EPERM);
    drop(&views);
}

/* /proc/PID/mem writes to private maps whatever they allow; to shared ones it does not. */
static void test_proc_mem_does_not_write_to_a_shared_view(void **state)
{
    struct views views = views_of(0);
    int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_true(error_of(pwrite(fd, "x", 1, (off_t)(uintptr_t)views.run)) != 0);
    assert_int_equal(close(fd), 0);
    drop(&views);
}

/* ---- fork ---- */

static int store(void *arg)
{
    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile unsigned char *)arg = 1;
    return 0;
}

static int load(void *arg)
{
    return *(volatile unsigned char *)arg;
}

static void test_dontfork_keeps_a_view_from_children(void **state)
{
    struct views views = views_of(0);
    int status;

    (void)state;
    views.write[0] = 9;
    assert_int_equal(madvise(views.write, page_bytes(), MADV_DONTFORK), 0);
    status = support_child(store, views.write);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_int_equal(WEXITSTATUS(support_child(load, views.run)), 9);
    drop(&views);
}

static void test_wipeonfork_tells_a_child(void **state)
{
    unsigned char *mark = mapped(-1, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);

    (void)state;
    assert_int_equal(madvise(mark, page_bytes(), MADV_WIPEONFORK), 0);
    mark[0] = 1;
    assert_int_equal(WEXITSTATUS(support_child(load, mark)), 0);
    assert_int_equal(mark[0], 1);
    assert_int_equal(munmap(mark, page_bytes()), 0);
}

/* ---- Policies ---- */

/* Under MDWE no mapping gains the right to be executed, but one may be made with it. */
static int try_mdwe(void *arg)
{
    const struct views *views = arg;
    unsigned char *memory = mapped(-1, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);

    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0UL, 0UL, 0UL) < 0)
        return 77;
    if (error_of(mprotect(memory, page_bytes(), PROT_READ | PROT_EXEC)) != EACCES)
        return 1;
    if (error_of(mprotect(views->write, page_bytes(), PROT_READ | PROT_EXEC)) != EACCES)
        return 2;
    if (mmap_error(NULL, page_bytes(), PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
        EACCES)
        return 3;
    return mmap_error(NULL, page_bytes(), PROT_READ | PROT_EXEC, MAP_SHARED, views->fd, 0) == 0 ? 0 : 4;
}

static void test_mdwe_leaves_two_views(void **state)
{
    struct views views = views_of(0);
    int status = support_child(try_mdwe, &views);

    (void)state;
    drop(&views);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip_because("this kernel has no PR_SET_MDWE");
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Being seen ---- */

static int barrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0U, 0);
}

static void test_barrier_has_to_be_announced(void **state)
{
    int supported = barrier(MEMBARRIER_CMD_QUERY);

    (void)state;
    if (supported < 0 || !(supported & MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE))
        skip_because("this kernel or CPU has no barrier for code");
    assert_int_equal(error_of(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)), EPERM);
    assert_int_equal(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE), 0);
    assert_int_equal(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE), 0);
    assert_int_equal(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE), 0);
}

static int try_barrier(void *arg)
{
    (void)arg;
    return error_of(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE));
}

static void test_announcement_is_inherited(void **state)
{
    (void)state;
    if (barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) < 0)
        skip_because("this kernel or CPU has no barrier for code");
    assert_int_equal(WEXITSTATUS(support_child(try_barrier, NULL)), 0);
}

/* code/dump.c maps a page far behind the end of its file: allowed, and nothing is there. */
static void test_map_far_behind_the_end(void **state)
{
    const off_t far_away = (off_t)((uint64_t)1 << 40);
    int fd = file_of_pages("f", 1);

    (void)state;
    assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, far_away), 0);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_barrier_has_to_be_announced), /* first: what is announced stays */
        cmocka_unit_test(test_announcement_is_inherited),
        cmocka_unit_test(test_noexec_sealed_file_can_be_mapped_executable),
        cmocka_unit_test(test_view_after_the_seal_can_not_become_writable),
        cmocka_unit_test(test_view_before_the_seal_can_become_executable),
        cmocka_unit_test(test_space_of_a_sealed_file_can_not_be_given_back),
        cmocka_unit_test(test_proc_mem_does_not_write_to_a_shared_view),
        cmocka_unit_test(test_dontfork_keeps_a_view_from_children),
        cmocka_unit_test(test_wipeonfork_tells_a_child),
        cmocka_unit_test(test_mdwe_leaves_two_views),
        cmocka_unit_test(test_map_far_behind_the_end),
    };

    return run_test_list(list);
}
