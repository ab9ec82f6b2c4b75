/* SPDX-License-Identifier: MIT */
/*
 * resume - a copy that was killed goes on where it was: the same bytes, and not all of them again.
 *
 * The rounds with kill -9: VERSO_COPY_ROUNDS (200 for the whole proof).
 */
#include "copying.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define MIB ((uint64_t)1 << 20)

static const struct verso_copy_options resuming = { .struct_bytes = sizeof(resuming),
                                                    .flags = VERSO_COPY_RESUME,
                                                    .reflink = VERSO_COPY_REFLINK_NEVER,
                                                    .digest = VERSO_DIGEST_XXH3_64 };

/* Goes on, and answers how much was there already. */
static uint64_t resumed(const char *source, const char *target)
{
    struct verso_copy_report report = copied(source, target, &resuming);

    assert_int_equal(report.digest.bytes, 8); /* and right, of the whole: copied() looks */
    assert_int_equal(name_count(), 2);
    return report.same_bytes;
}

static int stop_at(const struct verso_copy_progress *progress, void *arg)
{
    const uint64_t *bytes = arg;

    return progress->phase == VERSO_COPY_COPYING && progress->done_bytes >= *bytes;
}

/* Leaves a part of at least this much behind; when progress is told is not sure but at the end. */
static void leave_part(const char *source, const char *target, uint64_t bytes)
{
    struct verso_copy_options options = resuming;

    (void)unlink(target); /* of the case's last copy */
    options.progress = stop_at;
    options.progress_arg = &bytes;
    assert_fails(verso_copy_file(source, target, &options, NULL), VERSO_E_CANCELLED);
    assert_int_equal(name_count(), 3); /* the source, the part, the journal */
}

static void test_what_was_cancelled_goes_on(void **state)
{
    const char *source = support_file("source", 9 * MIB + 77), *target = support_path("target");

    (void)state;
    leave_part(source, target, 9 * MIB);
    assert_true(resumed(source, target) >= 8 * MIB);
    assert_true(resumed(source, target) == 0); /* it was over: now it is replaced */
}

static void test_small_files_have_no_journal(void **state)
{
    struct verso_copy_report report = copied(support_file("source", MIB - 1), support_path("target"), &resuming);

    (void)state;
    assert_true(report.copied_bytes == MIB - 1);
    assert_int_equal(name_count(), 2);
}

static void test_another_source_begins_anew(void **state)
{
    const char *source = support_file("source", 5 * MIB), *target = support_path("target");
    const struct timespec times[2] = { { 1000, 0 }, { 2000, 0 } };

    (void)state;
    leave_part(source, target, 5 * MIB);
    assert_int_equal(utimensat(AT_FDCWD, source, times, 0), 0);
    assert_true(resumed(source, target) == 0);
}

