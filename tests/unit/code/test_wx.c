/* SPDX-License-Identifier: MIT */
/*
 * wx - writable or executable, never both: proved against the kernel, at each stage, in both modes.
 *
 * What is asked is the kernel's own list of mappings, and what it answers to somebody who tries. Policies of the system
 * are in test_policies.c, threads in test_threads.c.
 */
#include "wx.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/base.h>

static struct verso__os_mapping mapping_of(const void *address)
{
    struct verso__os_mapping mapping;

    assert_int_equal(verso__os_mapping_at(0, (uintptr_t)address, &mapping, NULL, 0), 0);
    return mapping;
}

static void test_no_stage_has_both(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = named_pool(mode, 0, verso_page_bytes());
        unsigned char bytes[MACHINE_BYTES_MAX];
        const void *block, *second;
        void *write;

        assert_no_both();
        assert_ok(verso_code_alloc(code, verso_page_bytes(), &block));
        assert_no_both();
        assert_ok(verso_code_begin(code, block, &write));
        assert_no_both();
        assert_int_equal(mapping_of(write).access, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE);
        (void)machine_return(write, 3);
        assert_ok(verso_code_end(code, block));
        assert_no_both();
        assert_int_equal(mapping_of(block).access, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC);
        assert_int_equal(machine_call(block), 3);
        assert_ok(verso_code_add(code, bytes, machine_return(bytes, 4), &second)); /* another segment */
        assert_no_both();
        assert_ok(verso_code_free(code, block));
        assert_int_equal(mapping_of(block).access, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC);
        assert_no_both();
        verso_code_close(code);
        assert_no_both();
    }
}

/* ---- Trying ---- */

static void test_view_for_running_can_not_become_writable(void **state)
{
    struct verso_code *code = pool(VERSO_CODE_DUAL);
    const void *block = block_of(code, 1);
    const size_t page = verso_page_bytes();
    void *start = (void *)((uintptr_t)block & ~(uintptr_t)(page - 1));

    (void)state;
    assert_int_equal(mprotect(start, page, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(mprotect(start, page, PROT_READ | PROT_WRITE | PROT_EXEC), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(look().executable, 1);
    assert_int_equal(look().writable, 1);
    verso_code_close(code);
    assert_int_equal(look().executable + look().writable, 0);
}

/* The debugger's way in, which heeds no protection of private maps. */
static void test_proc_self_mem_does_not_write_it(void **state)
{
    struct verso_code *code = pool(VERSO_CODE_DUAL);
    const void *block = block_of(code, 1);
    int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)(uintptr_t)block), -1);
    assert_int_equal(machine_call(block), 1);
    assert_int_equal(close(fd), 0);
    verso_code_close(code);
}

/* The pool's own descriptor of its memory. */
static int descriptor_of_pool(void)
{
    DIR *list = opendir("/proc/self/fd");
    const struct dirent *entry;
    int found = -1;

    assert_non_null(list);
    while ((entry = readdir(list))) {
        char target[256] = "";

        if (readlinkat(dirfd(list), entry->d_name, target, sizeof(target) - 1) > 0 && strstr(target, "memfd:wx-test"))
            found = (int)strtol(entry->d_name, NULL, 10);
    }
    (void)closedir(list);
    assert_true(found >= 0);
    return found;
}

static int map_error(int fd, int protection)
{
    void *address = mmap(NULL, verso_page_bytes(), protection, MAP_SHARED, fd, 0);

    if (address == MAP_FAILED)
        return errno;
    (void)munmap(address, verso_page_bytes());
    return 0;
}

