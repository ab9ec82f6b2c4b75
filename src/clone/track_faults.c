/* SPDX-License-Identifier: MIT */
/*
 * track_faults - pages are made read-only, and the first store to each is a SIGSEGV that we note.
 *
 *      store --> SIGSEGV --> which region? --> the page writable again --> its bit --> the store goes on
 *
 * The order holds the promise that no store is lost. The handler gives access first and sets the bit then; collecting
 * clears the bit first and takes access away then. So a page is never writable with its bit clear, unless a handler is
 * just about to set it, or a collect is just telling it.
 *
 * The handler waits for nobody. Regions stand in a table of atomic slots, and what a slot points to is freed when no
 * handler is inside. A thread may have faulted just before its region ended, and be asked about only after. So a slot
 * remembers the addresses of its last region, and lets a few such stores be tried again; and the handler, once
 * installed, stays: without it, such a fault would kill.
 *
 * Isolated pages cost a mapping each, and a process has a limit of those. Where it is met, all of the region becomes
 * writable and counts as written: too much is told, but nothing is lost.
 */
#include "base/sums.h"
#include "os/os.h"

#include "clone/track.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <threads.h>

#define SLOTS 256
#define LATE_MAX 256 /* more threads than will have faulted at once in one region as it ended */
#define WORD_BITS 64

/* A mapping, or the part of one that is in the region, which may be written. */
struct segment {
    uintptr_t start;
    uintptr_t end;
    unsigned access;
};

struct verso__clone_faults {
    uintptr_t start;
    uintptr_t end;
    struct segment *segments; /* by address */
    size_t gathered;          /* how many there are */
    size_t segment_room;
    atomic_size_t segment_count; /* 0, until all are gathered and handlers may look at them */
    _Atomic uint64_t *written;   /* a bit a page */
    uint64_t word_count;
    unsigned slot;
};

static struct {
    _Atomic(struct verso__clone_faults *) region;
    atomic_uintptr_t start; /* of the region that is, or was last, here */
    atomic_uintptr_t end;
    atomic_uint late; /* how many more late faults of the last one are let through */
} slots[SLOTS];

static atomic_uint inside; /* how many handlers hold a region */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* ---- The handler ---------------------------------------------------------------------------------------------- */

static void set_bits(struct verso__clone_faults *region, uintptr_t start, uintptr_t end)
{
    uint64_t page_bytes = verso__os_page_bytes();

    for (uint64_t page = (start - region->start) / page_bytes; page < (end - region->start) / page_bytes; page++)
        atomic_fetch_or(&region->written[page / WORD_BITS], UINT64_C(1) << page % WORD_BITS);
}

/* [start, end), as far as it may be written at all. */
static int give_access(struct verso__clone_faults *region, uintptr_t start, uintptr_t end)
{
    size_t count = atomic_load(&region->segment_count);
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct segment *segment = &region->segments[i];
        uintptr_t from = segment->start > start ? segment->start : start;
        uintptr_t to = segment->end < end ? segment->end : end;

        if (from < to) {
            r = verso__os_protect((void *)from, to - from, segment->access);
            if (r == 0)
                set_bits(region, from, to);
        }
    }
    return r;
}

static bool may_be_written(struct verso__clone_faults *region, uintptr_t address)
{
    size_t count = atomic_load(&region->segment_count);

    for (size_t i = 0; i < count; i++)
        if (address >= region->segments[i].start && address < region->segments[i].end)
            return true;
    return false;
}

static int open_pages(struct verso__clone_faults *region, uintptr_t start, uintptr_t end)
{
    int r = give_access(region, start, end);

    return r == -ENOMEM ? give_access(region, region->start, region->end) : r;
}

static bool answer_late(uintptr_t address)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned left = atomic_load(&slots[i].late);

        if (address >= atomic_load(&slots[i].start) && address < atomic_load(&slots[i].end))
            while (left > 0)
                if (atomic_compare_exchange_weak(&slots[i].late, &left, left - 1))
                    return true;
    }
    return false;
}

/* False: no region that is ready answers for the address. */
static bool answer_in_region(uintptr_t address)
{
    uintptr_t page = address & ~(uintptr_t)(verso__os_page_bytes() - 1);

    for (unsigned i = 0; i < SLOTS; i++) {
        struct verso__clone_faults *region = atomic_load(&slots[i].region);

        if (region && address >= region->start && address < region->end && may_be_written(region, address))
            return open_pages(region, page, page + verso__os_page_bytes()) == 0;
    }
    return false;
}

