/* SPDX-License-Identifier: MIT */
/*
 * fault - one SIGBUS handler that minds its own business.
 *
 * There is one action per signal and process, so a library that takes it must give back what it took: whatever is not
 * ours goes on to the action found at installation, just as the kernel would have carried it out.
 *
 * Others do the same, and the chain can be put together in any order. When somebody has installed a handler over ours,
 * ours can't be taken out from beneath it; and when it is then installed once more, on top, the same function would
 * stand in the chain twice and call itself without end. So there are several entries, each of which remembers what is
 * beneath it:
 *
 *      kernel --> entry 1 --> theirs --> entry 0 --> what was there first
 *
 * A record of what is beneath may be replaced while a handler reads it on another thread. It is kept twice: the writer
 * fills the copy that nobody is sent to, then turns; a reader that sees the turn changed reads again. Nobody waits, so
 * a child of fork() finds it whole at any time.
 */
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ENTRY_COUNT 8
#define MASK_WORDS (sizeof(sigset_t) / sizeof(unsigned long))

struct record {
    _Atomic uintptr_t handler; /* SIG_DFL, SIG_IGN or a function, as flags say */
    atomic_int flags;
    atomic_ulong mask[MASK_WORDS];
};

struct entry {
    atomic_uint turn;         /* its lowest bit: which record holds */
    struct record records[2]; /* what is beneath this entry */
};

static struct entry entries[ENTRY_COUNT];
static unsigned entries_used; /* the caller keeps installs and removes apart */
static _Atomic(verso__os_fault_function *) asked;

static void record_store(struct entry *entry, const struct sigaction *action)
{
    unsigned turn = atomic_load(&entry->turn) + 1;
    struct record *record = &entry->records[turn & 1];
    unsigned long mask[MASK_WORDS];

    __builtin_memcpy(mask, &action->sa_mask, sizeof(mask));
    atomic_store(&record->handler, (uintptr_t)action->sa_handler);
    atomic_store(&record->flags, action->sa_flags);
    for (size_t i = 0; i < MASK_WORDS; i++)
        atomic_store(&record->mask[i], mask[i]);
    atomic_store(&entry->turn, turn);
}

static void record_load(struct entry *entry, struct sigaction *out_action, struct record **out_record)
{
    unsigned long mask[MASK_WORDS];
    unsigned turn;

    do {
        turn = atomic_load(&entry->turn);
        *out_record = &entry->records[turn & 1];
        out_action->sa_handler = (void (*)(int))atomic_load(&(*out_record)->handler);
        out_action->sa_flags = atomic_load(&(*out_record)->flags);
        for (size_t i = 0; i < MASK_WORDS; i++)
            mask[i] = atomic_load(&(*out_record)->mask[i]);
    } while (atomic_load(&entry->turn) != turn);
    __builtin_memcpy(&out_action->sa_mask, mask, sizeof(mask));
}

/* ---- Passing on ----------------------------------------------------------------------------------------------- */

/* Whether an access on this thread made the kernel send it; such a signal can't be ignored. */
static bool is_access(const siginfo_t *info)
{
    return info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
}

/*
 * Dies as without us. The signal is queued again, blocked, with all it carried: the return from our handler unblocks
 * it, so that it strikes at the faulting instruction, and wait status and core dump tell the truth. To return and let
 * the instruction fault again would not do: the file may have grown back, and the default action would stay.
 */
static void die(int number, siginfo_t *info)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t blocked;

    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, number);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    (void)sigaction(number, &action, NULL);
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number, info) < 0)
        (void)raise(number); /* the queue is full: a signal without its details always fits */
}

static void call(const struct sigaction *action, int number, siginfo_t *info, void *context)
{
    sigset_t blocked = action->sa_mask, before;

    if (!(action->sa_flags & SA_NODEFER))
        (void)sigaddset(&blocked, number);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(number, info, context);
    else
        action->sa_handler(number);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* for a handler over ours, which called us as we call theirs */
}

static void pass_on(struct entry *entry, int number, siginfo_t *info, void *context)
{
    struct sigaction action;
    struct record *record;
    uintptr_t found;

    record_load(entry, &action, &record);
    found = (uintptr_t)action.sa_handler;
    if (found != (uintptr_t)SIG_DFL && found != (uintptr_t)SIG_IGN && (action.sa_flags & (int)SA_RESETHAND) &&
        !atomic_compare_exchange_strong(&record->handler, &found, (uintptr_t)SIG_DFL))
        action.sa_handler = SIG_DFL; /* another thread had its one shot just now */
    if (action.sa_handler == SIG_IGN && !is_access(info))
        return;
    if (action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL)
        die(number, info);
    else
        call(&action, number, info, context);
}

/* ---- The handler ---------------------------------------------------------------------------------------------- */

static enum verso__os_fault_cause cause_of(const siginfo_t *info)
{
    switch (info->si_code) {
    case BUS_ADRERR:
        return VERSO__OS_FAULT_PAST_END;
    case BUS_MCEERR_AR:
    case BUS_OBJERR:
        return VERSO__OS_FAULT_POISON;
    default:
        return VERSO__OS_FAULT_OTHER;
    }
}

static uintptr_t pc_load(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0; /* no code of ours stands at 0, so nothing is ever mended by its address */
#endif
}

static void pc_store(ucontext_t *context, uintptr_t pc)
{
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
#elif defined(__aarch64__)
    context->uc_mcontext.pc = pc;
#else
    (void)context;
    (void)pc;
#endif
}

