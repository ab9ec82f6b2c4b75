/* SPDX-License-Identifier: MIT */
/* error - codes, names, the record, and the one line that people read. */
#include "support.h"

#include "base/fail.h"

#include <limits.h>
#include <pthread.h>

static void test_every_code_has_name_sentence_and_remedy(void **state)
{
    (void)state;
#define CHECK(name, code, sentence, remedy)                    \
    assert_int_equal(name, code);                              \
    assert_true((code) <= -20001);                             \
    assert_string_equal(verso_error_name(code), #name);        \
    assert_string_equal(verso_error_text(code), sentence);     \
    assert_int_equal(verso__fail(code, "step", "path"), code); \
    assert_string_equal(verso_error_last()->hint, remedy);
    VERSO_ERROR_TABLE(CHECK)
#undef CHECK
}

static void test_names_are_never_null(void **state)
{
    (void)state;
    assert_string_equal(verso_error_name(0), "OK");
    assert_string_equal(verso_error_name(-ENOSPC), "ENOSPC");
    assert_string_equal(verso_error_text(-ENOSPC), "No space left on device");
    assert_string_equal(verso_error_name(-4094), "UNKNOWN");
    assert_string_equal(verso_error_name(5), "UNKNOWN");
    assert_string_equal(verso_error_name(INT_MIN), "UNKNOWN");
    assert_string_equal(verso_error_text(-19999), "unknown error");
}

static void test_message_is_one_line(void **state)
{
    char text[256];
    size_t bytes;

    (void)state;
    verso__fail_at(-ENOENT, "open", "a\nb\x1b[2J\xff\xc3\xa9\\", 42);
    bytes = verso_error_message(text, sizeof(text));
    assert_int_equal(bytes, strlen(text));
    assert_non_null(strstr(text, "open: a\\x0ab\\x1b[2J\\xff\xc3\xa9\\x5c: No such file or directory (ENOENT)"));
    assert_non_null(strstr(text, " at byte 42; "));
    assert_null(strchr(text, '\n'));
}

static void test_message_counts_past_its_room(void **state)
{
    char whole[256], cut[10] = "xxxxxxxxx";
    size_t bytes;

    (void)state;
    verso__fail(VERSO_E_RANGE, "range", "file");
    bytes = verso_error_message(whole, sizeof(whole));
    assert_int_equal(verso_error_message(NULL, 0), bytes);
    assert_int_equal(verso_error_message(cut, sizeof(cut)), bytes);
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
    assert_memory_equal(cut, whole, sizeof(cut) - 1);
}

static void test_cause_is_told(void **state)
{
    const struct verso__failure failure = { VERSO_E_POISONED, -EIO, "msync", "f", VERSO_OFFSET_NONE, NULL };
    char text[512];

    (void)state;
    verso__fail_with(&failure);
    verso_error_message(text, sizeof(text));
    assert_int_equal(verso_error_last()->cause, -EIO);
    assert_non_null(strstr(text, "(VERSO_E_POISONED after EIO)"));
}

static void test_longest_path_is_kept_and_a_longer_one_says_so(void **state)
{
    char path[PATH_MAX + 10];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[PATH_MAX - 1] = '\0';
    verso__fail(-ENOENT, "open", path);
    assert_string_equal(verso_error_last()->path, path);
    path[PATH_MAX - 1] = 'a';
    path[PATH_MAX] = '\0';
    verso__fail(-ENAMETOOLONG, "open", path);
    assert_int_equal(strlen(verso_error_last()->path), PATH_MAX - 1);
    assert_string_equal(verso_error_last()->path + PATH_MAX - 4, "...");
}

static void test_own_path_may_be_passed_on(void **state)
{
    (void)state;
    verso__fail(-ENOENT, "open", "name");
    verso__fail(-EIO, "read", verso_error_last()->path);
    assert_string_equal(verso_error_last()->path, "name");
}

/* A thread that ends leaves nothing of it, and the next has short ones again. */
static void *fail_at_a_long_path(void *arg)
{
    char path[1000];

    (void)arg;
    memset(path, 'b', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    verso__fail(-ENOENT, "open", path);
    assert_string_equal(verso_error_last()->path, path);
    verso__fail(-EIO, "read", verso_error_last()->path);
    assert_string_equal(verso_error_last()->path, path);
    verso__fail(-EIO, "read", "short");
    assert_string_equal(verso_error_last()->path, "short");
    path[511] = '\0';
    verso__fail(-EIO, "read", path);
    assert_string_equal(verso_error_last()->path, path);
    return NULL;
}

static void test_long_paths_in_threads(void **state)
{
    pthread_t thread;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&thread, NULL, fail_at_a_long_path, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

static void *fail_elsewhere(void *arg)
{
    (void)arg;
    assert_int_equal(verso_error_last()->code, 0);
    assert_string_equal(verso_error_last()->path, "");
    verso__fail(-EIO, "there", "other");
    return NULL;
}

static void test_each_thread_has_its_own_record(void **state)
{
    pthread_t thread;

    (void)state;
    verso__fail(-ENOENT, "here", "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(verso_error_last()->code, -ENOENT);
    assert_string_equal(verso_error_last()->path, "mine");
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_every_code_has_name_sentence_and_remedy),
        cmocka_unit_test(test_names_are_never_null),
        cmocka_unit_test(test_message_is_one_line),
        cmocka_unit_test(test_message_counts_past_its_room),
        cmocka_unit_test(test_cause_is_told),
        cmocka_unit_test(test_longest_path_is_kept_and_a_longer_one_says_so),
        cmocka_unit_test(test_own_path_may_be_passed_on),
        cmocka_unit_test(test_long_paths_in_threads),
        cmocka_unit_test(test_each_thread_has_its_own_record),
    };

    return run_test_list(list);
}
