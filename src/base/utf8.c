/* SPDX-License-Identifier: MIT */
/*
 * utf8 - deciding which bytes of a name are safe to show.
 *
 * A file's name is any bytes but '/' and NUL. Shown raw, it could move the cursor, end the line or not be text at all.
 * Decoding refuses what RFC 3629 refuses: overlong forms, surrogates, values past U+10FFFF; and the C1 controls, which
 * some terminals obey.
 */
#include "base/utf8.h"

#include <stdint.h>

size_t verso__utf8_printable(const unsigned char *text)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint32_t value;
    size_t bytes;

    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f && text[0] != '\\';
    if (text[0] >= 0xc0 && text[0] < 0xe0)
        bytes = 2;
    else if (text[0] >= 0xe0 && text[0] < 0xf0)
        bytes = 3;
    else if (text[0] >= 0xf0 && text[0] < 0xf8)
        bytes = 4;
    else
        return 0;
    value = text[0] & (0x7fU >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3fU);
    }
    if (value < smallest[bytes] || value < 0xa0 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    return bytes;
}
