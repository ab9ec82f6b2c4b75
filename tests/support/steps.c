/* SPDX-License-Identifier: MIT */
/* steps - by ptrace(2). A child stops itself before and after its act, so that its end can be told. */
#include "support.h"

#include "steps.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int stop_traced(void *arg)
{
    (void)arg;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return 1;
    return 0;
}

bool support_can_step(void)
{
    return support_child(stop_traced, NULL) == 0;
}

/* Until the child stands still again; false: it stopped itself. */
static bool has_stepped(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    assert_true(WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP);
    return WSTOPSIG(status) == SIGTRAP;
}

static pid_t start(const struct support_steps *steps)
{
    pid_t parent = getpid(), child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(1);
        if (steps->ready)
            steps->ready(steps->arg);
        (void)raise(SIGSTOP);
        steps->act(steps->arg);
        (void)raise(SIGSTOP);
        _exit(0);
    }
    assert_false(has_stepped(child));
    return child;
}

#define ONE_BY_ONE 400

/* True: it came to its end before. */
static bool kill_at(const struct support_steps *steps, unsigned step)
{
    bool was_done = false;
    pid_t child;
    int status;

    if (steps->begin)
        steps->begin(steps->arg);
    child = start(steps);
    if (steps->before)
        steps->before(steps->arg);
    for (unsigned i = 0; i < step && !was_done; i++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        was_done = !has_stepped(child);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    steps->killed(steps->arg, was_done);
    return was_done;
}

unsigned support_kill_at_each_step(const struct support_steps *steps)
{
    cpu_set_t before, one;
    unsigned step = 0;

    /* A stop and a step across processors would each wait for the other one to wake up. */
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    CPU_ZERO(&one);
    for (unsigned i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    while (!kill_at(steps, step))
        step += step < ONE_BY_ONE || getenv("TEST_LONG") ? 1 : step / 37;
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    return step;
}
