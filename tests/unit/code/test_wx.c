/* SPDX-License-Identifier: MIT */
/*
 * wx - writable or executable, never both: proved against the kernel, at each stage, in both modes.
 *
 * What is asked is the kernel's own list of mappings, and what it answers to somebody who tries.
 */
#include "machine.h"

#include "os/linux/kernel.h"
#include "os/os.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/base.h>

/* ---- Looking ---- */

struct seen {
    size_t both;       /* mappings that are writable and executable */
    size_t writable;   /* mappings of the pool's memory that are */
    size_t executable; /* the same */
    const char *name;
};

static int look_at(const struct verso__os_mapping *mapping, void *arg)
{
    struct seen *seen = arg;
    bool write = mapping->access & VERSO__OS_ACCESS_WRITE, execute = mapping->access & VERSO__OS_ACCESS_EXEC;
    bool ours = strstr(mapping->name, "memfd:wx-test") != NULL;

    seen->both += write && execute;
    seen->writable += write && ours;
    seen->executable += execute && ours;
    return 0;
}

static struct seen look(void)
{
    struct seen seen = { 0 };

    assert_int_equal(verso__os_mappings(0, look_at, &seen), 0);
    return seen;
}

static struct verso__os_mapping mapping_of(const void *address)
{
    struct verso__os_mapping mapping;

    assert_int_equal(verso__os_mapping_at(0, (uintptr_t)address, &mapping, NULL, 0), 0);
    return mapping;
}

static struct verso_code *named_pool(unsigned mode, unsigned flags, uint64_t segment_bytes)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;

    options.mode = mode;
    options.flags = flags;
    options.segment_bytes = segment_bytes;
    options.name = "wx-test";
    return verso_code_open(&options, &code) == 0 ? code : NULL;
}

static struct verso_code *pool(unsigned mode)
{
    struct verso_code *code = named_pool(mode, 0, 0);

    assert_non_null(code);
    return code;
}

/* Some memory on this machine is both before we come (there should be none): counted once, so that we add nothing. */
static size_t both_before;

static int begin_looking(void **state)
{
    (void)state;
    both_before = look().both;
    return 0;
}

#define assert_no_both() assert_int_equal(look().both, both_before)

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

/* ---- Children: each ends by _exit with the number of the check that failed, or by the signal it asked for ---- */

