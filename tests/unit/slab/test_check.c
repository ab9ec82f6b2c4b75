/* SPDX-License-Identifier: MIT */
/* Handles, writes after a free, guards, ASan. */
#include "slabs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct verso_slab_handle nobody = { 0, 0 };

static void test_a_handle_leads_to_its_object(void **state)
{
    struct verso_slab *slab = opened(24, VERSO_SLAB_HANDLES);
    size_t count = 3 * info_of(slab).block_objects;
    void **objects = calloc(count, sizeof(void *));
    struct verso_slab_handle *handles = calloc(count, sizeof(*handles));

    (void)state;
    assert_true(objects && handles);
    for (size_t i = 0; i < count; i++) {
        objects[i] = taken(slab);
        assert_ok(verso_slab_handle(slab, objects[i], &handles[i]));
    }
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(verso_slab_get(slab, handles[i]), objects[i]);
    for (size_t i = 0; i < count; i += 2)
        assert_ok(verso_slab_free_handle(slab, handles[i]));
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(verso_slab_get(slab, handles[i]), i % 2 ? objects[i] : NULL);
    free(objects);
    free(handles);
    verso_slab_close(slab);
}

static void test_a_stale_handle_is_known(void **state)
{
    struct verso_slab *slab = opened(64, VERSO_SLAB_HANDLES);
    struct verso_slab_handle first, second;
    void *object = taken(slab);

    (void)state;
    assert_ok(verso_slab_handle(slab, object, &first));
    assert_ok(verso_slab_free(slab, object));
    assert_null(verso_slab_get(slab, first));
    assert_ptr_equal(taken(slab), object); /* the same place, somebody else */
    assert_ok(verso_slab_handle(slab, object, &second));
    assert_int_equal(second.index, first.index);
    assert_null(verso_slab_get(slab, first));
    assert_ptr_equal(verso_slab_get(slab, second), object);
    assert_fails(verso_slab_free_handle(slab, first), VERSO_E_STALE);
    assert_ptr_equal(verso_slab_get(slab, second), object);
    assert_ok(verso_slab_free_handle(slab, second));
    assert_fails(verso_slab_free_handle(slab, second), VERSO_E_STALE);
    verso_slab_close(slab);
}

static void test_nonsense_is_no_handle(void **state)
{
    struct verso_slab *slab = opened(64, VERSO_SLAB_HANDLES);
    struct verso_slab_handle handle;
    uint64_t random = 42;
    unsigned char *object = taken(slab);

    (void)state;
    assert_null(verso_slab_get(slab, nobody));
    assert_fails(verso_slab_free_handle(slab, nobody), VERSO_E_STALE);
    assert_ok(verso_slab_handle(slab, object, &handle));
    for (int i = 0; i < 100000; i++) {
        struct verso_slab_handle wild = { (uint32_t)random_next(&random), (uint32_t)random_next(&random) };

        if (wild.index != handle.index)
            assert_null(verso_slab_get(slab, wild));
    }
    handle.generation++;
    assert_null(verso_slab_get(slab, handle));
    assert_fails(verso_slab_handle(slab, object + 1, &handle), VERSO_E_FOREIGN);
    assert_fails(verso_slab_handle(slab, object + 64, &handle), VERSO_E_STALE); /* never handed out */
    verso_slab_close(slab);
}

static void test_handles_have_to_be_asked_for(void **state)
{
    struct verso_slab *slab = opened(64, 0);
    struct verso_slab_handle handle;

    (void)state;
    assert_fails(verso_slab_handle(slab, taken(slab), &handle), VERSO_E_OPTIONS);
    assert_fails(verso_slab_free_handle(slab, nobody), VERSO_E_OPTIONS);
    assert_null(verso_slab_get(slab, nobody));
    assert_fails(verso_slab_verify(slab, NULL), VERSO_E_OPTIONS);
    verso_slab_close(slab);
}

UNSANITIZED static void store(unsigned char *address)
{
    *address = 0;
}

