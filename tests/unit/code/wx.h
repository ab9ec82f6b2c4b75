/* SPDX-License-Identifier: MIT */
/*
 * wx.h - what the tests of W^X share: the kernel's own list of mappings, and pools whose memory is found in it.
 */
#ifndef VERSO_TESTS_WX_H
#define VERSO_TESTS_WX_H

#include "child.h"
#include "machine.h"

#include "os/os.h"

/* ---- Looking ---- */

struct seen {
    size_t both;       /* mappings that are writable and executable */
    size_t writable;   /* mappings of the pool's memory that are */
    size_t executable; /* the same */
};

static inline int look_at(const struct verso__os_mapping *mapping, void *arg)
{
    struct seen *seen = arg;
    bool write = mapping->access & VERSO__OS_ACCESS_WRITE, execute = mapping->access & VERSO__OS_ACCESS_EXEC;
    bool ours = strstr(mapping->name, "memfd:wx-test") != NULL;

    seen->both += write && execute;
    seen->writable += write && ours;
    seen->executable += execute && ours;
    return 0;
}

static inline struct seen look(void)
{
    struct seen seen = { 0 };

    assert_int_equal(verso__os_mappings(0, look_at, &seen), 0);
    return seen;
}

/* ---- Pools ---- */

static inline struct verso_code *named_pool(unsigned mode, unsigned flags, uint64_t segment_bytes)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;

    options.mode = mode;
    options.flags = flags;
    options.segment_bytes = segment_bytes;
    options.name = "wx-test";
    return verso_code_open(&options, &code) == 0 ? code : NULL;
}

static inline struct verso_code *pool(unsigned mode)
{
    struct verso_code *code = named_pool(mode, 0, 0);

    assert_non_null(code);
    return code;
}

/* ---- Nothing is both ---- */

/* Some memory on this machine is both before we come (there should be none): counted once, so that we add nothing. */
static size_t both_before;

static inline int begin_looking(void **state)
{
    (void)state;
    both_before = look().both;
    return 0;
}

#define assert_no_both() assert_int_equal(look().both, both_before)

#endif
