/* SPDX-License-Identifier: MIT */
/* copying.h - what the tests of copying are put together from. */
#ifndef VERSO_TESTS_COPYING_H
#define VERSO_TESTS_COPYING_H

#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso/base.h>
#include <verso/copy.h>
#include <verso/guard.h>

static inline struct stat status_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status;
}

static inline void assert_same_content(const char *a, const char *b)
{
    static unsigned char one[65536], other[65536];
    int from = open(a, O_RDONLY | O_CLOEXEC), to = open(b, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    assert_true(from >= 0 && to >= 0);
    do {
        n = read(from, one, sizeof(one));
        assert_true(n >= 0);
        assert_int_equal(read(to, other, sizeof(other)), n);
        assert_memory_equal(one, other, (size_t)n);
    } while (n > 0);
    close(from);
    close(to);
}

/* How many names the test's directory holds: what a copy leaves behind shows. */
static inline size_t name_count(void)
{
    DIR *directory = opendir(support_directory());
    size_t count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

/* The kinds of bytes add up. */
static inline void assert_adds_up(const struct verso_copy_report *report)
{
    assert_true(report->done_bytes == report->reflinked_bytes + report->offloaded_bytes + report->hole_bytes +
                                          report->copied_bytes + report->same_bytes);
}

/* The checksum in a report is the one of the bytes, however they were copied. */
static inline void assert_digest_of(const char *path, const struct verso_digest_value *value)
{
    static unsigned char data[65536];
    struct verso_digest_value wanted;
    struct verso_digest *digest;
    FILE *file = fopen(path, "re");
    size_t n;

    assert_non_null(file);
    assert_ok(verso_digest_open((enum verso_digest_kind)value->kind, &digest));
    while ((n = fread(data, 1, sizeof(data), file)) > 0)
        verso_digest_update(digest, data, n);
    (void)fclose(file);
    verso_digest_value(digest, &wanted);
    verso_digest_close(digest);
    assert_true(verso_digest_equal(value, &wanted));
}

/* Copies; all of it is accounted for, and the target is the same. */
static inline struct verso_copy_report copied(const char *source, const char *target,
                                              const struct verso_copy_options *options)
{
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;
    size_t descriptors = support_descriptor_count(), mappings = support_mapping_count();

    assert_ok(verso_copy_file(source, target, options, &report));
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_true(support_mapping_count() <= mappings + 1); /* the allocator may keep one */
    assert_adds_up(&report);
    assert_true(report.done_bytes == report.bytes);
    assert_non_null(report.why);
    assert_same_content(source, target);
    if (report.digest.bytes > 0)
        assert_digest_of(target, &report.digest);
    return report;
}

static inline int remove_inner(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    return where->level > 0 ? remove(path) : 0;
}

/* Each case begins with an empty directory. */
static inline int empty_directory(void **state)
{
    (void)state;
    return nftw(support_directory(), remove_inner, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

#define fresh_test(test) cmocka_unit_test_setup(test, empty_directory)

static inline struct verso_copy_options with_flags(unsigned flags)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    options.flags = flags;
    return options;
}

#endif
