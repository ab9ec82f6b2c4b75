/* SPDX-License-Identifier: MIT */
/* base.h - what every verso header needs: version, visibility, C++. */
#ifndef VERSO_BASE_H
#define VERSO_BASE_H

#include <stddef.h>
#include <stdint.h>

#define VERSO_VERSION_MAJOR 0
#define VERSO_VERSION_MINOR 1
#define VERSO_VERSION_PATCH 0
#define VERSO_VERSION "0.1.0"

#if defined(__GNUC__)
#define VERSO_API __attribute__((visibility("default")))
#define VERSO_MUST_CHECK __attribute__((warn_unused_result))
#else
#define VERSO_API
#define VERSO_MUST_CHECK
#endif

#ifdef __cplusplus
#define VERSO_BEGIN_DECLS extern "C" {
#define VERSO_END_DECLS }
#else
#define VERSO_BEGIN_DECLS
#define VERSO_END_DECLS
#endif

VERSO_BEGIN_DECLS

/* "No offset applies here"; the value of an offset in an error record or a report that has none. */
#define VERSO_OFFSET_NONE UINT64_MAX

/**
 * verso_version() - the version of the library that is running
 *
 * Compare with VERSO_VERSION, the version compiled against.
 *
 * Owns:    a constant string; do not free it.
 * Errors:  none.
 * Threads: any.
 */
VERSO_API const char *verso_version(void);

/**
 * verso_page_bytes() - the machine's base page size
 *
 * Units:   bytes: 4096 on x86-64; 4096, 16384 or 65536 on aarch64. Never assume a constant.
 * Errors:  none.
 * Threads: any.
 * Source:  sysconf(3), _SC_PAGESIZE.
 */
VERSO_API size_t verso_page_bytes(void);

/**
 * verso_name_escape() - a file's name as one printable line
 * @name:       any bytes but NUL
 * @out_text:   where to write; may be NULL when @text_bytes is 0
 * @text_bytes: its size; the line is cut there, always with a final NUL
 *
 * A name can hold newlines, terminal escapes, and bytes that are no text at all. Printable UTF-8 stays as it is; every
 * other byte, and the backslash, comes as \xNN, so different names stay different.
 *
 * Units:   returns the bytes the whole line needs without the NUL, as snprintf does.
 * Errors:  none.
 * Threads: any.
 */
VERSO_API size_t verso_name_escape(const char *name, char *out_text, size_t text_bytes);

VERSO_END_DECLS

#endif
