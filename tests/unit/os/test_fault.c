/* SPDX-License-Identifier: MIT */
/*
 * fault - who is asked about a fault, in which order, and what becomes of it; for SIGSEGV. What SIGBUS adds, and the
 * order of handlers of others, is in unit/guard/chain.
 *
 * Each case is played in a child, which begins with the default action and may die as it should.
 */
#include "support.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"

/* In a child: says what went wrong and where, and ends it. */
#define expect(condition)                                                                 \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(99);                                                                    \
        }                                                                                 \
    } while (0)

#define SEGV VERSO__OS_FAULT_SEGV
#define ANSWERS VERSO__OS_FAULT_ANSWERS
#define REPORTS VERSO__OS_FAULT_REPORTS

static unsigned char *page_of_none;          /* nobody may touch it until a handler allows it */
static volatile struct verso__os_fault seen; /* by answers() */
static volatile int answer_count, report_count, foreign_count;

static void begin(void)
{
    (void)signal(SIGSEGV, SIG_DFL);
    page_of_none = mmap(NULL, verso__os_page_bytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect((void *)page_of_none != MAP_FAILED);
}

/* Makes the page what the access needs; what is elsewhere is none of its business. */
static bool answers(const struct verso__os_fault *fault)
{
    answer_count++;
    seen = *fault;
    return (unsigned char *)fault->address == page_of_none &&
           mprotect(page_of_none, verso__os_page_bytes(), PROT_READ | PROT_WRITE) == 0;
}

static bool reports(const struct verso__os_fault *fault)
{
    (void)fault;
    report_count++;
    return false;
}

static bool reports_and_ends(const struct verso__os_fault *fault)
{
    _exit((uintptr_t)fault->address == 64 && fault->cause == VERSO__OS_FAULT_NOT_MAPPED && answer_count == 1 ? 7 : 98);
}

static bool refuses(const struct verso__os_fault *fault)
{
    (void)fault;
    answer_count++;
    return false;
}

/* Handlers of others: one beneath ours, that mends; */
static void foreign_mends(int number)
{
    (void)number;
    (void)mprotect(page_of_none, verso__os_page_bytes(), PROT_READ | PROT_WRITE);
}

/* one over ours, that passes everything on. */
static struct sigaction beneath_foreign;

static void foreign(int number, siginfo_t *info, void *context)
{
    foreign_count++;
    beneath_foreign.sa_sigaction(number, info, context);
}

static int write_is_answered(void *arg)
{
    (void)arg;
    begin();
    expect(verso__os_fault_install(SEGV, ANSWERS, answers) == 0);
    expect(verso__os_fault_install(SEGV, REPORTS, reports) == 0);
    *(volatile unsigned char *)page_of_none = 5;
    expect(answer_count == 1 && report_count == 0);
    expect(seen.signal == SEGV && seen.cause == VERSO__OS_FAULT_NO_ACCESS);
#if defined(__x86_64__) || defined(__aarch64__)
    expect(seen.access == VERSO__OS_ACCESS_WRITE);
#endif
    return page_of_none[0] == 5 ? 0 : 97;
}

static int read_is_told_from_write(void *arg)
{
    (void)arg;
    begin();
    expect(verso__os_fault_install(SEGV, ANSWERS, answers) == 0);
    expect(*(volatile unsigned char *)page_of_none == 0);
    return seen.access == VERSO__OS_ACCESS_READ ? 0 : 97;
}

static int refused_is_reported(void *arg)
{
    volatile uintptr_t nothing = 64; /* in the first page, which nobody may map */

    (void)arg;
    begin();
    expect(verso__os_fault_install(SEGV, ANSWERS, answers) == 0);
    expect(verso__os_fault_install(SEGV, REPORTS, reports_and_ends) == 0);
    *(volatile unsigned char *)nothing = 1;
    return 0;
}

static int reported_still_dies(void *arg)
{
    (void)arg;
    begin();
    expect(verso__os_fault_install(SEGV, REPORTS, reports) == 0);
    return *(volatile unsigned char *)page_of_none;
}

/* Ours, theirs, ours: each of ours asks for an answer, and only the topmost reports. */
static int sandwich(void *arg)
{
    struct sigaction theirs = { .sa_sigaction = foreign, .sa_flags = SA_SIGINFO };

    (void)arg;
    begin();
    (void)signal(SIGSEGV, foreign_mends);
    expect(verso__os_fault_install(SEGV, ANSWERS, refuses) == 0);
    expect(verso__os_fault_install(SEGV, REPORTS, reports) == 0);
    expect(sigaction(SIGSEGV, &theirs, &beneath_foreign) == 0);
    expect(verso__os_fault_is_installed(SEGV, REPORTS) == 0);
    expect(verso__os_fault_install(SEGV, REPORTS, reports) == 0);
    expect(verso__os_fault_is_installed(SEGV, REPORTS) == 1);
    *(volatile unsigned char *)page_of_none = 5;
    return report_count == 1 && foreign_count == 1 && answer_count == 2 ? 0 : 97;
}

static int ranks_come_and_go_alone(void *arg)
{
    struct sigaction now;

    (void)arg;
    begin();
    expect(verso__os_fault_remove(SEGV, ANSWERS) == -EINVAL);
    expect(verso__os_fault_install(SEGV, ANSWERS, answers) == 0);
    expect(verso__os_fault_install(SEGV, ANSWERS, answers) == 0);
    expect(verso__os_fault_install(SEGV, REPORTS, reports) == 0);
    expect(!verso__os_fault_is_wanted(VERSO__OS_FAULT_BUS, ANSWERS));
    expect(verso__os_fault_remove(SEGV, ANSWERS) == 0 && verso__os_fault_is_wanted(SEGV, ANSWERS));
    expect(verso__os_fault_remove(SEGV, ANSWERS) == 0 && !verso__os_fault_is_wanted(SEGV, ANSWERS));
    expect(verso__os_fault_is_installed(SEGV, REPORTS) == 1);
    expect(verso__os_fault_remove(SEGV, REPORTS) == 0);
    expect(sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    return 0;
}

static void nothing(int number)
{
    (void)number;
}

/* Who takes the signal for a while and restores it takes ours out of the chain: it must not run out of entries. */
static int restored_over_ours(void *arg)
{
    (void)arg;
    begin();
    for (int i = 0; i < 100; i++) {
        expect(signal(SIGSEGV, nothing) != SIG_ERR);
        expect(verso__os_fault_install(SEGV, ANSWERS, answers) == 0);
        expect(verso__os_fault_is_installed(SEGV, ANSWERS) == 1);
        *(volatile unsigned char *)page_of_none = 1;
    }
    return 0;
}

static int removed_is_not_asked(void *arg)
{
    (void)arg;
    begin();
    expect(verso__os_fault_install(SEGV, ANSWERS, answers) == 0);
    expect(verso__os_fault_install(SEGV, REPORTS, reports) == 0);
    expect(verso__os_fault_remove(SEGV, ANSWERS) == 0);
    return *(volatile unsigned char *)page_of_none; /* nobody mends it */
}

#define CASE(name, check)                       \
    static void test_##name(void **state)       \
    {                                           \
        int status = support_child(name, NULL); \
                                                \
        (void)state;                            \
        assert_true(check);                     \
    }

#define EXITED(code) WIFEXITED(status) && WEXITSTATUS(status) == (code)

#define DIED (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)

CASE(write_is_answered, EXITED(0))
CASE(read_is_told_from_write, EXITED(0))
CASE(refused_is_reported, EXITED(7))
CASE(reported_still_dies, DIED)
CASE(sandwich, EXITED(0))
CASE(ranks_come_and_go_alone, EXITED(0))
CASE(restored_over_ours, EXITED(0))
CASE(removed_is_not_asked, DIED)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_is_answered),
        cmocka_unit_test(test_read_is_told_from_write),
        cmocka_unit_test(test_refused_is_reported),
        cmocka_unit_test(test_reported_still_dies),
        cmocka_unit_test(test_sandwich),
        cmocka_unit_test(test_ranks_come_and_go_alone),
        cmocka_unit_test(test_restored_over_ours),
        cmocka_unit_test(test_removed_is_not_asked),
    };

    return run_test_list(tests);
}
