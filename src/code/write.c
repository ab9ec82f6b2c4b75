/* SPDX-License-Identifier: MIT */
/* write - the calls on blocks: each takes the lock, finds its block, and says by the record what went wrong. */
#include "code/bits.h"
#include "code/code.h"

#include "base/fail.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

/*
 * Whether stores are seen by the instruction fetches of every CPU without further ado, so that code which nobody has
 * run yet needs no barrier. On x86 caches of code are kept coherent, and it is only what a CPU has already taken into
 * its pipeline that can be old.
 */
#if defined(__x86_64__) || defined(__i386__)
#define FETCH_IS_COHERENT true
#else
#define FETCH_IS_COHERENT false
#endif

/* Locks, and finds the block; on failure not locked, and the record filled. */
static int lock_block(struct verso_code *code, const void *block, const char *step, struct place *out_place)
{
    int r = verso__code_check_owner(code, step);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&code->lock);
    if (verso__code_find(code, block, out_place))
        return 0;
    (void)pthread_mutex_unlock(&code->lock);
    return verso__fail_hint(VERSO_E_RANGE, step, code->name,
                            "no block of this pool begins there: pass the address that verso_code_alloc() gave");
}

static int unlock_and_fail(struct verso_code *code, int error, const char *step)
{
    (void)pthread_mutex_unlock(&code->lock);
    return verso__code_fail(code, error, step);
}

static bool is_written(const struct place *place)
{
    return verso__bit(place->segment->written, place->start);
}

/* ---- Getting and giving back ---- */

/* Takes a block and, if @out_write is given, begins it. */
static int take(struct verso_code *code, size_t bytes, const void **out_block, void **out_write)
{
    const char *step = "alloc";
    struct place place;
    int r = verso__code_check_owner(code, step);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&code->lock);
    r = verso__code_take(code, bytes, &place, &step);
    if (r < 0)
        return unlock_and_fail(code, r, step);
    if (out_write) {
        r = verso__code_open_block(code, &place);
        if (r < 0) {
            (void)verso__code_give_back(code, &place, place.start, &step);
            return unlock_and_fail(code, r, "mprotect");
        }
        verso__bits_set(place.segment->written, place.start, place.start + 1);
        *out_write = verso__code_cursor(code, &place);
    }
    *out_block = verso__code_address(code, &place);
    (void)pthread_mutex_unlock(&code->lock);
    return 0;
}

int verso_code_alloc(struct verso_code *code, size_t bytes, const void **out_block)
{
    if (!code || !out_block)
        return verso__fail(-EINVAL, "arguments", NULL);
    return take(code, bytes, out_block, NULL);
}

/* Gives back the end of a block, from @bytes on; all of it when that is 0. */
static int give_back(struct verso_code *code, const void *block, size_t bytes, const char *step)
{
    struct place place;
    size_t kept;
    int r = lock_block(code, block, step, &place);

    if (r < 0)
        return r;
    if (is_written(&place))
        return unlock_and_fail(code, -EBUSY, step);
    if (bytes > verso__code_bytes(code, &place))
        return unlock_and_fail(code, VERSO_E_RANGE, step);
    kept = (bytes + code->granule_bytes - 1) / code->granule_bytes; /* at most what the block has: no overflow */
    if (place.start + kept < place.end) {
        r = verso__code_give_back(code, &place, place.start + kept, &step);
        if (r < 0)
            return unlock_and_fail(code, r, step);
    }
    (void)pthread_mutex_unlock(&code->lock);
    return 0;
}

int verso_code_shrink(struct verso_code *code, const void *block, size_t bytes)
{
    if (!code)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (bytes == 0)
        return verso__fail_hint(VERSO_E_RANGE, "shrink", code->name, "to give back all of it, verso_code_free()");
    return give_back(code, block, bytes, "shrink");
}

int verso_code_free(struct verso_code *code, const void *block)
{
    if (!code)
        return verso__fail(-EINVAL, "arguments", NULL);
    return block ? give_back(code, block, 0, "free") : 0;
}

/* ---- Writing ---- */

int verso_code_begin(struct verso_code *code, const void *block, void **out_write)
{
    struct place place;
    int r;

    if (!code || !out_write)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = lock_block(code, block, "begin", &place);
    if (r < 0)
        return r;
    if (is_written(&place))
        return unlock_and_fail(code, -EBUSY, "begin");
    r = verso__code_open_block(code, &place);
    if (r < 0)
        return unlock_and_fail(code, r, "mprotect");
    verso__bits_set(place.segment->written, place.start, place.start + 1);
    *out_write = verso__code_cursor(code, &place);
    (void)pthread_mutex_unlock(&code->lock);
    return 0;
}

/* Before the block can be run: what other CPUs have fetched of what was there before must go. */
static int barrier(struct verso_code *code, const struct place *place)
{
    int r;

    if (*code->sync_why || (FETCH_IS_COHERENT && !verso__bit(place->segment->run_before, place->start)))
        return 0;
    r = verso__os_code_barrier();
    code->barriers += r == 0;
    return r;
}

int verso_code_end(struct verso_code *code, const void *block)
{
    struct place place;
    int r;

    if (!code)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = lock_block(code, block, "end", &place);
    if (r < 0)
        return r;
    if (!is_written(&place))
        return unlock_and_fail(code, -EINVAL, "end");
    r = verso__code_close_block(code, &place);
    if (r < 0)
        return unlock_and_fail(code, r, "mprotect");
    verso__os_code_flush(verso__code_address(code, &place), verso__code_bytes(code, &place));
    r = barrier(code, &place);
    if (r < 0)
        return unlock_and_fail(code, r, "membarrier");
    verso__bits_clear(place.segment->written, place.start, place.start + 1);
    verso__bits_set(place.segment->run_before, place.start, place.start + 1);
    (void)pthread_mutex_unlock(&code->lock);
    return 0;
}

/* ---- All in one ---- */

/* Forgets a block that could not be ended. */
static void undo(struct verso_code *code, const void *block)
{
    struct place place;
    const char *step;

    (void)pthread_mutex_lock(&code->lock);
    if (verso__code_find(code, block, &place))
        (void)verso__code_give_back(code, &place, place.start, &step);
    (void)pthread_mutex_unlock(&code->lock);
}

int verso_code_add(struct verso_code *code, const void *data, size_t bytes, const void **out_block)
{
    const void *block = NULL;
    void *write = NULL;
    int r;

    if (!code || !data || !out_block)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = take(code, bytes, &block, &write);
    if (!write) /* untouched on failure */
        return r;
    memcpy(write, data, bytes);
    r = verso_code_end(code, block);
    if (r < 0)
        undo(code, block);
    else
        *out_block = block;
    return r;
}

int verso_code_name(struct verso_code *code, const void *block, const char *name)
{
    struct place place;
    int r;

    if (!code || !name)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = lock_block(code, block, "name", &place);
    if (r < 0)
        return r;
    if (is_written(&place))
        return unlock_and_fail(code, -EBUSY, "name");
    if (code->dump)
        r = verso__code_dump_write(code->dump, block, verso__code_bytes(code, &place), name);
    if (r < 0)
        return unlock_and_fail(code, r, "write");
    (void)pthread_mutex_unlock(&code->lock);
    return 0;
}
