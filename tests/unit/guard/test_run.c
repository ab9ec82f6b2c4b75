/* SPDX-License-Identifier: MIT */
/* run - a function is left when a fault comes, by the innermost guard that covers it. */
#include "support.h"

#include "ranges.h"

struct reading {
    const unsigned char *data;
    size_t bytes;
    volatile uint64_t sum;
};

static int read_all(void *arg)
{
    struct reading *reading = arg;

    for (size_t i = 0; i < reading->bytes; i++)
        reading->sum += reading->data[i];
    return 7;
}

static void test_answer_is_passed_on(void **state)
{
    struct watched file;
    struct reading reading;
    uint64_t offset = 1;

    (void)state;
    guard_on();
    watch_file(&file, "whole", 3 * verso__os_page_bytes());
    reading = (struct reading){ file.data, file.bytes, 0 };
    assert_int_equal(verso__guard_run(&file.range, read_all, &reading, &offset), 7);
    assert_int_equal(offset, 1);
    assert_int_equal(file.range.torn_count, 0);
    assert_true(file.range.torn_offset_bytes == VERSO_OFFSET_NONE);
    unwatch(&file);
    guard_off();
}

static void test_a_cut_file_ends_it_at_the_page_behind_its_end(void **state)
{
    size_t page = verso__os_page_bytes();
    struct watched file;
    struct reading reading;
    uint64_t offset = 0;

    (void)state;
    guard_on();
    watch_file(&file, "cut", 5 * page);
    cut(&file, 2 * page + 1);
    reading = (struct reading){ file.data, file.bytes, 0 };
    assert_int_equal(verso__guard_run(&file.range, read_all, &reading, &offset), VERSO_E_TORN);
    assert_int_equal(offset, 3 * page);
    assert_int_equal(file.range.torn_offset_bytes, 3 * page);
    assert_int_equal(file.range.torn_count, 1);
    unwatch(&file);
    guard_off();
}

static void test_substitution(void **state)
{
    size_t page = verso__os_page_bytes();
    struct watched file;

    (void)state;
    guard_on();
    watch_file(&file, "zeros", 5 * page);
    file.range.substitute = true;
    cut(&file, 2 * page + 1);
    assert_int_equal(*(volatile unsigned char *)(file.data + 4 * page), 0);
    assert_true(support_matches(file.data, 0, 2 * page + 1));
    assert_int_equal(*(volatile unsigned char *)(file.data + 3 * page), 0);
    assert_int_equal(file.range.torn_offset_bytes, 2 * page + 1);
    assert_int_equal(file.range.torn_count, 1);
    unwatch(&file);
    guard_off();
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_answer_is_passed_on),
        cmocka_unit_test(test_a_cut_file_ends_it_at_the_page_behind_its_end),
        cmocka_unit_test(test_substitution),
    };

    return run_test_list(list);
}
