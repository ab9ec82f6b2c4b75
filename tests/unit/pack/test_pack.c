/* SPDX-License-Identifier: MIT */
/* pack - many files in one call: order, ends, errors one by one, limits, and how few mappings it takes. */
#include "support.h"

#include "leases.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/pack.h>

#define MANY 3000

static struct verso_pack_entry entry_of(const struct verso_pack *pack, size_t index)
{
    struct verso_pack_entry entry;

    assert_ok(verso_pack_entry(pack, index, &entry));
    return entry;
}

static struct verso_pack_totals totals_of(const struct verso_pack *pack)
{
    struct verso_pack_totals totals = VERSO_PACK_TOTALS_INIT;

    assert_ok(verso_pack_totals(pack, &totals));
    return totals;
}

/* MANY files whose sizes cross page and cache-line borders; the caller frees the names. */
static char **make_many(void)
{
    char **paths = calloc(MANY, sizeof(*paths));
    char name[32];

    assert_non_null(paths);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "many-%zu", i);
        paths[i] = strdup(support_file(name, i * 7 % 9000));
        assert_non_null(paths[i]);
    }
    return paths;
}

static void free_many(char **paths)
{
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(unlink(paths[i]), 0);
        free(paths[i]);
    }
    free(paths);
}

static void check_many(const struct verso_pack *pack)
{
    assert_int_equal(verso_pack_count(pack), MANY);
    for (size_t i = 0; i < MANY; i++) {
        struct verso_pack_entry entry = entry_of(pack, i);

        assert_int_equal(entry.error, 0);
        assert_int_equal(entry.bytes, i * 7 % 9000);
        assert_true(support_matches(entry.data, 0, entry.bytes));
        assert_int_equal(entry.terminated, 1);
        assert_int_equal(((const char *)entry.data)[entry.bytes], 0);
        assert_int_equal((uintptr_t)entry.data % 64, 0);
    }
}

static void many_files(unsigned thread_count)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    char **paths = make_many();
    size_t mappings = support_mapping_count(), descriptors = support_descriptor_count();
    struct verso_pack *pack;

    options.thread_count = thread_count;
    assert_ok(verso_pack_open((const char *const *)paths, MANY, &options, &pack));
    check_many(pack);
    assert_int_equal(totals_of(pack).mapping_count, 0);
    if (thread_count == 1) /* threads leave stacks cached in libc */
        assert_true(support_mapping_count() <= mappings + 2);
    assert_int_equal(support_descriptor_count(), descriptors);
    verso_pack_close(pack);
    if (thread_count == 1)
        assert_true(support_mapping_count() <= mappings + 1); /* the heap may have grown */
    free_many(paths);
}

static void test_thousands_take_one_mapping(void **state)
{
    (void)state;
    many_files(1);
}

static void test_threads_read_the_same(void **state)
{
    (void)state;
    many_files(4);
}

static void test_nothing_is_an_empty_pack(void **state)
{
    struct verso_pack *pack;
    struct verso_pack_entry entry;

    (void)state;
    assert_ok(verso_pack_open(NULL, 0, NULL, &pack));
    assert_int_equal(verso_pack_count(pack), 0);
    assert_fails(verso_pack_entry(pack, 0, &entry), VERSO_E_RANGE);
    assert_int_equal(totals_of(pack).span_bytes, 0);
    verso_pack_close(pack);
    verso_pack_close(NULL);
}

static void test_each_file_has_its_own_error(void **state)
{
    const char *file = support_file("good", 100), *none = support_path("none"), *fifo = support_path("fifo");
    const char *loop = support_path("loop"), *empty = support_file("empty", 0);
    const char *paths[] = { none, file, support_directory(), fifo, loop, empty, file };
    struct verso_pack *pack;

    (void)state;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink(loop, loop), 0);
    assert_ok(verso_pack_open(paths, 7, NULL, &pack));
    assert_int_equal(entry_of(pack, 0).error, -ENOENT);
    assert_int_equal(entry_of(pack, 1).error, 0);
    assert_int_equal(entry_of(pack, 2).error, -EISDIR);
    assert_int_equal(entry_of(pack, 3).error, -ENODEV);
    assert_int_equal(entry_of(pack, 4).error, -ELOOP);
    assert_int_equal(entry_of(pack, 5).error, 0);
    assert_int_equal(entry_of(pack, 5).bytes, 0);
    assert_non_null(entry_of(pack, 5).data);
    assert_true(support_matches(entry_of(pack, 6).data, 0, 100));
    assert_int_equal(totals_of(pack).failed_count, 4);
    assert_int_equal(totals_of(pack).read_bytes, 200);
    verso_pack_close(pack);
}

