/* SPDX-License-Identifier: MIT */
/*
 * bench_guard-pages - what guards and commits of a span cost, beside the same by raw mprotect and mmap.
 *
 * Guards: every second page of a span, put up and taken down, one call each: what an allocator does that sets a guard
 * behind each block. On pages that were never touched, which is where most guards stand, and on pages in use, where
 * their memory is given back as well (by verso and mmap; mprotect keeps it). Commits: a span made memory from its start
 * in steps, as an arena grows. All of it alone, and with another thread at work in the same process, which makes each
 * change of the page table known to its processor, too.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso.h>

#define GUARDS 20000U
#define COMMIT_BYTES ((size_t)256 << 20)
#define SPANS 500U

static size_t page;

static void check_call(bool worked, const char *call)
{
    if (!worked)
        bench_die(call);
}

static size_t count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    size_t lines = 0;

    check_call(maps != NULL, "/proc/self/maps");
    for (int c = getc(maps); c != EOF; c = getc(maps))
        lines += c == '\n';
    (void)fclose(maps);
    return lines;
}

/* ---- Both sides' memory, new before each call ------------------------------------------------------------------- */

static struct verso_pages *span;
static unsigned char *plain;
static size_t plain_bytes;

static void drop_all(void)
{
    verso_pages_close(span);
    span = NULL;
    if (plain)
        check_call(munmap(plain, plain_bytes) == 0, "munmap");
    plain = NULL;
}

/* Twice as many pages as guards. */
static void new_memory(void *arg)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;

    (void)arg;
    drop_all();
    options.flags = VERSO_PAGES_COMMIT;
    bench_check(verso_pages_open((uint64_t)2 * GUARDS * page, &options, &span));
    plain_bytes = 2 * GUARDS * page;
    plain = mmap(NULL, plain_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check_call(plain != MAP_FAILED, "mmap");
}

/* The same, all in use. */
static void new_used_memory(void *arg)
{
    new_memory(arg);
    memset(verso_pages_data(span), 1, plain_bytes);
    memset(plain, 1, plain_bytes);
}

/* ---- Guards ----------------------------------------------------------------------------------------------------- */

static uint64_t guard_by_verso(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < GUARDS; i++)
        bench_check(verso_pages_guard(span, 2 * i * page, page));
    return GUARDS;
}

static uint64_t guard_by_mprotect(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < GUARDS; i++)
        check_call(mprotect(plain + 2 * i * page, page, PROT_NONE) == 0, "mprotect");
    return GUARDS;
}

static uint64_t guard_by_mmap(void *arg)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;

    (void)arg;
    for (size_t i = 0; i < GUARDS; i++)
        check_call(mmap(plain + 2 * i * page, page, PROT_NONE, flags, -1, 0) != MAP_FAILED, "mmap");
    return GUARDS;
}

static void new_guards(void *arg)
{
    new_memory(arg);
    (void)guard_by_verso(arg);
    (void)guard_by_mprotect(arg);
}

static uint64_t unguard_by_verso(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < GUARDS; i++)
        bench_check(verso_pages_unguard(span, 2 * i * page, page));
    return GUARDS;
}

static uint64_t unguard_by_mprotect(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < GUARDS; i++)
        check_call(mprotect(plain + 2 * i * page, page, PROT_READ | PROT_WRITE) == 0, "mprotect");
    return GUARDS;
}

static void compare(const char *name, const char *suffix, const char *peer, double operations, bench_function *verso,
                    bench_function *peer_side, void (*before)(void *arg), void *arg)
{
    char whole[96];

    (void)snprintf(whole, sizeof(whole), "%s%s", name, suffix);
    bench_compare(&(struct bench_case){
        .name = whole,
        .peer = peer,
        .unit = "ns",
        .operations = operations,
        .verso = verso,
        .peer_side = peer_side,
        .before = before,
        .arg = arg,
    });
}

/* What each way leaves behind, counted by the kernel. */
static void tell_mappings(void)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    size_t before, by_verso, by_mprotect, by_mmap;

    new_memory(NULL);
    before = count_mappings();
    (void)guard_by_verso(NULL);
    by_verso = count_mappings() - before;
    bench_check(verso_pages_info(span, &info));
    before = count_mappings();
    (void)guard_by_mprotect(NULL);
    by_mprotect = count_mappings() - before;
    (void)unguard_by_mprotect(NULL);
    before = count_mappings();
    (void)guard_by_mmap(NULL);
    by_mmap = count_mappings() - before;
    bench_note("%u guards are so many mappings more: verso %zu (%s), mprotect %zu, mmap %zu; vm.max_map_count is "
               "65530 unless it was raised",
               GUARDS, by_verso, info.guard_method == VERSO_PAGES_GUARD_MARKERS ? "markers" : info.guard_why,
               by_mprotect, by_mmap);
    drop_all();
}