static void test_memory_can_not_be_reached_by_its_descriptor(void **state)
{
    struct verso_code *code = pool(VERSO_CODE_DUAL);
    char path[64];
    int fd = descriptor_of_pool(), again;

    (void)state;
    assert_int_equal(map_error(fd, PROT_READ | PROT_WRITE), EPERM);
    assert_int_equal(map_error(fd, PROT_READ | PROT_WRITE | PROT_EXEC), EPERM);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDWR | O_CLOEXEC); /* a descriptor of one's own changes nothing */
    if (again >= 0) {
        assert_int_equal(map_error(again, PROT_READ | PROT_WRITE), EPERM);
        assert_int_equal(close(again), 0);
    }
    verso_code_close(code);
}

/* Another file under the number that was ours does not become code. */
static void test_descriptor_that_was_taken(void **state)
{
    struct verso_code *code = pool(VERSO_CODE_DUAL);
    int fd = descriptor_of_pool(), other = open(support_file("other", 1 << 20), O_RDONLY | O_CLOEXEC);
    const void *block;

    (void)state;
    assert_true(other >= 0);
    assert_int_equal(dup2(other, fd), fd);
    assert_fails_in(verso_code_alloc(code, 1 << 17, &block), -EBADF, "fstat");
    assert_int_equal(close(fd), 0);
    assert_fails_in(verso_code_alloc(code, 1 << 17, &block), -EBADF, "fstat");
    assert_ok(verso_code_alloc(code, 1, &block)); /* for this there is memory */
    assert_int_equal(dup2(other, fd), fd);
    assert_int_equal(close(other), 0);
    verso_code_close(code);
}

/* ---- Children ---- */

struct family {
    unsigned mode;
    struct verso_code *code;
    const void *block;
    void *write;
};

static int store_into(void *arg)
{
    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile char *)arg = 1;
    return 0;
}

static int run_it(void *arg)
{
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGTRAP, SIG_DFL);
    return machine_call(arg);
}

static bool died_of(int status, int signal_number)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == signal_number;
}

static int try_as_child(void *arg)
{
    struct family *family = arg;
    struct verso_code_info info = VERSO_CODE_INFO_INIT;
    const void *block = NULL;
    void *write = NULL;
    struct verso_code *own;

    child_assert(machine_call(family->block) == 1);
    child_assert(look().writable == 0);
    child_assert(verso_code_alloc(family->code, 1, &block) == -EPERM && verso_error_last()->code == -EPERM);
    child_assert(verso_code_add(family->code, "x", 1, &block) == -EPERM);
    child_assert(verso_code_begin(family->code, family->block, &write) == -EPERM);
    child_assert(verso_code_end(family->code, family->block) == -EPERM);
    child_assert(verso_code_shrink(family->code, family->block, 1) == -EPERM);
    child_assert(verso_code_name(family->code, family->block, "x") == -EPERM);
    child_assert(verso_code_free(family->code, family->block) == -EPERM);
    child_assert(verso_code_info(family->code, &info) == -EPERM);
    child_assert(!block && !write);
    if (family->mode == VERSO_CODE_DUAL) { /* where the parent has its view for writing, the child may have anything */
        write = mmap(family->write, verso_page_bytes(), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        child_assert(write == family->write);
        *(char *)write = 'x';
    }
    own = named_pool(VERSO_CODE_DUAL, 0, 0);
    child_assert(own);
    block = block_of(own, 2);
    child_assert(machine_call(block) == 2);
    verso_code_close(family->code); /* and takes nothing away that is not its own */
    child_assert(machine_call(block) == 2);
    child_assert(!write || *(char *)write == 'x');
    child_assert(verso_code_free(own, block) == 0);
    verso_code_close(own);
    return 0;
}

static void test_child_runs_and_can_not_write(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct family family = { mode, pool(mode), NULL, NULL };
        int status;

        family.block = block_of(family.code, 1); /* the first one: where it is written, the view begins */
        assert_ok(verso_code_begin(family.code, family.block, &family.write));
        assert_ok(verso_code_end(family.code, family.block));
        status = support_child(try_as_child, &family);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(machine_call(family.block), 1);
        assert_ok(verso_code_free(family.code, family.block));
        verso_code_close(family.code);
    }
}