static void test_strict_fails_with_the_first(void **state)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    const char *paths[] = { support_file("strict", 10), support_path("absent"), support_directory() };
    struct verso_pack *pack = (void *)1;

    (void)state;
    options.flags = VERSO_PACK_STRICT;
    assert_fails(verso_pack_open(paths, 3, &options, &pack), -ENOENT);
    assert_string_equal(verso_error_last()->path, paths[1]);
    assert_ptr_equal(pack, (void *)1);
}

static void test_symbolic_links_are_followed_unless_refused(void **state)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    const char *link = support_path("link");
    struct verso_pack *pack;

    (void)state;
    assert_int_equal(symlink(support_file("linked", 5), link), 0);
    assert_ok(verso_pack_open(&link, 1, NULL, &pack));
    assert_int_equal(entry_of(pack, 0).bytes, 5);
    verso_pack_close(pack);
    options.flags = VERSO_PACK_NOFOLLOW;
    assert_ok(verso_pack_open(&link, 1, &options, &pack));
    assert_int_equal(entry_of(pack, 0).error, -ELOOP);
    verso_pack_close(pack);
}

static void test_the_largest_are_mapped_the_rest_read(void **state)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    const char *paths[] = { support_file("l1", 50000), support_file("l2", 70001), support_file("l3", 60000),
                            support_file("s", 49999) };
    size_t mappings;
    struct verso_pack *pack;

    (void)state;
    options.map_above_bytes = 50000;
    options.mapping_count_max = 2;
    mappings = support_mapping_count();
    assert_ok(verso_pack_open(paths, 4, &options, &pack));
    assert_int_equal(entry_of(pack, 0).mapped, 0);
    assert_int_equal(entry_of(pack, 1).mapped, 1);
    assert_int_equal(entry_of(pack, 2).mapped, 1);
    assert_int_equal(entry_of(pack, 3).mapped, 0);
    assert_int_equal(entry_of(pack, 1).terminated, 0);
    for (size_t i = 0; i < 4; i++)
        assert_true(support_matches(entry_of(pack, i).data, 0, entry_of(pack, i).bytes));
    assert_int_equal(totals_of(pack).mapping_count, 2);
    assert_int_equal(totals_of(pack).mapped_bytes, 130001);
    assert_int_equal(totals_of(pack).read_bytes, 99999);
    verso_pack_close(pack);
    assert_true(support_mapping_count() <= mappings + 1);
}

static void test_files_without_a_size_are_read_to_their_end(void **state)
{
    const char *paths[] = { "/proc/self/status", "/proc/self/maps", "/sys/kernel/mm/transparent_hugepage/enabled" };
    struct verso_pack *pack;

    (void)state;
    assert_ok(verso_pack_open(paths, 3, NULL, &pack));
    assert_non_null(strstr(entry_of(pack, 0).data, "VmPeak"));
    assert_non_null(strstr(entry_of(pack, 1).data, "[stack]"));
    if (entry_of(pack, 2).error == 0) {
        assert_true(entry_of(pack, 2).bytes > 0 && entry_of(pack, 2).bytes < 200);
        assert_int_equal(strlen(entry_of(pack, 2).data), entry_of(pack, 2).bytes);
    }
    verso_pack_close(pack);
}

