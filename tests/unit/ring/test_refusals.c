/* SPDX-License-Identifier: MIT */
/* refusals - what a ring falls back to when the kernel has not what it would like, and what it can't do without. */
#include "rings.h"

#include "os/fake/fake.h"

#include <limits.h>

static int calm(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static void test_without_membarrier_there_are_fences(void **state)
{
    struct verso_ring *ring;

    (void)state;
    fake_fail_call("barrier_announce", -ENOSYS, UINT_MAX);
    ring = opened_ring(1, 0);
    assert_string_equal(info_of(ring).barrier, "fence");
    assert_fails(verso_ring_wait_data(ring, 1, 1), -ETIMEDOUT);
    put(ring, 0, 100);
    assert_ok(verso_ring_wait_data(ring, 100, -1));
    take(ring, 0, 100);
    verso_ring_close(ring);
}

/* Sandboxes allow what they allow, and may forbid more later. */
static void test_forbidden_sleep(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);

    (void)state;
    fake_fail_call("futex_wait", -EPERM, 1);
    assert_fails_in(verso_ring_wait_data(ring, 1, -1), -EPERM, "futex");
    if (strcmp(info_of(ring).barrier, "membarrier") == 0) {
        fake_fail_call("barrier", -EPERM, 1);
        assert_fails_in(verso_ring_wait_data(ring, 1, -1), -EPERM, "membarrier");
    }
    put(ring, 0, 1);
    assert_ok(verso_ring_wait_data(ring, 1, -1));
    verso_ring_close(ring);
}

/* Before 5.14; the memory is taken all the same. */
static void test_without_populate(void **state)
{
    struct verso_ring *ring;

    (void)state;
    fake_fail_call("populate", -EINVAL, UINT_MAX);
    ring = opened_ring(5 * verso_page_bytes(), 0);
    put(ring, 0, 5 * verso_page_bytes());
    take(ring, 0, 5 * verso_page_bytes());
    verso_ring_close(ring);
}

static void test_memory_that_is_not_there(void **state)
{
    const struct {
        const char *call;
        int error;
        const char *step;
    } cases[] = { { "memory_totals", -EFAULT, "sysinfo" },
                  { "memory_file", -EMFILE, "memfd_create" },
                  { "truncate", -EFBIG, "ftruncate" },
                  { "seals_add", -EPERM, "seal" },
                  { "reserve", -ENOMEM, "mmap" },
                  { "map", -ENOMEM, "mmap" },
                  { "advise", -EINVAL, "madvise" },
                  { "allocate", -ENOSPC, "fallocate" },
                  { "lock", -ENOMEM, "mlock" } };
    struct verso_ring_options options = VERSO_RING_OPTIONS_INIT;
    struct verso_ring *ring = (void *)state;

    options.flags = VERSO_RING_LOCK;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t mappings = support_mapping_count(), descriptors = support_descriptor_count();

        fake_fail_call(cases[i].call, cases[i].error, 1);
        assert_fails_in(verso_ring_open(1, &options, &ring), cases[i].error, cases[i].step);
        fake_reset();
        assert_ptr_equal(ring, state);
        assert_int_equal(support_mapping_count(), mappings);
        assert_int_equal(support_descriptor_count(), descriptors);
    }
}

/* Down the ladder: no pool, no transparent pages that can be seen; each step with its reason. */
static void test_reasons_for_small_pages(void **state)
{
    struct verso_ring *ring;

    (void)state;
    fake_fail_call("memory_file", -EINVAL, 1);
    ring = opened_ring(1, VERSO_RING_HUGE);
    if (info_of(ring).pages == VERSO_RING_PAGES_THP)
        assert_non_null(strstr(info_of(ring).pages_why, "no pool"));
    verso_ring_close(ring);
    fake_fail_call("memory_file", -EINVAL, 1);
    fake_fail_call("page_scan", -ENOTTY, UINT_MAX);
    fake_fail_call("mappings_memory", -EACCES, UINT_MAX);
    ring = opened_ring(1, VERSO_RING_HUGE);
    assert_int_equal(info_of(ring).pages, VERSO_RING_PAGES_BASE);
    assert_true(strstr(info_of(ring).pages_why, "can't be seen") || strstr(info_of(ring).pages_why, "has no"));
    verso_ring_close(ring);
}

/* Two ways to look, one answer. */
static void test_both_ways_of_looking_agree(void **state)
{
    struct verso_ring *ring;
    enum verso_ring_pages pages;

    (void)state;
    fake_fail_call("memory_file", -EINVAL, 1);
    ring = opened_ring(1, VERSO_RING_HUGE);
    pages = info_of(ring).pages;
    verso_ring_close(ring);
    fake_fail_call("memory_file", -EINVAL, 1);
    fake_fail_call("page_scan", -ENOTTY, UINT_MAX);
    ring = opened_ring(1, VERSO_RING_HUGE);
    assert_int_equal(info_of(ring).pages, pages);
    verso_ring_close(ring);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_teardown(test_without_membarrier_there_are_fences, calm),
        cmocka_unit_test_teardown(test_forbidden_sleep, calm),
        cmocka_unit_test_teardown(test_without_populate, calm),
        cmocka_unit_test_teardown(test_memory_that_is_not_there, calm),
        cmocka_unit_test_teardown(test_reasons_for_small_pages, calm),
        cmocka_unit_test_teardown(test_both_ways_of_looking_agree, calm),
    };

    return run_test_list(list);
}
