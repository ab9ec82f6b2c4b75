/* SPDX-License-Identifier: MIT */
/*
 * bench_clone - tracking writes, and taking clones, of 1 GiB.
 *
 * Tracking by the kernel against what programs do without it: a child of fork() that holds the old state, and pages
 * made read-only with a SIGSEGV for each (verso's own other way, VERSO_CLONE_TRACK_FAULTS). Clones against copying, and
 * against fork() again. Base pages throughout: huge ones would be split by the first store anyway.
 *
 * Each side has memory of its own, and that of verso is not inherited: a child would make its pages shared as well.
 */
#include "bench.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

#define BYTES ((size_t)1 << 30)
#define STORES ((size_t)32768) /* pages stored to where each store is what counts */

static size_t page;
static unsigned char *ours, *theirs;

struct work {
    size_t stores; /* before a take: pages, evenly spread */
    struct verso_clone_track *kernel;
    struct verso_clone_track *faults;
    struct verso_clone_base *base;
    struct verso_clone *clone;
    unsigned char *copy;
    pid_t child;
};

static unsigned char *new_memory(int advice)
{
    unsigned char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        abort();
    (void)madvise(memory, BYTES, MADV_NOHUGEPAGE);
    (void)madvise(memory, BYTES, advice);
    memset(memory, 1, BYTES);
    return memory;
}

static struct verso_clone_track *track(unsigned char *memory, unsigned method)
{
    struct verso_clone_track *made = NULL;

    return verso_clone_track_begin(memory, BYTES, method, &made) == 0 ? made : NULL;
}

static void store(unsigned char *memory, size_t stores)
{
    size_t step = stores ? BYTES / page / stores * page : 0;

    for (size_t i = 0; i < stores; i++)
        memory[i * step]++;
}

/* A child that does nothing but be there, with all of @theirs as it was. */
static void start_child(struct work *work)
{
    work->child = fork();
    if (work->child == 0)
        for (;;)
            pause();
    if (work->child < 0)
        abort();
}

static void end_child(struct work *work)
{
    if (work->child > 0 && (kill(work->child, SIGKILL) < 0 || waitpid(work->child, NULL, 0) < 0))
        abort();
    work->child = 0;
}

/* ---- Beginning ---- */

static void end_all(void *arg)
{
    struct work *work = arg;

    end_child(work);
    verso_clone_track_end(work->kernel);
    verso_clone_track_end(work->faults);
    work->kernel = work->faults = NULL;
}

static uint64_t begin_kernel(void *arg)
{
    struct work *work = arg;

    work->kernel = track(ours, VERSO_CLONE_TRACK_KERNEL);
    return 0;
}

static uint64_t begin_faults(void *arg)
{
    struct work *work = arg;

    work->faults = track(theirs, VERSO_CLONE_TRACK_FAULTS);
    return 0;
}

static uint64_t begin_fork(void *arg)
{
    start_child(arg);
    return 0;
}

/* ---- The first store to each page ---- */

static void before_stores_beside_fork(void *arg)
{
    struct work *work = arg;

    end_all(work);
    (void)begin_kernel(work);
    start_child(work);
}

static void before_stores_beside_faults(void *arg)
{
    end_all(arg);
    (void)begin_kernel(arg);
    (void)begin_faults(arg);
}

static uint64_t store_ours(void *arg)
{
    (void)arg;
    store(ours, STORES);
    return STORES;
}

static uint64_t store_theirs(void *arg)
{
    (void)arg;
    store(theirs, STORES);
    return STORES;
}

/* ---- Taking ---- */

static uint64_t take(struct verso_clone_track *from)
{
    uint64_t bytes = 0;

    if (!from || verso_clone_track_take(from, &bytes) < 0)
        abort();
    return bytes;
}

static void before_take(void *arg)
{
    struct work *work = arg;

    (void)take(work->kernel);
    (void)take(work->faults);
    store(ours, work->stores);
    store(theirs, work->stores);
}

static uint64_t take_kernel(void *arg)
{
    return take(((struct work *)arg)->kernel);
}

static uint64_t take_faults(void *arg)
{
    return take(((struct work *)arg)->faults);
}

/* ---- Soft-dirty bits ---- */

static void soft_dirty_clear(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, "4", 1);
        close(fd);
    }
}

static uint64_t soft_dirty_count(const unsigned char *memory, size_t bytes)
{
    static uint64_t words[8192];
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t count = 0;

    for (size_t at = 0; fd >= 0 && at < bytes; at += sizeof(words) / 8 * page) {
        ssize_t n = pread(fd, words, sizeof(words), (off_t)(((uintptr_t)memory + at) / page * 8));

        for (ssize_t i = 0; i < n / 8 && at + (size_t)i * page < bytes; i++)
            count += words[i] >> 55 & 1;
    }
    if (fd >= 0)
        close(fd);
    return count;
}

/* clear_refs answers as if it worked where the kernel has no such bits: only a round trip tells. */
static bool soft_dirty_works(void)
{
    soft_dirty_clear();
    theirs[0]++;
    return soft_dirty_count(theirs, 2 * page) == 1;
}

static void before_soft_dirty(void *arg)
{
    struct work *work = arg;

    (void)take(work->kernel);
    soft_dirty_clear();
    store(ours, work->stores);
    store(theirs, work->stores);
}

static uint64_t take_soft_dirty(void *arg)
{
    uint64_t count = soft_dirty_count(theirs, BYTES);

    (void)arg;
    soft_dirty_clear();
    return count * page;
}

