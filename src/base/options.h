/* SPDX-License-Identifier: MIT */
/*
 * options.h - taking over an options struct that may be older or newer than this library.
 *
 * Such a struct begins with its own size. A shorter one was compiled against an older header: what it lacks is zero,
 * the default. A longer one is newer: fine as long as it asks for nothing that is unknown here.
 */
#ifndef VERSO_SRC_OPTIONS_H
#define VERSO_SRC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Copies *@given, a struct whose first member is `size_t struct_bytes`, into @own. @least_bytes: the size that the
 * struct had in the first version. False, @own untouched: shorter than that, or with unknown members that are not zero.
 */
static inline bool verso__options_take(const void *given, void *own, size_t own_bytes, size_t least_bytes)
{
    const unsigned char *byte = (const unsigned char *)given;
    size_t given_bytes;

    memcpy(&given_bytes, given, sizeof(given_bytes));
    if (given_bytes < least_bytes)
        return false;
    for (size_t i = own_bytes; i < given_bytes; i++)
        if (byte[i] != 0)
            return false;
    memset(own, 0, own_bytes);
    memcpy(own, given, given_bytes < own_bytes ? given_bytes : own_bytes);
    return true;
}

#endif
