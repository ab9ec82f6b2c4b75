/* SPDX-License-Identifier: MIT */
/* report - the line of a crash: what it says, that it comes once, and that the crash is none the less. */
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include <verso/guard.h>
#include <verso/map.h>
#include <verso/pages.h>

static size_t page;
static int pipe_ends[2];
static char said[4096]; /* by the child */

/* Runs @crash in a child that reports into a pipe; answers its wait status. */
static int status_of(int (*crash)(void *arg))
{
    size_t held = 0;
    ssize_t n;
    int status;

    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    status = support_child(crash, NULL);
    while (held < sizeof(said) - 1 && (n = read(pipe_ends[0], said + held, sizeof(said) - 1 - held)) > 0)
        held += (size_t)n;
    said[held] = '\0';
    (void)close(pipe_ends[0]);
    (void)close(pipe_ends[1]);
    return status;
}

static void assert_said(const char *words)
{
    if (!strstr(said, words))
        fail_msg("\"%s\" does not say \"%s\"", said, words);
}

static void assert_one_line(void)
{
    const char *newline = strchr(said, '\n');

    assert_int_equal(strncmp(said, "verso: pid ", 11), 0);
    assert_non_null(newline);
    assert_int_equal(newline[1], '\0');
}

static void begin(void)
{
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    if (verso_pages_report_install(pipe_ends[1]) < 0)
        _exit(90);
}

static int write_over_the_end(void *arg)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;
    volatile unsigned char *data;

    (void)arg;
    begin();
    options.flags = VERSO_PAGES_COMMIT | VERSO_PAGES_GUARD_ENDS;
    options.name = "larder";
    if (verso_pages_open(page, &options, &pages) < 0)
        return 91;
    data = verso_pages_data(pages);
    data[page] = 1;
    return 0;
}

static int call_through_a_bad_pointer(void *arg)
{
    void (*function)(void);
    volatile uintptr_t wild = 0x41414141;

    (void)arg;
    begin();
    function = (void (*)(void))wild;
    function();
    return 0;
}

static int read_what_no_pointer_can_be(void *arg)
{
    volatile uintptr_t wild = (uintptr_t)0xdeadbeefdeadbeef;

    (void)arg;
    begin();
    return *(volatile unsigned char *)wild;
}

static volatile int deepest = 1 << 30; /* never reached: the stack ends before */

static int sink(volatile char *frame, int depth)
{
    volatile char own[1024];

    own[0] = frame[0];
    return depth < deepest ? sink(own, depth + 1) + own[0] : 0;
}

static void *overflow(void *arg)
{
    static char alternate[64 * 1024];
    const stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
    volatile char first = 0;

    (void)arg;
    (void)sigaltstack(&stack, NULL);
    return (void *)(intptr_t)sink(&first, 0);
}

static int overflow_main_stack(void *arg)
{
    const struct rlimit small = { (rlim_t)256 * 1024, (rlim_t)256 * 1024 };

    (void)arg;
    begin();
    (void)setrlimit(RLIMIT_STACK, &small);
    (void)overflow(NULL);
    return 0;
}

static int overflow_thread_stack(void *arg)
{
    pthread_t thread;

    (void)arg;
    begin();
    if (pthread_create(&thread, NULL, overflow, NULL) == 0)
        (void)pthread_join(thread, NULL);
    return 0;
}

static int read_past_a_cut_file(void *arg)
{
    int fd = memfd_create("cut", MFD_CLOEXEC);
    volatile unsigned char *data;

    (void)arg;
    begin();
    data = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
    return data[0];
}

/* The guard answers first: nothing is printed, and nothing dies. */
static int guarded_copy(void *arg)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;
    unsigned char byte;
    int fd = memfd_create("cut", MFD_CLOEXEC);

    (void)arg;
    begin();
    if (ftruncate(fd, (off_t)page) < 0 || verso_guard_install() < 0 || verso_map_open_fd(fd, &options, &map) < 0)
        return 92;
    if (ftruncate(fd, 0) < 0)
        return 93;
    return verso_guard_copy(&byte, verso_map_data(map), 1) == 0 ? 0 : 94;
}

static void ends_well(int number)
{
    _exit(number == SIGSEGV ? 7 : 8);
}

static int earlier_handler(void *arg)
{
    (void)arg;
    (void)signal(SIGSEGV, ends_well);
    if (verso_pages_report_install(pipe_ends[1]) < 0)
        return 90;
    return *(volatile unsigned char *)(page - 1);
}

