/* SPDX-License-Identifier: MIT */
/* refusals - what the pool does, and says, when the kernel has not or allows not what it asks for. */
#include "machine.h"

#include "os/fake/fake.h"

#include <limits.h>
#include <verso/base.h>

static int calm(void **state)
{
    (void)state;
    fake_reset();
    fake_forgive();
    return 0;
}

static int open_as(unsigned mode, unsigned flags, struct verso_code **out_code)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;

    options.mode = mode;
    options.flags = flags;
    return verso_code_open(&options, out_code);
}

/* What the best mode falls back from, and the reason it gives. */
static void test_fallback_says_why(void **state)
{
    const struct {
        const char *call;
        int error;
        const char *why;
    } refusals[] = {
        { "memory_file", -ENOSYS, "files of memory can't be made here" },
        { "memory_file", -EACCES, "files of memory can't be made here" },
        { "seals_add", -EINVAL, "files of memory can't be sealed here" },
        { "seals_add", -EPERM, "files of memory can't be sealed here" },
    };

    (void)state;
    need_machine();
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct verso_code *code;

        fake_fail_call(refusals[i].call, refusals[i].error, UINT_MAX);
        assert_ok(open_as(VERSO_CODE_BEST, 0, &code));
        assert_int_equal(info_of(code).mode, VERSO_CODE_TOGGLE);
        assert_string_equal(info_of(code).mode_why, refusals[i].why);
        assert_int_equal(machine_call(block_of(code, 11)), 11);
        verso_code_close(code);
        assert_fails(open_as(VERSO_CODE_DUAL, 0, &code), VERSO_E_UNSUPPORTED);
        assert_int_equal(verso_error_last()->cause, refusals[i].error);
        assert_fails(open_as(VERSO_CODE_BEST, VERSO_CODE_SEAL, &code), VERSO_E_UNSUPPORTED);
        fake_fail_call(refusals[i].call, 0, 0);
    }
}

/* What has run out is no reason to do with less: it is said. */
static void test_shortage_is_no_fallback(void **state)
{
    const struct {
        const char *call;
        int error;
    } shortages[] = { { "memory_file", -EMFILE }, { "memory_file", -ENOMEM }, { "populate", -ENOMEM } };

    (void)state;
    for (size_t i = 0; i < sizeof(shortages) / sizeof(shortages[0]); i++) {
        struct verso_code *code;

        fake_fail_call(shortages[i].call, shortages[i].error, 1);
        assert_fails(open_as(VERSO_CODE_BEST, 0, &code), shortages[i].error);
    }
}

/* A store that would find no memory is a signal; asked before, an error. */
static void test_no_memory_behind_the_view(void **state)
{
    struct verso_code *code;
    const void *block;

    (void)state;
    assert_ok(open_as(VERSO_CODE_DUAL, 0, &code));
    fake_fail_call("populate", -EFAULT, 1);
    assert_fails(verso_code_alloc(code, 100000, &block), -ENOMEM);
    assert_ok(verso_code_alloc(code, 100000, &block));
    verso_code_close(code);
}

/* Before Linux 5.14 it can't be asked. */
static void test_kernel_without_populate(void **state)
{
    struct verso_code *code;

    (void)state;
    need_machine();
    fake_fail_call("populate", -EINVAL, UINT_MAX);
    assert_ok(open_as(VERSO_CODE_DUAL, 0, &code));
    assert_int_equal(machine_call(block_of(code, 3)), 3);
    verso_code_close(code);
}

