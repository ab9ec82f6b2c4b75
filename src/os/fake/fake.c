/* SPDX-License-Identifier: MIT */
/*
 * fake - wrappers between verso and its kernel.
 *
 * The linker's --wrap=X sends every reference to X to __wrap_X, and keeps the true one as __real_X. The wrappers are
 * made from calls.h. Plans and counts are under one mutex: the guard's handler comes through here too, but a fault can
 * only strike where a map is touched, and nothing here touches one.
 */
#include "os/fake/fake.h"

#include "os/fake/ledger.h"
#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PLAN_COUNT_MAX 4
#define NAMED_COUNT_MAX 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    bool counting;
    unsigned seen;
    unsigned failures;
    const char *failed_call;
    unsigned failed_call_errors;
    struct {
        unsigned n;
        int error;
    } plans[PLAN_COUNT_MAX];
    unsigned plan_count;
    unsigned from; /* 0: none */
    struct {
        char name[32];
        int error;
        unsigned left;
    } named[NAMED_COUNT_MAX];
    size_t transfer_bytes_max;
    uint64_t bad_byte; /* of every file; 0: none */
} state;

static void forget_plans(void)
{
    state.plan_count = 0;
    state.from = 0;
}

void fake_begin(void)
{
    pthread_mutex_lock(&lock);
    forget_plans();
    state.seen = 0;
    state.failures = 0;
    state.failed_call = NULL;
    state.failed_call_errors = 0;
    state.counting = true;
    pthread_mutex_unlock(&lock);
}

void fake_end(void)
{
    pthread_mutex_lock(&lock);
    forget_plans();
    state.counting = false;
    pthread_mutex_unlock(&lock);
}

void fake_fail_nth(unsigned n, int error)
{
    pthread_mutex_lock(&lock);
    if (state.plan_count == PLAN_COUNT_MAX)
        abort();
    state.plans[state.plan_count].n = n;
    state.plans[state.plan_count++].error = error;
    pthread_mutex_unlock(&lock);
}

void fake_fail_from(unsigned n)
{
    pthread_mutex_lock(&lock);
    state.from = n;
    pthread_mutex_unlock(&lock);
}

unsigned fake_calls_seen(void)
{
    unsigned seen;

    pthread_mutex_lock(&lock);
    seen = state.seen;
    pthread_mutex_unlock(&lock);
    return seen;
}

unsigned fake_failures(void)
{
    unsigned failures;

    pthread_mutex_lock(&lock);
    failures = state.failures;
    pthread_mutex_unlock(&lock);
    return failures;
}

const char *fake_failed_call(void)
{
    const char *name;

    pthread_mutex_lock(&lock);
    name = state.failed_call;
    pthread_mutex_unlock(&lock);
    return name;
}

unsigned fake_failed_call_errors(void)
{
    unsigned count;

    pthread_mutex_lock(&lock);
    count = state.failed_call_errors;
    pthread_mutex_unlock(&lock);
    return count;
}

/* The slot that holds @name, else a free one. */
static size_t named_slot(const char *name)
{
    size_t free_slot = NAMED_COUNT_MAX;

    for (size_t i = 0; i < NAMED_COUNT_MAX; i++) {
        if (strcmp(state.named[i].name, name) == 0)
            return i;
        if (state.named[i].left == 0)
            free_slot = i;
    }
    if (free_slot == NAMED_COUNT_MAX || strlen(name) >= sizeof(state.named[0].name))
        abort();
    return free_slot;
}

void fake_fail_call(const char *name, int error, unsigned count)
{
    size_t slot;

    pthread_mutex_lock(&lock);
    slot = named_slot(name);
    memcpy(state.named[slot].name, name, strlen(name) + 1);
    state.named[slot].error = error;
    state.named[slot].left = count;
    pthread_mutex_unlock(&lock);
}

void fake_short_transfers(size_t bytes_max)
{
    pthread_mutex_lock(&lock);
    state.transfer_bytes_max = bytes_max;
    pthread_mutex_unlock(&lock);
}

void fake_bad_byte(uint64_t offset_bytes)
{
    pthread_mutex_lock(&lock);
    state.bad_byte = offset_bytes;
    pthread_mutex_unlock(&lock);
}

void fake_reset(void)
{
    pthread_mutex_lock(&lock);
    forget_plans();
    memset(state.named, 0, sizeof(state.named));
    state.transfer_bytes_max = 0;
    state.bad_byte = 0;
    state.counting = false;
    pthread_mutex_unlock(&lock);
}