static int sent_by_a_process(void *arg)
{
    (void)arg;
    begin();
    (void)kill(getpid(), SIGSEGV);
    return 0;
}

static int removed(void *arg)
{
    (void)arg;
    begin();
    if (verso_pages_report_remove() < 0 || verso_pages_report_remove() != VERSO_E_GUARD)
        return 95;
    return *(volatile unsigned char *)(page - 1);
}

/* Whoever reads the reports may be gone: that must not change what the process dies of. */
static int reader_gone(void *arg)
{
    (void)arg;
    begin();
    (void)close(pipe_ends[0]);
    return *(volatile unsigned char *)(page - 1);
}

static void assert_died(int status, int number)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
}

static void test_over_the_end(void **state)
{
    (void)state;
    assert_died(status_of(write_over_the_end), SIGSEGV);
    assert_one_line();
    assert_said(": SIGSEGV writing 0x");
    assert_said(", from 0x");
    assert_said(" in test-unit-pages-report+0x");
    assert_said("is the guard page behind \"larder\"");
}

static void test_execution(void **state)
{
    (void)state;
    assert_died(status_of(call_through_a_bad_pointer), SIGSEGV);
    assert_one_line();
    assert_said("SIGSEGV executing 0x41414141");
    assert_said("is not mapped");
}

static void test_not_canonical(void **state)
{
    (void)state;
    assert_died(status_of(read_what_no_pointer_can_be), SIGSEGV);
    assert_one_line();
    assert_said("a corrupted pointer");
}

static void test_stack_overflow(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers move what is on the stack");
    assert_died(status_of(overflow_main_stack), SIGSEGV);
    assert_one_line();
    assert_said("the stack has overflowed");
    assert_died(status_of(overflow_thread_stack), SIGSEGV);
    assert_one_line();
    assert_said("the stack has overflowed");
}

/* The frame alone takes more where a processor has more registers. */
static int fault_on_a_small_stack(void *arg)
{
    size_t bytes = (size_t)getauxval(AT_MINSIGSTKSZ) + 5 * 1024;
    unsigned char *room = mmap(NULL, bytes + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const stack_t stack = { .ss_sp = room + page, .ss_size = bytes };

    if (room == MAP_FAILED || mprotect(room, page, PROT_NONE) < 0 || sigaltstack(&stack, NULL) < 0)
        return 1;
    begin();
    *(volatile int *)arg = 1;
    return 0;
}

static void test_on_a_small_stack(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers move what is on the stack");
    assert_died(status_of(fault_on_a_small_stack), SIGSEGV);
    assert_one_line();
}

static void test_sigbus(void **state)
{
    (void)state;
    assert_died(status_of(read_past_a_cut_file), SIGBUS);
    assert_one_line();
    assert_said("SIGBUS reading 0x");
    assert_said("the file has been cut short");
}

static void test_answered_faults_print_nothing(void **state)
{
    int status = status_of(guarded_copy);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(said, "");
}

static void test_earlier_handler_follows(void **state)
{
    int status = status_of(earlier_handler);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_one_line();
}

static void test_sent_signals_are_not_reported(void **state)
{
    (void)state;
    assert_died(status_of(sent_by_a_process), SIGSEGV);
    assert_string_equal(said, "");
}

static void test_removed(void **state)
{
    (void)state;
    assert_died(status_of(removed), SIGSEGV);
    assert_string_equal(said, "");
}

static void test_reader_gone(void **state)
{
    (void)state;
    assert_died(status_of(reader_gone), SIGSEGV);
}

static void test_refused_descriptors(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_fails(verso_pages_report_install(-1), -EBADF);
    assert_fails(verso_pages_report_install(fd), -EBADF);
    assert_fails(verso_pages_report_remove(), VERSO_E_GUARD);
    (void)close(fd);
}

static int set_up(void **state)
{
    page = verso__os_page_bytes();
    return support_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_over_the_end),
        cmocka_unit_test(test_execution),
        cmocka_unit_test(test_not_canonical),
        cmocka_unit_test(test_stack_overflow),
        cmocka_unit_test(test_on_a_small_stack),
        cmocka_unit_test(test_sigbus),
        cmocka_unit_test(test_answered_faults_print_nothing),
        cmocka_unit_test(test_earlier_handler_follows),
        cmocka_unit_test(test_sent_signals_are_not_reported),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_refused_descriptors),
    };

    return cmocka_run_group_tests(tests, set_up, support_teardown);
}
