/* SPDX-License-Identifier: MIT */
/* settings - numbers and words of the system, and the limits of the process. */
#include "support.h"

#include "os/os.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* A setting as the kernel would write it, in a file of the test's. */
static const char *written(const char *text)
{
    const char *path = support_path("setting");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    return path;
}

static void test_numbers(void **state)
{
    uint64_t value = 99;

    (void)state;
    assert_int_equal(verso__os_setting("vm/max_map_count", &value, NULL, 0), 0);
    assert_true(value > 100);
    assert_int_equal(verso__os_setting(written("0\n"), &value, NULL, 0), 0);
    assert_int_equal(value, 0);
    assert_int_equal(verso__os_setting(written("18446744073709551615\n"), &value, NULL, 0), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(verso__os_setting(written("-1\n"), &value, NULL, 0), 0); /* perf_event_paranoid: no restriction */
    assert_int_equal(value, 0);
}

static void test_words(void **state)
{
    uint64_t value = 99;
    char word[8] = "before";

    (void)state;
    assert_int_equal(verso__os_setting(written("always [madvise] never\n"), NULL, word, 7), -ENAMETOOLONG);
    assert_string_equal(word, "before");
    assert_int_equal(verso__os_setting(written("always [madvise] never\n"), &value, word, 8), 0);
    assert_string_equal(word, "madvise");
    assert_int_equal(value, 99); /* there is no number in it */
    assert_int_equal(verso__os_setting(written("plain words\n"), NULL, word, 8), 0);
    assert_string_equal(word, "plain");
    assert_int_equal(verso__os_setting(written(""), NULL, word, 8), 0);
    assert_string_equal(word, "");
}

static void test_what_is_no_setting(void **state)
{
    char text[5000];
    uint64_t value = 99;

    (void)state;
    assert_int_equal(verso__os_setting("vm/no such thing", &value, NULL, 0), -ENOENT);
    assert_int_equal(verso__os_setting(written("words\n"), &value, NULL, 0), -EINVAL);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(verso__os_setting(text, &value, NULL, 0), -ENAMETOOLONG);
    assert_int_equal(verso__os_setting(written(text), NULL, text, sizeof(text)), -EFBIG); /* not cut in silence */
    assert_int_equal(value, 99);
}

static int with_limits(void *arg)
{
    const struct rlimit limit = { 123, RLIM_INFINITY };
    uint64_t soft = 0, hard = 0;

    (void)arg;
    if (getuid() != 0) {
        if (verso__os_limit("file size", &soft, &hard) < 0)
            return 1;
        return 0;
    }
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || verso__os_limit("file size", &soft, &hard) < 0)
        return 2;
    return soft == 123 && hard == UINT64_MAX ? 0 : 3;
}

static void test_limits(void **state)
{
    static const char *const names[] = { "memlock", "address space", "files", "file size" };
    uint64_t soft, hard;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(verso__os_limit(names[i], &soft, &hard), 0);
        assert_true(soft <= hard);
    }
    soft = 7;
    assert_int_equal(verso__os_limit("no such limit", &soft, &hard), -EINVAL);
    assert_int_equal(soft, 7);
    assert_int_equal(support_child(with_limits, NULL), 0);
}

static void test_memory_totals(void **state)
{
    uint64_t memory = 0, swap = UINT64_MAX;

    (void)state;
    assert_int_equal(verso__os_memory_totals(&memory, &swap), 0);
    assert_true(memory > (1 << 20));
    assert_true(swap != UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_words),         cmocka_unit_test(test_what_is_no_setting),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_memory_totals),
    };

    return run_test_list(list);
}