static bool answer(const struct verso__os_fault *fault)
{
    bool handled;

    if (fault->cause != VERSO__OS_FAULT_NO_ACCESS ||
        (fault->access != VERSO__OS_ACCESS_WRITE && fault->access != VERSO__OS_ACCESS_NONE))
        return false;
    atomic_fetch_add(&inside, 1);
    handled = answer_in_region((uintptr_t)fault->address) || answer_late((uintptr_t)fault->address);
    atomic_fetch_sub(&inside, 1);
    return handled;
}

/* ---- Beginning ------------------------------------------------------------------------------------------------ */

/* A child of fork() has one thread, and that one is in no handler. */
static void nobody_inside(void)
{
    atomic_store(&inside, 0);
}

static void survive_fork(void)
{
    (void)pthread_atfork(NULL, NULL, nobody_inside);
}

static bool overlaps_another(const struct verso__clone_faults *region)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct verso__clone_faults *other;
        bool overlaps;

        atomic_fetch_add(&inside, 1); /* as a handler does: it may end meanwhile */
        other = i == region->slot ? NULL : atomic_load(&slots[i].region);
        overlaps = other && other->start < region->end && region->start < other->end;
        atomic_fetch_sub(&inside, 1);
        if (overlaps)
            return true;
    }
    return false;
}

/* Takes a slot, the one after the last that was taken: so that late faults find theirs for as long as can be. */
static int take_slot(struct verso__clone_faults *region)
{
    static atomic_uint turn;
    unsigned first = atomic_fetch_add(&turn, 1);

    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned slot = (first + i) % SLOTS;
        struct verso__clone_faults *none = NULL;

        region->slot = slot;
        if (!atomic_compare_exchange_strong(&slots[slot].region, &none, region))
            continue;
        atomic_store(&slots[slot].late, 0);
        atomic_store(&slots[slot].start, region->start);
        atomic_store(&slots[slot].end, region->end);
        return 0;
    }
    return -ENOSPC;
}

/* No handler finds the region any more; those that have it are waited for. They are short: at most a few mprotects. */
static void leave_slot(struct verso__clone_faults *region)
{
    atomic_store(&slots[region->slot].late, LATE_MAX);
    atomic_store(&slots[region->slot].region, NULL);
    while (atomic_load(&inside) != 0)
        thrd_yield();
}

static int add_segment(struct verso__clone_faults *region, uintptr_t start, uintptr_t end, unsigned access)
{
    size_t count = region->gathered;

    if (count == region->segment_room) {
        size_t room = count ? 2 * count : 8;
        struct segment *larger = realloc(region->segments, room * sizeof(*larger));

        if (!larger)
            return -ENOMEM;
        region->segments = larger;
        region->segment_room = room;
    }
    region->segments[count] = (struct segment){ start, end, access };
    region->gathered = count + 1;
    return 0;
}

static int each_mapping(const struct verso__os_mapping *mapping, void *arg)
{
    struct verso__clone_faults *region = arg;
    uintptr_t start = (uintptr_t)verso__max_u64(mapping->start, region->start);
    uintptr_t end = (uintptr_t)verso__min_u64(mapping->end, region->end);

    if (mapping->start >= region->end)
        return 1; /* the rest lies behind */
    if (start >= end || !(mapping->access & VERSO__OS_ACCESS_WRITE))
        return 0;
    return add_segment(region, start, end, mapping->access);
}

static int take_access(const struct segment *segment, uintptr_t start, uintptr_t end)
{
    unsigned access = (segment->access | VERSO__OS_ACCESS_READ) & ~(unsigned)VERSO__OS_ACCESS_WRITE;

    return verso__os_protect((void *)start, end - start, access);
}

static int protect_all(struct verso__clone_faults *region)
{
    size_t count = atomic_load(&region->segment_count);
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = take_access(&region->segments[i], region->segments[i].start, region->segments[i].end);
    return r;
}

/* All of it. A hole in it stops mprotect half way: then page by page, as what lies behind must not stay closed. */
static void restore_access(struct verso__clone_faults *region)
{
    uint64_t page_bytes = verso__os_page_bytes();

    if (give_access(region, region->start, region->end) == 0)
        return;
    for (uintptr_t page = region->start; page < region->end; page += page_bytes)
        (void)give_access(region, page, page + page_bytes);
}

static void region_free(struct verso__clone_faults *region)
{
    free((void *)region->written);
    free(region->segments);
    free(region);
}

