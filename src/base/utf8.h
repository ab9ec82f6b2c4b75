/* SPDX-License-Identifier: MIT */
/* utf8.h - which bytes of a name may be shown as they are. */
#ifndef VERSO_SRC_UTF8_H
#define VERSO_SRC_UTF8_H

#include <stddef.h>

/*
 * How many bytes at @text form one printable UTF-8 character; 0 for a control character, an escape sequence's start,
 * a backslash (which escapes are written with), or bytes that are not UTF-8. @text ends with a NUL, which answers 0.
 */
size_t verso__utf8_printable(const unsigned char *text);

#endif
