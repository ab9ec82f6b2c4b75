/* SPDX-License-Identifier: MIT */
/*
 * features.h - what this kernel and machine can do, found by trying, never by version.
 *
 * Each entry says whether the thing works here, what it is for, and what verso does without it.
 */
#ifndef VERSO_FEATURES_H
#define VERSO_FEATURES_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

enum verso_feature_state {
    VERSO_FEATURE_PRESENT = 1,
    VERSO_FEATURE_ABSENT,    /* the kernel or this file system refuses it */
    VERSO_FEATURE_FORBIDDEN, /* it is there, but not for this user */
    VERSO_FEATURE_UNTRIED,   /* could not be tried here; note or error says why */
};

struct verso_feature {
    const char *name;    /* "MADV_POPULATE_READ" */
    const char *since;   /* "Linux 5.14": for people; verso decides by trying */
    const char *purpose; /* what it is for */
    const char *without; /* what verso does without it */
    enum verso_feature_state state;
    int error;        /* the -errno with which it was refused, 0 */
    const char *note; /* more, or "": "on ext4, in the current directory" */
    int needed;       /* 1: some of verso does not work without it; 0: verso has another way, or does without */
};

/* A limit that bites. */
struct verso_limit {
    const char *name;    /* "vm.max_map_count" */
    uint64_t value;      /* VERSO_LIMIT_NONE: unlimited */
    const char *unit;    /* "mappings", "bytes", "" */
    const char *word;    /* for settings that are words: "madvise"; else "" */
    int error;           /* the -errno when it could not be read */
    int biting;          /* 1 when it is lower than most programs that map memory want */
    const char *meaning; /* what happens at the limit */
    const char *mend;    /* the command that changes it, or "" */
};
#define VERSO_LIMIT_NONE UINT64_MAX

/**
 * verso_features_get() - every feature verso knows of, tried on this machine
 * verso_limits_get()   - the limits
 * verso_limits_free()  - give back what verso_limits_get() gave; takes NULL
 * @out_features, @out_count: an array in the order of the manual
 *
 * The first call tries them (some milliseconds: it makes and unmakes small maps); later calls return the same answers.
 * Limits are read anew. What depends on the file system is tried on a file without a name in the current directory,
 * else in TMPDIR, else in /tmp. Nothing of the trying remains. A seccomp filter that kills for unknown system calls
 * kills here.
 *
 * Owns:    verso_features_get: the library, until the process ends. verso_limits_get: you, verso_limits_free().
 * Errors:  verso_features_get: none; what could not be tried says so. verso_limits_get: -ENOMEM; a limit that could
 *          not be read carries its own error.
 * Threads: any.
 */
VERSO_API int verso_features_get(const struct verso_feature **out_features, size_t *out_count);
VERSO_API int verso_limits_get(struct verso_limit **out_limits, size_t *out_count);
VERSO_API void verso_limits_free(struct verso_limit *limits);

VERSO_END_DECLS

#endif
