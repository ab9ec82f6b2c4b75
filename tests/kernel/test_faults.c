/* SPDX-License-Identifier: MIT */
/* faults - how the kernel tells of a page that can't be had, and what it does for the handler that is told. */
#include "kernel_facts.h"

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile int code;
static void *volatile address;
static volatile sig_atomic_t was_blocked;

static void jump(int number, siginfo_t *info, void *context)
{
    sigset_t now;

    (void)number;
    (void)context;
    code = info->si_code;
    address = info->si_addr;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &now);
    was_blocked = sigismember(&now, SIGBUS) || sigismember(&now, SIGUSR1);
    siglongjmp(back, 1);
}

static void handle_by(void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

    assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
}

/* A map of four pages whose file ends with @bytes; kept open in *out_fd. */
static unsigned char *cut_map(uint64_t bytes, int *out_fd)
{
    unsigned char *data;

    *out_fd = file_of_pages("cut", 4);
    data = mapped_shared(*out_fd, 4);
    assert_int_equal(ftruncate(*out_fd, (off_t)bytes), 0);
    return data;
}

static void done_with(unsigned char *data, int fd)
{
    assert_int_equal(munmap(data, 4 * page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

#define assert_faults(expression)                    \
    do {                                             \
        address = NULL;                              \
        if (sigsetjmp(back, 1) == 0) {               \
            expression;                              \
            fail_msg("no fault by %s", #expression); \
        }                                            \
    } while (0)

/* os/linux/fault.c, guard/registry.c: the address is that of the first byte that failed, to the byte. */
static void test_a_fault_names_its_byte(void **state)
{
    size_t page = page_bytes();
    int fd;
    unsigned char *data = cut_map(page + 1, &fd);

    (void)state;
    handle_by(jump);
    assert_faults((void)*(volatile unsigned char *)(data + 2 * page + 77));
    assert_int_equal(code, BUS_ADRERR);
    assert_ptr_equal(address, data + 2 * page + 77);
    assert_faults(*(volatile unsigned char *)(data + 3 * page + 5) = 1);
    assert_ptr_equal(address, data + 3 * page + 5);
    assert_false(was_blocked && !support_is_tsan()); /* which puts a handler of its own around ours */
    done_with(data, fd);
}

/* guard/copy_x86_64.h: one access over the border is told of at the border, and a store leaves nothing before it. */
static void test_an_access_over_the_border_fails_at_the_border(void **state)
{
#ifdef __x86_64__
    size_t page = page_bytes();
    int fd;
    unsigned char *data = cut_map(2 * page, &fd);

    (void)state;
    handle_by(jump);
    for (size_t before = 1; before < 16; before++) {
        unsigned char *place = data + 2 * page - before;

        memset(data + 2 * page - 16, 0x55, 16);
        assert_faults(__asm__ volatile("movdqu (%0), %%xmm0" : : "r"(place) : "xmm0", "memory"));
        assert_ptr_equal(address, data + 2 * page);
        assert_faults(__asm__ volatile("pxor %%xmm0, %%xmm0\n movdqu %%xmm0, (%0)" : : "r"(place) : "xmm0", "memory"));
        assert_ptr_equal(address, data + 2 * page);
        for (size_t i = 1; i <= 16; i++)
            assert_int_equal(data[2 * page - i], 0x55);
    }
    done_with(data, fd);
#else
    (void)state;
    skip_because("written for x86-64's instructions");
#endif
}

#ifdef __x86_64__
/* Written out, since there may be but one of it: compilers copy functions. What it answers is how many were left. */
size_t copy_string(unsigned char *target, const unsigned char *source, size_t bytes);
extern const char after_string[];
__asm__(".pushsection .text\n"
        ".type copy_string, @function\n"
        "copy_string:\n"
        "    mov %rdx, %rcx\n"
        "    rep movsb\n"
        "after_string:\n"
        "    mov %rcx, %rax\n"
        "    ret\n"
        ".size copy_string, .-copy_string\n"
        ".popsection\n");

static volatile greg_t left_at_fault;

static void go_on_behind(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)number;
    address = info->si_addr;
    left_at_fault = registers[REG_RCX];
    registers[REG_RIP] = (greg_t)(uintptr_t)after_string;
}
#endif

/* guard/copy_x86_64.h: rep movsb's registers are exact after a fault, on either side; and a handler may move the pc. */
static void test_string_copies_stop_at_the_byte(void **state)
{
#ifdef __x86_64__
    size_t page = page_bytes();
    static unsigned char room[1 << 15];
    int fd;
    unsigned char *data = cut_map(2 * page, &fd);

    (void)state;
    handle_by(go_on_behind);
    for (size_t bytes = 1; bytes < sizeof(room) && bytes < 2 * page; bytes += 111) {
        for (size_t before = 0; before < bytes; before += 1 + bytes / 7) {
            assert_int_equal(copy_string(room, data + 2 * page - before, bytes), bytes - before);
            assert_ptr_equal(address, data + 2 * page);
            assert_int_equal(copy_string(data + 2 * page - before, room, bytes), bytes - before);
            assert_int_equal(left_at_fault, bytes - before);
        }
    }
    done_with(data, fd);
#else
    (void)state;
    skip_because("written for x86-64's instructions");
#endif
}

/* guard/substitute.c: a file that grows back can be read again through the same map; what was cut off is zeros. */
static void test_a_file_that_grows_back_is_there_again(void **state)
{
    size_t page = page_bytes();
    int fd;
    unsigned char *data = cut_map(page + 10, &fd);

    (void)state;
    handle_by(jump);
    assert_faults((void)*(volatile unsigned char *)(data + 2 * page));
    assert_int_equal(ftruncate(fd, (off_t)(4 * page)), 0);
    assert_int_equal(data[2 * page], 0);
    assert_int_equal(data[page + 10], 0);
    assert_true(support_matches(data, 0, page + 10));
    done_with(data, fd);
}

/* guard/substitute.c: cutting a file takes private copies behind its end, too, so zeros there lose nothing more. */
static void test_cutting_takes_private_copies_too(void **state)
{
    size_t page = page_bytes();
    int fd = file_of_pages("private", 4);
    unsigned char *data = mapped(fd, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    (void)state;
    handle_by(jump);
    data[0] = 9;
    data[3 * page] = 9;
    assert_int_equal(ftruncate(fd, (off_t)page), 0);
    assert_int_equal(data[0], 9);
    assert_faults((void)*(volatile unsigned char *)(data + 3 * page));
    done_with(data, fd);
}

/* ---- What can't be survived ------------------------------------------------------------------------------------- */

static int fault_while_blocked(void *arg)
{
    sigset_t blocked;

    handle_by(jump);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGBUS);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (sigsetjmp(back, 1) == 0)
        (void)*(volatile unsigned char *)arg;
    return 0;
}

static int fault_while_ignored(void *arg)
{
    (void)signal(SIGBUS, SIG_IGN);
    return *(volatile unsigned char *)arg;
}

/* guard.h, caveats; os/linux/fault.c, die(): blocking or ignoring the signal of a fault is no way out. */
static void test_blocked_or_ignored_faults_kill(void **state)
{
    int fd, status;
    unsigned char *data = cut_map(0, &fd);

    (void)state;
    status = support_child(fault_while_blocked, data);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = support_child(fault_while_ignored, data);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    done_with(data, fd);
}

/* ---- Signals ---------------------------------------------------------------------------------------------------- */

static volatile int sent_code;
static void *volatile sent_address;

static void note(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    sent_code = info->si_code;
    sent_address = info->si_addr;
}

/* os/linux/fault.c, die(): a thread may send itself a signal that says the kernel made it, details and all. */
static void test_a_thread_may_send_itself_a_fault(void **state)
{
    siginfo_t info = { .si_signo = SIGBUS, .si_code = BUS_ADRERR };

    (void)state;
    info.si_addr = &info;
    handle_by(note);
    assert_int_equal(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info), 0);
    assert_int_equal(sent_code, BUS_ADRERR);
    assert_ptr_equal(sent_address, &info);
    /* ... and one that was really sent can be told from it. */
    assert_int_equal(raise(SIGBUS), 0);
    assert_true(sent_code <= 0);
}

/* ---- Broken memory, as userfaultfd can pretend ---------------------------------------------------------------- */

#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14) /* 6.6 */
struct uffdio_poison {
    struct uffdio_range range;
    uint64_t mode;
    int64_t updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif

static int user_faults(unsigned char *data, size_t bytes, uint64_t feature)
{
    struct uffdio_api api = { .api = UFFD_API, .features = feature };
    struct uffdio_register registration = { .mode = UFFDIO_REGISTER_MODE_MISSING };
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

    registration.range.start = (uintptr_t)data;
    registration.range.len = bytes;
    if (fd < 0)
        return -1;
    if (ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &registration) == 0)
        return fd;
    assert_int_equal(close(fd), 0);
    return -1;
}

/*
 * os/linux/fault.c, cause_of(): broken memory is told of at its page at least, with a code of its own where the kernel
 * was built for it (CONFIG_MEMORY_FAILURE), else like everything else.
 */
static void test_poison_is_a_fault_of_its_page(void **state)
{
    size_t page = page_bytes();
    unsigned char *data = mapped(-1, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    struct uffdio_poison poison = { 0 };
    int fd = user_faults(data, 4 * page, UFFD_FEATURE_POISON);

    (void)state;
    poison.range.start = (uintptr_t)data + page;
    poison.range.len = page;
    if (fd < 0 || ioctl(fd, UFFDIO_POISON, &poison) < 0) {
        if (fd >= 0)
            assert_int_equal(close(fd), 0);
        assert_int_equal(munmap(data, 4 * page), 0);
        skip_because("no userfaultfd with poison here (Linux 6.6)");
    }
    handle_by(jump);
    assert_faults((void)*(volatile unsigned char *)(data + page + 9));
    assert_true(code == BUS_MCEERR_AR || code == BUS_ADRERR);
    assert_true((uintptr_t)address / page == (uintptr_t)data / page + 1);
    done_with(data, fd);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_fault_names_its_byte),
        cmocka_unit_test(test_an_access_over_the_border_fails_at_the_border),
        cmocka_unit_test(test_string_copies_stop_at_the_byte),
        cmocka_unit_test(test_a_file_that_grows_back_is_there_again),
        cmocka_unit_test(test_cutting_takes_private_copies_too),
        cmocka_unit_test(test_blocked_or_ignored_faults_kill),
        cmocka_unit_test(test_a_thread_may_send_itself_a_fault),
        cmocka_unit_test(test_poison_is_a_fault_of_its_page),
    };

    return run_test_list(list);
}
