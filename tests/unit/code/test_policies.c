/* SPDX-License-Identifier: MIT */
/* policies - seals, and what a system forbids: in children, for they are for a process's whole life. */
#include "wx.h"

#include "os/linux/kernel.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/base.h>

enum {
    SEALED_BLOCKS = 5000
};

static int try_sealed(void *arg)
{
    static const void *blocks[SEALED_BLOCKS];
    const size_t page = verso_page_bytes();
    struct verso_code *code = named_pool(0, VERSO_CODE_SEAL, 16 * page);
    const void *block;
    void *write;
    uint64_t segments;
    void *start;

    (void)arg;
    if (!code)
        return verso_error_last()->code == VERSO_E_UNSUPPORTED ? CHILD_SKIPS : 1;
    block = block_of(code, 1);
    child_assert(machine_call(block) == 1);
    child_assert(verso_code_begin(code, block, &write) == 0);
    start = (void *)((uintptr_t)write & ~(uintptr_t)(page - 1));
    child_assert(mprotect(start, page, PROT_READ | PROT_EXEC) < 0 && errno == EPERM);
    child_assert(mprotect(start, page, PROT_READ | PROT_WRITE | PROT_EXEC) < 0 && errno == EPERM);
    child_assert(munmap(start, page) < 0 && errno == EPERM);
    start = (void *)((uintptr_t)block & ~(uintptr_t)(page - 1));
    child_assert(munmap(start, page) < 0 && errno == EPERM);
    child_assert(mprotect(start, page, PROT_NONE) < 0 && errno == EPERM);
    child_assert(mmap(start, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                 MAP_FAILED);
    child_assert(verso_code_end(code, block) == 0);
    for (int n = 0; n < SEALED_BLOCKS; n++) { /* through several segments */
        blocks[n] = block_of(code, (uint16_t)n);
        child_assert(machine_call(blocks[n]) == n);
    }
    segments = info_of(code).segments;
    child_assert(segments > 2);
    for (int n = 0; n < SEALED_BLOCKS; n++)
        child_assert(verso_code_free(code, blocks[n]) == 0);
    child_assert(verso_code_free(code, block) == 0);
    child_assert(info_of(code).segments == segments); /* which stay, since nobody can take them away */
    verso_code_close(code);
    child_assert(look().both == both_before && look().executable > 0);
    return 0;
}

static void test_sealed_views_stay_as_they_are(void **state)
{
    (void)state;
    need_machine();
    assert_child_does(try_sealed, NULL, "this kernel has no mseal");
}

static int try_under_mdwe(void *arg)
{
    struct verso_code *code;
    const void *block;
    void *write;

    (void)arg;
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0UL, 0UL, 0UL) < 0)
        return CHILD_SKIPS;
    code = named_pool(VERSO_CODE_BEST, 0, verso_page_bytes());
    child_assert(code && info_of(code).mode == VERSO_CODE_DUAL);
    for (uint16_t n = 0; n < 200; n++)
        child_assert(machine_call(block_of(code, n)) == n);
    block = block_of(code, 7);
    child_assert(verso_code_begin(code, block, &write) == 0);
    child_assert(mprotect((void *)((uintptr_t)write & ~(uintptr_t)(verso_page_bytes() - 1)), verso_page_bytes(),
                          PROT_READ | PROT_EXEC) < 0);
    child_assert(errno == EACCES);
    child_assert(verso_code_end(code, block) == 0);
    verso_code_close(code);
    child_assert(!named_pool(VERSO_CODE_TOGGLE, 0, 0));
    child_assert(verso_error_last()->code == VERSO_E_EXEC && verso_error_last()->cause == -EACCES);
    return 0;
}

static void test_memory_deny_write_execute(void **state)
{
    (void)state;
    need_machine();
    assert_child_does(try_under_mdwe, NULL, "this kernel has no PR_SET_MDWE");
}

/* A block that was begun before the policy came can't be ended after it: said so, and the pool bears it. */
static int try_late_policy(void *arg)
{
    struct verso_code *code = named_pool(VERSO_CODE_TOGGLE, 0, 0);
    const void *block;
    void *write;

    (void)arg;
    child_assert(code && verso_code_alloc(code, 1, &block) == 0 && verso_code_begin(code, block, &write) == 0);
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0UL, 0UL, 0UL) < 0)
        return CHILD_SKIPS;
    child_assert(verso_code_end(code, block) == VERSO_E_EXEC);
    child_assert(verso_error_last()->cause == -EACCES);
    child_assert(verso_code_end(code, block) == VERSO_E_EXEC);
    verso_code_close(code);
    return 0;
}

static void test_policy_that_comes_late(void **state)
{
    (void)state;
    assert_child_does(try_late_policy, NULL, "this kernel has no PR_SET_MDWE");
}

static int run_with_noexec_sysctl(void *arg)
{
    struct verso_code *code;

    (void)arg;
    child_assert(memfd_create("x", MFD_CLOEXEC | MFD_EXEC) < 0 && errno == EACCES);
    code = named_pool(VERSO_CODE_DUAL, 0, 0);
    child_assert(code);
    child_assert(machine_call(block_of(code, 5)) == 5);
    verso_code_close(code);
    return 0;
}

/* The setting is of a pid namespace: one of our own, which the second child is the first in. */
static int enter_namespace(void *arg)
{
    int status, fd;
    pid_t child;

    (void)arg;
    if (unshare(CLONE_NEWPID) < 0)
        return CHILD_SKIPS;
    child = fork();
    if (child == 0) {
        fd = open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "2", 1) != 1)
            _exit(CHILD_SKIPS);
        _exit(run_with_noexec_sysctl(NULL));
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        return 1;
    return WEXITSTATUS(status);
}

static void test_memfd_noexec_2(void **state)
{
    (void)state;
    need_machine();
    assert_child_does(enter_namespace, NULL, "needs root, and a kernel with vm.memfd_noexec");
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_setup(test_sealed_views_stay_as_they_are, begin_looking),
        cmocka_unit_test(test_memory_deny_write_execute),
        cmocka_unit_test(test_policy_that_comes_late),
        cmocka_unit_test(test_memfd_noexec_2),
    };

    return run_test_list(list);
}
