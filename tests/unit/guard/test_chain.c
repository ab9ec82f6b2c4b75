/* SPDX-License-Identifier: MIT */
/*
 * chain - the guard among other handlers: what is not ours reaches whoever was there before, as the kernel would have
 * brought it, in whatever order handlers come and go.
 *
 * Each case is played in a child, which begins with the default action and may die as it should.
 */
#include "chain.h"

#include <sys/syscall.h>

/* ---- A handler beneath ------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t plain_calls;
static volatile sig_atomic_t calls;

static void plain_handler(int number)
{
    expect(number == SIGBUS);
    plain_calls++;
    mend(foreign);
}

static int plain_beneath(void *arg)
{
    (void)arg;
    expect(signal(SIGBUS, plain_handler) != SIG_ERR);
    expect(verso_guard_install() == 0);
    expect(guard_answers());
    expect(plain_calls == 0);
    touch(foreign);
    expect(plain_calls == 1);
    expect(verso_guard_remove() == 0);
    expect(signal(SIGBUS, SIG_DFL) == plain_handler);
    return 0;
}

static void full_handler(int number, siginfo_t *info, void *context)
{
    expect(number == SIGBUS && context);
    expect(is_blocked(SIGBUS) && is_blocked(SIGUSR1));
    expect(!is_blocked(SIGUSR2) || support_is_tsan()); /* whose handler, around ours, blocks everything */
    if (info->si_code == SI_USER) {
        expect(info->si_pid == getpid());
    } else {
        expect(info->si_code == BUS_ADRERR && info->si_addr == foreign);
        mend(foreign);
    }
    calls++;
    errno = EDOM;
}

static int full_beneath(void *arg)
{
    (void)arg;
    handle_with(full_handler, 0, SIGUSR1);
    expect(verso_guard_install() == 0);
    expect(guard_answers());
    expect(calls == 0);
    errno = 0;
    touch(foreign);
    expect(calls == 1);
    expect(errno == EDOM || support_is_tsan()); /* what that handler does to errno is its own affair */
    expect(!is_blocked(SIGBUS) && !is_blocked(SIGUSR1));
    expect(kill(getpid(), SIGBUS) == 0);
    expect(calls == 2);
    expect(guard_answers());
    return 0;
}

static void undeferred_handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    expect(!is_blocked(SIGBUS) && !is_blocked(SIGUSR1));
    expect(guard_answers()); /* a fault of ours inside a handler of others */
    calls++;
    mend(foreign);
}

static int undeferred_beneath(void *arg)
{
    (void)arg;
    handle_with(undeferred_handler, SA_NODEFER, 0);
    expect(verso_guard_install() == 0);
    touch(foreign);
    expect(calls == 1);
    return 0;
}

static void once_handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    calls++;
    mend(foreign);
}

static int once_beneath(void *arg)
{
    handle_with(once_handler, (int)SA_RESETHAND, 0);
    expect(verso_guard_install() == 0);
    expect(guard_answers());
    touch(foreign);
    expect(calls == 1);
    expect(guard_answers());
    expect(munmap(foreign, page) == 0);
    expect(mmap(foreign, page, PROT_READ, MAP_SHARED | MAP_FIXED, ours.fd, 0) == foreign);
    if (arg) {
        expect(verso_guard_remove() == 0);
        expect(signal(SIGBUS, SIG_DFL) == SIG_DFL);
        return 0;
    }
    return *(volatile unsigned char *)foreign;
}

static int once_then_removed(void *arg)
{
    (void)arg;
    return once_beneath(&ours);
}

static void test_a_handler_beneath_gets_what_is_its_own(void **state)
{
    (void)state;
    assert_exits(plain_beneath, 0);
    assert_exits(full_beneath, 0);
    if (!support_is_tsan())
        assert_exits(undeferred_beneath, 0);
    assert_dies_of(once_beneath, SIGBUS);
    assert_exits(once_then_removed, 0);
}

static int restart_follows_what_is_beneath(void *arg)
{
    struct sigaction now;

    (void)arg;
    handle_with(once_handler, 0, 0);
    expect(verso_guard_install() == 0);
    expect(sigaction(SIGBUS, NULL, &now) == 0);
    expect(!(now.sa_flags & SA_RESTART));
    expect(now.sa_flags & SA_ONSTACK);
    expect(verso_guard_remove() == 0);
    handle_with(once_handler, SA_RESTART, 0);
    expect(verso_guard_install() == 0);
    expect(sigaction(SIGBUS, NULL, &now) == 0);
    expect(now.sa_flags & SA_RESTART);
    return 0;
}

static void test_system_calls_restart_as_before(void **state)
{
    (void)state;
    assert_exits(restart_follows_what_is_beneath, 0);
}

/* ---- By their codes --------------------------------------------------------------------------------------------- */

/* As if the kernel had sent it, about memory that is ours. */
static void queue(int code)
{
    siginfo_t info = { .si_signo = SIGBUS, .si_code = code };

    info.si_addr = ours.data;
    expect(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info) == 0);
}