/* Each mapping and each change of access refused as a policy does: another way, or VERSO_E_EXEC. */
static void test_policy_at_each_call(void **state)
{
    unsigned toggled = 0, forbidden = 0, failures = 1;

    (void)state;
    need_machine();
    for (unsigned n = 1; failures > 0; n++) {
        struct verso_code *code;
        int r;

        fake_begin();
        fake_fail_nth(n, -EACCES);
        r = open_as(VERSO_CODE_BEST, 0, &code);
        failures = fake_failures();
        fake_end();
        if (r < 0) {
            assert_true(r == -EACCES || r == VERSO_E_EXEC || r == -ENOMEM); /* the last of an allocation */
            forbidden += r == VERSO_E_EXEC;
            continue;
        }
        if (info_of(code).mode == VERSO_CODE_TOGGLE) {
            assert_string_not_equal(info_of(code).mode_why, "");
            toggled++;
        }
        assert_int_equal(machine_call(block_of(code, 21)), 21);
        verso_code_close(code);
        assert_true(n < 100);
    }
    assert_true(toggled >= 4);
    assert_int_equal(forbidden, 0); /* one refusal leaves the other way */
}

static void test_policy_against_both_ways(void **state)
{
    struct verso_code *code = NULL;

    (void)state;
    fake_fail_call("memory_file", -EACCES, UINT_MAX);
    fake_fail_call("protect", -EACCES, UINT_MAX);
    assert_fails_in(open_as(VERSO_CODE_BEST, 0, &code), VERSO_E_EXEC, "mprotect");
    assert_int_equal(verso_error_last()->cause, -EACCES);
    assert_fails(open_as(VERSO_CODE_TOGGLE, 0, &code), VERSO_E_EXEC);
    assert_null(code);
}

static void test_no_seals_of_mappings(void **state)
{
    struct verso_code *code;

    (void)state;
    fake_fail_call("seal_mapping", -ENOSYS, UINT_MAX);
    assert_fails_in(open_as(VERSO_CODE_BEST, VERSO_CODE_SEAL, &code), VERSO_E_UNSUPPORTED, "mseal");
    assert_int_equal(verso_error_last()->cause, -ENOSYS);
}

/* Without a barrier freed memory is used at once, and the pool says that other threads must see to themselves. */
static void test_no_barrier(void **state)
{
    struct verso_code *code;
    const void *block;

    (void)state;
    need_machine();
    fake_fail_call("code_barrier_announce", -EINVAL, 1);
    assert_ok(open_as(VERSO_CODE_BEST, 0, &code));
    assert_string_not_equal(info_of(code).sync_why, "");
    block = block_of(code, 1);
    assert_ok(verso_code_free(code, block));
    assert_int_equal(info_of(code).waiting_bytes, 0);
    assert_ptr_equal(block_of(code, 2), block);
    assert_int_equal(machine_call(block), 2);
    assert_int_equal(info_of(code).barriers, 0);
    verso_code_close(code);
}

static int nearby;

/* Somebody was quicker, three times; and for ever. */
static void test_room_that_is_taken_meanwhile(void **state)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;
    const void *block;

    (void)state;
    options.near_start = &nearby;
    options.segment_bytes = verso_page_bytes();
    assert_ok(verso_code_open(&options, &code));
    assert_ok(verso_code_alloc(code, verso_page_bytes(), &block));
    fake_fail_call("map", -EEXIST, 3);
    assert_ok(verso_code_alloc(code, 1, &block));
    assert_ok(verso_code_alloc(code, verso_page_bytes() - 64, &block));
    fake_fail_call("map", -EEXIST, UINT_MAX);
    assert_fails(verso_code_alloc(code, 1, &block), VERSO_E_NEAR);
    fake_fail_call("map", 0, 0);
    verso_code_close(code);
}

