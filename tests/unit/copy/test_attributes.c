/* SPDX-License-Identifier: MIT */
/* attributes - what a copy gets besides content, and what it says of what could not be had. */
#include "copying.h"

#include <sys/xattr.h>

static void set_times(const char *path, time_t accessed, time_t modified, long ns)
{
    const struct timespec times[2] = { { accessed, ns }, { modified, ns } };

    assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void assert_same_times(const char *a, const char *b)
{
    struct stat one = status_of(a), other = status_of(b);

    assert_true(one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec == other.st_mtim.tv_nsec);
}

static void test_archive(void **state)
{
    const char *source = support_file("source", 70000), *target = support_path("target");
    struct verso_copy_options options = with_flags(VERSO_COPY_ARCHIVE);
    char value[64];
    bool has_user_attributes = setxattr(source, "user.verso", "a\0b", 3, 0) == 0;

    (void)state;
    assert_int_equal(chmod(source, 0741), 0);
    set_times(source, 1000, 2000, 123456789);
    for (int i = 0; i < 3; i++) { /* new, replaced, in place */
        struct verso_copy_report report;

        options.flags |= i == 2 ? VERSO_COPY_IN_PLACE : 0U;
        report = copied(source, target, &options);
        assert_int_equal(report.lost, 0);
        assert_int_equal(status_of(target).st_mode & 07777, 0741);
        assert_same_times(source, target);
        if (has_user_attributes) {
            assert_int_equal(getxattr(target, "user.verso", value, sizeof(value)), 3);
            assert_memory_equal(value, "a\0b", 3);
        }
        set_times(source, 1000, 2000, 123456789);
    }
}

static void test_times_before_1970(void **state)
{
    const char *source = support_file("source", 10), *target = support_path("target");
    struct verso_copy_options options = with_flags(VERSO_COPY_TIMES);

    (void)state;
    set_times(source, -5, -5, 999999999);
    if (status_of(source).st_mtim.tv_sec != -5)
        skip_because("no times before 1970 on the test's file system");
    (void)copied(source, target, &options);
    assert_same_times(source, target);
}

/* A list as setfacl writes it: owner rw, user 12345 r, group none, mask r, others none (acl(5)). */
static bool give_list(const char *path)
{
    static const unsigned char list[] = {
        2, 0, 0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,   4,  0, 0x39, 0x30, 0,   0,   4,   0,
        0, 0, 255, 255, 255, 255, 16, 0, 4,   0,   255, 255, 255, 255, 32, 0, 0,    0,    255, 255, 255, 255,
    };

    return setxattr(path, "system.posix_acl_access", list, sizeof(list), 0) == 0;
}

static void test_an_access_control_list(void **state)
{
    const char *source = support_file("source", 10), *target = support_path("target");
    struct verso_copy_options options = with_flags(VERSO_COPY_MODE);
    char one[256], other[256];
    ssize_t bytes;

    (void)state;
    if (!give_list(source))
        skip_because("no access control lists on the test's file system");
    assert_int_equal(copied(source, target, &options).lost, 0);
    bytes = getxattr(source, "system.posix_acl_access", one, sizeof(one));
    assert_true(bytes > 0);
    assert_int_equal(getxattr(target, "system.posix_acl_access", other, sizeof(other)), bytes);
    assert_memory_equal(one, other, (size_t)bytes);
    /* A source without one takes it away again, in place too. */
    assert_int_equal(removexattr(source, "system.posix_acl_access"), 0);
    options.flags |= VERSO_COPY_IN_PLACE;
    (void)copied(source, target, &options);
    assert_true(getxattr(target, "system.posix_acl_access", other, sizeof(other)) < 0);
}

/* What a directory's default list gives to others, the source's owner may not have meant. */
static void test_a_default_list_does_not_widen(void **state)
{
    static const unsigned char list[] = {
        2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,   7,  0, 0x39, 0x30, 0,   0,   4,   0,
        0, 0, 255, 255, 255, 255, 16, 0, 7,   0,   255, 255, 255, 255, 32, 0, 0,    0,    255, 255, 255, 255,
    };
    const char *source = support_file("source", 10), *directory = support_path("d"), *target = support_path("d/target");
    struct verso_copy_options options = with_flags(VERSO_COPY_MODE);
    char value[256];

    (void)state;
    assert_int_equal(mkdir(directory, 0700), 0);
    if (setxattr(directory, "system.posix_acl_default", list, sizeof(list), 0) < 0)
        skip_because("no access control lists on the test's file system");
    assert_int_equal(chmod(source, 0640), 0);
    (void)copied(source, target, &options);
    assert_true(getxattr(target, "system.posix_acl_access", value, sizeof(value)) < 0);
    assert_int_equal(status_of(target).st_mode & 0777, 0640);
}

/* What stands in the place of a file is for those who had it, and for nobody else; so cp has it, writing into it. */
static void test_what_is_replaced_keeps_its_own(void **state)
{
    const char *source = support_file("source", 10), *target = support_file("target", 20);
    struct verso_copy_options options = with_flags(VERSO_COPY_XATTRS);
    char one[256], other[256];
    ssize_t bytes;

    (void)state;
    if (!give_list(target))
        skip_because("no access control lists on the test's file system");
    assert_int_equal(chmod(source, 0666), 0);
    assert_int_equal(setxattr(target, "user.target", "1", 1, 0), 0);
    assert_int_equal(setxattr(source, "user.source", "1", 1, 0), 0);
    bytes = getxattr(target, "system.posix_acl_access", one, sizeof(one));
    assert_int_equal(status_of(target).st_mode & 0777, 0640); /* the group has none, the list's mask is read */
    (void)copied(source, target, NULL);
    assert_int_equal(getxattr(target, "system.posix_acl_access", other, sizeof(other)), bytes);
    assert_memory_equal(one, other, (size_t)bytes);
    assert_int_equal(status_of(target).st_mode & 0777, 0640);
    assert_int_equal(getxattr(target, "user.target", other, sizeof(other)), 1);
    assert_int_equal(getxattr(target, "user.source", other, sizeof(other)), -1);
    (void)copied(source, target, &options); /* then they are the source's */
    assert_int_equal(getxattr(target, "user.target", other, sizeof(other)), -1);
    assert_int_equal(getxattr(target, "user.source", other, sizeof(other)), 1);
    assert_int_equal(getxattr(target, "system.posix_acl_access", other, sizeof(other)), bytes);
}

/* Powers were given to what was in it. */
static void test_powers_are_not_kept(void **state)
{
    static const unsigned char powers[20] = {
        1, 0, 0, 2, 0, 4
    }; /* cap_net_bind_service, permitted (capabilities(7)) */
    const char *source = support_file("source", 10), *target = support_file("target", 20);
    char value[64];

    (void)state;
    if (setxattr(target, "security.capability", powers, sizeof(powers), 0) < 0)
        skip_because("only root gives a file capabilities, where the file system has them");
    (void)copied(source, target, NULL);
    assert_int_equal(getxattr(target, "security.capability", value, sizeof(value)), -1);
    assert_int_equal(setxattr(target, "security.capability", powers, sizeof(powers), 0), 0);
    assert_int_equal(chmod(target, 06755), 0);
    (void)copied(source, target, NULL);
    assert_int_equal(status_of(target).st_mode & 07777, 0755);
}

static void test_owner(void **state)
{
    const char *source = support_file("source", 10), *target = support_path("target");
    struct verso_copy_options options = with_flags(VERSO_COPY_OWNER | VERSO_COPY_MODE);

    (void)state;
    if (!support_is_root())
        skip_because("only root gives files away");
    assert_int_equal(chown(source, 12345, 23456), 0);
    assert_int_equal(chmod(source, 06755), 0);
    assert_int_equal(copied(source, target, &options).lost, 0);
    assert_int_equal(status_of(target).st_uid, 12345);
    assert_int_equal(status_of(target).st_gid, 23456);
    assert_int_equal(status_of(target).st_mode & 07777, 06755);
    /* Without its owner a copy must not lend his rights. */
    assert_int_equal(unlink(target), 0);
    options.flags = VERSO_COPY_MODE;
    assert_int_equal(copied(source, target, &options).lost, VERSO_COPY_MODE);
    assert_int_equal(status_of(target).st_mode & 07777, 0755);
    /* A file that is replaced stays its owner's. */
    assert_int_equal(chown(target, 12345, 23456), 0);
    assert_int_equal(chmod(target, 0640), 0);
    (void)copied(source, target, NULL);
    assert_int_equal(status_of(target).st_uid, 12345);
    assert_int_equal(status_of(target).st_gid, 23456);
    assert_int_equal(status_of(target).st_mode & 07777, 0640);
}

static void test_of_directories_and_links(void **state)
{
    const char *one = support_path("one"), *two = support_path("two"), *a = support_path("a"), *b = support_path("b");
    unsigned lost = 77;
    int from, to;

    (void)state;
    assert_int_equal(mkdir(one, 0751), 0);
    assert_int_equal(mkdir(two, 0700), 0);
    set_times(one, 1000, 2000, 5);
    assert_ok(verso_copy_attributes_at(AT_FDCWD, one, AT_FDCWD, two, VERSO_COPY_ARCHIVE, &lost));
    assert_int_equal(lost, 0);
    assert_int_equal(status_of(two).st_mode & 07777, 0751);
    assert_same_times(one, two);
    from = open(one, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    to = open(two, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    set_times(one, 1000, 3000, 5);
    assert_ok(verso_copy_attributes_at(from, ".", to, ".", VERSO_COPY_TIMES, NULL));
    assert_same_times(one, two);
    close(from);
    close(to);
    assert_int_equal(symlink("nowhere", a), 0);
    assert_int_equal(symlink("elsewhere", b), 0);
    set_times(a, 1000, 2000, 7);
    assert_ok(verso_copy_attributes_at(AT_FDCWD, a, AT_FDCWD, b, VERSO_COPY_ARCHIVE, &lost));
    assert_same_times(a, b);
    assert_fails(verso_copy_attributes_at(AT_FDCWD, a, AT_FDCWD, support_path("no"), 0, NULL), -ENOENT);
    assert_fails(verso_copy_attributes_at(AT_FDCWD, a, AT_FDCWD, b, VERSO_COPY_DELTA, NULL), VERSO_E_OPTIONS);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_archive),
        fresh_test(test_times_before_1970),
        fresh_test(test_an_access_control_list),
        fresh_test(test_a_default_list_does_not_widen),
        fresh_test(test_what_is_replaced_keeps_its_own),
        fresh_test(test_powers_are_not_kept),
        fresh_test(test_owner),
        fresh_test(test_of_directories_and_links),
    };

    return run_test_list(list);
}
