/* SPDX-License-Identifier: MIT */
/* failing - full disks, quotas, storage that can't be read, systems that lack a call: told where, nothing left. */
#include "copying.h"

#include "mounts.h"
#include "os/fake/fake.h"

#include <limits.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define BYTES ((uint64_t)3 << 20)

static void test_a_full_disk(void **state)
{
    const unsigned flags[] = { 0, VERSO_COPY_VERIFY, VERSO_COPY_RESUME };
    const char *reason, *directory = support_mount_tmpfs(BYTES / 2, &reason), *source = support_file("source", BYTES);
    char target[PATH_MAX];

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    (void)snprintf(target, sizeof(target), "%s/target", directory);
    for (size_t i = 0; i < 3; i++) {
        struct verso_copy_options options = with_flags(flags[i]);
        struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

        assert_fails(verso_copy_file(source, target, &options, &report), -ENOSPC);
        assert_string_equal(verso_error_last()->path, target);
        assert_true(verso_error_last()->offset_bytes > 0 && verso_error_last()->offset_bytes < BYTES);
        assert_adds_up(&report);
        assert_int_equal(access(target, F_OK), -1);
    }
}

static void test_refusals_of_the_kernel(void **state)
{
    const struct {
        const char *call;
        int error;
        unsigned method;
        unsigned flags;
        const char *step;
    } cases[] = {
        { "write_at", -EDQUOT, VERSO_COPY_METHOD_READ, 0, "write" },
        { "write_at", -EDQUOT, VERSO_COPY_METHOD_MAPPED, VERSO_COPY_IN_PLACE, "write" },
        { "copy_range", -EDQUOT, VERSO_COPY_METHOD_RANGE, 0, "copy_file_range" },
        { "copy_range", -EIO, VERSO_COPY_METHOD_RANGE, 0, "copy_file_range" },
        { "read_at", -EIO, VERSO_COPY_METHOD_READ, 0, "read" },
        { "clone_file", -ENOSPC, VERSO_COPY_METHOD_AUTO, 0, "reflink" },
        { "sync_full", -EIO, VERSO_COPY_METHOD_AUTO, VERSO_COPY_DURABLE, "fsync" },
        { "sync_data", -EIO, VERSO_COPY_METHOD_AUTO, VERSO_COPY_VERIFY, "fdatasync" },
        { "name_file", -EACCES, VERSO_COPY_METHOD_AUTO, 0, "link" },
        { "rename", -EACCES, VERSO_COPY_METHOD_AUTO, VERSO_COPY_DURABLE, "rename" },
        { "flush", -EDQUOT, VERSO_COPY_METHOD_AUTO, 0, "close" },
        { "open_at", -EACCES, VERSO_COPY_METHOD_AUTO, 0, "open" },
        { "path_info_at", -EACCES, VERSO_COPY_METHOD_AUTO, 0, "stat" },
    };
    const char *source = support_file("source", BYTES), *target = support_path("target");
    size_t before = name_count();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verso_copy_options options = with_flags(cases[i].flags);

        options.method = cases[i].method;
        fake_fail_call(cases[i].call, cases[i].error, 1);
        assert_fails_in(verso_copy_file(source, target, &options, NULL), cases[i].error, cases[i].step);
        fake_reset();
        (void)unlink(target);
        assert_int_equal(name_count(), before);
    }
}

static int go_on(const struct verso_copy_progress *progress, void *arg)
{
    (void)progress;
    (void)arg;
    return 0;
}

