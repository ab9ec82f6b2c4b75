/* SPDX-License-Identifier: MIT */
/*
 * block - lists of blocks, and their memory: from the kernel, and back to it.
 *
 *      new --> listed by a cache <--> empty, warm --> empty, bare
 *                    ^                                     |
 *                    +-------------------------------------+
 *
 * An empty block belongs to nobody, so that whoever needs one next has it. Warm ones still have their memory; beyond
 * retain_bytes of those it is given back. Their bits all say free.
 */
#include "slab/slab.h"

#include "base/sums.h"

#include <errno.h>

#define HELD_WORTH 8                     /* objects found per word, that one goes on looking for */
#define STEP_BYTES_MAX ((size_t)2 << 20) /* of what is committed at once, ahead of need */

void verso__slab_list(struct verso__slab_cache *cache, size_t index)
{
    struct verso__slab_block *block = verso__slab_block_at(cache->slab, index);

    block->next = cache->listed;
    block->previous = 0;
    if (block->next)
        verso__slab_block_at(cache->slab, block->next - 1)->previous = (uint32_t)index + 1;
    cache->listed = (uint32_t)index + 1;
    block->is_listed = true;
}

void verso__slab_unlist(struct verso__slab_cache *cache, size_t index)
{
    struct verso__slab_block *block = verso__slab_block_at(cache->slab, index);

    if (block->next)
        verso__slab_block_at(cache->slab, block->next - 1)->previous = block->previous;
    if (block->previous)
        verso__slab_block_at(cache->slab, block->previous - 1)->next = block->next;
    else
        cache->listed = block->next;
    block->is_listed = false;
    block->head.frees = 1; /* the next one lists it again */
}

bool verso__slab_block_has_some(const struct verso__slab *slab, const struct verso__slab_block *block)
{
    for (unsigned w = 0; w < slab->word_count; w++)
        if (verso__slab_bits(&block->words[w].free))
            return true;
    return false;
}

bool verso__slab_block_is_free(const struct verso__slab *slab, const struct verso__slab_block *block)
{
    for (unsigned w = 0; w < slab->word_count; w++)
        if (verso__slab_bits(&block->words[w].free) != verso__slab_mask(slab, w))
            return false;
    return true;
}

/*
 * How many objects of a block are handed out at least; 0: none. A look at each of its words is worth it for as many
 * frees; where few are handed out it ends at the first that are found, and starts there the next time.
 */
static uint32_t count_held(const struct verso__slab *slab, struct verso__slab_block *block)
{
    unsigned w = block->held;
    uint32_t count = 0;

    for (unsigned looked = 1; looked <= slab->word_count; looked++) {
        uint64_t held = verso__slab_bits(&block->words[w].free) ^ verso__slab_mask(slab, w);

        if (held) {
            count += (uint32_t)__builtin_popcountll(held);
            block->held = (uint8_t)w;
            if (count < looked * HELD_WORTH)
                break;
        }
        w = w + 1 < slab->word_count ? w + 1 : 0;
    }
    return count;
}

