/* SPDX-License-Identifier: MIT */
/*
 * ledger - who got what, and whether it came back.
 *
 * Memory is a sorted list of ranges that never touch unless they differ in being sealed: what is unmapped in pieces, or
 * unmapped in one go after being mapped in pieces, comes out the same. Everything is of fixed size, because this runs
 * beneath malloc; a test that outgrows it stops with a word about it.
 */
#include "os/fake/ledger.h"

#include "os/fake/fake.h"
#include "os/os.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTORS_MAX 65536
#define RANGES_MAX 4096
#define ALLOCATIONS_MAX 8192

struct range {
    uintptr_t start;
    uintptr_t end;
    bool sealed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool descriptors[DESCRIPTORS_MAX];
static size_t descriptor_count;
static struct range ranges[RANGES_MAX + 2];
static size_t range_count;
static uintptr_t allocations[ALLOCATIONS_MAX];
static size_t allocation_count;
static char complaint[200];

static void complain(const char *call, uintptr_t start, uintptr_t end, const char *what)
{
    if (!*complaint)
        (void)snprintf(complaint, sizeof(complaint), "%s of %#jx-%#jx: %s", call, (uintmax_t)start, (uintmax_t)end,
                       what);
}

static void outgrown(const char *what)
{
    (void)fprintf(stderr, "ledger: more %s than it has room for\n", what);
    abort();
}

/* ---- Descriptors ---- */

void ledger_descriptor_add(int fd)
{
    if (fd < 0 || fd >= DESCRIPTORS_MAX)
        outgrown("descriptors");
    pthread_mutex_lock(&lock);
    if (descriptors[fd])
        complain("open", (uintptr_t)fd, (uintptr_t)fd, "it was closed by somebody else while ours");
    else
        descriptor_count++;
    descriptors[fd] = true;
    pthread_mutex_unlock(&lock);
}

void ledger_descriptor_remove(int fd)
{
    pthread_mutex_lock(&lock);
    if (fd < 0 || fd >= DESCRIPTORS_MAX || !descriptors[fd]) {
        complain("close", (uintptr_t)fd, (uintptr_t)fd, "not opened, or closed before");
    } else {
        descriptors[fd] = false;
        descriptor_count--;
    }
    pthread_mutex_unlock(&lock);
}

/* ---- Memory ---- */

/* The first range that ends past @start. */
static size_t range_at(uintptr_t start)
{
    size_t low = 0, high = range_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (ranges[middle].end <= start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(size_t at, struct range range)
{
    if (range_count >= RANGES_MAX)
        outgrown("mappings");
    memmove(&ranges[at + 1], &ranges[at], (range_count - at) * sizeof(ranges[0]));
    ranges[at] = range;
    range_count++;
}

static void erase(size_t at)
{
    range_count--;
    memmove(&ranges[at], &ranges[at + 1], (range_count - at) * sizeof(ranges[0]));
}

static void add(uintptr_t start, uintptr_t end, bool sealed)
{
    size_t at = range_at(start);

    insert(at, (struct range){ start, end, sealed });
    if (at + 1 < range_count && ranges[at + 1].start == end && ranges[at + 1].sealed == sealed) {
        ranges[at].end = ranges[at + 1].end;
        erase(at + 1);
    }
    if (at > 0 && ranges[at - 1].end == start && ranges[at - 1].sealed == sealed) {
        ranges[at - 1].end = ranges[at].end;
        erase(at);
    }
}

static void take_out(uintptr_t start, uintptr_t end)
{
    size_t at = range_at(start);

    while (at < range_count && ranges[at].start < end) {
        struct range whole = ranges[at];

        erase(at);
        if (whole.end > end)
            insert(at, (struct range){ end, whole.end, whole.sealed });
        if (whole.start < start)
            insert(at++, (struct range){ whole.start, start, whole.sealed });
    }
}

static bool covered(uintptr_t start, uintptr_t end)
{
    for (size_t at = range_at(start); at < range_count && start < end; at++) {
        if (ranges[at].start > start)
            return false;
        start = ranges[at].end;
    }
    return start >= end;
}

/* The kernel rounds lengths up to whole pages. */
static uintptr_t end_of(const void *address, size_t bytes)
{
    size_t page_bytes = verso__os_page_bytes();

    return (uintptr_t)address + ((bytes + page_bytes - 1) & ~(page_bytes - 1));
}

void ledger_memory_add(const void *address, size_t bytes)
{
    uintptr_t start = (uintptr_t)address, end = end_of(address, bytes);
    size_t at;

    pthread_mutex_lock(&lock);
    at = range_at(start);
    if (at < range_count && ranges[at].start < end) {
        complain("map", start, end, "it was unmapped by somebody else while ours");
        take_out(start, end);
    }
    add(start, end, false);
    pthread_mutex_unlock(&lock);
}

void ledger_memory_use(const char *call, const void *address, size_t bytes)
{
    uintptr_t start = (uintptr_t)address, end = end_of(address, bytes);

    pthread_mutex_lock(&lock);
    if (!covered(start, end))
        complain(call, start, end, "not all of it is ours");
    pthread_mutex_unlock(&lock);
}

void ledger_memory_remove(const char *call, const void *address, size_t bytes)
{
    uintptr_t start = (uintptr_t)address, end = end_of(address, bytes);

    pthread_mutex_lock(&lock);
    if (!covered(start, end))
        complain(call, start, end, "not all of it is ours");
    take_out(start, end);
    pthread_mutex_unlock(&lock);
}

void ledger_memory_seal(const void *address, size_t bytes)
{
    uintptr_t start = (uintptr_t)address, end = end_of(address, bytes);

    pthread_mutex_lock(&lock);
    take_out(start, end);
    add(start, end, true);
    pthread_mutex_unlock(&lock);
}

/*
 * ---- Allocations: a hash table with linear probing ----
 *
 * Addresses are kept upside down: a leak checker that finds them here would take the memory for still in use.
 */

static size_t slot_of(uintptr_t disguised)
{
    size_t slot = (size_t)((uint64_t)(disguised >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 40) % ALLOCATIONS_MAX;

    while (allocations[slot] && allocations[slot] != disguised)
        slot = (slot + 1) % ALLOCATIONS_MAX;
    return slot;
}

void ledger_allocation_add(const void *memory)
{
    if (!memory)
        return;
    pthread_mutex_lock(&lock);
    if (++allocation_count > ALLOCATIONS_MAX / 2)
        outgrown("allocations");
    allocations[slot_of(~(uintptr_t)memory)] = ~(uintptr_t)memory;
    pthread_mutex_unlock(&lock);
}

bool ledger_allocation_remove(const void *memory)
{
    size_t slot;
    bool found;

    if (!memory)
        return false;
    pthread_mutex_lock(&lock);
    slot = slot_of(~(uintptr_t)memory);
    found = allocations[slot] != 0;
    if (found) {
        allocation_count--;
        allocations[slot] = 0;
        /* What was pushed past the gap must be found without it. */
        for (size_t next = (slot + 1) % ALLOCATIONS_MAX; allocations[next]; next = (next + 1) % ALLOCATIONS_MAX) {
            uintptr_t moved = allocations[next];

            allocations[next] = 0;
            allocations[slot_of(moved)] = moved;
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* ---- Asking ---- */

struct fake_holdings fake_held(void)
{
    struct fake_holdings held = { 0, 0, 0 };

    pthread_mutex_lock(&lock);
    held.descriptors = descriptor_count;
    held.allocations = allocation_count;
    for (size_t i = 0; i < range_count; i++)
        if (!ranges[i].sealed)
            held.mapped_bytes += ranges[i].end - ranges[i].start;
    pthread_mutex_unlock(&lock);
    return held;
}

const char *fake_complaint(void)
{
    return *complaint ? complaint : NULL;
}

void fake_forgive(void)
{
    pthread_mutex_lock(&lock);
    *complaint = '\0';
    pthread_mutex_unlock(&lock);
}
