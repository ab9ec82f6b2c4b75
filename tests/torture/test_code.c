/* SPDX-License-Identifier: MIT */
/* code - blocks made, written, named, shrunk and freed, with every call beneath failing in turn. */
#include "torture.h"

#include <fcntl.h>
#include <unistd.h>
#include <verso/base.h>
#include <verso/code.h>

static const char *dump_path(void)
{
    static char name[64];

    (void)snprintf(name, sizeof(name), "jit-%d.dump", (int)getpid());
    return support_path(name);
}

/* A failed open leaves no dump, unless taking it away was refused as well. */
static void check_no_dump(void)
{
    if (unlink(dump_path()) == 0)
        assert_true(torture_refusals() > 1);
}

static struct verso_code *opened(unsigned mode, const void *near_start, const char *dump_directory)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code = UNTOUCHED;

    options.mode = mode;
    options.segment_bytes = 2 * verso_page_bytes();
    options.near_start = near_start;
    options.dump_directory = dump_directory;
    attempt(verso_code_open(&options, &code))
    {
        assert_ptr_equal(code, UNTOUCHED);
        check_no_dump();
    }
    return code;
}

static const void *allocated(struct verso_code *code, size_t bytes)
{
    const void *block = UNTOUCHED;

    attempt(verso_code_alloc(code, bytes, &block)) assert_ptr_equal(block, UNTOUCHED);
    return block;
}

static void written(struct verso_code *code, const void *block, int byte, size_t bytes)
{
    void *write = UNTOUCHED;

    attempt(verso_code_begin(code, block, &write)) assert_ptr_equal(write, UNTOUCHED);
    memset(write, byte, bytes);
    attempt(verso_code_end(code, block)) assert_int_equal(((const unsigned char *)block)[0], byte);
}

/* Through several segments, so that they come and go. */
static void use_blocks(struct verso_code *code)
{
    const size_t page = verso_page_bytes();
    const void *first = allocated(code, page), *second = allocated(code, 2 * page), *third = UNTOUCHED;

    written(code, first, 1, page);
    written(code, second, 2, 2 * page);
    written(code, first, 3, page); /* it may have been run: a barrier */
    attempt(verso_code_shrink(code, second, page)) assert_int_equal(((const unsigned char *)second)[0], 2);
    attempt(verso_code_add(code, "abc", 3, &third)) assert_ptr_equal(third, UNTOUCHED);
    assert_memory_equal(third, "abc", 3);
    attempt(verso_code_name(code, third, "third"));
    attempt(verso_code_free(code, second));
    assert_int_equal(((const unsigned char *)first)[page - 1], 3);
    attempt(verso_code_free(code, first));
    attempt(verso_code_free(code, third));
}

static void use_best(void)
{
    struct verso_code *code = opened(VERSO_CODE_BEST, NULL, NULL);

    use_blocks(code);
    verso_code_close(code);
}

static void use_toggled(void)
{
    struct verso_code *code = opened(VERSO_CODE_TOGGLE, NULL, NULL);

    use_blocks(code);
    verso_code_close(code);
}

static int nearby;

static void use_near(void)
{
    struct verso_code *code = opened(VERSO_CODE_BEST, &nearby, NULL);

    use_blocks(code);
    verso_code_close(code);
}

static void use_named(void)
{
    struct verso_code *code = opened(VERSO_CODE_BEST, NULL, support_directory());

    assert_int_equal(unlink(dump_path()), 0); /* made when open worked, and only then */
    use_blocks(code);
    verso_code_close(code);
}

static void test_best(void **state)
{
    (void)state;
    torture(use_best);
}

static void test_toggled(void **state)
{
    (void)state;
    torture(use_toggled);
}

static void test_near(void **state)
{
    (void)state;
    torture(use_near);
}

static void test_named(void **state)
{
    (void)state;
    torture(use_named);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_best),
        torture_test(test_toggled),
        torture_test(test_near),
        torture_test(test_named),
    };

    return run_test_list(list);
}
