/* SPDX-License-Identifier: MIT */
/* death - where nobody else handles the signal it kills as before, before the guard is installed and after. */
#include "chain.h"

#include <sys/ptrace.h>
#include <sys/user.h>

/* ---- No handler beneath ----------------------------------------------------------------------------------------- */

static int default_and_foreign_fault(void *arg)
{
    (void)arg;
    expect(verso_guard_install() == 0);
    expect(guard_answers());
    touch(foreign);
    return 0;
}

static int default_and_sent(void *arg)
{
    (void)arg;
    expect(verso_guard_install() == 0);
    return raise(SIGBUS);
}

static int ignored_and_foreign_fault(void *arg)
{
    (void)arg;
    expect(signal(SIGBUS, SIG_IGN) != SIG_ERR);
    expect(verso_guard_install() == 0);
    touch(foreign);
    return 0;
}

static int ignored_and_sent(void *arg)
{
    (void)arg;
    expect(signal(SIGBUS, SIG_IGN) != SIG_ERR);
    expect(verso_guard_install() == 0);
    expect(raise(SIGBUS) == 0);
    expect(kill(getpid(), SIGBUS) == 0);
    expect(guard_answers());
    expect(verso_guard_remove() == 0);
    expect(signal(SIGBUS, SIG_DFL) == SIG_IGN);
    return 0;
}

static void test_without_a_handler_beneath_it_dies_as_before(void **state)
{
    (void)state;
    assert_dies_of(default_and_foreign_fault, SIGBUS);
    assert_dies_of(default_and_sent, SIGBUS);
    assert_dies_of(ignored_and_foreign_fault, SIGBUS);
    assert_exits(ignored_and_sent, 0);
}

/* ---- What a debugger and a core dump see ------------------------------------------------------------------------ */

static int traced_and_foreign_fault(void *arg)
{
    (void)arg;
    expect(verso_guard_install() == 0);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return 77;
    touch(foreign);
    return 0;
}

struct stop {
    siginfo_t info;
    uintptr_t pc;
};

static void stop_read(pid_t child, struct stop *out_stop)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(WSTOPSIG(status), SIGBUS);
    assert_int_equal(ptrace(PTRACE_GETSIGINFO, child, NULL, &out_stop->info), 0);
#ifdef __x86_64__
    struct user_regs_struct registers;

    assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &registers), 0);
    out_stop->pc = registers.rip;
#else
    out_stop->pc = 0;
#endif
}

/* The signal that kills is the fault itself: the same place, cause and address, at the faulting instruction. */
static void test_death_tells_the_truth(void **state)
{
    struct stop fault, death;
    int status;
    pid_t child;

    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer's own handler stands between the kernel and ours");
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGBUS, SIG_DFL);
        _exit(traced_and_foreign_fault(NULL));
    }
    stop_read(child, &fault);
    assert_int_equal(ptrace(PTRACE_CONT, child, NULL, SIGBUS), 0);
    stop_read(child, &death);
    assert_int_equal(death.info.si_code, BUS_ADRERR);
    assert_ptr_equal(death.info.si_addr, foreign);
    assert_true(death.pc == fault.pc);
    assert_int_equal(ptrace(PTRACE_CONT, child, NULL, SIGBUS), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

/* ---- Counting --------------------------------------------------------------------------------------------------- */

static int counted(void *arg)
{
    (void)arg;
    expect(verso_guard_state() == VERSO_GUARD_ABSENT);
    expect(verso_guard_remove() == VERSO_E_GUARD);
    expect(verso_guard_install() == 0 && verso_guard_install() == 0);
    expect(verso_guard_remove() == 0);
    expect(verso_guard_state() == VERSO_GUARD_ACTIVE);
    expect(guard_answers());
    expect(verso_guard_remove() == 0);
    expect(verso_guard_state() == VERSO_GUARD_ABSENT);
    expect(verso_guard_remove() == VERSO_E_GUARD);
    for (int i = 0; i < 100; i++)
        expect(verso_guard_install() == 0 && guard_answers() && verso_guard_remove() == 0);
    touch(ours.data);
    return 0;
}

static void test_installs_are_counted(void **state)
{
    (void)state;
    assert_dies_of(counted, SIGBUS);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_without_a_handler_beneath_it_dies_as_before),
        cmocka_unit_test(test_death_tells_the_truth),
        cmocka_unit_test(test_installs_are_counted),
    };

    return cmocka_run_group_tests(list, set_up, tear_down);
}
