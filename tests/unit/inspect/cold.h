/* SPDX-License-Identifier: MIT */
/*
 * cold.h - files of which is known which pages are cached: none, then those that a test reads.
 *
 * They are sparse: a page of a hole is cached like any other when it is read.
 */
#ifndef VERSO_TESTS_COLD_H
#define VERSO_TESTS_COLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The page size; set by cold_prepare(), which is to be each test's setup. */
extern size_t page_bytes;
int cold_prepare(void **state);

/* Its teardown: takes all refusals of the fake kernel back, also when the test has failed. */
int cold_calm(void **state);

/* A sparse file of @bytes with nothing cached. */
int make_cold(const char *name, uint64_t bytes);

void read_page(int fd, uint64_t page);
void read_pages(int fd, uint64_t first, uint64_t end);

/* One byte a page, 1 when it is cached: mincore, by hand. Caller frees. */
unsigned char *ask_mincore(int fd, uint64_t pages);

/* Why the test's directory will not do, or NULL: tmpfs reads holes from nowhere and caches none. */
const char *cold_refusal(void);

bool has_cachestat(int fd);

#define cold_test(test) cmocka_unit_test_setup_teardown(test, cold_prepare, cold_calm)

#endif