static void spoil(const char *name, off_t offset)
{
    int fd = open(support_path(name), O_RDWR | O_CLOEXEC);
    unsigned char byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void test_a_part_that_lost_bytes_is_not_believed(void **state)
{
    const char *source = support_file("source", 6 * MIB), *target = support_path("target");

    (void)state;
    leave_part(source, target, 6 * MIB);
    spoil(".target.verso-part", (off_t)(2 * MIB + 5));
    assert_true(resumed(source, target) == 5 * MIB);
    leave_part(source, target, 6 * MIB);
    assert_int_equal(truncate(support_path(".target.verso-part"), (off_t)(3 * MIB + 9)), 0);
    assert_true(resumed(source, target) == 3 * MIB);
    leave_part(source, target, 6 * MIB);
    assert_int_equal(unlink(support_path(".target.verso-part")), 0);
    assert_true(resumed(source, target) == 0);
}

static void test_a_torn_journal_counts_as_far_as_it_is_right(void **state)
{
    const char *source = support_file("source", 6 * MIB), *target = support_path("target");
    const char *journal = ".target.verso-journal";
    off_t records = 80, record = 32;

    (void)state;
    leave_part(source, target, 6 * MIB);
    assert_int_equal(status_of(support_path(journal)).st_size, records + 6 * record);
    assert_int_equal(truncate(support_path(journal), records + 3 * record + 5), 0);
    assert_true(resumed(source, target) == 3 * MIB);
    leave_part(source, target, 6 * MIB);
    spoil(journal, records + record + 17);
    assert_true(resumed(source, target) == MIB);
    leave_part(source, target, 6 * MIB);
    spoil(journal, 3);
    assert_true(resumed(source, target) == 0);
    leave_part(source, target, 6 * MIB);
    assert_int_equal(truncate(support_path(journal), 0), 0);
    assert_true(resumed(source, target) == 0);
}

/* What a part holds where the source has a hole must go. */
static void test_holes(void **state)
{
    const char *source = support_file("source", 6 * MIB), *target = support_path("target");
    int fd;

    (void)state;
    assert_int_equal(truncate(source, (off_t)(MIB + 5)), 0);
    assert_int_equal(truncate(source, (off_t)(6 * MIB)), 0);
    leave_part(source, target, 6 * MIB);
    fd = open(support_path(".target.verso-part"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "garbage", 7, (off_t)(4 * MIB)), 7);
    close(fd);
    (void)resumed(source, target);
}

static int again(const struct verso_copy_progress *progress, void *arg)
{
    const char *const *paths = arg;

    (void)progress;
    assert_fails(verso_copy_file(paths[0], paths[1], &resuming, NULL), -EBUSY);
    return 0;
}

static void test_two_at_once(void **state)
{
    const char *paths[2] = { support_file("source", 3 * MIB), support_path("target") };
    struct verso_copy_options options = resuming;

    (void)state;
    options.progress = again;
    options.progress_arg = paths;
    (void)copied(paths[0], paths[1], &options);
    assert_int_equal(name_count(), 2);
}

static void test_a_journal_that_is_not_ours(void **state)
{
    const char *source = support_file("source", 3 * MIB), *target = support_path("target");

    (void)state;
    assert_int_equal(symlink(source, support_path(".target.verso-journal")), 0);
    assert_fails(verso_copy_file(source, target, &resuming, NULL), -ELOOP);
    assert_int_equal(unlink(support_path(".target.verso-journal")), 0);
    assert_int_equal(link(source, support_path(".target.verso-part")), 0);
    assert_fails(verso_copy_file(source, target, &resuming, NULL), -EPERM);
    assert_true(support_is_root() || status_of(source).st_size == 3 * (off_t)MIB);
    assert_int_equal(status_of(source).st_size, 3 * MIB); /* untouched */
}

/* Somebody who wants to keep what an interrupted copy has left names it as a source. */
static void test_a_source_with_a_name_of_ours(void **state)
{
    const char *const names[] = { ".target.verso-part", ".target.verso-journal" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *source = support_file(names[i], 3 * MIB);

        assert_fails(verso_copy_file(source, support_path("target"), &resuming, NULL), VERSO_E_SAME_FILE);
        assert_int_equal(name_count(), 1);
        assert_same_content(source, support_file("other", 3 * MIB));
        assert_int_equal(unlink(support_path("other")) + unlink(source), 0);
    }
}

/* What is left of a killed copy is taken away, but not from under who wants to keep it. */
static void test_a_source_with_the_name_of_what_is_left(void **state)
{
    const struct verso_copy_options durable = with_flags(VERSO_COPY_DURABLE);
    const char *source = support_file(".target.verso-copy", MIB), *target = support_path("target");

    (void)state;
    (void)copied(source, target, NULL);
    (void)copied(source, target, NULL);
    (void)copied(source, target, &durable);
    assert_int_equal(name_count(), 2);
}

/* A part that others may read, and have open, is not filled with what they may not. */
static void test_a_part_is_for_whom_the_source_is(void **state)
{
    const char *source = support_file("source", 3 * MIB), *target = support_path("target");
    struct stat status;
    int other;

    (void)state;
    assert_int_equal(chmod(source, 0644), 0);
    leave_part(source, target, 3 * MIB);
    other = open(support_path(".target.verso-part"), O_RDONLY | O_CLOEXEC);
    assert_true(other >= 0);
    assert_int_equal(chmod(source, 0600), 0);
    assert_true(resumed(source, target) == 0);
    assert_int_equal(status_of(target).st_mode & 0777, 0600);
    assert_int_equal(fstat(other, &status), 0);
    assert_true(status.st_ino != status_of(target).st_ino);
    assert_int_equal(close(other), 0);
}

/* The same source, but for a target that fewer may read now. */
static void test_a_part_is_for_whom_the_target_is(void **state)
{
    const char *source = support_file("source", 3 * MIB), *target = support_path("target");

    (void)state;
    assert_int_equal(chmod(source, 0644), 0);
    leave_part(source, target, 3 * MIB);
    assert_int_equal(chmod(support_file("target", 10), 0600), 0);
    assert_true(resumed(source, target) == 0);
    assert_int_equal(status_of(target).st_mode & 0777, 0600);
}

/* ---- kill -9 ---- */

struct ends {
    const char *source;
    const char *target;
};

static int copy_on(void *arg)
{
    const struct ends *ends = arg;

    return verso_copy_file(ends->source, ends->target, &resuming, NULL) == 0 ? 0 : 1;
}

/* Kills a copy after a moment. */
static void kill_in_the_middle(struct ends *ends, uint64_t moment_ns)
{
    const struct timespec moment = { 0, (long)moment_ns };
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0)
        _exit(copy_on(ends));
    (void)nanosleep(&moment, NULL);
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void test_killed_at_any_moment(void **state)
{
    const char *wanted = getenv("VERSO_COPY_ROUNDS");
    unsigned rounds = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 25, taken_up = 0;
    struct ends ends = { support_file("source", 24 * MIB + 4321), support_path("target") };
    uint64_t random = 12345;

    (void)state;
    for (unsigned i = 0; i < rounds; i++) {
        struct verso_copy_report report;

        for (unsigned tries = 0; tries < 1 + i % 3; tries++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            kill_in_the_middle(&ends, (random >> 33) % 12000000);
        }
        report = copied(ends.source, ends.target, &resuming);
        taken_up += report.same_bytes > 0;
        assert_int_equal(name_count(), 2);
        assert_int_equal(unlink(ends.target), 0);
    }
    print_message("# %u rounds, %u of them went on with what was there\n", rounds, taken_up);
    assert_true(taken_up > 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_what_was_cancelled_goes_on),
        fresh_test(test_small_files_have_no_journal),
        fresh_test(test_another_source_begins_anew),
        fresh_test(test_a_part_that_lost_bytes_is_not_believed),
        fresh_test(test_a_torn_journal_counts_as_far_as_it_is_right),
        fresh_test(test_holes),
        fresh_test(test_two_at_once),
        fresh_test(test_a_journal_that_is_not_ours),
        fresh_test(test_a_source_with_a_name_of_ours),
        fresh_test(test_a_source_with_the_name_of_what_is_left),
        fresh_test(test_a_part_is_for_whom_the_source_is),
        fresh_test(test_a_part_is_for_whom_the_target_is),
        fresh_test(test_killed_at_any_moment),
    };

    return run_test_list(list);
}
