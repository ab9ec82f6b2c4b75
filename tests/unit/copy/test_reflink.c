/* SPDX-License-Identifier: MIT */
/* reflink - blocks are shared where the file system can: proven by the extents' flags. */
#include "copying.h"

#include "mounts.h"
#include "os/os.h"

#define BYTES ((uint64_t)4 << 20)

static char source[PATH_MAX], target[PATH_MAX];

/* Where files can share blocks: the test's own directory, else a file system made for it. */
static void find_place(void)
{
    struct verso_copy_options always = VERSO_COPY_OPTIONS_INIT;
    const char *reason = "", *directory = support_directory();
    const char *probe = support_file("probe", 4096);

    always.reflink = VERSO_COPY_REFLINK_ALWAYS;
    if (verso_copy_file(probe, support_path("shared"), &always, NULL) < 0) {
        assert_true(verso_error_last()->code == -EOPNOTSUPP || verso_error_last()->code == -EINVAL ||
                    verso_error_last()->code == -EXDEV || verso_error_last()->code == -ENOTTY);
        directory = support_mount_reflink(&reason);
    }
    if (!directory)
        skip_because("%s", reason);
    (void)snprintf(source, sizeof(source), "%s/source", directory);
    (void)snprintf(target, sizeof(target), "%s/target", directory);
    (void)unlink(target);
    assert_ok(verso_copy_file(support_file("made", BYTES), source, NULL, NULL));
}

/* How many bytes of a file lie in extents that somebody else has, too. */
static uint64_t shared_bytes(const char *path)
{
    struct verso__os_extent extents[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t bytes = 0;
    size_t count;

    assert_true(fd >= 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(verso__os_extents(fd, 0, extents, 256, &count), 0);
    assert_true(count < 256);
    for (size_t i = 0; i < count; i++)
        if (extents[i].flags & VERSO__OS_EXTENT_SHARED)
            bytes += extents[i].length_bytes;
    close(fd);
    return bytes;
}

static void test_shared_when_it_can_be(void **state)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
    struct verso_copy_report report;

    (void)state;
    find_place();
    options.digest = VERSO_DIGEST_XXH3_64;
    report = copied(source, target, &options);
    assert_true(report.reflinked_bytes == BYTES);
    assert_int_equal(report.method, VERSO_COPY_METHOD_REFLINK);
    assert_int_equal(report.digest.bytes, 8);
    assert_true(shared_bytes(target) >= BYTES);
    options.reflink = VERSO_COPY_REFLINK_ALWAYS;
    options.flags = VERSO_COPY_VERIFY | VERSO_COPY_DURABLE;
    report = copied(source, target, &options);
    assert_true(report.reflinked_bytes == BYTES);
    assert_int_equal(report.verified, VERSO_COPY_VERIFIED_DISK);
    assert_int_equal(report.durable, 1);
}

static void test_never_is_true(void **state)
{
    const unsigned methods[] = { VERSO_COPY_METHOD_AUTO, VERSO_COPY_METHOD_READ, VERSO_COPY_METHOD_MAPPED };
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    (void)state;
    find_place();
    options.reflink = VERSO_COPY_REFLINK_NEVER;
    for (size_t i = 0; i < 3; i++) {
        options.method = methods[i];
        assert_true(copied(source, target, &options).reflinked_bytes == 0);
        assert_true(shared_bytes(target) == 0);
    }
}

static void test_in_place_over_more_and_less(void **state)
{
    struct verso_copy_options options = with_flags(VERSO_COPY_IN_PLACE);

    (void)state;
    find_place();
    (void)copied(source, target, &options);
    assert_int_equal(truncate(target, (off_t)(2 * BYTES)), 0);
    assert_true(copied(source, target, &options).reflinked_bytes == BYTES);
    assert_int_equal(truncate(target, 5), 0);
    assert_true(copied(source, target, &options).reflinked_bytes == BYTES);
}

static void test_always_fails_where_it_cannot(void **state)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
    const char *reason, *directory = support_mount_tmpfs(BYTES, &reason);
    char other[PATH_MAX];
    int r;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    (void)snprintf(other, sizeof(other), "%s/other", directory);
    options.reflink = VERSO_COPY_REFLINK_ALWAYS;
    r = verso_copy_file(support_file("made", 4096), other, &options, NULL);
    assert_true(r == -EXDEV || r == -EOPNOTSUPP);
    assert_string_equal(verso_error_last()->step, "reflink");
    assert_int_equal(access(other, F_OK), -1);
    assert_fails(verso_copy_file("/proc/self/maps", other, &options, NULL), -EOPNOTSUPP);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_shared_when_it_can_be),
        fresh_test(test_never_is_true),
        fresh_test(test_in_place_over_more_and_less),
        fresh_test(test_always_fails_where_it_cannot),
    };

    return run_test_list(list);
}
