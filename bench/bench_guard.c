/* SPDX-License-Identifier: MIT */
/*
 * bench_guard - what safety costs: without a fault, and with one.
 *
 * Without: the guarded primitives against the C library's, from a mapped file that is cached; a guarded function
 * against a plain call; a map that would take zeros against a plain one. With: each of the three ways against the usual
 * one (sigsetjmp that saves the mask, and a handler that jumps), and against pread(), which meets no fault.
 */
#include "bench.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso.h>

#define FILE_BYTES (2U << 20)

static unsigned char *source; /* in the map */
static unsigned char *target;

/* ---- Without a fault: primitives -------------------------------------------------------------------------------- */

struct sized {
    size_t bytes;
    size_t skew; /* of source; the target has another */
    size_t times;
};

/* Through pointers that the compiler can't see through, so that neither side is expanded in place, and both are called
 * alike. */
static void *(*volatile plain_copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile plain_fill)(void *, int, size_t) = memset;
static void *(*volatile plain_find)(const void *, int, size_t) = memchr;
static int (*volatile plain_compare)(const void *, const void *, size_t) = memcmp;
static size_t (*volatile guard_copy)(void *, const void *, size_t) = verso_guard_copy;
static size_t (*volatile guard_fill)(void *, unsigned char, size_t) = verso_guard_fill;
static struct verso_guard_scan (*volatile guard_find)(const void *, unsigned char, size_t) = verso_guard_find;
static struct verso_guard_scan (*volatile guard_compare)(const void *, const void *, size_t) = verso_guard_compare;

static uint64_t copy_guarded(void *arg)
{
    const struct sized *sized = arg;

    for (size_t i = 0; i < sized->times; i++)
        if (guard_copy(target + 3 * sized->skew, source + sized->skew, sized->bytes) != sized->bytes)
            return 1;
    return target[3 * sized->skew + sized->bytes - 1];
}

static uint64_t copy_plain(void *arg)
{
    const struct sized *sized = arg;

    for (size_t i = 0; i < sized->times; i++)
        plain_copy(target + 3 * sized->skew, source + sized->skew, sized->bytes);
    return target[3 * sized->skew + sized->bytes - 1];
}

static uint64_t fill_guarded(void *arg)
{
    const struct sized *sized = arg;

    for (size_t i = 0; i < sized->times; i++)
        if (guard_fill(target + sized->skew, 7, sized->bytes) != sized->bytes)
            return 1;
    return target[sized->skew];
}

static uint64_t fill_plain(void *arg)
{
    const struct sized *sized = arg;

    for (size_t i = 0; i < sized->times; i++)
        plain_fill(target + sized->skew, 7, sized->bytes);
    return target[sized->skew];
}

static uint64_t find_guarded(void *arg)
{
    const struct sized *sized = arg;
    uint64_t found = 0;

    for (size_t i = 0; i < sized->times; i++)
        found += guard_find(target, 1, sized->bytes).found_bytes == SIZE_MAX;
    return found;
}

static uint64_t find_plain(void *arg)
{
    const struct sized *sized = arg;
    uint64_t found = 0;

    for (size_t i = 0; i < sized->times; i++)
        found += plain_find(target, 1, sized->bytes) == NULL;
    return found;
}

static uint64_t compare_guarded(void *arg)
{
    const struct sized *sized = arg;
    uint64_t equal = 0;

    for (size_t i = 0; i < sized->times; i++)
        equal += guard_compare(source, target, sized->bytes).found_bytes == SIZE_MAX;
    return equal;
}

static uint64_t compare_plain(void *arg)
{
    const struct sized *sized = arg;
    uint64_t equal = 0;

    for (size_t i = 0; i < sized->times; i++)
        equal += plain_compare(source, target, sized->bytes) == 0;
    return equal;
}

static uint64_t count_guarded(void *arg)
{
    const struct sized *sized = arg;
    uint64_t count = 0;

    for (size_t i = 0; i < sized->times; i++)
        count += verso_guard_count(source, 0x20, sized->bytes).count;
    return count;
}