static void test_barrier_that_fails(void **state)
{
    struct verso_code *code;
    const void *block;
    void *write;

    (void)state;
    need_machine();
    for (unsigned mode = VERSO_CODE_DUAL; mode <= VERSO_CODE_TOGGLE; mode++) {
        assert_ok(open_as(mode, 0, &code));
        if (*info_of(code).sync_why)
            skip_because("%s", info_of(code).sync_why);
        block = block_of(code, 1);
        assert_ok(verso_code_begin(code, block, &write));
        (void)machine_return(write, 2);
        fake_fail_call("code_barrier", -ENOMEM, 1);
        assert_fails_in(verso_code_end(code, block), -ENOMEM, "membarrier");
        assert_fails(verso_code_begin(code, block, &write), -EBUSY);
        assert_fails(verso_code_free(code, block), -EBUSY);
        assert_ok(verso_code_end(code, block));
        assert_int_equal(machine_call(block), 2);

        /* Memory that waits goes on waiting; blocks come from elsewhere. */
        assert_ok(verso_code_free(code, block));
        fake_fail_call("code_barrier", -ENOMEM, UINT_MAX);
        for (uint16_t n = 0; n < 1000; n++) {
            block = block_of(code, n);
            assert_int_equal(machine_call(block), n);
            assert_ok(verso_code_free(code, block));
        }
        assert_int_equal(info_of(code).waiting_bytes, 1001 * info_of(code).granule_bytes);
        fake_fail_call("code_barrier", 0, 0);
        block = block_of(code, 1);
        assert_int_equal(info_of(code).waiting_bytes, 0);
        verso_code_close(code);
    }
}

/* Each mprotect(2) of a toggled pool refused in turn: the block is as it was, or can be ended again. */
static void test_toggling_that_fails(void **state)
{
    struct verso_code *code;
    const void *block, *other;
    void *write;

    (void)state;
    need_machine();
    assert_ok(open_as(VERSO_CODE_TOGGLE, 0, &code));
    block = block_of(code, 1);
    fake_fail_call("protect", -ENOMEM, 1);
    assert_fails_in(verso_code_begin(code, block, &write), -ENOMEM, "mprotect");
    assert_int_equal(machine_call(block), 1);
    assert_ok(verso_code_begin(code, block, &write));
    (void)machine_return(write, 2);
    fake_fail_call("protect", -ENOMEM, 1);
    assert_fails_in(verso_code_end(code, block), -ENOMEM, "mprotect");
    assert_ok(verso_code_end(code, block));
    assert_int_equal(machine_call(block), 2);
    fake_fail_call("protect", -ENOMEM, 1);
    assert_fails_in(verso_code_free(code, block), -ENOMEM, "mprotect");
    assert_int_equal(machine_call(block), 2);
    fake_fail_call("protect", -ENOMEM, 1);
    assert_fails(verso_code_add(code, "x", 1, &other), -ENOMEM);
    fake_fail_call("protect", -ENOMEM, UINT_MAX); /* nor may the block be opened to be given back */
    assert_fails(verso_code_add(code, "x", 1, &other), -ENOMEM);
    assert_int_equal(info_of(code).blocks, 1);
    assert_ok(verso_code_alloc(code, 1, &other));
    assert_ok(verso_code_free(code, other)); /* nothing was ever written to it */
    fake_fail_call("protect", 0, 0);
    assert_int_equal(info_of(code).blocks, 1);
    assert_ok(verso_code_free(code, block));
    assert_int_equal(info_of(code).blocks, 0);
    verso_code_close(code);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_teardown(test_fallback_says_why, calm),
        cmocka_unit_test_teardown(test_shortage_is_no_fallback, calm),
        cmocka_unit_test_teardown(test_no_memory_behind_the_view, calm),
        cmocka_unit_test_teardown(test_kernel_without_populate, calm),
        cmocka_unit_test_teardown(test_policy_at_each_call, calm),
        cmocka_unit_test_teardown(test_policy_against_both_ways, calm),
        cmocka_unit_test_teardown(test_no_seals_of_mappings, calm),
        cmocka_unit_test_teardown(test_no_barrier, calm),
        cmocka_unit_test_teardown(test_room_that_is_taken_meanwhile, calm),
        cmocka_unit_test_teardown(test_barrier_that_fails, calm),
        cmocka_unit_test_teardown(test_toggling_that_fails, calm),
    };

    return run_test_list(list);
}