static size_t transfer_limit(size_t bytes)
{
    size_t most;

    pthread_mutex_lock(&lock);
    most = state.transfer_bytes_max;
    pthread_mutex_unlock(&lock);
    return most && bytes > most ? most : bytes;
}

/* ---- Deciding ---- */

static int by_name(const char *name)
{
    for (size_t i = 0; i < NAMED_COUNT_MAX; i++) {
        if (state.named[i].left == 0 || strcmp(state.named[i].name, name) != 0)
            continue;
        if (state.named[i].left != UINT_MAX)
            state.named[i].left--;
        return state.named[i].error;
    }
    return 0;
}

static int by_number(const int *errors, unsigned error_count)
{
    for (unsigned i = 0; i < state.plan_count; i++) {
        int wanted = state.plans[i].error;

        if (state.plans[i].n != state.seen)
            continue;
        if (wanted < 0)
            return wanted;
        return -errors[(unsigned)wanted < error_count ? (unsigned)wanted : error_count - 1];
    }
    return state.from && state.seen >= state.from ? -errors[0] : 0;
}

/* Counts a call; 0, or the negative errno that it shall fail with. */
static int refuse(const char *name, const int *errors, unsigned error_count)
{
    int error;

    pthread_mutex_lock(&lock);
    error = by_name(name);
    if (state.counting) {
        state.seen++;
        if (!error)
            error = by_number(errors, error_count);
    }
    if (error) {
        state.failures++;
        state.failed_call = name;
        state.failed_call_errors = error_count;
    }
    pthread_mutex_unlock(&lock);
    return error;
}

static bool counting(void)
{
    bool answer;

    pthread_mutex_lock(&lock);
    answer = state.counting;
    pthread_mutex_unlock(&lock);
    return answer;
}

/* ---- What FAKE_NOTED calls leave in the ledger, after they worked ---- */

static void noted_open(const char *path, unsigned flags, unsigned mode, const int *out_fd)
{
    (void)path;
    (void)flags;
    (void)mode;
    ledger_descriptor_add(*out_fd);
}

static void noted_open_at(int directory, const char *path, unsigned flags, unsigned mode, const int *out_fd)
{
    (void)directory;
    noted_open(path, flags, mode, out_fd);
}

static void noted_bell_make(int directory, const char *name, const int *out_fd)
{
    (void)directory;
    (void)name;
    ledger_descriptor_add(*out_fd);
}

static void noted_bell_open(int directory, const char *name, const int *out_fd)
{
    noted_bell_make(directory, name, out_fd);
}

static void noted_process_open(pid_t process, const int *out_fd)
{
    (void)process;
    ledger_descriptor_add(*out_fd);
}

static void noted_timer_make(const int *out_fd)
{
    ledger_descriptor_add(*out_fd);
}

static void noted_poll_make(const int *out_fd)
{
    ledger_descriptor_add(*out_fd);
}

static void noted_duplicate(int fd, const int *out_fd)
{
    (void)fd;
    ledger_descriptor_add(*out_fd);
}

static void noted_reopen(int fd, unsigned flags, const int *out_fd)
{
    (void)fd;
    (void)flags;
    ledger_descriptor_add(*out_fd);
}

static void noted_memory_file(const char *name, unsigned flags, const int *out_fd)
{
    (void)name;
    (void)flags;
    ledger_descriptor_add(*out_fd);
}

static void noted_write_watch_open(const int *out_fd)
{
    ledger_descriptor_add(*out_fd);
}

static void noted_map(void *wanted, size_t bytes, unsigned access, unsigned flags, int fd, uint64_t offset,
                      void **out_address)
{
    (void)access;
    (void)fd;
    (void)offset;
    if (flags & VERSO__OS_MAP_OVER)
        ledger_memory_use("map over", wanted, bytes);
    else
        ledger_memory_add(*out_address, bytes);
}

static void noted_reserve(size_t bytes, size_t align_bytes, void **out_address)
{
    (void)align_bytes;
    ledger_memory_add(*out_address, bytes);
}

static void noted_map_again(const void *address, size_t bytes, const void *target)
{
    ledger_memory_use("map again", address, bytes);
    ledger_memory_use("map again over", target, bytes);
}

static void noted_seal_mapping(void *address, size_t bytes)
{
    ledger_memory_use("seal", address, bytes);
    ledger_memory_seal(address, bytes);
}

