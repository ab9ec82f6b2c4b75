/* SPDX-License-Identifier: MIT */
/* copy - every way gives the same bytes; nothing half is ever seen; what can't be is refused. */
#include "copying.h"

#include <limits.h>
#include <pthread.h>
#include <sys/wait.h>

static const unsigned methods[] = { VERSO_COPY_METHOD_AUTO, VERSO_COPY_METHOD_RANGE, VERSO_COPY_METHOD_SPLICE,
                                    VERSO_COPY_METHOD_MAPPED, VERSO_COPY_METHOD_READ };
#define METHODS (sizeof(methods) / sizeof(methods[0]))

static void test_every_size_by_every_method(void **state)
{
    const uint64_t page = verso_page_bytes();
    const uint64_t sizes[] = { 0, 1, page - 1, page, page + 1, 65536, 65537, 262144 - 1, 262145, (8 << 20) + 3 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const char *source = support_file("source", sizes[i]), *target = support_path("target");

        for (size_t m = 0; m < METHODS; m++)
            for (int in_place = 0; in_place < 2; in_place++) {
                struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
                struct verso_copy_report report;

                options.method = methods[m];
                options.flags = in_place ? VERSO_COPY_IN_PLACE : 0;
                report = copied(source, target, &options);
                assert_true(report.bytes == sizes[i]);
                assert_int_equal(name_count(), 2);
                if (m % 2)
                    assert_int_equal(unlink(target), 0);
            }
    }
}

static void test_a_shorter_and_a_longer_target_in_place(void **state)
{
    struct verso_copy_options options = with_flags(VERSO_COPY_IN_PLACE);
    const uint64_t sizes[] = { 1, 5000, 100000, 400000 };
    const char *source = support_file("source", 100000);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const char *target = support_file("target", sizes[i]);
        ino_t inode = status_of(target).st_ino;

        (void)copied(source, target, &options);
        assert_int_equal(status_of(target).st_ino, inode);
        assert_int_equal(status_of(target).st_size, 100000);
    }
}

static void test_replacing_is_in_one_step(void **state)
{
    const char *source = support_file("source", 70000), *target = support_file("target", 1000);
    int old = open(target, O_RDONLY | O_CLOEXEC);
    unsigned char bytes[1000];

    (void)state;
    assert_true(old >= 0);
    (void)copied(source, target, NULL);
    assert_int_equal(pread(old, bytes, sizeof(bytes), 0), sizeof(bytes)); /* who had it open goes on */
    assert_true(support_matches(bytes, 0, sizeof(bytes)));
    assert_int_equal(status_of(target).st_size, 70000);
    close(old);
}

static void test_no_replace(void **state)
{
    const uint64_t sizes[] = { 0, 100, 100000 }; /* of small ones the last call tells, of others the first */
    const char *target = support_path("target");

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct verso_copy_options options = with_flags(VERSO_COPY_NO_REPLACE | (i % 2 ? VERSO_COPY_DURABLE : 0U));
        const char *source = support_file("source", sizes[i / 2]);

        (void)copied(source, target, &options);
        assert_fails(verso_copy_file(source, target, &options, NULL), -EEXIST);
        assert_int_equal(unlink(target), 0);
        assert_int_equal(symlink("nowhere", target), 0); /* a link is there, too */
        assert_fails(verso_copy_file(source, target, &options, NULL), -EEXIST);
        assert_int_equal(name_count(), 2);
        assert_int_equal(unlink(target), 0);
    }
}

/* ---- Links ---- */

static void test_a_link_is_followed_and_stays(void **state)
{
    const char *source = support_file("source", 100), *link = support_path("link");
    struct verso_copy_options options = with_flags(VERSO_COPY_NOFOLLOW_TARGET);

    (void)state;
    assert_int_equal(mkdir(support_path("d"), 0700), 0);
    assert_int_equal(symlink("d/second", link), 0);
    assert_int_equal(symlink(support_path("end"), support_path("d/second")), 0);
    (void)copied(source, link, NULL); /* leads nowhere: is made */
    assert_true(S_ISLNK(status_of(link).st_mode));
    assert_true(S_ISREG(status_of(support_path("end")).st_mode));
    (void)copied(source, link, NULL); /* leads somewhere */
    options.flags = VERSO_COPY_IN_PLACE;
    (void)copied(source, link, &options);
    options.flags |= VERSO_COPY_NOFOLLOW_TARGET;
    assert_fails(verso_copy_file(source, link, &options, NULL), -ELOOP);
    options.flags = VERSO_COPY_NOFOLLOW_TARGET;
    (void)copied(source, link, &options);
    assert_true(S_ISREG(status_of(link).st_mode));
}

