/* SPDX-License-Identifier: MIT */
/*
 * fault - one handler for SIGBUS, one for SIGSEGV, that mind their own business.
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
#define RANK_COUNT 2
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

/* All that is known of one signal. */
struct chain {
    int number;
    struct entry entries[ENTRY_COUNT];
    atomic_uint entries_used;
    _Atomic(verso__os_fault_function *) asked[RANK_COUNT];
    atomic_uint installs[RANK_COUNT];
};

static struct chain chains[] = {
    [VERSO__OS_FAULT_BUS] = { .number = SIGBUS },
    [VERSO__OS_FAULT_SEGV] = { .number = SIGSEGV },
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one install or remove at a time */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

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

static enum verso__os_fault_cause cause_of(int number, const siginfo_t *info)
{
    if (number == SIGSEGV)
        return info->si_code == SEGV_MAPERR                                   ? VERSO__OS_FAULT_NOT_MAPPED
               : info->si_code == SEGV_ACCERR || info->si_code == SEGV_PKUERR ? VERSO__OS_FAULT_NO_ACCESS
                                                                              : VERSO__OS_FAULT_OTHER;
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

/* What was tried, from what the processor left in the frame. */
#if defined(__x86_64__)
static unsigned access_of(const ucontext_t *context)
{
    const greg_t page_fault = 14, write_bit = 1 << 1, fetch_bit = 1 << 4;
    greg_t error = context->uc_mcontext.gregs[REG_ERR];

    if (context->uc_mcontext.gregs[REG_TRAPNO] != page_fault)
        return VERSO__OS_ACCESS_NONE;
    if (error & fetch_bit)
        return VERSO__OS_ACCESS_EXEC;
    return error & write_bit ? VERSO__OS_ACCESS_WRITE : VERSO__OS_ACCESS_READ;
}
#elif defined(__aarch64__)
/* The syndrome register is one of the records behind the general registers; each begins with a magic and its size. */
static unsigned access_of(const ucontext_t *context)
{
    const unsigned char *record = context->uc_mcontext.__reserved;
    const unsigned char *end = record + sizeof(context->uc_mcontext.__reserved);
    struct {
        uint32_t magic;
        uint32_t bytes;
        uint64_t syndrome;
    } head;

    for (; (size_t)(end - record) >= sizeof(head); record += head.bytes) {
        unsigned class;

        __builtin_memcpy(&head, record, sizeof(head));
        if (head.magic == 0 || head.bytes < sizeof(uint64_t) || head.bytes > (size_t)(end - record))
            break;
        if (head.magic != 0x45535201) /* ESR_MAGIC */
            continue;
        class = (unsigned)(head.syndrome >> 26) & 0x3F;
        if (class == 0x20 || class == 0x21)
            return VERSO__OS_ACCESS_EXEC;
        if (class == 0x24 || class == 0x25)
            return head.syndrome & 1U << 6 ? VERSO__OS_ACCESS_WRITE : VERSO__OS_ACCESS_READ;
        break;
    }
    return VERSO__OS_ACCESS_NONE;
}
#else
static unsigned access_of(const ucontext_t *context)
{
    (void)context;
    return VERSO__OS_ACCESS_NONE;
}
#endif

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

static uintptr_t stack_pointer_load(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.sp;
#else
    (void)context;
    return 0; /* unknown: no stack lies there */
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

static struct chain *chain_of(int number)
{
    return &chains[number == SIGSEGV ? VERSO__OS_FAULT_SEGV : VERSO__OS_FAULT_BUS];
}

static bool ask(struct chain *chain, enum verso__os_fault_rank rank, const siginfo_t *info, ucontext_t *context)
{
    verso__os_fault_function *function = atomic_load(&chain->asked[rank]);
    uintptr_t pc = pc_load(context), word = word_load(context);
    const struct verso__os_fault fault = {
        .signal = chain->number == SIGSEGV ? VERSO__OS_FAULT_SEGV : VERSO__OS_FAULT_BUS,
        .cause = cause_of(chain->number, info),
        .access = access_of(context),
        .address = info->si_addr,
        .stack_pointer = stack_pointer_load(context),
        .pc = &pc,
        .word = &word,
        .context = context,
    };

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

static void handle(unsigned index, int number, siginfo_t *info, void *context)
{
    struct chain *chain = chain_of(number);
    int before = errno;
    bool handled = ask(chain, VERSO__OS_FAULT_ANSWERS, info, context);

    if (!handled && index + 1 == atomic_load(&chain->entries_used))
        (void)ask(chain, VERSO__OS_FAULT_REPORTS, info, context);
    errno = before;
    if (!handled)
        pass_on(&chain->entries[index], number, info, context);
}

#define ENTRY(n)                                                       \
    static void handle_##n(int number, siginfo_t *info, void *context) \
    {                                                                  \
        handle(n, number, info, context);                              \
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

/*
 * Somebody has put back the very action that is beneath our topmost entry, as those do who take a signal for a while
 * and then restore it: nothing leads to that entry any more, and it is free. Or they would run out, one each time.
 */
static void forget_unreachable(struct chain *chain, const struct sigaction *current)
{
    unsigned used = atomic_load(&chain->entries_used);
    struct sigaction beneath;
    struct record *record;

    for (; used > 0; used--) {
        record_load(&chain->entries[used - 1], &beneath, &record);
        if (beneath.sa_handler != current->sa_handler)
            break;
    }
    atomic_store(&chain->entries_used, used);
}

static int install_on_top(struct chain *chain, const struct sigaction *beneath)
{
    unsigned used = atomic_load(&chain->entries_used);
    struct sigaction ours = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | restart_flag_of(beneath) }, replaced;

    if (used == ENTRY_COUNT)
        return -EBUSY;
    ours.sa_sigaction = entry_functions[used];
    record_store(&chain->entries[used], beneath); /* before the first signal can come */
    atomic_store(&chain->entries_used, used + 1);
    if (sigaction(chain->number, &ours, &replaced) < 0) {
        atomic_store(&chain->entries_used, used);
        return -errno;
    }
    record_store(&chain->entries[used], &replaced); /* what was really there, should somebody have been quicker */
    return 0;
}

/* Our entry that the kernel calls; ENTRY_COUNT when another's handler is on top. */
static int find_top(const struct chain *chain, struct sigaction *out_current, unsigned *out_entry)
{
    *out_entry = ENTRY_COUNT;
    if (sigaction(chain->number, NULL, out_current) < 0)
        return -errno;
    *out_entry = entry_of(out_current);
    return 0;
}

static int install_in(struct chain *chain, enum verso__os_fault_rank rank, verso__os_fault_function *function)
{
    verso__os_fault_function *before = atomic_load(&chain->asked[rank]);
    struct sigaction current;
    unsigned entry;
    int r = find_top(chain, &current, &entry);

    if (r < 0)
        return r;
    atomic_store(&chain->asked[rank], function);
    if (entry == ENTRY_COUNT) {
        forget_unreachable(chain, &current);
        r = install_on_top(chain, &current);
    }
    if (r < 0)
        atomic_store(&chain->asked[rank], before);
    else
        atomic_fetch_add(&chain->installs[rank], 1);
    return r;
}

/* Takes our entry out from under the kernel, unless somebody still wants it. */
static int remove_top(struct chain *chain)
{
    struct sigaction current, beneath;
    struct record *record;
    unsigned entry;
    int r = find_top(chain, &current, &entry);

    if (r < 0)
        return r;
    if (entry == ENTRY_COUNT)
        return -EBUSY;
    for (size_t rank = 0; rank < RANK_COUNT; rank++)
        if (atomic_load(&chain->installs[rank]))
            return 0;
    record_load(&chain->entries[entry], &beneath, &record);
    if (sigaction(chain->number, &beneath, NULL) < 0)
        return -errno;
    atomic_store(&chain->entries_used, entry);
    return 0;
}

static int remove_from(struct chain *chain, enum verso__os_fault_rank rank)
{
    int r;

    if (!atomic_load(&chain->installs[rank]))
        return -EINVAL;
    if (atomic_fetch_sub(&chain->installs[rank], 1) > 1)
        return 0;
    r = remove_top(chain);
    atomic_store(&chain->asked[rank], NULL);
    return r;
}

/* A child of fork() has one thread; a lock that another thread of its parent held would never be given back. */
static void lock_take(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void lock_give(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void lock_survives_fork(void)
{
    (void)pthread_atfork(lock_take, lock_give, lock_give);
}

int verso__os_fault_install(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank,
                            verso__os_fault_function *function)
{
    int r;

    (void)pthread_once(&fork_once, lock_survives_fork);
    lock_take();
    r = install_in(&chains[signal], rank, function);
    lock_give();
    return r;
}

int verso__os_fault_remove(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank)
{
    int r;

    lock_take();
    r = remove_from(&chains[signal], rank);
    lock_give();
    return r;
}

bool verso__os_fault_is_wanted(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank)
{
    return atomic_load_explicit(&chains[signal].installs[rank], memory_order_relaxed) != 0;
}

int verso__os_fault_is_installed(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank)
{
    struct sigaction current;
    unsigned entry;

    return verso__os_fault_is_wanted(signal, rank) && find_top(&chains[signal], &current, &entry) == 0 &&
           entry < ENTRY_COUNT;
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
