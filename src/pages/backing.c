/* SPDX-License-Identifier: MIT */
/*
 * backing - what a span's memory is made of, and so how it is promised, emptied and given back.
 *
 *      kind        pages from              promised by             emptied by        given back by
 *      PRIVATE     nowhere: zeros          being made writable     DONTNEED          mapping bare pages over it
 *      DROPPABLE   nowhere: zeros          nobody                  DONTNEED          mapping bare pages over it
 *      SHARED      a file of memory        space in that file      a hole in it      a hole, and no access
 *      SECRET      a secret file           its size is locked      wiping            wiping, and no access
 *      hugetlb     the pool                being mapped            DONTNEED          DONTNEED, and no access
 *
 * Only a mapping that goes takes its charge along; so private memory is given back by a new one.
 */
#include "pages/pages.h"

#include <errno.h>
#include <string.h>

#define RESIDENCY_PAGES 64

int verso__pages_back(struct verso_pages *pages, size_t bytes)
{
    unsigned flags = 0;
    int r;

    if (pages->kind != VERSO_PAGES_SHARED && pages->kind != VERSO_PAGES_SECRET)
        return 0;
    if (pages->kind == VERSO_PAGES_SECRET)
        flags = VERSO__OS_MEMORY_FILE_SECRET;
    else if (pages->size == VERSO_PAGES_SIZE_HUGETLB)
        flags = VERSO__OS_MEMORY_FILE_HUGE;
    r = verso__os_memory_file(pages->name, flags, &pages->fd);
    if (r == 0)
        r = verso__os_truncate(pages->fd, bytes);
    return r;
}

int verso__pages_lay(struct verso_pages *pages, unsigned char *address, size_t bytes, unsigned flags)
{
    void *same;

    if (pages->kind == VERSO_PAGES_DROPPABLE)
        flags |= VERSO__OS_MAP_DROPPABLE;
    if (pages->fd >= 0)
        flags |= VERSO__OS_MAP_SHARED;
    else if (pages->size == VERSO_PAGES_SIZE_HUGETLB)
        flags |= VERSO__OS_MAP_HUGE;
    return verso__os_map(address, bytes, VERSO__OS_ACCESS_NONE, flags, pages->fd, 0, &same);
}

int verso__pages_promise(struct verso_pages *pages, size_t start, size_t end)
{
    return pages->kind == VERSO_PAGES_SHARED ? verso__os_allocate(pages->fd, start, end - start) : 0;
}

unsigned verso__pages_access_of(unsigned state)
{
    switch (state) {
    case VERSO__PAGES_READ:
        return VERSO__OS_ACCESS_READ;
    case VERSO__PAGES_WRITE:
        return VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE;
    default: /* a guard, too */
        return VERSO__OS_ACCESS_NONE;
    }
}

/* Pages that are taken for writable while they are not would never be made so again. */
void verso__pages_restore(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;

    for (size_t at = start; verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        unsigned access = verso__pages_access_of(piece.state);

        if (verso__os_protect(pages->data + piece.start, piece.end - piece.start, access) < 0 &&
            access != VERSO__OS_ACCESS_NONE)
            verso__pages_runs_set(&pages->runs, piece.start, piece.end, VERSO__PAGES_NONE);
    }
}

/* ---- Emptying ------------------------------------------------------------------------------------------------- */

/* Writable pages, without bringing in those that were never touched: they are zeros. */
static void wipe_resident(unsigned char *address, size_t bytes)
{
    size_t page = verso__os_page_bytes();
    unsigned char in[RESIDENCY_PAGES];

    while (bytes > 0) {
        size_t part = bytes < sizeof(in) * page ? bytes : sizeof(in) * page;

        if (verso__os_resident(address, part, in) < 0)
            memset(in, 1, sizeof(in));
        for (size_t i = 0; i < part / page; i++)
            if (in[i] & 1)
                explicit_bzero(address + i * page, page);
        address += part;
        bytes -= part;
    }
}