static int queue_broken_memory(void *arg)
{
    queue(BUS_MCEERR_AR);
    return *(int *)arg;
}

static int each_code(void *arg)
{
    int reached = 1;

    (void)arg;
    handle_with(once_handler, 0, 0);
    expect(verso_guard_install() == 0);
    queue(BUS_ADRALN); /* an odd address is a defect of the program */
    expect(calls == 1);
    queue(BUS_MCEERR_AO); /* news of memory that nobody is just using */
    expect(calls == 2);
    expect(verso__guard_run(&ours.range, queue_broken_memory, &reached, NULL) == VERSO_E_TORN);
    expect(calls == 2);
    return 0;
}

static int news_of_broken_memory_ignored(void *arg)
{
    (void)arg;
    expect(signal(SIGBUS, SIG_IGN) != SIG_ERR);
    expect(verso_guard_install() == 0);
    queue(BUS_MCEERR_AO);
    return 0;
}

static void test_only_failed_accesses_are_ours(void **state)
{
    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer keeps signals that are sent for later");
    assert_exits(each_code, 0);
    assert_exits(news_of_broken_memory_ignored, 0);
}

/* ---- Handlers put over ours ------------------------------------------------------------------------------------- */

static struct sigaction beneath_theirs;
static volatile sig_atomic_t their_calls;

/* A well-behaved one: looks, then passes on. Blocks all it can, as many do. */
static void their_handler(int number, siginfo_t *info, void *context)
{
    their_calls++;
    expect((beneath_theirs.sa_flags & SA_SIGINFO) != 0);
    beneath_theirs.sa_sigaction(number, info, context);
}

static void put_theirs_on_top(void)
{
    struct sigaction action = { .sa_sigaction = their_handler, .sa_flags = SA_SIGINFO };

    expect(sigfillset(&action.sa_mask) == 0);
    expect(sigaction(SIGBUS, &action, &beneath_theirs) == 0);
}

static int touch_ours(void *arg)
{
    (void)arg;
    touch(ours.data);
    return 0;
}

static int theirs_over_ours(void *arg)
{
    (void)arg;
    handle_with(once_handler, 0, 0);
    expect(verso_guard_install() == 0);
    put_theirs_on_top();
    expect(verso_guard_state() == VERSO_GUARD_REPLACED);
    expect(guard_answers());
    expect(their_calls > 0 && calls == 0);
    their_calls = 0;
    /* Left by a jump out of their handler, in which everything was blocked. */
    for (int i = 0; i < 3; i++)
        expect(verso__guard_run(&ours.range, touch_ours, NULL, NULL) == VERSO_E_TORN);
    expect(their_calls == 3);
    expect(!is_blocked(SIGBUS) && !is_blocked(SIGUSR1));
    touch(foreign);
    expect(their_calls == 4 && calls == 1);
    return 0;
}

static int ours_can_not_be_taken_from_beneath(void *arg)
{
    (void)arg;
    handle_with(once_handler, 0, 0);
    expect(verso_guard_install() == 0);
    put_theirs_on_top();
    expect(verso_guard_remove() == VERSO_E_GUARD);
    expect(verso_error_last()->code == VERSO_E_GUARD);
    expect(verso_guard_state() == VERSO_GUARD_ABSENT);
    touch(foreign); /* theirs, ours asleep, the first */
    expect(their_calls == 1 && calls == 1);
    return 0;
}

/* Ours once more, over theirs, which is over ours: each is asked once. */
static int ours_over_theirs_over_ours(void *arg)
{
    (void)arg;
    handle_with(once_handler, 0, 0);
    expect(verso_guard_install() == 0);
    put_theirs_on_top();
    expect(verso_guard_install() == 0);
    expect(verso_guard_state() == VERSO_GUARD_ACTIVE);
    expect(guard_answers());
    expect(their_calls == 0);
    touch(foreign);
    expect(their_calls == 1 && calls == 1);
    expect(verso_guard_remove() == 0);
    expect(verso_guard_state() == VERSO_GUARD_ACTIVE);
    expect(verso_guard_remove() == 0);
    expect(verso_guard_state() == VERSO_GUARD_ABSENT);
    return 0;
}

/* They go before us, putting back what they found: us. */
static int theirs_come_and_go(void *arg)
{
    struct sigaction now;

    (void)arg;
    handle_with(once_handler, 0, 0);
    expect(verso_guard_install() == 0);
    put_theirs_on_top();
    expect(sigaction(SIGBUS, &beneath_theirs, NULL) == 0);
    expect(verso_guard_state() == VERSO_GUARD_ACTIVE);
    expect(guard_answers());
    expect(verso_guard_remove() == 0);
    expect(sigaction(SIGBUS, NULL, &now) == 0);
    expect(now.sa_sigaction == once_handler);
    return 0;
}

