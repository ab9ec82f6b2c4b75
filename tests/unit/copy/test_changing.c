/* SPDX-License-Identifier: MIT */
/* changing - a source that changes while it is copied, and a target that does not keep what it was given. */
#include "copying.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define BYTES ((uint64_t)3 << 20)

enum change {
    GROW,
    CUT,
    STORE,
    REPLACE,
    SPOIL_TARGET
};

struct plot {
    const char *source;
    unsigned phase; /* in which it happens, when it begins */
    enum change change;
    bool done;
    uint64_t bytes; /* of the source */
};

static void store_one(const char *path, uint64_t offset)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)offset), 1);
    assert_int_equal(close(fd), 0);
}

static int act(const struct verso_copy_progress *progress, void *arg)
{
    struct plot *plot = arg;

    if (plot->done || progress->phase != plot->phase)
        return 0;
    plot->done = true;
    switch (plot->change) {
    case GROW:
        assert_int_equal(truncate(plot->source, BYTES + 1), 0);
        break;
    case CUT:
        assert_int_equal(truncate(plot->source, (off_t)(plot->bytes / 2 + 7)), 0);
        break;
    case STORE:
        store_one(plot->source, 5);
        break;
    case REPLACE:
        assert_int_equal(rename(support_file("other", 10), plot->source), 0);
        break;
    case SPOIL_TARGET:
        store_one(support_path(".target.verso-copy"), BYTES / 2); /* DURABLE: it has a name */
        break;
    }
    return 0;
}

static int copy_with(struct plot *plot, unsigned flags, unsigned method, struct verso_copy_report *out_report)
{
    struct verso_copy_options options = with_flags(flags);

    options.progress = act;
    options.progress_arg = plot;
    options.method = method;
    plot->done = false;
    return verso_copy_file(plot->source, support_path("target"), &options, out_report);
}

static void test_a_change_is_told(void **state)
{
    const enum change changes[] = { GROW, STORE, REPLACE };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct plot plot = { support_file("source", BYTES), VERSO_COPY_COPYING, changes[i], false, BYTES };
        struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

        assert_fails(copy_with(&plot, 0, 0, &report), VERSO_E_CHANGED);
        assert_int_equal(report.changed, 1);
        assert_true(report.done_bytes == BYTES); /* not one byte more, however it grows */
        assert_int_equal(name_count(), 1);
        plot.source = support_file("source", BYTES);
        assert_ok(copy_with(&plot, VERSO_COPY_ACCEPT_CHANGED, 0, &report));
        assert_int_equal(report.changed, 1);
        assert_int_equal(status_of(support_path("target")).st_size, BYTES);
        assert_int_equal(unlink(support_path("target")), 0);
    }
}

/* Of a long file the new end is met when its extents are looked for, of a short one when its bytes are. */
static void cut_short(uint64_t bytes, unsigned method, bool looks, bool guarded)
{
    struct plot plot = { support_file("source", bytes), VERSO_COPY_COPYING, CUT, false, bytes };
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

    if (guarded)
        assert_ok(verso_guard_install());
    assert_fails(copy_with(&plot, looks ? VERSO_COPY_VERIFY : 0, method, &report), VERSO_E_TORN);
    assert_true(verso_error_last()->offset_bytes == bytes / 2 + 7);
    assert_string_equal(verso_error_last()->path, plot.source);
    assert_adds_up(&report);
    if (report.reflinked_bytes == 0) /* else all of it was there before the cut, which looking met */
        assert_true(report.done_bytes <= bytes / 2 + 7);
    assert_int_equal(name_count(), 1);
    if (guarded)
        assert_ok(verso_guard_remove());
}

static void test_a_source_cut_short(void **state)
{
    const unsigned methods[] = { VERSO_COPY_METHOD_RANGE, VERSO_COPY_METHOD_MAPPED, VERSO_COPY_METHOD_READ };
    const uint64_t sizes[] = { 60000, BYTES };

    (void)state;
    for (unsigned way = 0; way < 24; way++) {
        unsigned method = methods[way % 3];
        bool looks = way / 3 % 2 && method != VERSO_COPY_METHOD_RANGE;

        cut_short(sizes[way / 6 % 2], method, looks, way / 12 % 2);
    }
}

/* A fault could not be told then, and would end the process. */
static void test_a_source_cut_short_while_faults_are_blocked(void **state)
{
    sigset_t bus, before;

    (void)state;
    assert_int_equal(sigemptyset(&bus) + sigaddset(&bus, SIGBUS), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &bus, &before), 0);
    cut_short(BYTES, VERSO_COPY_METHOD_AUTO, true, true);
    cut_short(BYTES, VERSO_COPY_METHOD_MAPPED, true, true);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

struct storing {
    int fd; /* of the source */
    atomic_bool is_over;
};

static void *store_all_the_time(void *arg)
{
    struct storing *storing = arg;

    for (uint64_t i = 1; !atomic_load(&storing->is_over); i++)
        if (pwrite(storing->fd, &i, sizeof(i), (off_t)(i * 7919 % BYTES)) < 0)
            break;
    return NULL;
}

/* What the checksum is of is what was stored, though it changes between any two looks. */
static void test_a_checksum_is_of_the_copy(void **state)
{
    const char *source = support_file("source", BYTES + sizeof(uint64_t));
    struct storing storing;
    struct verso_copy_options options = with_flags(VERSO_COPY_ACCEPT_CHANGED);
    pthread_t thread;

    (void)state;
    storing.fd = open(source, O_WRONLY | O_CLOEXEC);
    atomic_init(&storing.is_over, false);
    assert_true(storing.fd >= 0);
    assert_ok(verso_guard_install());
    assert_int_equal(pthread_create(&thread, NULL, store_all_the_time, &storing), 0);
    options.digest = VERSO_DIGEST_XXH3_64;
    for (unsigned i = 0; i < 60; i++) {
        struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

        options.method = i % 2 ? VERSO_COPY_METHOD_MAPPED : VERSO_COPY_METHOD_AUTO;
        options.flags = VERSO_COPY_ACCEPT_CHANGED | (i % 3 ? 0U : VERSO_COPY_VERIFY);
        assert_ok(verso_copy_file(support_path("source"), support_path("target"), &options, &report));
        assert_digest_of(support_path("target"), &report.digest);
    }
    atomic_store(&storing.is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(close(storing.fd), 0);
    assert_ok(verso_guard_remove());
}

static void test_what_comes_back_is_compared(void **state)
{
    struct plot plot = { support_file("source", BYTES), VERSO_COPY_VERIFYING, SPOIL_TARGET, false, BYTES };
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

    (void)state;
    assert_fails(copy_with(&plot, VERSO_COPY_VERIFY | VERSO_COPY_DURABLE, 0, &report), VERSO_E_VERIFY);
    assert_int_equal(report.verified, VERSO_COPY_NOT_VERIFIED);
    assert_int_equal(name_count(), 1);
    plot.phase = 77; /* never */
    assert_ok(copy_with(&plot, VERSO_COPY_VERIFY, 0, &report));
    assert_int_not_equal(report.verified, VERSO_COPY_NOT_VERIFIED);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_a_change_is_told),
        fresh_test(test_a_source_cut_short),
        fresh_test(test_a_source_cut_short_while_faults_are_blocked),
        fresh_test(test_a_checksum_is_of_the_copy),
        fresh_test(test_what_comes_back_is_compared),
    };

    return run_test_list(list);
}
