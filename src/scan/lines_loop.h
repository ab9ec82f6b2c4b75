/* SPDX-License-Identifier: MIT */
/*
 * lines_loop.h - how many lines hold a mark; included by each form after newlines_in(), as text_loop.h.
 *
 * An addition does it for 64 bytes at once. All bytes but newlines are ones; add the marks:
 *
 *        newlines   0 0 0 1 0 0 0 0 1 0 0 0        (first byte left)
 *     ~  newlines   1 1 1 0 1 1 1 1 0 1 1 1
 *     +  marks      0 1 0 0 0 0 0 0 0 1 0 1
 *     =             1 0 0 1 1 1 1 1 0 1 0 1 carry  a one where a newline ends a line with marks
 *
 * for a mark makes the ones from it on overflow into the newline, and however many marks a line has, it overflows once.
 * The carry out of the last byte is a line that goes on behind it, and goes into the next addition.
 */
#include "scan/form.h"

TARGET static uint64_t lines(const unsigned char *at, size_t blocks, const uint64_t *masks, bool *carry)
{
    unsigned long long sum, open = *carry;
    uint64_t count = 0;

    for (size_t block = 0; block < blocks; block++, at += VERSO__SCAN_BLOCK) {
        uint64_t newlines = newlines_in(at);
        bool over = __builtin_uaddll_overflow(~newlines, masks[block], &sum);

        over |= __builtin_uaddll_overflow(sum, open, &sum);
        count += (unsigned)__builtin_popcountll(sum & newlines);
        open = over;
    }
    *carry = open;
    return count;
}
