/* SPDX-License-Identifier: MIT */
/*
 * copy - copies with every call beneath failing in turn.
 *
 * What must hold after each failure: no temporary file is left, and a target that is to be replaced is the old one, or
 * the new one, whole.
 */
#include "torture.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso/copy.h>
#include <verso/guard.h>

#define BYTES ((uint64_t)300000)
#define LONG_BYTES ((uint64_t)1200000) /* worth a journal */
#define OLD_BYTES 1000

static uint64_t bytes_of(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (uint64_t)status.st_size : UINT64_MAX;
}

static void assert_nothing_left(void)
{
    DIR *directory = opendir(support_directory());
    struct dirent *entry;

    assert_non_null(directory);
    while ((entry = readdir(directory)))
        if (entry->d_name[0] == '.' && strlen(entry->d_name) > 2)
            /* Where taking it away was refused as well, it stays. */
            assert_true(torture_refusals() > 1 && remove(support_path(entry->d_name)) == 0);
    closedir(directory);
}

static void assert_copy(const char *path)
{
    unsigned char data[4096];
    FILE *file = fopen(path, "re");
    size_t n;

    assert_non_null(file);
    for (uint64_t at = 0; (n = fread(data, 1, sizeof(data), file)) > 0; at += n)
        assert_true(support_matches(data, at, n));
    (void)fclose(file);
    assert_true(bytes_of(path) == BYTES);
}

static void copy_as(const struct verso_copy_options *options)
{
    const char *source = support_file("source", BYTES), *target = support_file("target", OLD_BYTES);
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;
    bool in_place = (options->flags & (VERSO_COPY_IN_PLACE | VERSO_COPY_DELTA)) != 0;

    attempt(verso_copy_file(source, target, options, &report))
    {
        assert_nothing_left();
        if (!in_place && bytes_of(target) != OLD_BYTES)
            assert_copy(target); /* it failed after the name was given: when that was to be made durable */
    }
    assert_copy(target);
    assert_nothing_left();
}

static void plainly(void)
{
    const struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    copy_as(&options);
}

static void by_reading(void)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    options.method = VERSO_COPY_METHOD_READ;
    options.digest = VERSO_DIGEST_XXH3_64;
    copy_as(&options);
}

static void durably_verified(void)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    options.flags = VERSO_COPY_DURABLE | VERSO_COPY_VERIFY;
    copy_as(&options);
}

static void with_attributes(void)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    options.flags = VERSO_COPY_ARCHIVE;
    copy_as(&options);
}

static void leaving_no_trace(void)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    options.cache = VERSO_COPY_CACHE_NEUTRAL;
    copy_as(&options);
}

/* What is left after a failure is what the next try goes on with. */
static void resuming(void)
{
    const char *source = support_file("long", LONG_BYTES), *target = support_path("resumed");
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

    options.flags = VERSO_COPY_RESUME;
    options.reflink = VERSO_COPY_REFLINK_NEVER;
    options.digest = VERSO_DIGEST_XXH3_64;
    (void)remove(target);
    attempt(verso_copy_file(source, target, &options, &report)) assert_true(bytes_of(target) == UINT64_MAX);
    assert_true(bytes_of(target) == LONG_BYTES);
    if (torture_refusals() == 0)
        assert_nothing_left();
    else /* a name that could not be taken away is no failure of the copy */
        (void)remove(support_path(".resumed.verso-journal"));
    assert_nothing_left();
}

/* The guard is none of what is tried here. */
static void in_place_by_delta(void)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    options.flags = VERSO_COPY_DELTA | VERSO_COPY_DIG_HOLES;
    options.digest = VERSO_DIGEST_XXH3_64;
    attempt(verso_guard_install()) continue;
    copy_as(&options);
    (void)verso_guard_remove(); /* where it is refused, it says that another handler stands over ours */
}

static void attributes_alone(void)
{
    const char *source = support_file("source", 1), *target = support_file("target", 1);
    unsigned lost = 77;

    attempt(verso_copy_attributes_at(-100, source, -100, target, VERSO_COPY_ARCHIVE, &lost)) assert_int_equal(lost, 77);
    assert_int_equal(lost & ~(unsigned)VERSO_COPY_ARCHIVE, 0);
}

/* The list of ranges that the guard watches is made with the first map, and kept. */
static void map_once(void)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;

    options.method = VERSO_COPY_METHOD_MAPPED;
    copy_as(&options);
}

static void test_plainly(void **state)
{
    (void)state;
    map_once();
    torture(plainly);
}

static void test_by_reading(void **state)
{
    (void)state;
    torture(by_reading);
}

static void test_durably_verified(void **state)
{
    (void)state;
    torture(durably_verified);
}

static void test_with_attributes(void **state)
{
    (void)state;
    torture(with_attributes);
}

static void test_leaving_no_trace(void **state)
{
    (void)state;
    torture(leaving_no_trace);
}

static void test_resuming(void **state)
{
    (void)state;
    torture(resuming);
}

static void test_in_place_by_delta(void **state)
{
    (void)state;
    torture(in_place_by_delta);
}

static void test_attributes_alone(void **state)
{
    (void)state;
    torture(attributes_alone);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_plainly),          torture_test(test_by_reading),        torture_test(test_durably_verified),
        torture_test(test_with_attributes),  torture_test(test_in_place_by_delta), torture_test(test_attributes_alone),
        torture_test(test_leaving_no_trace), torture_test(test_resuming),
    };

    return run_test_list(list);
}
