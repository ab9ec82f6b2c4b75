/* SPDX-License-Identifier: MIT */
/* steps - by ptrace(2). A child stops itself before and after its act, so that its end can be told. */
#include "support.h"

#include "steps.h"

#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
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

/* Whether the signal that it met is the one it sent itself. */
static bool has_stopped_itself(pid_t child, int signal)
{
    siginfo_t info;

    if (signal != SIGSTOP || ptrace(PTRACE_GETSIGINFO, child, NULL, &info) < 0)
        return false;
    return info.si_code == SI_TKILL && info.si_pid == child;
}

/* Until the child, which went on by @request, stands still again: the signal. Other people's signals (who stops all
 * there is for a moment, and continues it) don't reach it, and it goes on. */
static int next_stop(pid_t child, enum __ptrace_request request)
{
    for (;;) {
        int status, signal;

        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSTOPPED(status))
            fail_msg("a child that is stepped through ended with status %#x", (unsigned)status);
        signal = WSTOPSIG(status);
        if ((signal & 0x7f) == SIGTRAP || has_stopped_itself(child, signal))
            return signal;
        if (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE)
            fail_msg("a child that is stepped through met with signal %d", signal);
        assert_int_equal(ptrace(request, child, NULL, NULL), 0);
    }
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
    assert_int_equal(next_stop(child, PTRACE_CONT), SIGSTOP);
    return child;
}

/* Runs what comes before; the child then stands right before its act. */
static pid_t stand_ready(const struct support_steps *steps)
{
    pid_t child;

    if (steps->begin)
        steps->begin(steps->arg);
    child = start(steps);
    if (steps->before)
        steps->before(steps->arg);
    return child;
}

static void finish_off(const struct support_steps *steps, pid_t child, bool was_done)
{
    int status;

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    steps->killed(steps->arg, was_done);
}

/* False: it stopped itself. */
static bool step_once(pid_t child)
{
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
    return next_stop(child, PTRACE_SINGLESTEP) != SIGSTOP;
}

/* A stop and a step across processors would each wait for the other one to wake up. */
static cpu_set_t stay_on_one(void)
{
    cpu_set_t before, one;

    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    CPU_ZERO(&one);
    for (unsigned i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    return before;
}

/* What TEST_LONG says, 0 without it. */
static unsigned long seconds_wanted(void)
{
    const char *text = getenv("TEST_LONG");

    return text ? strtoul(text, NULL, 10) : 0;
}

static unsigned long tenths_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (unsigned long)now.tv_sec * 10 + (unsigned long)now.tv_nsec / 100000000;
}

/* ---- At each instruction ---- */

#define ONE_BY_ONE 400

/* True: it came to its end before. */
static bool kill_at(const struct support_steps *steps, unsigned step)
{
    pid_t child = stand_ready(steps);
    bool was_done = false;

    for (unsigned i = 0; i < step && !was_done; i++)
        was_done = !step_once(child);
    finish_off(steps, child, was_done);
    return was_done;
}

unsigned support_kill_at_each_step(const struct support_steps *steps)
{
    unsigned long end = tenths_now() + seconds_wanted();
    cpu_set_t before = stay_on_one();
    unsigned step = 0;

    while (!kill_at(steps, step))
        step += step < ONE_BY_ONE || tenths_now() < end ? 1 : step / 37;
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    return step;
}

/* ---- Between system calls ---- */

/* Where to kill: so many system calls, then so many instructions. */
struct station {
    unsigned calls;
    unsigned steps;
    bool is_at_call;
};

struct stations {
    struct station *list;
    size_t count;
    size_t room;
};

static void note(struct stations *stations, struct station station)
{
    if (stations->count == stations->room) {
        stations->room = stations->room ? 2 * stations->room : 1024;
        stations->list = realloc(stations->list, stations->room * sizeof(*stations->list));
        assert_non_null(stations->list);
    }
    stations->list[stations->count++] = station;
}

#if defined(__x86_64__)
#define COUNTER rip
#define CALL 0x050f /* syscall */
#define CALL_MASK 0xffff
#elif defined(__aarch64__)
#define COUNTER pc
#define CALL 0xd4000001 /* svc #0 */
#define CALL_MASK 0xffffffff
#endif

#ifdef COUNTER
static uintptr_t instruction_at(pid_t child)
{
    struct user_regs_struct registers;
    struct iovec room = { &registers, sizeof(registers) };

    assert_int_equal(ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &room), 0);
    return (uintptr_t)registers.COUNTER;
}

static bool is_system_call(pid_t child, uintptr_t at)
{
    unsigned long word;

    errno = 0;
    word = (unsigned long)ptrace(PTRACE_PEEKTEXT, child, (void *)at, NULL);
    assert_int_equal(errno, 0);
    return (word & CALL_MASK) == CALL;
}

bool support_can_survey(void)
{
    return support_can_step();
}
#else
static uintptr_t instruction_at(pid_t child)
{
    (void)child;
    fail_msg("this processor's registers are not known");
    return 0;
}

static bool is_system_call(pid_t child, uintptr_t at)
{
    (void)child;
    return at == 0;
}

bool support_can_survey(void)
{
    return false;
}
#endif

extern const char __executable_start[], etext[]; /* of the linker */

static bool is_our_own(uintptr_t at)
{
    return at >= (uintptr_t)__executable_start && at < (uintptr_t)etext;
}

/* One child that comes to its end, for a list of all stations on the way. */
static struct support_stations survey(const struct support_steps *steps, struct stations *stations)
{
    struct support_stations seen = { 0 };
    pid_t child = stand_ready(steps);
    unsigned in_a_row = 0;
    bool was_call = false, is_call, is_own;

    do {
        uintptr_t at = instruction_at(child);

        is_call = is_system_call(child, at);
        is_own = is_our_own(at);
        if (is_call || was_call || is_own)
            note(stations, (struct station){ seen.calls, in_a_row, is_call || was_call });
        seen.instructions += is_own;
        seen.calls += is_call;
        in_a_row = is_call ? 0 : in_a_row + 1;
        was_call = is_call;
    } while (step_once(child));
    finish_off(steps, child, true);
    return seen;
}

static void run_calls(pid_t child, unsigned calls)
{
    for (unsigned i = 0; i < 2 * calls; i++) { /* into it, and out of it */
        assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
        assert_int_equal(next_stop(child, PTRACE_SYSCALL), SIGTRAP | 0x80);
    }
}

static void kill_at_station(const struct support_steps *steps, const struct station *station)
{
    pid_t child = stand_ready(steps);

    assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_TRACESYSGOOD), 0);
    run_calls(child, station->calls);
    for (unsigned i = 0; i < station->steps; i++)
        assert_true(step_once(child));
    finish_off(steps, child, false);
}

struct support_stations support_kill_between_calls(const struct support_steps *steps, unsigned most)
{
    struct stations stations = { 0 };
    cpu_set_t before = stay_on_one();
    struct support_stations seen = survey(steps, &stations);
    size_t stride = stations.count / (most + 5 * seconds_wanted()) + 1;

    for (size_t i = 0; i < stations.count; i++)
        if (stations.list[i].is_at_call || i % stride == 0) {
            kill_at_station(steps, &stations.list[i]);
            seen.kills++;
        }
    free(stations.list);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    return seen;
}
