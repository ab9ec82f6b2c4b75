/* SPDX-License-Identifier: MIT */
/*
 * huge.h - the ladder of pages: hugetlb, transparent, base.
 *
 *      file      |....|####################|####################|..|      # = one huge page
 *      memory    |....|####################|####################|..|      congruent: address = offset modulo its size,
 *                     ^                                                   else no huge page can ever be mapped
 *
 * Whether huge pages came can't be known from settings: the file system, how the file was cached, and what memory is
 * free all have their say. So one is tried, and the page table is looked at. Settings only explain a refusal.
 */
#ifndef VERSO_SRC_HUGE_H
#define VERSO_SRC_HUGE_H

#include <stddef.h>

/* What the memory is made of: what may be said about it depends on that. */
enum verso__huge_of {
    VERSO__HUGE_OF_ANONYMOUS = 1,
    VERSO__HUGE_OF_MEMORY_FILE,
    VERSO__HUGE_OF_FILE,
};

/* The size of the pages that the pool of huge pages gives (hugetlb); 0 when this kernel has no pool. */
size_t verso__huge_pool_bytes(void);

/* Why the pool gave none. */
extern const char verso__huge_pool_is_empty[];

/*
 * Asks for transparent huge pages in a range, brings one page in where a huge one fits, and looks. @for_writing: by a
 * write, which changes nothing. NULL: they came; else the reason, a literal.
 */
const char *verso__huge_try(enum verso__huge_of what, void *address, size_t bytes, int for_writing);

#endif
