/* SPDX-License-Identifier: MIT */
/*
 * support.h - what every test needs, and the only include order cmocka accepts.
 *
 * A test file includes this first, defines `static void test_...(void **state)` functions, and lists them in main()
 * with run_test_list(). Files are made in a private directory that goes away with the test.
 */
#ifndef VERSO_TESTS_SUPPORT_H
#define VERSO_TESTS_SUPPORT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <verso/error.h>

#define run_test_list(list) cmocka_run_group_tests(list, support_setup, support_teardown)

int support_setup(void **state);
int support_teardown(void **state);

/* Says why, then skips; a skip without a reason is a defect. */
#define skip_because(...)                                           \
    do {                                                            \
        print_message("# SKIP %s: ", __func__);                     \
        print_message(__VA_ARGS__);                                 \
        print_message("\n");                                        \
        skip();                                                     \
        abort(); /* never reached: for compilers, who can't know */ \
    } while (0)

/* A call answered 0. On failure shows the record. */
#define assert_ok(call) support_assert_code((call), 0, #call, __FILE__, __LINE__)

/* A call failed with this code, and the record agrees: code and record can't drift apart. */
#define assert_fails(call, code) support_assert_code((call), (code), #call, __FILE__, __LINE__)

/* The same, and the record's step. */
#define assert_fails_in(call, code, step_wanted)                    \
    do {                                                            \
        assert_fails(call, code);                                   \
        assert_string_equal(verso_error_last()->step, step_wanted); \
    } while (0)

void support_assert_code(int got, int wanted, const char *call, const char *file, int line);

/* The test's directory: private, on the file system of TEST_DIRECTORY (else TMPDIR, else /tmp). */
const char *support_directory(void);

/* A path in it; from a ring of eight buffers. */
const char *support_path(const char *name);

/* Makes a file of @bytes with a pattern in which every byte depends on its offset; returns its path (as support_path).
 */
const char *support_file(const char *name, uint64_t bytes);

/* The byte that the pattern has at an offset. */
unsigned char support_byte(uint64_t offset);

/* Whether memory holds the pattern from an offset on. */
bool support_matches(const void *data, uint64_t offset, size_t bytes);

/* How many mappings (under sanitizers: of files), open descriptors this process has: for "nothing leaks". */
size_t support_mapping_count(void);
size_t support_descriptor_count(void);

/* Whether the test runs as root (geteuid() == 0) / under ASan or TSan / under valgrind-like slowness. */
bool support_is_root(void);
bool support_is_asan(void);
bool support_is_tsan(void);

/* Runs @function in a child; answers its wait status (use WIFSIGNALED etc.). The child leaves by _exit(function(arg)).
 */
int support_child(int (*function)(void *arg), void *arg);

#endif
