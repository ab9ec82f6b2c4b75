/* SPDX-License-Identifier: MIT */
/*
 * fail.h - how every public call reports a failure.
 *
 * verso__fail() is the only writer of the per-thread record, so code and record cannot drift apart: a public call
 * ends with `return verso__fail(...)`, and what it returns is what the record says.
 */
#ifndef VERSO_SRC_FAIL_H
#define VERSO_SRC_FAIL_H

#include <verso/error.h>

/* What is known about a failure. Zero and NULL mean "nothing to say", except @offset_bytes (VERSO_OFFSET_NONE). */
struct verso__failure {
    int code;
    int cause;
    const char *step; /* a literal */
    const char *path; /* copied */
    uint64_t offset_bytes;
    const char *hint; /* a literal; NULL takes the code's own remedy */
};

/* Fills the record, returns @failure->code. The step and hint must be literals; the path is copied. */
int verso__fail_with(const struct verso__failure *failure);

/* The common case: no offset, the code's own hint. */
static inline int verso__fail(int code, const char *step, const char *path)
{
    const struct verso__failure failure = { code, 0, step, path, VERSO_OFFSET_NONE, NULL };

    return verso__fail_with(&failure);
}

static inline int verso__fail_at(int code, const char *step, const char *path, uint64_t offset_bytes)
{
    const struct verso__failure failure = { code, 0, step, path, offset_bytes, NULL };

    return verso__fail_with(&failure);
}

static inline int verso__fail_hint(int code, const char *step, const char *path, const char *hint)
{
    const struct verso__failure failure = { code, 0, step, path, VERSO_OFFSET_NONE, hint };

    return verso__fail_with(&failure);
}

#endif