void verso__slab_block_look(struct verso__slab_cache *cache, size_t index)
{
    struct verso__slab_block *block = verso__slab_block_at(cache->slab, index);
    uint32_t count = count_held(cache->slab, block);

    if (!block->is_listed)
        verso__slab_list(cache, index);
    block->head.frees = count ? count : 1;
    if (count == 0 && (cache->listed != index + 1 || block->next))
        verso__slab_block_put(cache, index);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* The inner calls, as the record is only for those that fail in the end. */
static int commit(struct verso_pages *pages, size_t start, size_t end, const char **out_step)
{
    int r;

    verso__pages_lock_take();
    r = verso__pages_commit_range(pages, start, end, out_step);
    verso__pages_lock_give();
    return r;
}

/* At least @needed bytes of a region are memory. Twice what there was, so that calls are few; else just enough. */
static int grow(const struct verso__slab *slab, struct verso__slab_region *region, uint64_t needed)
{
    size_t page = verso__os_page_bytes(), least = region->bytes, ahead;
    const char *step = "mprotect";
    uint64_t rounded;
    int r = 0;

    if (needed <= region->committed)
        return 0;
    if (verso__round_up(needed, page, &rounded) && rounded < region->bytes)
        least = (size_t)rounded;
    ahead = region->committed < STEP_BYTES_MAX ? region->committed : STEP_BYTES_MAX;
    ahead = ahead < region->bytes - region->committed ? region->committed + ahead : region->bytes;
    for (size_t end = least > ahead ? least : ahead;; end = least) {
        r = commit(region->pages, region->start + region->committed, region->start + end, &step);
        if (r == 0)
            region->committed = end;
        if (r == 0 || end == least)
            break;
    }
    return r < 0 ? verso__slab_fail(slab, r, step, verso__pages_refused(r, step, least - region->committed)) : 0;
}

/* Gives a block's memory back; it reads as zeros then. Bare code. */
static int discard(struct verso__slab *slab, size_t index)
{
    size_t start = index << slab->block_bits;
    int r;

    verso__pages_lock_take();
    r = verso__pages_empty(slab->objects_pages, start, start + slab->used_bytes);
    verso__pages_lock_give();
    if (r == 0)
        slab->returned_bytes += slab->used_bytes;
    return r;
}

/* ---- Empty blocks; the lock is held ------------------------------------------------------------------------------ */

static void push(struct verso__slab *slab, uint32_t *list, size_t index)
{
    verso__slab_block_at(slab, index)->next = *list;
    *list = (uint32_t)index + 1;
}

static void push_bare(struct verso__slab *slab, size_t index)
{
    verso__slab_block_at(slab, index)->is_bare = true;
    push(slab, &slab->bare, index);
}

static size_t pop(struct verso__slab *slab, uint32_t *list)
{
    size_t index = *list - 1;

    *list = verso__slab_block_at(slab, index)->next;
    return index;
}

int verso__slab_block_strip(struct verso__slab *slab)
{
    while (slab->warm) {
        int r = discard(slab, slab->warm - 1);

        if (r < 0)
            return r;
        push_bare(slab, pop(slab, &slab->warm));
        slab->retained_bytes -= slab->used_bytes;
    }
    return 0;
}

/* Over the limit, the block that was just emptied goes; one that the kernel won't take is kept all the same. */
static void keep(struct verso__slab *slab, size_t index)
{
    if (slab->retained_bytes + slab->used_bytes > slab->retain_bytes && discard(slab, index) == 0) {
        push_bare(slab, index);
        return;
    }
    push(slab, &slab->warm, index);
    slab->retained_bytes += slab->used_bytes;
}

static int make(struct verso__slab *slab, size_t *out_index)
{
    size_t index = slab->made_bytes >> slab->block_bits, start = index << slab->block_bits;
    struct verso__slab_block *block;
    int r;

    if (index >= slab->block_max)
        return verso__slab_fail(slab, VERSO_E_SPAN, "alloc",
                                "all objects are in use: open it with a larger objects_max");
    r = grow(slab, &slab->notes, (uint64_t)(index + 1) * slab->head.note_bytes);
    if (r == 0 && slab->generations)
        r = grow(slab, &slab->states, (uint64_t)(index + 1) * sizeof(uint32_t) << slab->index_bits);
    if (r == 0)
        r = grow(slab, &slab->objects, start + slab->used_bytes);
    if (r == 0 && (slab->flags & VERSO_SLAB_GUARD))
        r = verso_pages_guard(slab->objects_pages, start + slab->used_bytes,
                              verso__slab_block_bytes(slab) - slab->used_bytes);
    if (r < 0)
        return r;
    block = verso__slab_block_at(slab, index);
    for (unsigned w = 0; w < slab->word_count; w++) {
        struct verso__slab_place first = { index, (size_t)w * VERSO__SLAB_WORD_OBJECTS };

        verso__slab_bits_set(&block->words[w].free, verso__slab_mask(slab, w));
        block->words[w].first = verso__slab_address(slab, first);
    }
    block->head.frees = 1;
    verso__slab_fresh(slab, index);
    verso__slab_owner_set(slab, index, &verso__slab_nobody);
    atomic_store_explicit(&slab->made_bytes, start + verso__slab_block_bytes(slab), memory_order_release);
    if (!slab->care)
        __atomic_store_n(&slab->head.reach_bytes, start + verso__slab_block_bytes(slab), __ATOMIC_RELEASE);
    *out_index = index;
    return 0;
}

static int get(struct verso__slab *slab, bool only_warm, size_t *out_index)
{
    if (slab->warm) {
        *out_index = pop(slab, &slab->warm);
        slab->retained_bytes -= slab->used_bytes;
        return 0;
    }
    if (only_warm)
        return -EAGAIN;
    if (!slab->bare)
        return make(slab, out_index);
    *out_index = pop(slab, &slab->bare);
    verso__slab_block_at(slab, *out_index)->is_bare = false;
    verso__slab_fresh(slab, *out_index);
    return 0;
}

/* ---- Between caches and the slab --------------------------------------------------------------------------------- */

int verso__slab_block_get(struct verso__slab_cache *cache, bool only_warm)
{
    struct verso__slab *slab = cache->slab;
    size_t index = 0;
    int r;

    verso__slab_lock(slab);
    r = get(slab, only_warm, &index);
    if (r == 0) {
        verso__slab_owner_set(slab, index, cache);
        verso__slab_list(cache, index);
    }
    verso__slab_unlock(slab);
    return r;
}

void verso__slab_block_put(struct verso__slab_cache *cache, size_t index)
{
    struct verso__slab *slab = cache->slab;
    struct verso__slab_place place;

    if (cache->front.word->first && verso__slab_locate(slab, cache->front.word->first, &place) && place.block == index)
        cache->front.word = &verso__slab_none;
    verso__slab_unlist(cache, index);
    verso__slab_lock(slab);
    verso__slab_owner_set(slab, index, &verso__slab_nobody);
    keep(slab, index);
    verso__slab_unlock(slab);
}