static uint64_t count_plain(void *arg)
{
    const struct sized *sized = arg;
    uint64_t count = 0;

    for (size_t i = 0; i < sized->times; i++) {
        bench_use(source);
        for (size_t k = 0; k < sized->bytes; k++)
            count += source[k] == 0x20;
    }
    return count;
}

static void compare_sized(const char *name, const char *peer, bench_function *verso, bench_function *peer_side,
                          size_t bytes, size_t skew)
{
    struct sized sized = { bytes, skew, 1 + 400000 / (bytes + 200) };

    bench_compare(&(struct bench_case){
        .name = name,
        .peer = peer,
        .unit = "ns",
        .operations = (double)sized.times,
        .verso = verso,
        .peer_side = peer_side,
        .arg = &sized,
    });
}

static void primitives(void)
{
    static const struct {
        const char *name;
        size_t bytes;
    } sizes[] = { { "16 B", 16 },    { "64 B", 64 },          { "256 B", 256 },     { "1 KiB", 1024 },
                  { "4 KiB", 4096 }, { "64 KiB", 64U << 10 }, { "1 MiB", 1U << 20 } };
    char name[64];

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        (void)snprintf(name, sizeof(name), "copy %s", sizes[i].name);
        compare_sized(name, "memcpy", copy_guarded, copy_plain, sizes[i].bytes, 0);
        (void)snprintf(name, sizeof(name), "copy %s, unaligned", sizes[i].name);
        compare_sized(name, "memcpy", copy_guarded, copy_plain, sizes[i].bytes, 5);
    }
    compare_sized("fill 64 B", "memset", fill_guarded, fill_plain, 64, 0);
    compare_sized("fill 4 KiB", "memset", fill_guarded, fill_plain, 4096, 0);
    compare_sized("fill 1 MiB", "memset", fill_guarded, fill_plain, 1U << 20, 0);
    memset(target, 7, FILE_BYTES);
    compare_sized("find in 64 B", "memchr", find_guarded, find_plain, 64, 0);
    compare_sized("find in 4 KiB", "memchr", find_guarded, find_plain, 4096, 0);
    compare_sized("find in 1 MiB", "memchr", find_guarded, find_plain, 1U << 20, 0);
    memcpy(target, source, FILE_BYTES);
    compare_sized("compare 64 B", "memcmp", compare_guarded, compare_plain, 64, 0);
    compare_sized("compare 4 KiB", "memcmp", compare_guarded, compare_plain, 4096, 0);
    compare_sized("compare 1 MiB", "memcmp", compare_guarded, compare_plain, 1U << 20, 0);
    compare_sized("count in 4 KiB", "a plain loop", count_guarded, count_plain, 4096, 0);
    compare_sized("count in 1 MiB", "a plain loop", count_guarded, count_plain, 1U << 20, 0);
}

/* ---- Without a fault: a function, and plain reading ------------------------------------------------------------- */

#define CALLS 1000

static int nothing(void *arg)
{
    bench_use(arg);
    return 1;
}
static verso_guard_function *volatile function = nothing;

static uint64_t run_guarded(void *arg)
{
    uint64_t sum = 0;

    for (int i = 0; i < CALLS; i++)
        sum += (uint64_t)verso_guard_run(arg, function, arg);
    return sum;
}

static uint64_t run_plain(void *arg)
{
    uint64_t sum = 0;

    for (int i = 0; i < CALLS; i++)
        sum += (uint64_t)function(arg);
    return sum;
}

static uint64_t run_with_mask(void *arg)
{
    sigjmp_buf back;
    volatile uint64_t sum = 0;

    for (volatile int i = 0; i < CALLS; i++)
        if (sigsetjmp(back, 1) == 0)
            sum += (uint64_t)function(arg);
    return sum;
}

static uint64_t read_words(const void *data)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < 1U << 20; i += 8)
        sum += *(const uint64_t *)((const char *)data + i);
    return sum;
}

struct pair {
    const void *verso;
    const void *plain;
};

