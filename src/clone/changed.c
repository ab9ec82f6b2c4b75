/* SPDX-License-Identifier: MIT */
/*
 * changed - which pages of a clone are its own.
 *
 * In a private mapping of a file, a page that was written is anonymous memory, in a frame or swapped out; every other
 * page is the file's, or not mapped yet. The page table knows. Without /proc nobody may ask it, and only the bytes are
 * left to be compared.
 *
 * A tracker (track.c) over the clone leaves marks in the page table where no page is, and they look as if swapped.
 * Where that may be so the page is touched, as any reader might, and then looked at.
 */
#include "base/fail.h"
#include "base/sums.h"
#include "os/os.h"

#include "clone/clone.h"

#include <errno.h>
#include <string.h>

#define ROOM ((size_t)128)
#define WORDS ((size_t)512)

struct search {
    const struct verso_clone *clone;
    struct verso__clone_bits *own;
    int pagemap_fd;
    uint64_t start; /* addresses: [start, end) */
    uint64_t end;
};

static uint64_t page_of(const struct search *search, uint64_t address)
{
    return (address - (uintptr_t)search->clone->data) / verso__os_page_bytes();
}

static void add(const struct search *search, uint64_t start, uint64_t end)
{
    verso__clone_bits_add(search->own, page_of(search, start), page_of(search, end));
}

/* Brings in what looks swapped; past the end of a file that was cut there is nothing to bring in, and nothing owned. */
static int bring_in(uint64_t start, uint64_t end)
{
    int r = verso__os_populate((void *)(uintptr_t)start, (size_t)(end - start), false);

    return r == -EFAULT ? 0 : r;
}

/* ---- PAGEMAP_SCAN ---- */

static bool may_be_a_mark(const struct verso__os_page_run *run)
{
    const uint64_t marks = VERSO__OS_PAGE_SWAPPED | VERSO__OS_PAGE_WRITE_ALLOWED;

    return (run->categories & (marks | VERSO__OS_PAGE_WRITTEN)) == marks;
}

static int scan(const struct search *search, bool trust_marks);

/* The run once more, now that its pages are there. */
static int scan_again(const struct search *search, const struct verso__os_page_run *run)
{
    struct search part = *search;
    int r = bring_in(run->start, run->end);

    part.start = run->start;
    part.end = run->end;
    return r < 0 ? r : scan(&part, true);
}

static int scan(const struct search *search, bool trust_marks)
{
    struct verso__os_page_run runs[ROOM];
    uint64_t at = search->start;

    while (at < search->end) {
        size_t count;
        int r = verso__os_private_scan(search->pagemap_fd, at, search->end, runs, ROOM, &count, &at);

        for (size_t i = 0; r == 0 && i < count; i++) {
            if (!trust_marks && may_be_a_mark(&runs[i]))
                r = scan_again(search, &runs[i]);
            else
                add(search, runs[i].start, runs[i].end);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- pagemap ---- */

#define BIT(n) (UINT64_C(1) << (n))
#define WATCHED BIT(57)
#define OF_A_FILE BIT(61)
#define SWAPPED BIT(62)
#define PRESENT BIT(63)

static bool is_own(uint64_t word)
{
    return (word & (PRESENT | SWAPPED)) && !(word & OF_A_FILE);
}

static int look_at_word(const struct search *search, uint64_t address, uint64_t word)
{
    uint64_t page_bytes = verso__os_page_bytes();
    int r = 0;

    if ((word & (SWAPPED | WATCHED)) == (SWAPPED | WATCHED)) {
        r = bring_in(address, address + page_bytes);
        if (r == 0)
            r = verso__os_pagemap(search->pagemap_fd, address, 1, &word);
    }
    if (r == 0 && is_own(word))
        add(search, address, address + page_bytes);
    return r;
}

static int read_pagemap(const struct search *search)
{
    uint64_t words[WORDS], page_bytes = verso__os_page_bytes(), at = search->start;
    int r = 0;

    while (r == 0 && at < search->end) {
        size_t count = (size_t)verso__min_u64((search->end - at) / page_bytes, WORDS);

        r = verso__os_pagemap(search->pagemap_fd, at, count, words);
        for (size_t i = 0; r == 0 && i < count; i++)
            r = look_at_word(search, at + i * page_bytes, words[i]);
        at += count * page_bytes;
    }
    return r;
}

/* ---- Comparing ---- */

static void compare(const struct search *search)
{
    const struct verso_clone *clone = search->clone;
    const unsigned char *base = (const unsigned char *)clone->base->data + clone->offset_bytes;
    uint64_t page_bytes = verso__os_page_bytes();

    for (uint64_t at = search->start; at < search->end; at += page_bytes)
        if (memcmp((const void *)(uintptr_t)at, base + (at - (uintptr_t)clone->data), page_bytes) != 0)
            add(search, at, at + page_bytes);
}

int verso__clone_changed(struct verso_clone *clone, uint64_t first_page, uint64_t end_page,
                         struct verso__clone_bits *own)
{
    uint64_t page_bytes = verso__os_page_bytes();
    struct search search = {
        .clone = clone,
        .own = own,
        .start = (uintptr_t)clone->data + first_page * page_bytes,
        .end = (uintptr_t)clone->data + end_page * page_bytes,
    };
    int r = verso__os_pagemap_open(0, &search.pagemap_fd);

    if (r == -ENOENT || r == -EACCES || r == -EPERM) {
        clone->source = VERSO_CLONE_SOURCE_COMPARED;
        compare(&search);
        return 0;
    }
    if (r < 0)
        return r;
    clone->source = VERSO_CLONE_SOURCE_SCAN;
    r = scan(&search, false);
    if (r == -ENOTTY || r == -EINVAL || r == -ENOSYS) {
        clone->source = VERSO_CLONE_SOURCE_PAGEMAP;
        r = read_pagemap(&search);
    }
    verso__os_close(search.pagemap_fd);
    return r;
}
