/* SPDX-License-Identifier: MIT */
/* temporary - what a copy is until it is whole: nothing of a killed one stays, or the next one takes it away. */
#include "copying.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define BYTES ((uint64_t)300000)
#define OLD_BYTES 1000

/* DURABLE has its file named from the start, as has any copy where the file system knows no others. */
static const unsigned ways[] = { 0, VERSO_COPY_DURABLE };

static const char *left_behind(void)
{
    return support_path(".target.verso-copy");
}

static bool has_unnamed_files(void)
{
    int fd = open(support_directory(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* ---- Killed ---- */

static int die(const struct verso_copy_progress *progress, void *arg)
{
    (void)arg;
    return progress->done_bytes > 0 ? raise(SIGKILL) : 0;
}

/* Copies in a child that is killed when the bytes are there and the name is not. */
static void killed_copy(unsigned flags)
{
    struct verso_copy_options options = with_flags(flags);
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        options.progress = die;
        _exit(verso_copy_file(support_path("source"), support_path("target"), &options, NULL) == 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_killed_it_leaves_nothing(void **state)
{
    (void)state;
    if (!has_unnamed_files())
        skip_because("no files without names on the test's file system");
    (void)support_file("source", BYTES);
    killed_copy(0);
    assert_int_equal(name_count(), 1);
    (void)support_file("target", OLD_BYTES);
    killed_copy(0);
    assert_int_equal(name_count(), 2);
    assert_int_equal(status_of(support_path("target")).st_size, OLD_BYTES);
}

static void test_what_a_killed_one_left_goes_with_the_next(void **state)
{
    const char *source = support_file("source", BYTES), *target = support_path("target");

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct verso_copy_options options = with_flags(ways[i % 2]);

        if (i >= 2) /* what is there already is replaced */
            target = support_file("target", OLD_BYTES);
        killed_copy(VERSO_COPY_DURABLE);
        assert_int_equal(status_of(left_behind()).st_size, BYTES);
        if (i == 0)
            options.flags = VERSO_COPY_DURABLE; /* without a name, a new target never meets it */
        (void)copied(source, target, &options);
        assert_int_equal(name_count(), 2);
        assert_int_equal(unlink(target), 0);
    }
}

/* ---- What must stay ---- */

static void assert_stays(unsigned way)
{
    struct verso_copy_options options = with_flags(ways[way]);
    struct stat before = status_of(left_behind()), after;

    (void)copied(support_path("source"), support_file("target", OLD_BYTES), &options);
    after = status_of(left_behind());
    assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
    assert_int_equal(unlink(support_path("target")), 0);
}

static void test_what_is_in_work_stays(void **state)
{
    int fd;

    (void)state;
    (void)support_file("source", BYTES);
    fd = open(support_file(".target.verso-copy", 10), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    for (unsigned way = 0; way < 2; way++)
        assert_stays(way);
    assert_int_equal(name_count(), 2);
    close(fd);
}

static void test_what_is_not_ours_stays(void **state)
{
    (void)state;
    (void)support_file("source", BYTES);
    for (unsigned way = 0; way < 2; way++) {
        assert_int_equal(symlink("source", left_behind()), 0);
        assert_stays(way);
        assert_int_equal(unlink(left_behind()), 0);
        assert_int_equal(mkfifo(left_behind(), 0600), 0);
        assert_stays(way);
        assert_int_equal(unlink(left_behind()), 0);
        assert_int_equal(link(support_file("other", 10), left_behind()), 0);
        assert_stays(way);
        assert_int_equal(unlink(left_behind()), 0);
    }
}

/* Somebody copies what was left, to save it. */
static void test_the_source_stays(void **state)
{
    const char *source = support_file(".target.verso-copy", BYTES), *target = support_file("target", OLD_BYTES);

    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        struct verso_copy_options options = with_flags(ways[way]);

        (void)copied(source, target, &options); /* compares them */
        assert_int_equal(name_count(), 2);
    }
}

static void test_what_is_another_user_s_stays(void **state)
{
    (void)state;
    if (!support_is_root())
        skip_because("only root gives files away");
    (void)support_file("source", BYTES);
    assert_int_equal(chown(support_file(".target.verso-copy", 10), 12345, 12345), 0);
    for (unsigned way = 0; way < 2; way++)
        assert_stays(way);
}

/* ---- Two at once ---- */

/* In the middle of one copy, others to the same target begin and end. */
static int copy_others(const struct verso_copy_progress *progress, void *arg)
{
    unsigned *left = arg;

    while (progress->done_bytes > 0 && *left > 0) {
        struct verso_copy_options options = with_flags(ways[--*left]);

        assert_ok(verso_copy_file(support_path("other"), support_path("target"), &options, NULL));
    }
    return 0;
}

static void test_two_at_once(void **state)
{
    const char *source = support_file("source", BYTES), *target = support_path("target");

    (void)state;
    (void)support_file("other", BYTES / 2);
    for (unsigned way = 0; way < 2; way++) {
        struct verso_copy_options options = with_flags(ways[way]);
        unsigned left = 2;

        options.progress = copy_others;
        options.progress_arg = &left;
        (void)copied(source, target, &options);
        assert_int_equal(left, 0);
        assert_int_equal(name_count(), 3);
        assert_int_equal(unlink(target), 0);
        options.flags |= VERSO_COPY_NO_REPLACE; /* the other was faster */
        left = 2;
        assert_fails(verso_copy_file(source, target, &options, NULL), -EEXIST);
        assert_int_equal(status_of(target).st_size, BYTES / 2);
        assert_int_equal(name_count(), 3);
        assert_int_equal(unlink(target), 0);
    }
}

/* ---- As any other new file ---- */

static void assert_made_as_by_open(const char *directory, const char *source)
{
    char plain[4200], ours[4200], wanted[256], got[256];
    ssize_t bytes;
    int fd;

    (void)snprintf(plain, sizeof(plain), "%s/plain", directory);
    (void)snprintf(ours, sizeof(ours), "%s/ours", directory);
    fd = open(plain, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, status_of(source).st_mode & 0777);
    assert_true(fd >= 0);
    close(fd);
    (void)copied(source, ours, NULL);
    assert_int_equal(status_of(ours).st_mode, status_of(plain).st_mode);
    assert_int_equal(status_of(ours).st_gid, status_of(plain).st_gid);
    bytes = getxattr(plain, "system.posix_acl_access", wanted, sizeof(wanted));
    assert_int_equal(getxattr(ours, "system.posix_acl_access", got, sizeof(got)), bytes);
    if (bytes > 0)
        assert_memory_equal(got, wanted, (size_t)bytes);
    assert_int_equal(unlink(plain), 0);
    assert_int_equal(unlink(ours), 0);
}

/* user::rwx, user:12345:rwx, group::r-x, mask::rwx, other::--- (acl(5)) */
static void test_permissions_are_those_of_a_new_file(void **state)
{
    static const unsigned char list[] = {
        2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,   7,  0, 0x39, 0x30, 0,   0,   4,   0,
        5, 0, 255, 255, 255, 255, 16, 0, 7,   0,   255, 255, 255, 255, 32, 0, 0,    0,    255, 255, 255, 255,
    };
    const char *source = support_file("source", BYTES), *directory = support_path("d");
    mode_t before = umask(027);

    (void)state;
    assert_int_equal(mkdir(directory, 0770), 0);
    assert_int_equal(chmod(source, 0666), 0);
    assert_made_as_by_open(directory, source);
    assert_int_equal(chmod(directory, 02770), 0); /* its group goes on to what is made in it */
    assert_made_as_by_open(directory, source);
    if (setxattr(directory, "system.posix_acl_default", list, sizeof(list), 0) == 0)
        assert_made_as_by_open(directory, source);
    (void)umask(before);
}

static int copy_without_power(void *arg)
{
    (void)arg;
    if (support_is_root() && (setgid(65534) < 0 || setuid(65534) < 0))
        return 1;
    if (verso_copy_file(support_path("source"), support_path("d/target"), NULL, NULL) < 0)
        return 2;
    return 0;
}

static void test_an_ordinary_user(void **state)
{
    const char *source = support_file("source", BYTES), *directory = support_path("d");

    (void)state;
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(chmod(directory, 0777), 0);
    assert_int_equal(chmod(source, 0644), 0);
    assert_int_equal(chmod(support_directory(), 0755), 0);
    assert_int_equal(support_child(copy_without_power, NULL), 0);
    assert_same_content(source, support_path("d/target"));
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_killed_it_leaves_nothing),
        fresh_test(test_what_a_killed_one_left_goes_with_the_next),
        fresh_test(test_what_is_in_work_stays),
        fresh_test(test_what_is_not_ours_stays),
        fresh_test(test_the_source_stays),
        fresh_test(test_what_is_another_user_s_stays),
        fresh_test(test_two_at_once),
        fresh_test(test_permissions_are_those_of_a_new_file),
        fresh_test(test_an_ordinary_user),
    };

    return run_test_list(list);
}