static void test_a_loop_of_links(void **state)
{
    const char *source = support_file("source", 100), *a = support_path("a"), *b = support_path("b");

    (void)state;
    assert_int_equal(symlink("b", a), 0);
    assert_int_equal(symlink("a", b), 0);
    assert_fails(verso_copy_file(source, a, NULL, NULL), -ELOOP);
    assert_fails(verso_copy_file(a, support_path("t"), NULL, NULL), -ELOOP);
}

static void test_a_source_that_is_a_link(void **state)
{
    struct verso_copy_options options = with_flags(VERSO_COPY_NOFOLLOW);
    const char *link = support_path("link");

    (void)state;
    (void)support_file("source", 100);
    assert_int_equal(symlink("source", link), 0);
    (void)copied(link, support_path("target"), NULL);
    assert_fails(verso_copy_file(link, support_path("target"), &options, NULL), -ELOOP);
}

static void test_a_file_onto_itself(void **state)
{
    const unsigned flags[] = { 0, VERSO_COPY_IN_PLACE, VERSO_COPY_DELTA };
    const char *source = support_file("source", 100), *hard = support_path("hard"), *soft = support_path("soft");

    (void)state;
    assert_int_equal(link(source, hard), 0);
    assert_int_equal(symlink("source", soft), 0);
    for (size_t i = 0; i < 3; i++) {
        struct verso_copy_options options = with_flags(flags[i]);

        assert_fails(verso_copy_file(source, source, &options, NULL), VERSO_E_SAME_FILE);
        assert_fails(verso_copy_file(source, hard, &options, NULL), VERSO_E_SAME_FILE);
        assert_fails(verso_copy_file(source, soft, &options, NULL), VERSO_E_SAME_FILE);
        assert_fails(verso_copy_file(soft, hard, &options, NULL), VERSO_E_SAME_FILE);
    }
    assert_int_equal(status_of(source).st_size, 100);
}

/* ---- Names ---- */

static void test_names_of_any_kind(void **state)
{
    char longest[256];
    const char *names[] = { "a\nb", " ", "\xff\xfe", "-", "..x", longest };

    (void)state;
    memset(longest, 'n', 255);
    longest[255] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct verso_copy_options options = with_flags(VERSO_COPY_RESUME);
        const char *source = support_file("source", 2000000), *target = support_path(names[i]);

        (void)copied(source, target, NULL);
        (void)copied(source, target, &options);
        assert_int_equal(name_count(), 2);
        assert_int_equal(unlink(target), 0);
    }
}