static uint64_t read_substituting(void *arg)
{
    return read_words(((struct pair *)arg)->verso);
}

static uint64_t read_plain(void *arg)
{
    return read_words(((struct pair *)arg)->plain);
}

static void without_a_fault(const char *path, struct verso_map *map)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *substituting;
    struct pair pair;

    bench_compare(&(struct bench_case){ .name = "run a function",
                                        .peer = "a plain call",
                                        .unit = "ns",
                                        .operations = CALLS,
                                        .verso = run_guarded,
                                        .peer_side = run_plain,
                                        .arg = map });
    bench_compare(&(struct bench_case){ .name = "run a function",
                                        .peer = "sigsetjmp, mask saved",
                                        .unit = "ns",
                                        .operations = CALLS,
                                        .verso = run_guarded,
                                        .peer_side = run_with_mask,
                                        .arg = map });
    options.flags = VERSO_MAP_SUBSTITUTE;
    bench_check(verso_map_open(path, &options, &substituting));
    pair = (struct pair){ verso_map_data(substituting), source };
    bench_compare(&(struct bench_case){ .name = "read, zeros on a fault",
                                        .peer = "a plain map",
                                        .unit = "GB/s",
                                        .bytes = 1U << 20,
                                        .verso = read_substituting,
                                        .peer_side = read_plain,
                                        .arg = &pair });
    verso_map_close(substituting);
}

/* ---- With a fault ----------------------------------------------------------------------------------------------- */

#define FAULTS 100
#define TORN_PAGES 256

struct torn {
    struct verso_map *map;
    struct verso_map *substituting;
    unsigned char *data; /* of map; its first page is there */
    unsigned char *zeros;
    unsigned char *by_page; /* plain, for the peer that puts a page over each fault */
    size_t page_bytes;
    int fd;
};
static struct torn torn;

static sigjmp_buf back;

static void jump_back(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    siglongjmp(back, 1);
}

/* One zero page for each fault: what a handler can do that knows nothing of files. */
static void put_page(int number, siginfo_t *info, void *context)
{
    unsigned char *address = info->si_addr;

    (void)number;
    (void)context;
    address -= (uintptr_t)address & (torn.page_bytes - 1);
    if (mmap(address, torn.page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        _exit(2);
}

static void handler_swap(void (*handler)(int, siginfo_t *, void *), struct sigaction *out_before)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

    if (sigaction(SIGBUS, &action, out_before) < 0)
        bench_die("sigaction");
}

static uint64_t fault_in_copy(void *arg)
{
    uint64_t shorts = 0;

    (void)arg;
    for (int i = 0; i < FAULTS; i++)
        shorts += verso_guard_copy(target, torn.data + torn.page_bytes - 32, 64) == 32;
    return shorts;
}

static uint64_t fault_in_long_copy(void *arg)
{
    uint64_t shorts = 0;

    (void)arg;
    for (int i = 0; i < FAULTS; i++)
        shorts += verso_guard_copy(target, torn.data + 96, 100000) == torn.page_bytes - 96;
    return shorts;
}

static int touch(void *arg)
{
    return *(volatile unsigned char *)arg;
}

static uint64_t fault_in_run(void *arg)
{
    uint64_t shorts = 0;

    (void)arg;
    for (int i = 0; i < FAULTS; i++)
        shorts += verso_guard_run(torn.map, touch, torn.data + torn.page_bytes) == VERSO_E_TORN;
    return shorts;
}

static uint64_t fault_and_jump(void *arg)
{
    struct sigaction before;
    volatile uint64_t shorts = 0;

    (void)arg;
    handler_swap(jump_back, &before);
    for (volatile int i = 0; i < FAULTS; i++) {
        if (sigsetjmp(back, 1) == 0)
            (void)touch(torn.data + torn.page_bytes);
        else
            shorts++;
    }
    (void)sigaction(SIGBUS, &before, NULL);
    return shorts;
}

static uint64_t read_past_the_end(void *arg)
{
    uint64_t shorts = 0;

    (void)arg;
    for (int i = 0; i < FAULTS; i++)
        shorts += pread(torn.fd, target, 64, (off_t)torn.page_bytes - 32) == 32;
    return shorts;
}

/* The maps as they were before anybody faulted. */
static void whole_again(void *arg)
{
    (void)arg;
    bench_check(verso_map_refresh(torn.substituting));
    if (mmap(torn.by_page, TORN_PAGES * torn.page_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, torn.fd, 0) == MAP_FAILED)
        bench_die("mmap");
}

static uint64_t sum_pages(const unsigned char *data)
{
    uint64_t sum = 0;

    for (size_t i = 1; i < TORN_PAGES; i++)
        sum += 1U + data[i * torn.page_bytes];
    return sum;
}

static uint64_t read_torn_pages(void *arg)
{
    (void)arg;
    return sum_pages(torn.zeros);
}

static uint64_t read_torn_pages_one_by_one(void *arg)
{
    struct sigaction before;
    uint64_t sum;

    (void)arg;
    handler_swap(put_page, &before);
    sum = sum_pages(torn.by_page);
    (void)sigaction(SIGBUS, &before, NULL);
    return sum;
}

static void set_up_torn(const char *path)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    void *data;

    torn.page_bytes = verso_page_bytes();
    bench_check(verso_map_open(path, NULL, &torn.map));
    options.flags = VERSO_MAP_SUBSTITUTE;
    bench_check(verso_map_open(path, &options, &torn.substituting));
    torn.data = verso_map_data(torn.map);
    torn.zeros = verso_map_data(torn.substituting);
    torn.fd = open(path, O_RDWR | O_CLOEXEC);
    data = mmap(NULL, TORN_PAGES * torn.page_bytes, PROT_READ, MAP_SHARED, torn.fd, 0);
    if (torn.fd < 0 || data == MAP_FAILED || ftruncate(torn.fd, (off_t)torn.page_bytes) < 0)
        bench_die(path);
    torn.by_page = data;
}

