/* SPDX-License-Identifier: MIT */
/* slab - with every call beneath failing in turn: an object or an error, and nothing lost. */
#include "torture.h"

#include <verso/slab.h>

#define OBJECTS 500 /* of 1,000 bytes: eight blocks */
#define BYTES 1000

static unsigned char *objects[OBJECTS];

static int alloc_into(struct verso_slab *slab, unsigned char **out_object)
{
    unsigned char *object = verso_slab_alloc(slab);

    if (!object)
        return verso_error_last()->code;
    *out_object = object;
    return 0;
}

static uint64_t live(struct verso_slab *slab)
{
    struct verso_slab_info info = VERSO_SLAB_INFO_INIT;

    assert_ok(verso_slab_info(slab, &info));
    return info.live_count;
}

static void use(unsigned flags)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct verso_slab *slab = UNTOUCHED;

    options.flags = flags;
    options.retain_bytes = 1; /* so that frees call the kernel, too */
    attempt(verso_slab_open(BYTES, &options, &slab)) assert_ptr_equal(slab, UNTOUCHED);
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = UNTOUCHED;
        attempt(alloc_into(slab, &objects[i]))
        {
            assert_ptr_equal(objects[i], UNTOUCHED);
            assert_int_equal(live(slab), i);
        }
        memset(objects[i], (int)i, BYTES);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        assert_int_equal(objects[i][0], (unsigned char)i);
        assert_int_equal(objects[i][BYTES - 1], (unsigned char)i);
        assert_ok(verso_slab_free(slab, objects[i])); /* whatever the kernel says to what it is offered */
    }
    assert_int_equal(live(slab), 0);
    attempt(verso_slab_trim(slab))
    {
    }
    attempt(alloc_into(slab, &objects[0]))
    {
    }
    memset(objects[0], 1, BYTES);
    verso_slab_close(slab);
}

static void plain(void)
{
    use(0);
}

static void shared(void)
{
    use(VERSO_SLAB_SHARED);
}

static void checked_and_guarded(void)
{
    use(VERSO_SLAB_SHARED | VERSO_SLAB_CHECK | VERSO_SLAB_GUARD | VERSO_SLAB_ZERO);
}

static void test_plain(void **state)
{
    (void)state;
    torture(plain);
}

static void test_shared(void **state)
{
    (void)state;
    torture(shared);
}

static void test_checked_and_guarded(void **state)
{
    (void)state;
    torture(checked_and_guarded);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_plain),
        torture_test(test_shared),
        torture_test(test_checked_and_guarded),
    };

    return run_test_list(list);
}