static void test_the_limit_is_the_sum_of_what_is_read(void **state)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    const char *paths[] = { support_file("h1", 600), support_file("h2", 400) };
    struct verso_pack *pack = (void *)1;
    size_t mappings = support_mapping_count();

    (void)state;
    options.read_bytes_max = 1000;
    assert_ok(verso_pack_open(paths, 2, &options, &pack));
    verso_pack_close(pack);
    pack = (void *)1;
    options.read_bytes_max = 999;
    assert_fails(verso_pack_open(paths, 2, &options, &pack), VERSO_E_TOO_LARGE);
    assert_ptr_equal(pack, (void *)1);
    paths[0] = "/proc/self/status"; /* grows past the limit while being read */
    options.read_bytes_max = 400;
    assert_ok(verso_pack_open(paths, 1, &options, &pack));
    assert_int_equal(entry_of(pack, 0).error, VERSO_E_TOO_LARGE);
    verso_pack_close(pack);
    assert_true(support_mapping_count() <= mappings + 1);
}

static int store_into_pack(void *arg)
{
    signal(SIGSEGV, SIG_DFL); /* cmocka catches it to report a crash; this one is wanted */
    *(volatile char *)arg = 1;
    return 0;
}

static void test_the_pack_is_read_only(void **state)
{
    const char *path = support_file("const", 10);
    struct verso_pack *pack;
    struct verso_pack_entry entry;
    int status;

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("the sanitizer reports the fault we want to die of");
    assert_ok(verso_pack_open(&path, 1, NULL, &pack));
    entry = entry_of(pack, 0);
    status = support_child(store_into_pack, (void *)(uintptr_t)entry.data);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    verso_pack_close(pack);
}

static void test_wrong_arguments(void **state)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    const char *path = support_file("any", 1), *hole[] = { path, NULL };
    struct verso_pack *pack = (void *)1;

    (void)state;
    assert_fails(verso_pack_open(NULL, 1, NULL, &pack), -EINVAL);
    assert_fails(verso_pack_open(&path, 1, NULL, NULL), -EINVAL);
    assert_fails(verso_pack_open(hole, 2, NULL, &pack), -EINVAL);
    options.struct_bytes = 0;
    assert_fails(verso_pack_open(&path, 1, &options, &pack), VERSO_E_OPTIONS);
    options.struct_bytes = sizeof(options);
    options.flags = 1U << 31;
    assert_fails(verso_pack_open(&path, 1, &options, &pack), VERSO_E_OPTIONS);
    options.flags = 0;
    options.thread_count = 65;
    assert_fails(verso_pack_open(&path, 1, &options, &pack), VERSO_E_OPTIONS);
    options.thread_count = 0;
    options.read_bytes_max = UINT64_MAX;
    assert_fails(verso_pack_open(&path, 1, &options, &pack), VERSO_E_OVERFLOW);
    assert_ptr_equal(pack, (void *)1);
}

static void test_a_leased_file_is_waited_for(void **state)
{
    const char *path = support_file("leased", 100);
    pid_t child = support_lease_child(path, F_WRLCK);
    struct verso_pack *pack;

    (void)state;
    if (!child)
        skip_because("this file system gives no leases");
    assert_ok(verso_pack_open(&path, 1, NULL, &pack));
    assert_int_equal(entry_of(pack, 0).error, 0);
    assert_int_equal(entry_of(pack, 0).bytes, 100);
    verso_pack_close(pack);
    support_child_stop(child);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_thousands_take_one_mapping),
        cmocka_unit_test(test_threads_read_the_same),
        cmocka_unit_test(test_nothing_is_an_empty_pack),
        cmocka_unit_test(test_each_file_has_its_own_error),
        cmocka_unit_test(test_strict_fails_with_the_first),
        cmocka_unit_test(test_symbolic_links_are_followed_unless_refused),
        cmocka_unit_test(test_the_largest_are_mapped_the_rest_read),
        cmocka_unit_test(test_files_without_a_size_are_read_to_their_end),
        cmocka_unit_test(test_the_limit_is_the_sum_of_what_is_read),
        cmocka_unit_test(test_a_leased_file_is_waited_for),
        cmocka_unit_test(test_the_pack_is_read_only),
        cmocka_unit_test(test_wrong_arguments),
    };

    return run_test_list(list);
}