static void test_names_relative_to_directories(void **state)
{
    int from, to;

    (void)state;
    assert_int_equal(mkdir(support_path("from"), 0700), 0);
    assert_int_equal(mkdir(support_path("to"), 0700), 0);
    (void)support_file("from/source", 70000);
    from = open(support_path("from"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    to = open(support_path("to"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(from >= 0 && to >= 0);
    assert_ok(verso_copy_file_at(from, "source", to, "target", NULL, NULL));
    assert_same_content(support_path("from/source"), support_path("to/target"));
    assert_int_equal(symlink("../from/new", support_path("to/link")), 0);
    assert_ok(verso_copy_file_at(from, "source", to, "link", NULL, NULL)); /* from where the link lies */
    assert_same_content(support_path("from/source"), support_path("from/new"));
    close(from);
    close(to);
}

/* ---- Several at once ---- */

#define COPIERS 4
#define ROUNDS 30

struct copier {
    char source[PATH_MAX];
    char target[PATH_MAX];
};

static void *copy_again_and_again(void *arg)
{
    struct copier *copier = arg;

    for (int i = 0; i < ROUNDS; i++)
        if (verso_copy_file(copier->source, copier->target, NULL, NULL) < 0)
            return copier;
    return NULL;
}

/* Whoever is last wins, and wins whole. */
static void test_many_onto_one(void **state)
{
    struct copier copiers[COPIERS];
    pthread_t threads[COPIERS];
    void *failed;
    bool found = false;

    (void)state;
    for (unsigned i = 0; i < COPIERS; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "source%u", i);
        (void)snprintf(copiers[i].source, PATH_MAX, "%s", support_file(name, 100000 * (i + 1)));
        (void)snprintf(copiers[i].target, PATH_MAX, "%s", support_path("target"));
        assert_int_equal(pthread_create(&threads[i], NULL, copy_again_and_again, &copiers[i]), 0);
    }
    for (unsigned i = 0; i < COPIERS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (unsigned i = 0; i < COPIERS; i++)
        if (status_of(copiers[i].source).st_size == status_of(copiers[i].target).st_size) {
            found = true;
            assert_same_content(copiers[i].source, copiers[i].target);
        }
    assert_true(found);
    assert_int_equal(name_count(), COPIERS + 1);
}

/* ---- What can't be ---- */

static void test_directories_and_missing_names(void **state)
{
    const char *source = support_file("source", 100), *directory = support_directory();

    (void)state;
    assert_fails(verso_copy_file(directory, support_path("t"), NULL, NULL), -EISDIR);
    assert_fails(verso_copy_file(source, directory, NULL, NULL), -EISDIR);
    assert_fails(verso_copy_file(source, support_path("new/"), NULL, NULL), -EISDIR);
    assert_fails(verso_copy_file(support_path("no"), support_path("t"), NULL, NULL), -ENOENT);
    assert_fails(verso_copy_file(source, support_path("no/t"), NULL, NULL), -ENOENT);
    assert_fails(verso_copy_file(source, "", NULL, NULL), -ENOENT);
    assert_fails(verso_copy_file(NULL, source, NULL, NULL), -EINVAL);
    assert_int_equal(name_count(), 1);
}

static void test_a_device_is_not_replaced(void **state)
{
    const char *source = support_file("source", 100000), *fifo = support_path("fifo");
    struct verso_copy_options options = with_flags(VERSO_COPY_IN_PLACE), delta = with_flags(VERSO_COPY_DELTA),
                              verified = with_flags(VERSO_COPY_IN_PLACE | VERSO_COPY_VERIFY);
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

    (void)state;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_fails(verso_copy_file(source, fifo, NULL, NULL), VERSO_E_OPTIONS);
    assert_fails(verso_copy_file(source, "/dev/null", NULL, NULL), VERSO_E_OPTIONS);
    assert_fails(verso_copy_file(source, "/dev/null", &delta, NULL), VERSO_E_OPTIONS);
    assert_fails(verso_copy_file(source, "/dev/null", &verified, NULL), VERSO_E_OPTIONS);
    assert_ok(verso_copy_file(source, "/dev/null", &options, &report));
    assert_true(report.done_bytes == 100000);
    options.flags = VERSO_COPY_REGULAR;
    assert_fails(verso_copy_file(fifo, support_path("t"), &options, NULL), -EINVAL); /* and nobody waits */
}

static void test_options_that_contradict(void **state)
{
    const char *source = support_file("source", 100), *target = support_path("t");
    const struct verso_copy_options wrong[] = {
        { sizeof(wrong[0]), 1U << 31, 0, 0, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), 0, 3, 0, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), 0, 0, VERSO_COPY_METHOD_REFLINK, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), 0, 0, 6, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), 0, 0, 0, 3, 0, NULL, NULL },
        { sizeof(wrong[0]), 0, 0, 0, 0, 5, NULL, NULL },
        { sizeof(wrong[0]), VERSO_COPY_DELTA, 0, VERSO_COPY_METHOD_RANGE, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), 0, 0, VERSO_COPY_METHOD_SPLICE, 0, 1, NULL, NULL },
        { sizeof(wrong[0]), VERSO_COPY_DENSE, VERSO_COPY_REFLINK_ALWAYS, 0, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), 0, VERSO_COPY_REFLINK_ALWAYS, VERSO_COPY_METHOD_READ, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), VERSO_COPY_ACCEPT_CHANGED, VERSO_COPY_REFLINK_ALWAYS, 0, 0, 1, NULL, NULL },
        { sizeof(wrong[0]), VERSO_COPY_RESUME | VERSO_COPY_IN_PLACE, 0, 0, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), 0, VERSO_COPY_REFLINK_NEVER, VERSO_COPY_METHOD_RANGE, 0, 0, NULL, NULL },
        { sizeof(wrong[0]), VERSO_COPY_DENSE | VERSO_COPY_DIG_HOLES, 0, 0, 0, 0, NULL, NULL },
        { sizeof(size_t), 0, 0, 0, 0, 0, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_fails(verso_copy_file(source, target, &wrong[i], NULL), VERSO_E_OPTIONS);
    assert_int_equal(name_count(), 1);
}

/* ---- Permissions ---- */

static void test_permissions_of_new_and_replaced(void **state)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
    const char *source = support_file("source", 100), *target = support_path("target");
    mode_t before = umask(027);

    (void)state;
    assert_int_equal(chmod(source, 04755), 0);
    (void)copied(source, target, &options);
    assert_int_equal(status_of(target).st_mode & 07777, 0750);
    assert_int_equal(chmod(target, 0604), 0);
    (void)copied(source, target, &options);
    assert_int_equal(status_of(target).st_mode & 07777, 0604);
    options.flags = VERSO_COPY_IN_PLACE;
    (void)copied(source, target, &options);
    assert_int_equal(status_of(target).st_mode & 07777, 0604);
    options.flags = VERSO_COPY_MODE;
    (void)copied(source, target, &options);
    assert_int_equal(status_of(target).st_mode & 07777, 04755);
    umask(before);
}