/* Removed while beneath; then theirs goes and ours stands there again, asleep; then ours is wanted again. */
static int ours_wakes_up(void *arg)
{
    (void)arg;
    expect(verso_guard_install() == 0);
    put_theirs_on_top();
    expect(verso_guard_remove() == VERSO_E_GUARD);
    expect(sigaction(SIGBUS, &beneath_theirs, NULL) == 0);
    expect(verso_guard_state() == VERSO_GUARD_ABSENT);
    expect(verso_guard_install() == 0);
    expect(verso_guard_state() == VERSO_GUARD_ACTIVE);
    expect(guard_answers());
    expect(verso_guard_remove() == 0);
    expect(signal(SIGBUS, SIG_IGN) == SIG_DFL);
    return 0;
}

static void test_handlers_over_ours(void **state)
{
    (void)state;
    assert_exits(theirs_over_ours, 0);
    assert_exits(ours_can_not_be_taken_from_beneath, 0);
    assert_exits(ours_over_theirs_over_ours, 0);
    assert_exits(theirs_come_and_go, 0);
    assert_exits(ours_wakes_up, 0);
}

/* By a handler that differs each time: where the same is only put back, our entry is used again. */
static int buried_again_and_again(void *arg)
{
    struct sigaction theirs = { .sa_flags = SA_SIGINFO }, now;
    int installs = 0;

    (void)arg;
    while (installs < 100 && verso_guard_install() == 0) {
        installs++;
        theirs.sa_sigaction = installs % 2 ? once_handler : full_handler;
        expect(sigaction(SIGBUS, &theirs, NULL) == 0);
    }
    expect(installs == 8);
    expect(verso_error_last()->code == -EBUSY);
    expect(sigaction(SIGBUS, NULL, &now) == 0);
    expect(now.sa_sigaction == full_handler);
    return 0;
}

static int restored_again_and_again(void *arg)
{
    struct sigaction theirs = { .sa_sigaction = once_handler, .sa_flags = SA_SIGINFO };

    (void)arg;
    for (int i = 0; i < 100; i++) {
        expect(sigaction(SIGBUS, &theirs, NULL) == 0);
        expect(verso_guard_install() == 0);
        expect(verso_guard_state() == VERSO_GUARD_ACTIVE);
        expect(guard_answers());
    }
    return 0;
}

static void test_a_limit_is_an_error(void **state)
{
    (void)state;
    assert_exits(buried_again_and_again, 0);
    assert_exits(restored_again_and_again, 0);
}

/* ---- Around the handler ----------------------------------------------------------------------------------------- */

static int errno_stays(void *arg)
{
    (void)arg;
    expect(verso_guard_install() == 0);
    ours.range.substitute = true;
    ours.range.fd = 9999; /* asking it for the size fails, with EBADF */
    errno = ERANGE;
    touch(ours.data);
    expect(errno == ERANGE);
    return 0;
}

static void test_errno_is_left_alone(void **state)
{
    (void)state;
    assert_exits(errno_stays, 0);
}

static char *stack_low, *stack_high;

static void where_handler(int number, siginfo_t *info, void *context)
{
    const char here = 0;

    (void)number;
    (void)info;
    (void)context;
    calls = &here >= stack_low && &here < stack_high;
    mend(foreign);
}

static void *on_another_stack(void *arg)
{
    size_t bytes = (size_t)sysconf(_SC_SIGSTKSZ);
    stack_t stack = { .ss_sp = malloc(bytes), .ss_size = bytes };

    expect(stack.ss_sp);
    stack_low = stack.ss_sp;
    stack_high = stack_low + bytes;
    expect(sigaltstack(&stack, NULL) == 0);
    for (int i = 0; i < 1000; i++) {
        expect(verso__guard_run(&ours.range, touch_ours, NULL, NULL) == VERSO_E_TORN);
        expect(guard_answers());
    }
    touch(foreign);
    stack.ss_flags = SS_DISABLE;
    expect(sigaltstack(&stack, NULL) == 0);
    free(stack_low);
    return arg;
}

static int alternate_stack(void *arg)
{
    pthread_t thread;

    (void)arg;
    handle_with(where_handler, 0, 0);
    expect(verso_guard_install() == 0);
    expect(pthread_create(&thread, NULL, on_another_stack, NULL) == 0);
    expect(pthread_join(thread, NULL) == 0);
    expect(calls == 1);
    return 0;
}

static void test_the_alternate_stack_is_used_and_left(void **state)
{
    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer's handler needs more than the system's signal stack");
    assert_exits(alternate_stack, 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_handler_beneath_gets_what_is_its_own),
        cmocka_unit_test(test_system_calls_restart_as_before),
        cmocka_unit_test(test_only_failed_accesses_are_ours),
        cmocka_unit_test(test_handlers_over_ours),
        cmocka_unit_test(test_a_limit_is_an_error),
        cmocka_unit_test(test_errno_is_left_alone),
        cmocka_unit_test(test_the_alternate_stack_is_used_and_left),
    };

    return cmocka_run_group_tests(list, set_up, tear_down);
}
