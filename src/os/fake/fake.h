/* SPDX-License-Identifier: MIT */
/*
 * fake.h - a kernel that fails when told to.
 *
 * A test linked with fake_dependency runs on the real kernel, but each of verso's calls to it (os.h), and to the
 * allocator, passes through here first. Here it can be refused; and here what was acquired is written into a ledger, so
 * that a test can ask whether all of it was given back:
 *
 *      map, window, pack, ...  --verso__os_open-->  fake  --verso__os_open-->  linux
 *                                                    |
 *                                      refuse? count, note in the ledger
 *
 * Calls go by their names in os.h without "verso__os_", and by "malloc", "calloc", ... All of this is thread-safe.
 */
#ifndef VERSO_SRC_FAKE_H
#define VERSO_SRC_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Counting calls, and failing the n-th ---- */

/*
 * From now on calls are counted, the next one being number 1; allocations too, so between begin and end the test itself
 * allocates nothing. Forgets the counts and plans of before.
 */
void fake_begin(void);

/* Ends the counting and forgets the plans of fake_fail_nth() and fake_fail_from(). The counts can still be asked for.
 */
void fake_end(void);

/*
 * Call number @n (counted from fake_begin()) fails. @error: a negative errno; else which of the call's plausible errors
 * (calls.h), 0 being the first, and past the last one meaning the last. Up to 4 such plans stand at once.
 */
void fake_fail_nth(unsigned n, int error);

/* Call number @n and all after it fail, each with its first plausible error. */
void fake_fail_from(unsigned n);

/* How many calls have been counted. */
unsigned fake_calls_seen(void);

/* How many were made to fail since fake_begin(). */
unsigned fake_failures(void);

/* The name of the last call that was made to fail, NULL when none was; and how many plausible errors it has. */
const char *fake_failed_call(void);
unsigned fake_failed_call_errors(void);

/* ---- Failing a call by name; with or without counting ---- */

/* The next @count calls of @name fail with @error (negative); @count 0 ends that. UINT_MAX: all. */
void fake_fail_call(const char *name, int error, unsigned count);

/* verso__os_read() and verso__os_copy_range() move at most this many bytes at a time; 0: no limit. */
void fake_short_transfers(size_t bytes_max);

/* Each verso__os_read_at() that reaches the byte at @offset_bytes, of any file, is answered with -EIO, as by a disk
 * with a bad place; 0: none is. */
void fake_bad_byte(uint64_t offset_bytes);

/* Forgets every plan and limit, ends counting. The ledger stays. */
void fake_reset(void);

/* ---- The ledger ---- */

/* Descriptors, mapped bytes (without those sealed for ever) and allocations acquired through os.h, not yet given back.
 * Allocations are noted between fake_begin() and fake_end() only. */
struct fake_holdings {
    size_t descriptors;
    size_t mapped_bytes;
    size_t allocations;
};
struct fake_holdings fake_held(void);

/*
 * The first thing that should never happen, or NULL: a descriptor closed that was not opened through os.h, or twice;
 * memory unmapped, mapped over, protected, advised or sealed that is not ours. Stays until fake_forgive().
 */
const char *fake_complaint(void);
void fake_forgive(void);

#endif