/* ---- Pipes, and files that lie about their size ---- */

static void test_a_file_that_claims_to_be_empty(void **state)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
    const char *target = support_path("target");

    (void)state;
    for (unsigned digest = 0; digest < 2; digest++) {
        struct verso_copy_report report;

        options.digest = digest;
        report = copied("/proc/cpuinfo", target, &options);
        assert_true(report.bytes > 0);
        assert_int_equal(report.digest.bytes, digest ? 8 : 0);
    }
    if (access("/sys/kernel/uevent_seqnum", R_OK) == 0)
        assert_true(copied("/sys/kernel/uevent_seqnum", target, NULL).bytes < 100); /* claims a page */
}

struct writer {
    const char *fifo;
    const char *file;
};

static int copy_into(void *arg)
{
    const struct writer *writer = arg;
    struct verso_copy_options options = with_flags(VERSO_COPY_IN_PLACE);

    return verso_copy_file(writer->file, writer->fifo, &options, NULL) == 0 ? 0 : 1;
}

static void test_through_a_fifo(void **state)
{
    const unsigned ways[] = { VERSO_COPY_METHOD_AUTO, VERSO_COPY_METHOD_READ };
    const char *file = support_file("source", 1000003), *fifo = support_path("fifo"), *target = support_path("target");
    struct writer writer = { fifo, file };

    (void)state;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    for (size_t i = 0; i < 2; i++) {
        struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
        struct verso_copy_report report = VERSO_COPY_REPORT_INIT;
        pid_t child = fork();
        int status;

        if (child == 0)
            _exit(copy_into(&writer));
        options.method = ways[i];
        assert_ok(verso_copy_file(fifo, target, &options, &report));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_true(report.bytes == 1000003 && report.done_bytes == 1000003);
        assert_adds_up(&report);
        assert_same_content(file, target);
    }
}

static int give_up(const struct verso_copy_progress *progress, void *arg)
{
    unsigned *calls = arg;

    (void)progress;
    return ++*calls == 3;
}

/* A pipe whose writer says nothing: whoever is told meanwhile can end it. */
static void test_a_silent_pipe_can_be_left(void **state)
{
    const char *fifo = support_path("fifo"), *target = support_path("target");
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
    unsigned calls = 0;
    int writer;

    (void)state;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    writer = open(fifo, O_RDWR | O_CLOEXEC);
    assert_true(writer >= 0);
    options.progress = give_up;
    options.progress_arg = &calls;
    assert_fails(verso_copy_file(fifo, target, &options, NULL), VERSO_E_CANCELLED);
    assert_int_equal(name_count(), 1);
    close(writer);
}

/* ---- Progress ---- */

struct watched {
    unsigned calls;
    unsigned cancel_at; /* 0: never */
    uint64_t last;
};

static int watch(const struct verso_copy_progress *progress, void *arg)
{
    struct watched *watched = arg;

    watched->calls++;
    watched->last = progress->done_bytes;
    return watched->calls == watched->cancel_at;
}

static void test_progress_and_cancel(void **state)
{
    const uint64_t sizes[] = { 0, 10, 3000000 };
    const char *target = support_path("target");

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *source = support_file("source", sizes[i]);
        struct watched watched = { 0 };
        struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

        options.progress = watch;
        options.progress_arg = &watched;
        (void)copied(source, target, &options);
        assert_true(watched.calls >= 2);
        assert_true(watched.last == sizes[i]);
        assert_int_equal(unlink(target), 0);
        for (unsigned n = 1; n <= 2; n++) {
            watched = (struct watched){ .cancel_at = n };
            assert_fails(verso_copy_file(source, target, &options, NULL), VERSO_E_CANCELLED);
            assert_int_equal(name_count(), 1); /* nothing is left */
        }
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_every_size_by_every_method),
        fresh_test(test_a_shorter_and_a_longer_target_in_place),
        fresh_test(test_replacing_is_in_one_step),
        fresh_test(test_no_replace),
        fresh_test(test_a_link_is_followed_and_stays),
        fresh_test(test_a_loop_of_links),
        fresh_test(test_a_source_that_is_a_link),
        fresh_test(test_a_file_onto_itself),
        fresh_test(test_names_of_any_kind),
        fresh_test(test_names_relative_to_directories),
        fresh_test(test_many_onto_one),
        fresh_test(test_directories_and_missing_names),
        fresh_test(test_a_device_is_not_replaced),
        fresh_test(test_options_that_contradict),
        fresh_test(test_permissions_of_new_and_replaced),
        fresh_test(test_a_file_that_claims_to_be_empty),
        fresh_test(test_through_a_fifo),
        fresh_test(test_a_silent_pipe_can_be_left),
        fresh_test(test_progress_and_cancel),
    };

    return run_test_list(list);
}
