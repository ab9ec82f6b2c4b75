/* SPDX-License-Identifier: MIT */
/* extents - against filefrag, which is another program, on each file system that can be had here. */
#include "support.h"

#include "mounts.h"
#include "os/os.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso/inspect.h>

#define KIB ((uint64_t)1024)
#define MIB (KIB * 1024)

/* ---- filefrag ---- */

static bool has_filefrag(void)
{
    return access("/usr/sbin/filefrag", X_OK) == 0;
}

struct frag {
    uint64_t file_offset, disk_offset, length;
    char flags[128];
};

/* Lines of "  0:   0..  31:   34816..  34847:   32:   34816: last,unwritten,eof"; a column may be empty. */
static bool parse_frag(const char *line, uint64_t block_bytes, struct frag *out_frag)
{
    uint64_t first, last, disk_first, disk_last, length;
    const char *rest;

    if (sscanf(line, " %*d: %" SCNu64 ".. %" SCNu64 ": %" SCNu64 ".. %" SCNu64 ": %" SCNu64 ":", &first, &last,
               &disk_first, &disk_last, &length) != 5)
        return false;
    rest = strrchr(line, ':') + 1;
    rest += strspn(rest, " ");
    *out_frag = (struct frag){ first * block_bytes, disk_first * block_bytes, length * block_bytes, "" };
    snprintf(out_frag->flags, sizeof(out_frag->flags), "%.*s", (int)strcspn(rest, "\n"), rest);
    return true;
}

static size_t run_filefrag(const char *path, struct frag **out_frags)
{
    uint64_t block_bytes = 0;
    char command[PATH_MAX + 32], *line = NULL;
    struct frag *frags = NULL;
    size_t count = 0, room = 0;
    FILE *stream;

    snprintf(command, sizeof(command), "/usr/sbin/filefrag -v '%s'", path);
    stream = popen(command, "re"); // NOLINT(cert-env33-c): the path is the test's own
    assert_non_null(stream);
    while (getline(&line, &room, stream) > 0) {
        const char *blocks = strstr(line, "blocks of ");

        if (!blocks)
            blocks = strstr(line, "block of ");
        if (blocks)
            block_bytes = strtoull(strstr(blocks, "of ") + 3, NULL, 10);
        frags = realloc(frags, (count + 1) * sizeof(*frags));
        assert_non_null(frags);
        count += parse_frag(line, block_bytes, &frags[count]);
    }
    free(line);
    assert_int_equal(pclose(stream), 0);
    *out_frags = frags;
    return count;
}

static void compare_flag(const struct frag *frag, const struct verso_inspect_extent *extent, const char *word,
                         unsigned bit)
{
    assert_int_equal(strstr(frag->flags, word) != NULL, (extent->state & bit) != 0);
}

/* Everything filefrag says of @path is what verso says, and the other way round. */
static size_t compare_with_filefrag(const char *path)
{
    struct verso_inspect_extent *extents;
    struct frag *frags;
    size_t frag_count = run_filefrag(path, &frags), count;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_ok(verso_inspect_extents(fd, &extents, &count));
    close(fd);
    assert_int_equal(count, frag_count);
    for (size_t i = 0; i < count; i++) {
        assert_true(extents[i].file_offset_bytes == frags[i].file_offset);
        assert_true(extents[i].disk_offset_bytes == frags[i].disk_offset);
        if (!(extents[i].state & VERSO_INSPECT_EXTENT_INLINE)) /* filefrag rounds those to blocks */
            assert_true(extents[i].length_bytes == frags[i].length);
        compare_flag(&frags[i], &extents[i], "unwritten", VERSO_INSPECT_EXTENT_UNWRITTEN);
        compare_flag(&frags[i], &extents[i], "delalloc", VERSO_INSPECT_EXTENT_DELAYED);
        compare_flag(&frags[i], &extents[i], "unknown", VERSO_INSPECT_EXTENT_UNKNOWN);
        compare_flag(&frags[i], &extents[i], "shared", VERSO_INSPECT_EXTENT_SHARED);
        compare_flag(&frags[i], &extents[i], "inline", VERSO_INSPECT_EXTENT_INLINE);
        compare_flag(&frags[i], &extents[i], "encoded", VERSO_INSPECT_EXTENT_ENCODED);
    }
    free(extents);
    free(frags);
    return count;
}

/* ---- Files of every kind ---- */

static const char *in(const char *directory, const char *name)
{
    static char path[PATH_MAX];

    assert_true(snprintf(path, sizeof(path), "%s/%s", directory, name) < PATH_MAX);
    return path;
}