/* The kernel tells each open file of a failed write once: whoever is told first may not keep it to himself. */
static void test_a_write_back_that_fails_is_told(void **state)
{
    const struct {
        unsigned flags, cache;
        bool told;
    } cases[] = {
        { VERSO_COPY_DURABLE, VERSO_COPY_CACHE_KEEP, true },
        { VERSO_COPY_VERIFY, VERSO_COPY_CACHE_KEEP, true },
        { VERSO_COPY_DURABLE, VERSO_COPY_CACHE_DROP, false },
        { 0, VERSO_COPY_CACHE_DROP, false },
        { VERSO_COPY_DURABLE, VERSO_COPY_CACHE_NEUTRAL, false },
        { VERSO_COPY_IN_PLACE, VERSO_COPY_CACHE_NEUTRAL, true },
    };
    const int errors[] = { -EIO, -ENOSPC, -EDQUOT };
    const char *source = support_file("source", 8 * BYTES), *target = support_path("target");
    size_t before = name_count();

    (void)state;
    for (size_t i = 0; i < 6 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct verso_copy_options options = with_flags(cases[i / 6].flags);
        int error = errors[i % 3];

        options.cache = cases[i / 6].cache;
        options.progress = cases[i / 6].told ? go_on : NULL;
        options.method = i % 6 < 3 ? VERSO_COPY_METHOD_AUTO : VERSO_COPY_METHOD_READ;
        fake_fail_call("clone_file", -EOPNOTSUPP, UINT_MAX);
        fake_fail_call("write_back", error, 1);
        assert_fails_in(verso_copy_file(source, target, &options, NULL), error, "sync_file_range");
        fake_reset();
        assert_int_equal(name_count(), before + (options.flags & VERSO_COPY_IN_PLACE ? 1 : 0));
        (void)unlink(target);
    }
}

/* A target that is mapped to be compared, and can't be had: told as by reading, under data and under holes. */
static void test_a_target_that_cannot_be_compared(void **state)
{
    struct verso_copy_options options = with_flags(VERSO_COPY_DELTA);
    const char *reason, *directory = support_mount(SUPPORT_EXT4, (uint64_t)32 << 20, &reason);
    char target[PATH_MAX];
    const off_t bytes = 12 << 20;
    int fd;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    (void)snprintf(target, sizeof(target), "%s/target", directory);
    assert_ok(verso_copy_file(support_file("source", (uint64_t)bytes), target, NULL, NULL));
    fd = open(target, O_RDWR | O_CLOEXEC);
    assert_int_equal(fsync(fd) + posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    support_disk_cut(directory, 4 << 20);
    assert_ok(verso_guard_install());
    assert_fails(verso_copy_file(support_path("source"), target, &options, NULL), -EIO);
    assert_int_equal(truncate(support_path("source"), 0) + truncate(support_path("source"), bytes), 0);
    assert_fails_in(verso_copy_file(support_path("source"), target, &options, NULL), -EIO, "read");
    assert_ok(verso_guard_remove());
    assert_int_equal(close(fd), 0);
    support_unmount_all();
}

/* A file system or a filter without the call: the sync does all of it. */
static void test_no_write_back(void **state)
{
    struct verso_copy_options options = with_flags(VERSO_COPY_DURABLE);

    (void)state;
    options.progress = go_on;
    options.cache = VERSO_COPY_CACHE_DROP;
    fake_fail_call("write_back", -ENOSYS, UINT_MAX);
    assert_int_equal(copied(support_file("source", 8 * BYTES), support_path("target"), &options).durable, 1);
    fake_reset();
}

/* What is missing costs time and nothing else. */
static void test_what_is_missing_is_done_otherwise(void **state)
{
    const struct {
        const char *call;
        int error;
        unsigned flags;
    } cases[] = {
        { "copy_range", -ENOSYS, 0 },
        { "map", -ENODEV, VERSO_COPY_DELTA },
        { "map", -ENODEV, VERSO_COPY_VERIFY },
        { "next_data", -EINVAL, 0 },
        { "next_hole", -EINVAL, 0 },
        { "cache_counts", -ENOSYS, VERSO_COPY_VERIFY },
        { "punch", -EOPNOTSUPP, VERSO_COPY_DELTA | VERSO_COPY_DIG_HOLES },
        { "punch", -EINVAL, VERSO_COPY_IN_PLACE }, /* what devices say of part of a block */
        { "allocate", -EOPNOTSUPP, VERSO_COPY_DENSE },
    };
    const char *source = support_file("source", BYTES);

    (void)state;
    assert_int_equal(truncate(source, (off_t)(BYTES + 100000)), 0); /* a hole */
    assert_ok(verso_guard_install());
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verso_copy_options options = with_flags(cases[i].flags);

        options.reflink = VERSO_COPY_REFLINK_NEVER;
        if (strcmp(cases[i].call, "copy_range") == 0)
            options.reflink = VERSO_COPY_REFLINK_AUTO;
        fake_fail_call("clone_file", -EOPNOTSUPP, UINT_MAX);
        fake_fail_call(cases[i].call, cases[i].error, UINT_MAX);
        (void)copied(support_path("source"), support_file("target", BYTES + 200000), &options);
        fake_reset();
    }
    assert_ok(verso_guard_remove());
}

