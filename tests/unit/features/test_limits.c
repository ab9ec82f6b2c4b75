/* SPDX-License-Identifier: MIT */
/* limits - read truly, anew each time, and told when they bite. */
#include "support.h"

#include "os/fake/fake.h"

#include <limits.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <verso/features.h>

static const struct verso_limit *find(const struct verso_limit *limits, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(limits[i].name, name) == 0)
            return &limits[i];
    fail_msg("no limit is called %s", name);
    return NULL;
}

static void test_each_is_explained(void **state)
{
    struct verso_limit *limits;
    size_t count;

    (void)state;
    assert_ok(verso_limits_get(&limits, &count));
    assert_true(count >= 15);
    for (size_t i = 0; i < count; i++) {
        assert_true(*limits[i].name && *limits[i].meaning);
        assert_non_null(limits[i].unit);
        assert_non_null(limits[i].word);
        assert_non_null(limits[i].mend);
        assert_true(limits[i].error <= 0);
        assert_false(limits[i].biting && limits[i].error);
        if (limits[i].biting)
            assert_true(*limits[i].mend);
    }
    verso_limits_free(limits);
    verso_limits_free(NULL);
}

static void test_values_are_the_kernels(void **state)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    unsigned long long wanted = 0;
    struct verso_limit *limits;
    struct sysinfo totals;
    size_t count;

    (void)state;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu", &wanted), 1);
    fclose(file);
    assert_int_equal(sysinfo(&totals), 0);
    assert_ok(verso_limits_get(&limits, &count));
    assert_true(find(limits, count, "vm.max_map_count")->value == wanted);
    assert_int_equal(find(limits, count, "vm.max_map_count")->biting, wanted < 262144);
    assert_true(find(limits, count, "swap")->value == (uint64_t)totals.totalswap * totals.mem_unit);
    assert_true(strlen(find(limits, count, "vm.overcommit_memory")->word) == 1);
    verso_limits_free(limits);
}

static int limits_of_a_child(void *arg)
{
    struct rlimit files = { 100, 100 }, space = { UINT64_C(1) << 62, RLIM_INFINITY };
    struct verso_limit *limits;
    size_t count;

    (void)arg;
    if (verso_limits_get(&limits, &count) < 0 || find(limits, count, "RLIMIT_AS")->value != VERSO_LIMIT_NONE ||
        find(limits, count, "RLIMIT_AS")->biting)
        return 1;
    verso_limits_free(limits);
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_AS, &space) < 0)
        return 2;
    if (verso_limits_get(&limits, &count) < 0)
        return 3;
    if (find(limits, count, "RLIMIT_NOFILE")->value != 100 || !find(limits, count, "RLIMIT_NOFILE")->biting)
        return 4;
    if (find(limits, count, "RLIMIT_AS")->value != UINT64_C(1) << 62 || !find(limits, count, "RLIMIT_AS")->biting)
        return 5;
    verso_limits_free(limits);
    return 0;
}

static void test_they_are_read_anew(void **state)
{
    struct rlimit space;
    int status;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_AS, &space), 0);
    if (space.rlim_cur != RLIM_INFINITY)
        skip_because("the address space of this process is limited already (ulimit -v)");
    status = support_child(limits_of_a_child, NULL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_what_cannot_be_read_says_so(void **state)
{
    struct verso_limit *limits;
    size_t count;

    (void)state;
    fake_fail_call("setting", -ENOENT, UINT_MAX);
    fake_fail_call("memory_totals", -EFAULT, 1);
    assert_ok(verso_limits_get(&limits, &count));
    fake_reset();
    assert_int_equal(find(limits, count, "vm.max_map_count")->error, -ENOENT);
    assert_int_equal(find(limits, count, "vm.max_map_count")->biting, 0);
    assert_int_equal(find(limits, count, "memory.max")->error, -ENOENT);
    assert_int_equal(find(limits, count, "swap")->error, -EFAULT);
    assert_int_equal(find(limits, count, "RLIMIT_NOFILE")->error, 0);
    verso_limits_free(limits);
}

static void test_no_memory(void **state)
{
    struct verso_limit *limits = NULL;
    size_t count = 7;
    int r;

    (void)state;
    fake_begin();
    fake_fail_call("calloc", -ENOMEM, 1);
    r = verso_limits_get(&limits, &count);
    fake_end();
    fake_reset();
    assert_fails(r, -ENOMEM);
    assert_null(limits);
    assert_int_equal(count, 7);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_each_is_explained),  cmocka_unit_test(test_values_are_the_kernels),
        cmocka_unit_test(test_they_are_read_anew), cmocka_unit_test(test_what_cannot_be_read_says_so),
        cmocka_unit_test(test_no_memory),
    };

    return run_test_list(list);
}