static int create(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static void put(int fd, uint64_t offset, uint64_t bytes)
{
    char block[65536];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)support_byte(offset + i * 7);
    while (bytes > 0) {
        size_t step = bytes < sizeof(block) ? (size_t)bytes : sizeof(block);

        assert_int_equal(pwrite(fd, block, step, (off_t)offset), (ssize_t)step);
        offset += step;
        bytes -= step;
    }
}

static void finish(int fd)
{
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(close(fd), 0);
}

static void check_plain(const char *directory)
{
    int fd = create(in(directory, "plain"));

    put(fd, 0, 3 * MIB + 17);
    finish(fd);
    assert_true(compare_with_filefrag(in(directory, "plain")) >= 1);
}

static void check_holes(const char *directory)
{
    int fd = create(in(directory, "holes"));

    put(fd, 1 * MIB, 64 * KIB);
    put(fd, 5 * MIB, 64 * KIB);
    assert_int_equal(ftruncate(fd, 32 * (off_t)MIB), 0);
    finish(fd);
    assert_true(compare_with_filefrag(in(directory, "holes")) >= 2);
}

static void check_unwritten(const char *directory)
{
    int fd = create(in(directory, "unwritten"));
    struct verso_inspect_extent *extents;
    unsigned states = 0;
    size_t count;

    assert_int_equal(fallocate(fd, 0, 0, 4 * (off_t)MIB), 0);
    put(fd, 1 * MIB, 64 * KIB);
    assert_int_equal(fsync(fd), 0);
    assert_ok(verso_inspect_extents(fd, &extents, &count));
    for (size_t i = 0; i < count; i++)
        states |= extents[i].state;
    free(extents);
    finish(fd);
    assert_true(states & VERSO_INSPECT_EXTENT_UNWRITTEN);
    assert_true(compare_with_filefrag(in(directory, "unwritten")) >= 2);
}

/* More extents than any batch: a block of data, a block of hole, and so on. */
#define FRAGMENTS 2500

static void check_many(const char *directory)
{
    int fd = create(in(directory, "many"));

    for (uint64_t i = 0; i < FRAGMENTS; i++)
        put(fd, i * 2 * 4096, 4096);
    finish(fd);
    assert_true(compare_with_filefrag(in(directory, "many")) >= FRAGMENTS);
}

static void check_shared(const char *directory)
{
    int source, target;
    struct verso_inspect_extent *extents;
    size_t count;

    source = create(in(directory, "source"));
    put(source, 0, MIB);
    assert_int_equal(fsync(source), 0);
    target = create(in(directory, "target"));
    assert_int_equal(verso__os_clone_file(source, target), 0);
    assert_int_equal(fsync(target), 0);
    assert_ok(verso_inspect_extents(target, &extents, &count));
    assert_true(count > 0);
    assert_true(extents[0].state & VERSO_INSPECT_EXTENT_SHARED);
    free(extents);
    close(source);
    close(target);
    compare_with_filefrag(in(directory, "target"));
}

static void check_all(const char *directory)
{
    check_plain(directory);
    check_holes(directory);
    check_unwritten(directory);
    check_many(directory);
}

static void test_on_the_tests_own_file_system(void **state)
{
    struct verso_inspect_extent *extents;
    size_t count;
    int fd = create(support_path("probe")), r = verso_inspect_extents(fd, &extents, &count);

    (void)state;
    close(fd);
    if (r == -EOPNOTSUPP)
        skip_because("the test's directory is on a file system without extents; set TEST_DIRECTORY");
    assert_int_equal(r, 0);
    if (!has_filefrag())
        skip_because("filefrag (e2fsprogs) is not installed");
    check_all(support_directory());
}

static void test_on_ext4(void **state)
{
    const char *reason, *directory = support_mount(SUPPORT_EXT4, 64 * MIB, &reason);

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    if (!has_filefrag())
        skip_because("filefrag (e2fsprogs) is not installed");
    check_all(directory);
}

static void test_on_xfs(void **state)
{
    const char *reason, *directory = support_mount(SUPPORT_XFS, 320 * MIB, &reason);

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    if (!has_filefrag())
        skip_because("filefrag (e2fsprogs) is not installed");
    check_all(directory);
    check_shared(directory);
}

/* A small file lies inside its inode. */
static void check_inline(const char *directory)
{
    struct verso_inspect_extent *extents;
    size_t count;
    int fd = create(in(directory, "inline"));

    put(fd, 0, 100);
    assert_int_equal(fsync(fd), 0);
    assert_ok(verso_inspect_extents(fd, &extents, &count));
    assert_int_equal(count, 1);
    assert_true(extents[0].state & VERSO_INSPECT_EXTENT_INLINE);
    free(extents);
    close(fd);
    compare_with_filefrag(in(directory, "inline"));
}