/* The rest only have to name memory that is ours. */
#define noted_protect(address, bytes, access) ledger_memory_use("protect", address, bytes)
#define noted_advise(address, bytes, advice) ledger_memory_use("advise", address, bytes)
#define noted_populate(address, bytes, for_writing) ledger_memory_use("populate", address, bytes)
#define noted_lock(address, bytes, on_fault) ledger_memory_use("lock", address, bytes)
#define noted_unlock(address, bytes) ledger_memory_use("unlock", address, bytes)
#define noted_prefer_nodes(address, bytes, nodes) ledger_memory_use("prefer nodes", address, bytes)
#define noted_name(address, bytes, name) ledger_memory_use("name", address, bytes)
#define noted_sync_mapping(address, bytes) ledger_memory_use("sync", address, bytes)
#define noted_zero_over(address, bytes, access) ledger_memory_use("zero over", address, bytes)

/*
 * ---- The wrappers ----
 *
 * What is given back is struck out before the kernel has it: a moment later another thread may be given the same.
 */

#define UNWRAP(...) __VA_ARGS__
#define REFUSE(name, errors) \
    refuse(name, (const int[]){ UNWRAP errors }, sizeof((int[]){ UNWRAP errors }) / sizeof(int))

/* Declared with os.h's own types, so that a wrapper can't differ from what it wraps. */
#define DECLARE(name)                                     \
    __typeof__(verso__os_##name) __real_verso__os_##name; \
    __typeof__(verso__os_##name) __wrap_verso__os_##name;

#define FAKE(name, errors, parameters, arguments)                 \
    DECLARE(name)                                                 \
    int __wrap_verso__os_##name parameters                        \
    {                                                             \
        int error = REFUSE(#name, errors);                        \
                                                                  \
        return error ? error : __real_verso__os_##name arguments; \
    }

#define FAKE_NOTED(name, errors, parameters, arguments) \
    DECLARE(name)                                       \
    int __wrap_verso__os_##name parameters              \
    {                                                   \
        int r = REFUSE(#name, errors);                  \
                                                        \
        if (r == 0) {                                   \
            r = __real_verso__os_##name arguments;      \
            if (r >= 0)                                 \
                noted_##name arguments;                 \
        }                                               \
        return r;                                       \
    }

#define FAKE_BY_HAND(name) DECLARE(name)
#define EXEMPT(name)

#include "os/fake/calls.h"

/* Never refused, only counted out: a close that did not close could not be told from a leak. */
void __wrap_verso__os_close(int fd)
{
    ledger_descriptor_remove(fd);
    __real_verso__os_close(fd);
}

/* Refused by name only. The kernel refuses to unmap only what would split a mapping too many, and no caller can mend
 * that. */
int __wrap_verso__os_unmap(void *address, size_t bytes)
{
    int r;

    pthread_mutex_lock(&lock);
    r = by_name("unmap");
    pthread_mutex_unlock(&lock);
    if (r < 0)
        return r;
    ledger_memory_remove("unmap", address, bytes);
    r = __real_verso__os_unmap(address, bytes);
    if (r < 0)
        ledger_memory_add(address, bytes);
    return r;
}

int __wrap_verso__os_remap(void *address, size_t old_bytes, size_t new_bytes, bool may_move, void **out_address)
{
    int r = REFUSE("remap", (ENOMEM, EFAULT));

    if (r < 0)
        return r;
    ledger_memory_remove("remap", address, old_bytes);
    r = __real_verso__os_remap(address, old_bytes, new_bytes, may_move, out_address);
    if (r < 0)
        ledger_memory_add(address, old_bytes);
    else
        ledger_memory_add(*out_address, new_bytes);
    return r;
}

/* What stood at the target is gone, and what moved stands there. */
int __wrap_verso__os_move(void *address, size_t bytes, void *target)
{
    int r = REFUSE("move", (ENOMEM, EFAULT));

    if (r < 0)
        return r;
    ledger_memory_use("move over", target, bytes);
    ledger_memory_remove("move", address, bytes);
    r = __real_verso__os_move(address, bytes, target);
    if (r < 0)
        ledger_memory_add(address, bytes);
    return r;
}

/* Refused only after the descriptor was taken off the socket, as by a peer that sent something else: a second try
 * finds the next. */
int __wrap_verso__os_receive_descriptor(int socket_fd, int *out_fd)
{
    int error = REFUSE("receive_descriptor", (EPROTO, ECONNRESET));
    int fd, r = __real_verso__os_receive_descriptor(socket_fd, &fd);

    if (r < 0)
        return r;
    if (error) {
        __real_verso__os_close(fd);
        return error;
    }
    ledger_descriptor_add(fd);
    *out_fd = fd;
    return 0;
}

int __wrap_verso__os_read(int fd, void *out_data, size_t bytes, size_t *out_done)
{
    int error = REFUSE("read", (EIO, EISDIR));

    return error ? error : __real_verso__os_read(fd, out_data, transfer_limit(bytes), out_done);
}

static bool reaches_bad_byte(uint64_t offset, size_t bytes)
{
    bool reaches;

    pthread_mutex_lock(&lock);
    reaches = state.bad_byte && offset <= state.bad_byte && state.bad_byte - offset < bytes;
    pthread_mutex_unlock(&lock);
    return reaches;
}

int __wrap_verso__os_read_at(int fd, uint64_t offset, void *out_data, size_t bytes, size_t *out_done)
{
    int error = REFUSE("read_at", (EIO));

    if (!error && reaches_bad_byte(offset, bytes))
        error = -EIO;
    return error ? error : __real_verso__os_read_at(fd, offset, out_data, bytes, out_done);
}

/* What it was to write is half there when it fails, as on a disk that fills up. */
int __wrap_verso__os_write_at(int fd, uint64_t offset, const void *data, size_t bytes, size_t *out_done)
{
    int error = REFUSE("write_at", (ENOSPC, EIO));
    int r = __real_verso__os_write_at(fd, offset, data, error ? bytes / 2 : bytes, out_done);

    return error ? error : r;
}

int __wrap_verso__os_copy_range(int source_fd, uint64_t source_offset, int target_fd, uint64_t target_offset,
                                size_t bytes, size_t *out_done)
{
    int error = REFUSE("copy_range", (EXDEV, EIO, ENOSPC));

    return error ? error
                 : __real_verso__os_copy_range(source_fd, source_offset, target_fd, target_offset,
                                               transfer_limit(bytes), out_done);
}

/* -EBUSY says that another handler stands over ours, which from then on only passes on: as good as removed. */
int __wrap_verso__os_fault_remove(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank)
{
    int error = REFUSE("fault_remove", (EBUSY));
    int r = __real_verso__os_fault_remove(signal, rank);

    return error ? error : r;
}

int64_t __wrap_verso__os_file_bytes_now(int fd)
{
    int error = REFUSE("file_bytes_now", (EIO));

    return error ? error : __real_verso__os_file_bytes_now(fd);
}

/* ---- The allocator ---- */

#define FAKE_ALLOCATOR(name, parameters, arguments) \
    void *__real_##name parameters;                 \
    void *__wrap_##name parameters;                 \
    void *__wrap_##name parameters                  \
    {                                               \
        void *memory;                               \
                                                    \
        if (!counting())                            \
            return __real_##name arguments;         \
        if (REFUSE(#name, (ENOMEM))) {              \
            errno = ENOMEM;                         \
            return NULL;                            \
        }                                           \
        memory = __real_##name arguments;           \
        ledger_allocation_add(memory);              \
        return memory;                              \
    }

FAKE_ALLOCATOR(malloc, (size_t bytes), (bytes))
FAKE_ALLOCATOR(calloc, (size_t count, size_t bytes), (count, bytes))
FAKE_ALLOCATOR(aligned_alloc, (size_t align_bytes, size_t bytes), (align_bytes, bytes))
FAKE_ALLOCATOR(strdup, (const char *text), (text))
FAKE_ALLOCATOR(strndup, (const char *text, size_t bytes), (text, bytes))

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    ledger_allocation_remove(memory);
    __real_free(memory);
}

/* As a malloc that copies: the old memory stays when it fails. */
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes)
{
    bool noted;
    void *moved;

    if (counting() && REFUSE("realloc", (ENOMEM))) {
        errno = ENOMEM;
        return NULL;
    }
    noted = ledger_allocation_remove(memory) || (counting() && !memory);
    moved = __real_realloc(memory, bytes);
    if (noted)
        ledger_allocation_add(moved ? moved : memory);
    return moved;
}

/* ---- Threads: not of os.h, but the system's to refuse all the same ---- */

__typeof__(pthread_create) __real_pthread_create;
__typeof__(pthread_create) __wrap_pthread_create;
int __wrap_pthread_create(pthread_t *out_thread, const pthread_attr_t *attributes, void *(*function)(void *), void *arg)
{
    if (counting() && REFUSE("pthread_create", (EAGAIN)))
        return EAGAIN;
    return __real_pthread_create(out_thread, attributes, function, arg);
}