static uintptr_t word_load(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RAX];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.regs[16];
#else
    (void)context;
    return 0;
#endif
}

static void word_store(ucontext_t *context, uintptr_t word)
{
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RAX] = (greg_t)word;
#elif defined(__aarch64__)
    context->uc_mcontext.regs[16] = word;
#else
    (void)context;
    (void)word;
#endif
}

static bool ask(const siginfo_t *info, ucontext_t *context)
{
    verso__os_fault_function *function = atomic_load(&asked);
    uintptr_t pc = pc_load(context), word = word_load(context);
    const struct verso__os_fault fault = { cause_of(info), info->si_addr, &pc, &word, context };

    if (!function || !is_access(info) || !function(&fault))
        return false;
    pc_store(context, pc);
    word_store(context, word);
    return true;
}

void verso__os_fault_leave(const struct verso__os_fault *fault)
{
    const ucontext_t *context = fault->context;

    (void)pthread_sigmask(SIG_SETMASK, &context->uc_sigmask, NULL);
}

static void handle(struct entry *entry, int number, siginfo_t *info, void *context)
{
    int before = errno;
    bool handled = ask(info, context);

    errno = before;
    if (!handled)
        pass_on(entry, number, info, context);
}

#define ENTRY(n)                                                       \
    static void handle_##n(int number, siginfo_t *info, void *context) \
    {                                                                  \
        handle(&entries[n], number, info, context);                    \
    }
ENTRY(0)
ENTRY(1)
ENTRY(2)
ENTRY(3)
ENTRY(4)
ENTRY(5)
ENTRY(6)
ENTRY(7)
#undef ENTRY

static void (*const entry_functions[ENTRY_COUNT])(int, siginfo_t *, void *) = {
    handle_0, handle_1, handle_2, handle_3, handle_4, handle_5, handle_6, handle_7,
};

/* ---- Installing ----------------------------------------------------------------------------------------------- */

/* Which entry an action calls; ENTRY_COUNT when it is not ours. */
static unsigned entry_of(const struct sigaction *action)
{
    unsigned i = 0;

    while (i < ENTRY_COUNT && !((action->sa_flags & SA_SIGINFO) && action->sa_sigaction == entry_functions[i]))
        i++;
    return i;
}

/* Signals sent by others interrupt system calls as they did before; ignored ones did not. */
static int restart_flag_of(const struct sigaction *beneath)
{
    if (beneath->sa_handler == SIG_IGN || beneath->sa_handler == SIG_DFL)
        return SA_RESTART;
    return beneath->sa_flags & SA_RESTART;
}

static int install_on_top(const struct sigaction *beneath)
{
    struct sigaction ours = { .sa_sigaction = entry_functions[entries_used] }, replaced;

    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | restart_flag_of(beneath);
    record_store(&entries[entries_used], beneath); /* before the first signal can come */
    if (sigaction(SIGBUS, &ours, &replaced) < 0)
        return -errno;
    record_store(&entries[entries_used], &replaced); /* what was really there, should somebody have been quicker */
    entries_used++;
    return 0;
}

int verso__os_fault_install(verso__os_fault_function *function)
{
    verso__os_fault_function *before = atomic_load(&asked);
    struct sigaction current;
    unsigned entry;
    int error = 0;

    if (sigaction(SIGBUS, NULL, &current) < 0)
        return -errno;
    entry = entry_of(&current);
    if (entry < ENTRY_COUNT && before)
        return -EALREADY;
    atomic_store(&asked, function);
    if (entry == ENTRY_COUNT)
        error = entries_used < ENTRY_COUNT ? install_on_top(&current) : -EBUSY;
    if (error < 0)
        atomic_store(&asked, before);
    return error;
}

int verso__os_fault_remove(void)
{
    struct sigaction current, beneath;
    struct record *record;
    unsigned entry;

    if (!atomic_load(&asked))
        return -EINVAL;
    if (sigaction(SIGBUS, NULL, &current) < 0)
        return -errno;
    entry = entry_of(&current);
    if (entry < ENTRY_COUNT) {
        record_load(&entries[entry], &beneath, &record);
        if (sigaction(SIGBUS, &beneath, NULL) < 0)
            return -errno;
        entries_used = entry;
    }
    atomic_store(&asked, NULL);
    return entry < ENTRY_COUNT ? 0 : -EBUSY;
}

int verso__os_fault_is_installed(void)
{
    struct sigaction current;

    return atomic_load(&asked) && sigaction(SIGBUS, NULL, &current) == 0 && entry_of(&current) < ENTRY_COUNT;
}

/* ---- Mending, in signal context ------------------------------------------------------------------------------- */

/* Straight to the kernel: what stands between (sanitizers) is not made for being called in the middle of anything. */
int verso__os_zero_over(void *address, size_t bytes, unsigned access)
{
#ifdef SYS_mmap2
    const long number = SYS_mmap2; /* where SYS_mmap is the old call with one argument */
#else
    const long number = SYS_mmap;
#endif
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    const int protection = (access & VERSO__OS_ACCESS_READ ? PROT_READ : 0) |
                           (access & VERSO__OS_ACCESS_WRITE ? PROT_WRITE : 0) |
                           (access & VERSO__OS_ACCESS_EXEC ? PROT_EXEC : 0);

    return syscall(number, address, bytes, protection, flags, -1, 0L) == -1 ? -errno : 0;
}

int64_t verso__os_file_bytes_now(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    return S_ISREG(status.st_mode) ? (int64_t)status.st_size : -EINVAL; /* a device says 0 */
}