static void test_a_write_after_free_is_found(void **state)
{
    static const size_t places[] = { 0, 50, 99 };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct verso_slab *slab = opened(100, VERSO_SLAB_CHECK);
        unsigned char *object = taken(slab), *next;
        void *bad = NULL;

        memset(object, 1, 100);
        assert_ok(verso_slab_verify(slab, &bad));
        assert_ok(verso_slab_free(slab, object));
        assert_ok(verso_slab_verify(slab, &bad));
        assert_null(bad);
        store(object + places[i]);
        assert_fails(verso_slab_verify(slab, &bad), VERSO_E_OVERWRITTEN);
        assert_ptr_equal(bad, object);
        assert_no_object(slab, VERSO_E_OVERWRITTEN);
        assert_int_equal(info_of(slab).set_aside_count, 1);
        assert_int_equal(info_of(slab).live_count, 0);
        next = taken(slab);
        assert_ptr_not_equal(next, object);
        assert_fails(verso_slab_free(slab, object), VERSO_E_STALE);
        assert_ok(verso_slab_free(slab, next));
        verso_slab_close(slab);
    }
}

/* What the kernel took and gave anew holds the pattern again. */
static void test_the_pattern_survives_trimming(void **state)
{
    struct verso_slab *slab = opened(200, VERSO_SLAB_CHECK);
    size_t count = 3 * info_of(slab).block_objects;

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++)
            memset(taken(slab), 7, 200);
        for (void *object = verso_slab_next(slab, NULL); object; object = verso_slab_next(slab, object))
            assert_ok(verso_slab_free(slab, object));
        assert_ok(verso_slab_trim(slab));
        assert_ok(verso_slab_verify(slab, NULL));
    }
    assert_true(info_of(slab).returned_bytes > 0);
    verso_slab_close(slab);
}

static int store_behind_the_block(void *arg)
{
    struct verso_slab *slab = arg;
    struct verso_slab_info info = VERSO_SLAB_INFO_INIT;
    unsigned char *object = verso_slab_alloc(slab);

    (void)signal(SIGSEGV, SIG_DFL);
    if (!object || verso_slab_info(slab, &info) < 0)
        return 1;
    for (size_t i = 0; i < info.block_objects; i++) /* so that there is memory on both sides of it */
        if (!verso_slab_alloc(slab))
            return 1;
    store(object + info.block_objects * info.stride_bytes);
    return 0;
}

static void test_behind_a_block_is_a_guard(void **state)
{
    struct verso_slab *slab = opened(512, VERSO_SLAB_GUARD), *plain = opened(511, 0);
    int status = support_child(store_behind_the_block, slab);

    (void)state;
    assert_int_equal(info_of(slab).block_objects, (info_of(slab).block_bytes - verso_page_bytes()) / 512);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    status = support_child(store_behind_the_block, plain); /* 128 in 65,408 bytes: what follows is in the same page */
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    verso_slab_close(plain);
    verso_slab_close(slab);
}

static int write_after_free(void *arg)
{
    unsigned char *volatile object = verso_slab_alloc(arg);

    (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2); /* ASan's report is expected, and long */
    if (!object || verso_slab_free(arg, object) < 0)
        return 0;
    *object = 1;
    return 0;
}

static int write_behind(void *arg)
{
    unsigned char *volatile object = verso_slab_alloc(arg);

    (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
    if (object)
        object[21] = 1; /* of 20 bytes, and 4 that align the next */
    return 0;
}

static void test_asan_knows_what_is_free(void **state)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct verso_slab *slab;
    int status;

    (void)state;
    if (!support_is_asan())
        skip_because("this build has no ASan");
    options.align_bytes = 8;
    assert_ok(verso_slab_open(20, &options, &slab));
    status = support_child(write_after_free, slab);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = support_child(write_behind, slab);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    verso_slab_close(slab);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_handle_leads_to_its_object), cmocka_unit_test(test_a_stale_handle_is_known),
        cmocka_unit_test(test_nonsense_is_no_handle),        cmocka_unit_test(test_handles_have_to_be_asked_for),
        cmocka_unit_test(test_a_write_after_free_is_found),  cmocka_unit_test(test_the_pattern_survives_trimming),
        cmocka_unit_test(test_behind_a_block_is_a_guard),    cmocka_unit_test(test_asan_knows_what_is_free),
    };

    return run_test_list(list);
}