/* ---- Clones ---- */

static uint64_t clone_it(void *arg)
{
    struct work *work = arg;
    struct verso_clone *clone;
    uint64_t byte;

    if (verso_clone_open(work->base, 0, 0, &clone) < 0)
        abort();
    byte = *(unsigned char *)verso_clone_data(clone);
    verso_clone_close(clone);
    return byte;
}

static uint64_t copy_it(void *arg)
{
    struct work *work = arg;

    memcpy(work->copy, verso_clone_base_data(work->base), BYTES);
    return *work->copy;
}

static uint64_t fork_it(void *arg)
{
    start_child(arg);
    return *theirs;
}

static void before_clone(void *arg)
{
    end_child(arg);
}

static uint64_t look(void *arg)
{
    struct work *work = arg;
    uint64_t bytes = 0;

    if (verso_clone_look(work->clone, &bytes) < 0)
        abort();
    return bytes / page;
}

static uint64_t compare(void *arg)
{
    struct work *work = arg;
    const unsigned char *clone = verso_clone_data(work->clone), *base = verso_clone_base_data(work->base);
    uint64_t count = 0;

    for (size_t at = 0; at < BYTES; at += page)
        count += memcmp(clone + at, base + at, page) != 0;
    return count;
}

/* ---- The rows ---- */

static void rows_of_beginning(struct work *work)
{
    struct bench_case one = {
        .name = "begin to track", .unit = "ns", .operations = 1, .arg = work, .before = end_all, .verso = begin_kernel
    };

    one.peer = "fork";
    one.peer_side = begin_fork;
    bench_compare(&one);
    one.peer = "mprotect";
    one.peer_side = begin_faults;
    bench_compare(&one);
    one = (struct bench_case){ .name = "first store to a page",
                               .unit = "ns",
                               .operations = STORES,
                               .arg = work,
                               .verso = store_ours,
                               .peer_side = store_theirs };
    one.peer = "fork, copy-on-write";
    one.before = before_stores_beside_fork;
    bench_compare(&one);
    one.peer = "mprotect, SIGSEGV";
    one.before = before_stores_beside_faults;
    bench_compare(&one);
    end_all(work);
}

static void rows_of_taking(struct work *work)
{
    static const struct {
        const char *name;
        size_t stores;
    } cases[] = { { "take, nothing written", 0 },
                  { "take, 1000 pages written", 1000 },
                  { "take, all pages written", SIZE_MAX } };
    struct bench_case one = { .unit = "ns", .operations = 1, .arg = work, .verso = take_kernel };
    bool soft_dirty = soft_dirty_works();

    if (!soft_dirty)
        bench_note("soft-dirty bits: clear_refs answers, but this kernel has none; left out");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (!bench_wanted(cases[i].name))
            continue;
        work->stores = cases[i].stores == SIZE_MAX ? BYTES / page : cases[i].stores;
        (void)begin_kernel(work);
        (void)begin_faults(work);
        one.name = cases[i].name;
        one.peer = "mprotect, SIGSEGV";
        one.peer_side = take_faults;
        one.before = before_take;
        bench_compare(&one);
        verso_clone_track_end(work->faults);
        work->faults = NULL;
        one.peer = "soft-dirty";
        one.peer_side = take_soft_dirty;
        one.before = before_soft_dirty;
        if (soft_dirty)
            bench_compare(&one);
        end_all(work);
    }
}

static void rows_of_clones(struct work *work)
{
    struct bench_case one = { .name = "a clone of 1 GiB",
                              .unit = "ns",
                              .operations = 1,
                              .arg = work,
                              .before = before_clone,
                              .verso = clone_it };

    if (verso_clone_base_make(BYTES, 0, &work->base) < 0)
        abort();
    memset(verso_clone_base_data(work->base), 1, BYTES);
    theirs[0] = 1;
    work->copy = new_memory(MADV_DONTFORK);
    one.peer = "memcpy";
    one.peer_side = copy_it;
    bench_compare(&one);
    one.peer = "fork";
    one.peer_side = fork_it;
    bench_compare(&one);
    end_child(work);
    if (bench_wanted("1000 changed pages of 1 GiB found")) {
        if (verso_clone_open(work->base, 0, 0, &work->clone) < 0)
            abort();
        for (size_t i = 0; i < 1000; i++)
            ((unsigned char *)verso_clone_data(work->clone))[i * (BYTES / page / 1000) * page]++;
        one = (struct bench_case){ .name = "1000 changed pages of 1 GiB found",
                                   .peer = "memcmp",
                                   .unit = "ns",
                                   .operations = 1,
                                   .arg = work,
                                   .verso = look,
                                   .peer_side = compare };
        bench_compare(&one);
        verso_clone_close(work->clone);
    }
    verso_clone_base_close(work->base);
    (void)munmap(work->copy, BYTES);
}

int main(int count, char **arguments)
{
    struct work work = { 0 };

    bench_start(count, arguments, "clone");
    page = verso_page_bytes();
    ours = new_memory(MADV_DONTFORK);
    theirs = new_memory(MADV_NORMAL);
    work.kernel = track(ours, VERSO_CLONE_TRACK_KERNEL);
    if (work.kernel) {
        rows_of_beginning(&work);
        rows_of_taking(&work);
    } else {
        bench_note("tracking: no userfaultfd with asynchronous write-protection here; its rows are left out");
    }
    rows_of_clones(&work);
    return bench_finish();
}