static void compare_fault(const char *name, const char *peer, bench_function *verso, bench_function *peer_side)
{
    bench_compare(&(struct bench_case){
        .name = name, .peer = peer, .unit = "ns", .operations = FAULTS, .verso = verso, .peer_side = peer_side });
}

static void with_a_fault(const char *path)
{
    static const char jump[] = "sigsetjmp + siglongjmp", read_call[] = "pread past the end";

    set_up_torn(path);
    compare_fault("a fault in a short copy", jump, fault_in_copy, fault_and_jump);
    compare_fault("a fault in a short copy", read_call, fault_in_copy, read_past_the_end);
    compare_fault("a fault in a long copy", jump, fault_in_long_copy, fault_and_jump);
    compare_fault("a fault in a function", jump, fault_in_run, fault_and_jump);
    compare_fault("a fault in a function", read_call, fault_in_run, read_past_the_end);
    bench_compare(&(struct bench_case){ .name = "255 torn pages become zeros",
                                        .peer = "one mmap a page",
                                        .unit = "ns",
                                        .operations = 1,
                                        .verso = read_torn_pages,
                                        .peer_side = read_torn_pages_one_by_one,
                                        .before = whole_again });
    verso_map_close(torn.map);
    verso_map_close(torn.substituting);
    (void)munmap(torn.by_page, TORN_PAGES * torn.page_bytes);
    (void)close(torn.fd);
}

int main(int count, char **arguments)
{
    struct verso_map *map;
    const char *path;

    bench_start(count, arguments, "guard");
    path = bench_file("whole", FILE_BYTES);
    target = aligned_alloc(4096, FILE_BYTES);
    if (!target)
        return 2;
    bench_check(verso_guard_install());
    bench_check(verso_map_open(path, NULL, &map));
    source = verso_map_data(map);
    memcpy(target, source, FILE_BYTES);
    primitives();
    without_a_fault(path, map);
    verso_map_close(map);
    with_a_fault(bench_file("torn", TORN_PAGES * verso_page_bytes()));
    bench_check(verso_guard_remove());
    free(target);
    return bench_finish();
}
