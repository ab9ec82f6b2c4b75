/* SPDX-License-Identifier: MIT */
/*
 * others_loop.h - takes marks away where another byte of the needle does not stand; included, as text_loop.h, by each
 * form that has vectors, after it has defined
 *
 *     struct wanted               a byte to compare with, in all bytes of a vector
 *     wanted(byte)                that of a struct verso__scan_byte
 *     where(at, wanted, among)    of the places @among of the 64 at @at: those where it stands
 */
#include "scan/form.h"

TARGET static uint64_t others(const struct verso__scan_others *others, const unsigned char *at, size_t blocks,
                              uint64_t *masks)
{
    uint64_t marked = 0;

    for (size_t i = 0; i < others->count; i++) {
        struct wanted byte = wanted(&others->bytes[i]);
        const unsigned char *from = at + others->bytes[i].offset;

        for (size_t block = 0; block < blocks; block++, from += VERSO__SCAN_BLOCK)
            masks[block] = where(from, byte, masks[block]);
    }
    for (size_t block = 0; block < blocks; block++)
        marked += (unsigned)__builtin_popcountll(masks[block]);
    return marked;
}