static int wipe(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;
    int r = 0;

    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        unsigned char *address = pages->data + piece.start;
        size_t bytes = piece.end - piece.start;
        unsigned access = verso__pages_access_of(piece.state), full = verso__pages_access_of(VERSO__PAGES_WRITE);

        if (piece.state == VERSO__PAGES_RESERVED || (piece.state & VERSO__PAGES_GUARD))
            continue; /* wiped when it became so */
        r = access == full ? 0 : verso__os_protect(address, bytes, full);
        if (r == 0)
            wipe_resident(address, bytes);
        if (r == 0 && access != full)
            r = verso__os_protect(address, bytes, access);
    }
    return r;
}

int verso__pages_empty(struct verso_pages *pages, size_t start, size_t end)
{
    switch (pages->kind) {
    case VERSO_PAGES_SHARED:
        return verso__os_punch(pages->fd, start, end - start);
    case VERSO_PAGES_SECRET:
        return wipe(pages, start, end);
    default:
        return verso__os_advise(pages->data + start, end - start, VERSO__OS_ADVICE_DONTNEED);
    }
}

/* ---- Giving back ---------------------------------------------------------------------------------------------- */

/* First no access, which may be refused; wiping alone needs it. Locked pages stay until they are let go. */
int verso__pages_shut(struct verso_pages *pages, size_t start, size_t end)
{
    unsigned char *address = pages->data + start;
    bool is_secret = pages->kind == VERSO_PAGES_SECRET;
    int r = is_secret ? verso__pages_empty(pages, start, end) : 0;

    if (r == 0)
        r = verso__os_protect(address, end - start, VERSO__OS_ACCESS_NONE);
    if (r == 0 && !is_secret) {
        r = verso__pages_empty(pages, start, end);
        if (r == -EINVAL && verso__os_unlock(address, end - start) == 0)
            r = verso__pages_empty(pages, start, end);
    }
    if (r < 0)
        verso__pages_restore(pages, start, end);
    return r;
}

static int remove_markers(struct verso_pages *pages, size_t start, size_t end)
{
    if (!atomic_load(&pages->has_markers))
        return 0;
    return verso__os_advise(pages->data + start, end - start, VERSO__OS_ADVICE_GUARD_REMOVE);
}

int verso__pages_bare(struct verso_pages *pages, size_t start, size_t end)
{
    int r;

    if (pages->fd >= 0 || pages->size == VERSO_PAGES_SIZE_HUGETLB) {
        r = verso__pages_shut(pages, start, end);
        return r == 0 ? remove_markers(pages, start, end) : r;
    }
    r = verso__pages_lay(pages, pages->data + start, end - start, VERSO__OS_MAP_OVER);
    if (r == 0 && pages->is_named)
        (void)verso__os_name(pages->data + start, end - start, pages->name);
    return r;
}

/* ---- Dressing ------------------------------------------------------------------------------------------------- */

/* Nodes are a wish: what the machine can't do is told by verso_pages_info(). */
static void prefer_nodes(struct verso_pages *pages, unsigned char *address, size_t bytes)
{
    int r = verso__os_prefer_nodes(address, bytes, pages->nodes);

    if (r == -ENOSYS)
        pages->nodes_why = "this kernel knows no NUMA nodes";
    else if (r == -EINVAL)
        pages->nodes_why = "one of the nodes is not there, or has no memory";
    else if (r < 0)
        pages->nodes_why = "the kernel refuses to be told about nodes here";
}

int verso__pages_dress(struct verso_pages *pages, size_t start, size_t end)
{
    static const struct {
        unsigned flag;
        enum verso__os_advice advice;
    } wishes[] = {
        { VERSO_PAGES_NO_CORE, VERSO__OS_ADVICE_NO_CORE },
        { VERSO_PAGES_NO_FORK, VERSO__OS_ADVICE_NO_FORK },
        { VERSO_PAGES_WIPE_ON_FORK, VERSO__OS_ADVICE_WIPE_ON_FORK },
    };
    unsigned char *address = pages->data + start;
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof(wishes) / sizeof(wishes[0]); i++)
        if (pages->flags & wishes[i].flag)
            r = verso__os_advise(address, end - start, wishes[i].advice);
    if (r < 0)
        return r;
    if (pages->nodes)
        prefer_nodes(pages, address, end - start);
    if (pages->size == VERSO_PAGES_SIZE_THP)
        (void)verso__os_advise(address, end - start, VERSO__OS_ADVICE_HUGE); /* without, pages are small */
    return 0;
}