#define CHECK(condition)               \
    do {                               \
        if (!(condition))              \
            return __LINE__ % 200 + 1; \
    } while (0)

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

    CHECK(machine_call(family->block) == 1);
    CHECK(look().writable == 0);
    CHECK(verso_code_alloc(family->code, 1, &block) == -EPERM && verso_error_last()->code == -EPERM);
    CHECK(verso_code_add(family->code, "x", 1, &block) == -EPERM);
    CHECK(verso_code_begin(family->code, family->block, &write) == -EPERM);
    CHECK(verso_code_end(family->code, family->block) == -EPERM);
    CHECK(verso_code_shrink(family->code, family->block, 1) == -EPERM);
    CHECK(verso_code_name(family->code, family->block, "x") == -EPERM);
    CHECK(verso_code_free(family->code, family->block) == -EPERM);
    CHECK(verso_code_info(family->code, &info) == -EPERM);
    CHECK(!block && !write);
    if (family->mode == VERSO_CODE_DUAL) { /* where the parent has its view for writing, the child may have anything */
        write = mmap(family->write, verso_page_bytes(), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        CHECK(write == family->write);
        *(char *)write = 'x';
    }
    own = named_pool(VERSO_CODE_DUAL, 0, 0);
    CHECK(own);
    block = block_of(own, 2);
    CHECK(machine_call(block) == 2);
    verso_code_close(family->code); /* and takes nothing away that is not its own */
    CHECK(machine_call(block) == 2);
    CHECK(!write || *(char *)write == 'x');
    CHECK(verso_code_free(own, block) == 0);
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

/* ---- Seals and policies, in children: they are for a process's whole life ---- */

enum {
    SEALED_BLOCKS = 5000
};

static int try_sealed(void *arg)
{
    static const void *blocks[SEALED_BLOCKS];
    const size_t page = verso_page_bytes();
    struct verso_code *code = named_pool(0, VERSO_CODE_SEAL, 16 * page);
    struct family family = { VERSO_CODE_DUAL, code, NULL, NULL };
    uint64_t segments;
    void *start;

    (void)arg;
    if (!code)
        return verso_error_last()->code == VERSO_E_UNSUPPORTED ? 77 : 1;
    family.block = block_of(code, 1);
    CHECK(machine_call(family.block) == 1);
    CHECK(verso_code_begin(code, family.block, &family.write) == 0);
    start = (void *)((uintptr_t)family.write & ~(uintptr_t)(page - 1));
    CHECK(mprotect(start, page, PROT_READ | PROT_EXEC) < 0 && errno == EPERM);
    CHECK(mprotect(start, page, PROT_READ | PROT_WRITE | PROT_EXEC) < 0 && errno == EPERM);
    CHECK(munmap(start, page) < 0 && errno == EPERM);
    start = (void *)((uintptr_t)family.block & ~(uintptr_t)(page - 1));
    CHECK(munmap(start, page) < 0 && errno == EPERM);
    CHECK(mprotect(start, page, PROT_NONE) < 0 && errno == EPERM);
    CHECK(mmap(start, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
    CHECK(verso_code_end(code, family.block) == 0);
    for (int n = 0; n < SEALED_BLOCKS; n++) { /* through several segments */
        blocks[n] = block_of(code, (uint16_t)n);
        CHECK(machine_call(blocks[n]) == n);
    }
    segments = info_of(code).segments;
    CHECK(segments > 2);
    for (int n = 0; n < SEALED_BLOCKS; n++)
        CHECK(verso_code_free(code, blocks[n]) == 0);
    CHECK(verso_code_free(code, family.block) == 0);
    CHECK(info_of(code).segments == segments); /* which stay, since nobody can take them away */
    verso_code_close(code);
    CHECK(look().both == both_before && look().executable > 0);
    return 0;
}

static void test_sealed_views_stay_as_they_are(void **state)
{
    int status;

    (void)state;
    need_machine();
    status = support_child(try_sealed, NULL);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip_because("this kernel has no mseal");
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int try_under_mdwe(void *arg)
{
    struct verso_code *code;
    const void *block;
    void *write;

    (void)arg;
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0UL, 0UL, 0UL) < 0)
        return 77;
    code = named_pool(VERSO_CODE_BEST, 0, verso_page_bytes());
    CHECK(code && info_of(code).mode == VERSO_CODE_DUAL);
    for (uint16_t n = 0; n < 200; n++)
        CHECK(machine_call(block_of(code, n)) == n);
    block = block_of(code, 7);
    CHECK(verso_code_begin(code, block, &write) == 0);
    CHECK(mprotect((void *)((uintptr_t)write & ~(uintptr_t)(verso_page_bytes() - 1)), verso_page_bytes(),
                   PROT_READ | PROT_EXEC) < 0);
    CHECK(errno == EACCES);
    CHECK(verso_code_end(code, block) == 0);
    verso_code_close(code);
    CHECK(!named_pool(VERSO_CODE_TOGGLE, 0, 0));
    CHECK(verso_error_last()->code == VERSO_E_EXEC && verso_error_last()->cause == -EACCES);
    return 0;
}

static void test_memory_deny_write_execute(void **state)
{
    int status;

    (void)state;
    need_machine();
    status = support_child(try_under_mdwe, NULL);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip_because("this kernel has no PR_SET_MDWE");
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A block that was begun before the policy came can't be ended after it: said so, and the pool bears it. */
static int try_late_policy(void *arg)
{
    struct verso_code *code = named_pool(VERSO_CODE_TOGGLE, 0, 0);
    const void *block;
    void *write;

    (void)arg;
    CHECK(code && verso_code_alloc(code, 1, &block) == 0 && verso_code_begin(code, block, &write) == 0);
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0UL, 0UL, 0UL) < 0)
        return 77;
    CHECK(verso_code_end(code, block) == VERSO_E_EXEC);
    CHECK(verso_error_last()->cause == -EACCES);
    CHECK(verso_code_end(code, block) == VERSO_E_EXEC);
    verso_code_close(code);
    return 0;
}

static void test_policy_that_comes_late(void **state)
{
    int status = support_child(try_late_policy, NULL);

    (void)state;
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip_because("this kernel has no PR_SET_MDWE");
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int run_with_noexec_sysctl(void *arg)
{
    struct verso_code *code;

    (void)arg;
    CHECK(memfd_create("x", MFD_CLOEXEC | MFD_EXEC) < 0 && errno == EACCES);
    code = named_pool(VERSO_CODE_DUAL, 0, 0);
    CHECK(code);
    CHECK(machine_call(block_of(code, 5)) == 5);
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
        return 77;
    child = fork();
    if (child == 0) {
        fd = open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "2", 1) != 1)
            _exit(77);
        _exit(run_with_noexec_sysctl(NULL));
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        return 1;
    return WEXITSTATUS(status);
}

static void test_memfd_noexec_2(void **state)
{
    int status;

    (void)state;
    need_machine();
    status = support_child(enter_namespace, NULL);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip_because("needs root, and a kernel with vm.memfd_noexec");
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Threads ---- */

enum {
    THREADS = 4,
    BLOCKS_EACH = 16,
    ROUNDS = 400
};

struct worker {
    struct verso_code *code;
    unsigned number;
    atomic_bool *failed;
};

/* Makes, runs, rewrites and frees blocks of its own. */
static void *work(void *arg)
{
    const struct worker *worker = arg;
    const void *blocks[BLOCKS_EACH] = { NULL };
    uint16_t numbers[BLOCKS_EACH] = { 0 };
    uint32_t random = worker->number * 2654435761U + 1;

    for (int i = 0; i < ROUNDS && !*worker->failed; i++) {
        unsigned char bytes[MACHINE_BYTES_MAX];
        unsigned slot = (random = random * 1664525U + 1013904223U) >> 28;
        uint16_t number = (uint16_t)(worker->number << 12 | (unsigned)i);
        size_t length = machine_return(bytes, number);
        bool well = true;
        void *write;

        if (!blocks[slot]) {
            well = verso_code_add(worker->code, bytes, length, &blocks[slot]) == 0;
        } else if (random >> 27 & 1) {
            well = verso_code_begin(worker->code, blocks[slot], &write) == 0;
            if (well)
                memcpy(write, bytes, length);
            well = well && verso_code_end(worker->code, blocks[slot]) == 0;
        } else {
            well = verso_code_free(worker->code, blocks[slot]) == 0;
            blocks[slot] = NULL;
        }
        numbers[slot] = number;
        for (int b = 0; b < BLOCKS_EACH; b++)
            well = well && (!blocks[b] || machine_call(blocks[b]) == numbers[b]);
        if (!well)
            *worker->failed = true;
    }
    for (int b = 0; b < BLOCKS_EACH; b++)
        if (verso_code_free(worker->code, blocks[b]) < 0)
            *worker->failed = true;
    return NULL;
}

static void test_threads_under_watch(void **state)
{
    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        struct verso_code *code = named_pool(mode, 0, 4 * verso_page_bytes());
        struct worker workers[THREADS];
        pthread_t threads[THREADS];
        atomic_bool failed = false;

        assert_non_null(code);
        for (unsigned i = 0; i < THREADS; i++) {
            workers[i] = (struct worker){ code, i, &failed };
            assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (int looks = 0; looks < 50; looks++)
            assert_no_both();
        for (unsigned i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(failed);
        assert_no_both();
        assert_int_equal(info_of(code).blocks, 0);
        assert_int_equal(info_of(code).used_bytes, 0);
        verso_code_close(code);
    }
}

static int close_as_child(void *arg)
{
    struct verso_code *code = arg;
    const void *block = NULL;

    CHECK(verso_code_alloc(code, 1, &block) == -EPERM);
    verso_code_close(code);
    return 0;
}

/* A child may be made while another thread holds the pool's lock, which nobody will ever open again there. */
static void test_fork_beside_a_working_thread(void **state)
{
    atomic_bool failed = false;
    struct worker worker = { NULL, 1, &failed };
    struct verso_code *code;
    pthread_t thread;

    (void)state;
    need_machine();
    if (support_is_tsan())
        skip_because("ThreadSanitizer takes the parent's threads for leaks of its children");
    code = pool(VERSO_CODE_DUAL);
    worker.code = code;
    assert_int_equal(pthread_create(&thread, NULL, work, &worker), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(support_child(close_as_child, code), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(failed);
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
        cmocka_unit_test_setup(test_sealed_views_stay_as_they_are, begin_looking),
        cmocka_unit_test(test_memory_deny_write_execute),
        cmocka_unit_test(test_policy_that_comes_late),
        cmocka_unit_test(test_memfd_noexec_2),
        cmocka_unit_test_setup(test_threads_under_watch, begin_looking),
        cmocka_unit_test(test_fork_beside_a_working_thread),
    };

    return run_test_list(list);
}