static void test_cursor_is_not_inherited(void **state)
{
    struct verso_code *code = pool(VERSO_CODE_DUAL);
    const void *block = block_of(code, 1);
    void *write;

    (void)state;
    assert_ok(verso_code_begin(code, block, &write));
    assert_true(died_of(support_child(store_into, write), SIGSEGV));
    assert_ok(verso_code_end(code, block));
    verso_code_close(code);
}

static void test_toggled_block_is_one_or_the_other(void **state)
{
    struct verso_code *code = pool(VERSO_CODE_TOGGLE);
    const void *block = block_of(code, 1), *neighbour = block_of(code, 2);
    void *write;

    (void)state;
    need_machine();
    assert_true(died_of(support_child(store_into, (void *)(uintptr_t)block), SIGSEGV));
    assert_ok(verso_code_begin(code, block, &write));
    assert_ptr_equal(write, block);
    assert_true(died_of(support_child(run_it, (void *)(uintptr_t)block), SIGSEGV));
    assert_int_equal(machine_call(neighbour), 2); /* has pages of its own */
    assert_ok(verso_code_end(code, block));
    assert_int_equal(machine_call(block), 1);
    assert_true(died_of(support_child(store_into, write), SIGSEGV));
    verso_code_close(code);
}

static void test_memory_has_its_name(void **state)
{
    (void)state;
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool(mode);
        const void *block = block_of(code, 1);
        struct verso__os_mapping mapping;
        char name[64];

        assert_int_equal(verso__os_mapping_at(0, (uintptr_t)block, &mapping, name, sizeof(name)), 0);
        verso_code_close(code);
        if (mode == VERSO_CODE_TOGGLE && !*name)
            skip_because("this kernel does not name memory (CONFIG_ANON_VMA_NAME)");
        assert_string_equal(name, mode == VERSO_CODE_DUAL ? "/memfd:wx-test (deleted)" : "[anon:wx-test]");
    }
}

static void test_freed_and_unwritten_code_traps(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = pool(mode);
        const void *block = block_of(code, 1), *fresh;

        assert_ok(verso_code_free(code, block));
        assert_true(died_of(support_child(run_it, (void *)(uintptr_t)block), SIGTRAP));
        assert_ok(verso_code_alloc(code, 1, &fresh));
        assert_true(died_of(support_child(run_it, (void *)(uintptr_t)fresh), SIGTRAP));
        verso_code_close(code);
    }
}

/* What has never been part of a block has no memory, and what lies behind a segment is nothing. */
static void test_the_rest_of_a_segment_can_not_be_run(void **state)
{
    const size_t segment = (size_t)1 << 20;
    struct verso_code *code = named_pool(VERSO_CODE_DUAL, 0, segment);
    const char *block = block_of(code, 1);

    (void)state;
    assert_true(died_of(support_child(run_it, (void *)(uintptr_t)(block + segment / 2)), SIGSEGV));
    assert_true(died_of(support_child(run_it, (void *)(uintptr_t)(block + segment)), SIGSEGV));
    verso_code_close(code);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_setup(test_no_stage_has_both, begin_looking),
        cmocka_unit_test_setup(test_view_for_running_can_not_become_writable, begin_looking),
        cmocka_unit_test(test_proc_self_mem_does_not_write_it),
        cmocka_unit_test(test_memory_can_not_be_reached_by_its_descriptor),
        cmocka_unit_test(test_descriptor_that_was_taken),
        cmocka_unit_test(test_child_runs_and_can_not_write),
        cmocka_unit_test(test_cursor_is_not_inherited),
        cmocka_unit_test(test_toggled_block_is_one_or_the_other),
        cmocka_unit_test(test_memory_has_its_name),
        cmocka_unit_test(test_freed_and_unwritten_code_traps),
        cmocka_unit_test(test_the_rest_of_a_segment_can_not_be_run),
    };

    return run_test_list(list);
}
