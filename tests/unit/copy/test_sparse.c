/* SPDX-License-Identifier: MIT */
/* sparse - holes stay holes, are filled, are dug; in place too; and the bytes are always the same. */
#include "copying.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#define BLOCKS 12
#define BLOCK_BYTES ((uint64_t)65536) /* no file system's block is larger */

/* A file of which block i has data when bit i is set; the last may be cut. */
static const char *sparse_file(const char *name, unsigned blocks, uint64_t bytes)
{
    const char *path = support_path(name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unsigned char data[BLOCK_BYTES];

    assert_true(fd >= 0);
    for (uint64_t i = 0; i < BLOCKS && i * BLOCK_BYTES < bytes; i++) {
        if (!(blocks & 1U << i))
            continue;
        for (size_t j = 0; j < BLOCK_BYTES; j++)
            data[j] = (unsigned char)(support_byte(i * BLOCK_BYTES + j) | 1);
        assert_int_equal(pwrite(fd, data, BLOCK_BYTES, (off_t)(i * BLOCK_BYTES)), (ssize_t)BLOCK_BYTES);
    }
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fsync(fd), 0); /* what xfs reserves ahead of a writer looks like data until then */
    assert_int_equal(close(fd), 0);
    return path;
}

/* The bytes of a file in which the file system sees data. */
static uint64_t data_bytes(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t at = 0, data, hole = 0;
    uint64_t bytes = 0;

    assert_true(fd >= 0);
    assert_int_equal(fsync(fd), 0);
    while ((data = lseek(fd, at, SEEK_DATA)) >= 0) {
        hole = lseek(fd, data, SEEK_HOLE);
        assert_true(hole > data);
        bytes += (uint64_t)(hole - data);
        at = hole;
    }
    close(fd);
    return bytes;
}

/* xfs reserves space between neighbours, and shows some of it as data: there, holes can't be counted. */
static bool exact;

static void need_holes(void)
{
    const char *path = sparse_file("probe", 1, BLOCKS * BLOCK_BYTES);
    struct statfs system;

    assert_int_equal(statfs(path, &system), 0);
    exact = (unsigned long)system.f_type != XFS_SUPER_MAGIC;
    if (data_bytes(path) == BLOCKS * BLOCK_BYTES)
        skip_because("the test's directory is on a file system that does not show its holes");
    assert_int_equal(unlink(path), 0);
}

/* Every pattern of holes, against every way through which they could be lost. */
static void test_every_pattern(void **state)
{
    const uint64_t bytes = BLOCKS * BLOCK_BYTES - 77;
    const unsigned methods[] = { VERSO_COPY_METHOD_AUTO, VERSO_COPY_METHOD_READ, VERSO_COPY_METHOD_MAPPED };

    (void)state;
    need_holes();
    for (unsigned pattern = 0; pattern < 1U << BLOCKS; pattern += 37) {
        const char *source = sparse_file("source", pattern, bytes), *target = support_path("target");
        struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
        struct verso_copy_report report;

        options.method = methods[pattern % 3];
        options.digest = pattern % 2 ? VERSO_DIGEST_XXH3_64 : VERSO_DIGEST_NONE;
        report = copied(source, target, &options);
        assert_true(!exact || data_bytes(target) == data_bytes(source));
        if (exact && report.reflinked_bytes == 0)
            assert_true(report.hole_bytes == bytes - data_bytes(source));
        assert_int_equal(unlink(target), 0);
    }
}

/* In place: over data where the source has a hole, and the other way round. */
static void test_every_pattern_in_place(void **state)
{
    const uint64_t bytes = BLOCKS * BLOCK_BYTES - 77;
    const unsigned flags[] = { VERSO_COPY_IN_PLACE, VERSO_COPY_DELTA, VERSO_COPY_DELTA | VERSO_COPY_DIG_HOLES };

    (void)state;
    need_holes();
    assert_ok(verso_guard_install());
    for (unsigned pattern = 0; pattern < 1U << BLOCKS; pattern += 61) {
        const char *source = sparse_file("source", pattern, bytes);
        const char *target = sparse_file("target", pattern * 7 + 5, pattern % 2 ? bytes * 2 / 3 : bytes + 4096);
        struct verso_copy_options options = with_flags(flags[pattern % 3]);

        options.digest = VERSO_DIGEST_XXH3_64;
        options.reflink = VERSO_COPY_REFLINK_NEVER;
        (void)copied(source, target, &options);
        if (exact) /* but for the last page, which the end cuts */
            assert_true(data_bytes(target) <= data_bytes(source) + verso_page_bytes());
    }
    assert_ok(verso_guard_remove());
}

static void test_dense(void **state)
{
    const uint64_t bytes = BLOCKS * BLOCK_BYTES;
    const char *source = sparse_file("source", 0x421, bytes), *target = support_path("target");

    (void)state;
    for (int i = 0; i < 3; i++) { /* new, replaced, in place */
        struct verso_copy_options options = with_flags(VERSO_COPY_DENSE | (i == 2 ? VERSO_COPY_IN_PLACE : 0U));
        struct verso_copy_report report = copied(source, target, &options);

        assert_true(report.hole_bytes == 0);
        assert_true((uint64_t)status_of(target).st_blocks * 512 >= bytes);
    }
    (void)sparse_file("target", 0x3c0, bytes);
    (void)copied(source, target,
                 &(struct verso_copy_options){ .struct_bytes = sizeof(struct verso_copy_options),
                                               .flags = VERSO_COPY_DENSE | VERSO_COPY_DELTA });
    assert_true((uint64_t)status_of(target).st_blocks * 512 >= bytes / 3); /* zeros that are there stay as they are */
}

static void test_zeros_are_dug(void **state)
{
    const uint64_t page = verso_page_bytes(), bytes = BLOCKS * BLOCK_BYTES + 5;
    const char *source = support_path("source"), *target = support_path("target");
    unsigned char *data = calloc(1, bytes);
    struct verso_copy_options options = with_flags(VERSO_COPY_DIG_HOLES);
    int fd;

    (void)state;
    need_holes();
    data[0] = 1;
    data[5 * BLOCK_BYTES - 1] = 1;
    data[7 * BLOCK_BYTES] = 1;
    fd = open(source, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
    close(fd);
    free(data);
    for (int guarded = 0; guarded < 2; guarded++) {
        struct verso_copy_report report;

        if (guarded)
            assert_ok(verso_guard_install());
        report = copied(source, target, &options);
        assert_true(report.copied_bytes == 3 * page);
        assert_true(report.hole_bytes == bytes - 3 * page);
        assert_true(data_bytes(target) <= 3 * BLOCK_BYTES);
        if (guarded)
            assert_ok(verso_guard_remove());
    }
}

/* A file whose end is nothing but a hole, larger than any disk. */
static void test_a_hole_beyond_all_disks(void **state)
{
    const uint64_t bytes = (uint64_t)1 << 42;
    const char *source = sparse_file("source", 1, BLOCK_BYTES), *target = support_path("target");
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

    (void)state;
    need_holes();
    if (truncate(source, (off_t)bytes) < 0)
        skip_because("no file of 4 TiB can be made here");
    assert_ok(verso_copy_file(source, target, NULL, &report));
    assert_true(report.done_bytes == bytes);
    assert_true(data_bytes(target) == BLOCK_BYTES);
    assert_true((uint64_t)status_of(target).st_size == bytes);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_every_pattern), fresh_test(test_every_pattern_in_place),  fresh_test(test_dense),
        fresh_test(test_zeros_are_dug), fresh_test(test_a_hole_beyond_all_disks),
    };

    return run_test_list(list);
}