static void test_short_transfers(void **state)
{
    const unsigned methods[] = { VERSO_COPY_METHOD_RANGE, VERSO_COPY_METHOD_READ };
    const char *source = support_file("source", 100001), *target = support_path("target");

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

        options.method = methods[i];
        fake_short_transfers(4097);
        (void)copied(source, target, &options);
        fake_reset();
    }
}

/* The limit of a file's size is told, and not by the signal that kills. */
static int copy_past_the_limit(void *arg)
{
    const unsigned methods[] = { VERSO_COPY_METHOD_AUTO, VERSO_COPY_METHOD_RANGE, VERSO_COPY_METHOD_MAPPED,
                                 VERSO_COPY_METHOD_READ };
    const struct rlimit limit = { 100000, 100000 };

    (void)arg;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    for (size_t i = 0; i < 4; i++) {
        struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

        options.method = methods[i];
        if (verso_copy_file(support_path("source"), support_path("target"), &options, NULL) != -EFBIG)
            return 2;
    }
    return 0;
}

static void test_the_limit_of_a_size(void **state)
{
    int status;

    (void)state;
    (void)support_file("source", BYTES);
    status = support_child(copy_past_the_limit, NULL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Attributes that can't be had are told, and don't fail the copy; and nobody gets more for it. */
static void test_attributes_that_cannot_be_had(void **state)
{
    const struct {
        const char *call;
        unsigned lost;
    } cases[] = {
        { "set_owner", VERSO_COPY_OWNER },
        { "set_times", VERSO_COPY_TIMES },
        { "set_mode", VERSO_COPY_MODE },
        { "attribute_names", VERSO_COPY_XATTRS },
    };
    const char *source = support_file("source", 1000), *target = support_path("target");
    struct verso_copy_options options = with_flags(VERSO_COPY_ARCHIVE);

    (void)state;
    assert_int_equal(chmod(source, 0751), 0);
    if (support_is_root())
        assert_int_equal(chown(source, 12345, 12345), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verso_copy_report report;

        if (cases[i].lost == VERSO_COPY_OWNER && !support_is_root())
            continue; /* who owns the source owns the copy */
        fake_fail_call(cases[i].call, -EPERM, UINT_MAX);
        report = copied(source, target, &options);
        fake_reset();
        assert_int_equal(report.lost, cases[i].lost);
        assert_int_equal(status_of(target).st_mode & 07777 & ~0751U, 0);
        assert_int_equal(unlink(target), 0);
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_a_full_disk),
        fresh_test(test_refusals_of_the_kernel),
        fresh_test(test_short_transfers),
        fresh_test(test_what_is_missing_is_done_otherwise),
        fresh_test(test_a_write_back_that_fails_is_told),
        fresh_test(test_no_write_back),
        fresh_test(test_a_target_that_cannot_be_compared),
        fresh_test(test_the_limit_of_a_size),
        fresh_test(test_attributes_that_cannot_be_had),
    };

    return run_test_list(list);
}