static void check_compressed(const char *directory)
{
    struct verso_inspect_extent *extents;
    int flags = 0, fd = create(in(directory, "compressed"));
    size_t count;
    char *zeros = calloc(1, MIB);

    assert_non_null(zeros);
    assert_int_equal(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
    flags |= FS_COMPR_FL;
    assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
    memset(zeros, 'z', MIB);
    assert_int_equal(pwrite(fd, zeros, MIB, 0), MIB);
    free(zeros);
    assert_int_equal(fsync(fd), 0);
    assert_ok(verso_inspect_extents(fd, &extents, &count));
    assert_true(count > 0);
    assert_true(extents[0].state & VERSO_INSPECT_EXTENT_ENCODED);
    free(extents);
    close(fd);
    compare_with_filefrag(in(directory, "compressed"));
}

static void test_on_btrfs(void **state)
{
    const char *reason, *directory = support_mount(SUPPORT_BTRFS, 128 * MIB, &reason);

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    if (!has_filefrag())
        skip_because("filefrag (e2fsprogs) is not installed");
    check_all(directory);
    check_shared(directory);
    check_inline(directory);
    check_compressed(directory);
}

/* ---- Without an address yet ---- */

static void test_what_is_not_yet_allocated(void **state)
{
    struct verso_inspect_extent *extents;
    struct stat status;
    size_t count;
    int fd = create(support_path("delayed")), r;

    (void)state;
    put(fd, 0, MIB);
    r = verso_inspect_extents(fd, &extents, &count);
    if (r == -EOPNOTSUPP) {
        close(fd);
        skip_because("the test's directory is on a file system without extents; set TEST_DIRECTORY");
    }
    assert_int_equal(r, 0);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) /* an early write-back may have placed some: but never half of the two bits */
        if (extents[i].state & VERSO_INSPECT_EXTENT_DELAYED)
            assert_true(extents[i].state & VERSO_INSPECT_EXTENT_UNKNOWN);
    free(extents);
    assert_int_equal(fsync(fd), 0);
    assert_ok(verso_inspect_extents(fd, &extents, &count));
    for (size_t i = 0; i < count; i++)
        assert_false(extents[i].state & (VERSO_INSPECT_EXTENT_DELAYED | VERSO_INSPECT_EXTENT_UNKNOWN));
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(extents[count - 1].file_offset_bytes + extents[count - 1].length_bytes >= (uint64_t)status.st_size);
    free(extents);
    close(fd);
}

static void test_an_empty_file(void **state)
{
    struct verso_inspect_extent *extents = (void *)1;
    size_t count = 7;
    int fd = create(support_path("empty")), r = verso_inspect_extents(fd, &extents, &count);

    (void)state;
    close(fd);
    if (r == -EOPNOTSUPP)
        skip_because("the test's directory is on a file system without extents; set TEST_DIRECTORY");
    assert_int_equal(r, 0);
    assert_int_equal(count, 0);
    free(extents);
}

/* ---- Refusals ---- */

static void test_refusals_leave_the_outputs(void **state)
{
    struct verso_inspect_extent *extents = (void *)1;
    size_t count = 7;
    int fd;

    (void)state;
    fd = memfd_create("memory", MFD_CLOEXEC);
    assert_fails_in(verso_inspect_extents(fd, &extents, &count), -EOPNOTSUPP, "fiemap");
    close(fd);
    assert_fails_in(verso_inspect_extents(fd, &extents, &count), -EBADF, "fstat");
    fd = open(support_directory(), O_RDONLY | O_CLOEXEC);
    assert_fails_in(verso_inspect_extents(fd, &extents, &count), -EISDIR, "fiemap");
    assert_string_equal(verso_error_last()->path, support_directory());
    close(fd);
    fd = open(support_file("path-only", 1), O_PATH | O_CLOEXEC);
    assert_fails(verso_inspect_extents(fd, &extents, &count), -EBADF);
    close(fd);
    assert_true(extents == (void *)1 && count == 7);
}

static void test_nothing_leaks(void **state)
{
    struct verso_inspect_extent *extents;
    size_t count, before = support_descriptor_count();
    int fd = open(support_file("leak", 100000), O_RDONLY | O_CLOEXEC);

    (void)state;
    if (verso_inspect_extents(fd, &extents, &count) == 0)
        free(extents);
    close(fd);
    assert_int_equal(support_descriptor_count(), before);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_on_the_tests_own_file_system),
        cmocka_unit_test(test_on_ext4),
        cmocka_unit_test(test_on_xfs),
        cmocka_unit_test(test_on_btrfs),
        cmocka_unit_test(test_what_is_not_yet_allocated),
        cmocka_unit_test(test_an_empty_file),
        cmocka_unit_test(test_refusals_leave_the_outputs),
        cmocka_unit_test(test_nothing_leaks),
    };

    return run_test_list(list);
}