static void guards(const char *suffix)
{
    compare("guard", suffix, "mprotect", GUARDS, guard_by_verso, guard_by_mprotect, new_memory, NULL);
    compare("guard", suffix, "mmap PROT_NONE", GUARDS, guard_by_verso, guard_by_mmap, new_memory, NULL);
    compare("guard, page in use", suffix, "mprotect", GUARDS, guard_by_verso, guard_by_mprotect, new_used_memory, NULL);
    compare("guard, page in use", suffix, "mmap PROT_NONE", GUARDS, guard_by_verso, guard_by_mmap, new_used_memory,
            NULL);
    compare("unguard", suffix, "mprotect", GUARDS, unguard_by_verso, unguard_by_mprotect, new_guards, NULL);
    drop_all();
}

/* ---- Commits ---------------------------------------------------------------------------------------------------- */

static void new_addresses(void *arg)
{
    (void)arg;
    drop_all();
    bench_check(verso_pages_open(COMMIT_BYTES, NULL, &span));
    plain_bytes = COMMIT_BYTES;
    plain = mmap(NULL, plain_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check_call(plain != MAP_FAILED, "mmap");
}

static uint64_t commit_by_verso(void *arg)
{
    size_t step = *(size_t *)arg;

    for (size_t at = 0; at < COMMIT_BYTES; at += step)
        bench_check(verso_pages_commit(span, at, step));
    return COMMIT_BYTES / step;
}

static uint64_t commit_by_mprotect(void *arg)
{
    size_t step = *(size_t *)arg;

    for (size_t at = 0; at < COMMIT_BYTES; at += step)
        check_call(mprotect(plain + at, step, PROT_READ | PROT_WRITE) == 0, "mprotect");
    return COMMIT_BYTES / step;
}

static void new_committed(void *arg)
{
    new_addresses(arg);
    (void)commit_by_verso(arg);
    (void)commit_by_mprotect(arg);
}

static uint64_t decommit_by_verso(void *arg)
{
    size_t step = *(size_t *)arg;

    for (size_t at = 0; at < COMMIT_BYTES; at += step)
        bench_check(verso_pages_decommit(span, at, step));
    return COMMIT_BYTES / step;
}

static uint64_t decommit_by_mmap(void *arg)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    size_t step = *(size_t *)arg;

    for (size_t at = 0; at < COMMIT_BYTES; at += step)
        check_call(mmap(plain + at, step, PROT_NONE, flags, -1, 0) != MAP_FAILED, "mmap");
    return COMMIT_BYTES / step;
}

static void commits(const char *suffix)
{
    static size_t steps[] = { (size_t)64 << 10, (size_t)2 << 20 };
    static const char *const names[] = { "64 KiB", "2 MiB" };
    char name[64];

    for (size_t i = 0; i < 2; i++) {
        double count = (double)COMMIT_BYTES / (double)steps[i];

        (void)snprintf(name, sizeof(name), "commit %s", names[i]);
        compare(name, suffix, "mprotect", count, commit_by_verso, commit_by_mprotect, new_addresses, &steps[i]);
        (void)snprintf(name, sizeof(name), "decommit %s", names[i]);
        compare(name, suffix, "mmap PROT_NONE", count, decommit_by_verso, decommit_by_mmap, new_committed, &steps[i]);
    }
    drop_all();
}

/* ---- Whole spans: 64 KiB between two guards, as a stack has them ------------------------------------------------- */

static uint64_t open_by_verso(void *arg)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;

    (void)arg;
    options.flags = VERSO_PAGES_COMMIT | VERSO_PAGES_GUARD_ENDS;
    for (size_t i = 0; i < SPANS; i++) {
        struct verso_pages *one;

        bench_check(verso_pages_open((uint64_t)64 << 10, &options, &one));
        *(unsigned char *)verso_pages_data(one) = 1;
        verso_pages_close(one);
    }
    return SPANS;
}

static uint64_t open_by_hand(void *arg)
{
    size_t bytes = ((size_t)64 << 10) + 2 * page;

    (void)arg;
    for (size_t i = 0; i < SPANS; i++) {
        unsigned char *one = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        check_call(one != MAP_FAILED, "mmap");
        check_call(mprotect(one + page, bytes - 2 * page, PROT_READ | PROT_WRITE) == 0, "mprotect");
        one[page] = 1;
        check_call(munmap(one, bytes) == 0, "munmap");
    }
    return SPANS;
}

/* ---- Another thread at work -------------------------------------------------------------------------------------- */

static atomic_bool stop;

static void *work(void *arg)
{
    unsigned char *memory = arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        for (size_t at = 0; at < (size_t)1 << 20; at += page)
            memory[at]++;
    return NULL;
}

static void beside_a_thread(void)
{
    unsigned char *memory = calloc(1, (size_t)1 << 20);
    pthread_t thread;

    check_call(memory != NULL, "malloc");
    check_call(pthread_create(&thread, NULL, work, memory) == 0, "pthread_create");
    guards(", beside a thread");
    commits(", beside a thread");
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    free(memory);
}

int main(int count, char **arguments)
{
    page = verso_page_bytes();
    bench_start(count, arguments, "guard-pages");
    tell_mappings();
    guards("");
    commits("");
    compare("open to close, with guards", "", "mmap, mprotect, munmap", SPANS, open_by_verso, open_by_hand, NULL, NULL);
    beside_a_thread();
    return bench_finish();
}