static struct verso__clone_faults *region_make(const struct verso_clone_track *track)
{
    struct verso__clone_faults *region = calloc(1, sizeof(*region));

    if (!region)
        return NULL;
    region->start = track->start;
    region->end = track->start + (uintptr_t)track->bytes;
    region->word_count = (track->bytes / verso__os_page_bytes() + WORD_BITS - 1) / WORD_BITS;
    region->written = calloc((size_t)region->word_count, sizeof(*region->written));
    if (!region->written) {
        free(region);
        return NULL;
    }
    return region;
}

/* The region is in its slot, and the handler stands: from here on its pages may become read-only. */
static int region_begin(struct verso__clone_faults *region, const char **out_step)
{
    int r = overlaps_another(region) ? -EBUSY : 0;

    *out_step = "mappings";
    if (r == 0)
        r = verso__os_mappings(0, each_mapping, region);
    if (r < 0)
        return r;
    atomic_store(&region->segment_count, region->gathered);
    *out_step = "mprotect";
    r = protect_all(region);
    if (r < 0)
        restore_access(region);
    return r;
}

/* Once for all, unless somebody has put another's handler over it since. */
static int install_handler(void)
{
    if (verso__os_fault_is_installed(VERSO__OS_FAULT_SEGV, VERSO__OS_FAULT_ANSWERS))
        return 0;
    return verso__os_fault_install(VERSO__OS_FAULT_SEGV, VERSO__OS_FAULT_ANSWERS, answer);
}

int verso__clone_faults_begin(struct verso_clone_track *track, const char **out_step)
{
    struct verso__clone_faults *region = region_make(track);
    int r;

    *out_step = "allocate";
    if (!region)
        return -ENOMEM;
    (void)pthread_once(&fork_once, survive_fork);
    *out_step = "sigaction";
    r = install_handler();
    if (r == 0) {
        *out_step = "track";
        r = take_slot(region);
    }
    if (r == 0) {
        r = region_begin(region, out_step);
        if (r < 0)
            leave_slot(region);
    }
    if (r < 0)
        region_free(region);
    else
        track->faults = region;
    return r;
}

void verso__clone_faults_end(struct verso_clone_track *track)
{
    struct verso__clone_faults *region = track->faults;

    restore_access(region);
    leave_slot(region);
    region_free(region);
}

/* ---- Collecting ----------------------------------------------------------------------------------------------- */

/* Takes access away from pages whose bits were just cleared. Where that is refused, they stay writable, and written. */
static void close_pages(struct verso__clone_faults *region, uintptr_t start, uintptr_t end)
{
    size_t count = atomic_load(&region->segment_count);

    for (size_t i = 0; i < count; i++) {
        const struct segment *segment = &region->segments[i];
        uintptr_t from = segment->start > start ? segment->start : start;
        uintptr_t to = segment->end < end ? segment->end : end;

        if (from < to && take_access(segment, from, to) < 0)
            set_bits(region, from, to);
    }
}

/* Clears the words of a stretch of written pages, adds them to @found, and closes their runs. */
static void reset(struct verso_clone_track *track)
{
    struct verso__clone_faults *region = track->faults;
    uint64_t page_bytes = verso__os_page_bytes(), first, end = 0;
    struct verso__clone_bits now = { NULL, track->found.pages };

    now.words = track->told.words; /* its answer is over: take() is about to give a new one */
    for (uint64_t i = 0; i < region->word_count; i++) {
        now.words[i] = atomic_exchange(&region->written[i], 0);
        track->found.words[i] |= now.words[i];
    }
    while (verso__clone_bits_next(&now, end, &first, &end))
        close_pages(region, region->start + (uintptr_t)(first * page_bytes),
                    region->start + (uintptr_t)(end * page_bytes));
}

void verso__clone_faults_collect(struct verso_clone_track *track, bool with_reset)
{
    struct verso__clone_faults *region = track->faults;

    if (with_reset)
        reset(track);
    else
        for (uint64_t i = 0; i < region->word_count; i++)
            track->found.words[i] |= atomic_load(&region->written[i]);
}

int verso__clone_faults_touch(struct verso_clone_track *track, uint64_t first_page, uint64_t end_page)
{
    uint64_t page_bytes = verso__os_page_bytes();

    return open_pages(track->faults, track->start + (uintptr_t)(first_page * page_bytes),
                      track->start + (uintptr_t)(end_page * page_bytes));
}
