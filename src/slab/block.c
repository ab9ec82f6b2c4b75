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
}

bool verso__slab_block_is_free(const struct verso_slab *slab, const struct verso__slab_block *block)
{
    return block->whole == slab->whole_all &&
           (!slab->last_mask || verso__slab_bits(&block->free[slab->whole_word_count]) == slab->last_mask);
}

bool verso__slab_sum_up(const struct verso_slab *slab, struct verso__slab_block *block)
{
    bool has_some = false;

    block->whole = 0;
    for (unsigned w = 0; w < slab->word_count; w++) {
        uint64_t bits = verso__slab_bits(&block->free[w]);

        block->some[w] = bits != 0;
        has_some |= bits != 0;
        if (w < slab->whole_word_count)
            block->whole |= (uint64_t)(bits == UINT64_MAX) << w;
    }
    return has_some;
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
static int grow(const struct verso_slab *slab, struct verso__slab_region *region, uint64_t needed)
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
static int discard(struct verso_slab *slab, size_t index)
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

static void push(struct verso_slab *slab, uint32_t *list, size_t index)
{
    verso__slab_block_at(slab, index)->next = *list;
    *list = (uint32_t)index + 1;
}

static void push_bare(struct verso_slab *slab, size_t index)
{
    verso__slab_block_at(slab, index)->is_bare = true;
    push(slab, &slab->bare, index);
}

static size_t pop(struct verso_slab *slab, uint32_t *list)
{
    size_t index = *list - 1;

    *list = verso__slab_block_at(slab, index)->next;
    return index;
}

int verso__slab_block_strip(struct verso_slab *slab)
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
static void keep(struct verso_slab *slab, size_t index)
{
    if (slab->retained_bytes + slab->used_bytes > slab->retain_bytes && discard(slab, index) == 0) {
        push_bare(slab, index);
        return;
    }
    push(slab, &slab->warm, index);
    slab->retained_bytes += slab->used_bytes;
}

static int make(struct verso_slab *slab, size_t *out_index)
{
    size_t index = slab->made_bytes >> slab->block_bits, start = index << slab->block_bits;
    struct verso__slab_block *block;
    int r;

    if (index >= slab->block_max)
        return verso__slab_fail(slab, VERSO_E_SPAN, "alloc",
                                "all objects are in use: open it with a larger objects_max");
    r = grow(slab, &slab->notes, (uint64_t)(index + 1) * slab->note_bytes);
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
    for (unsigned w = 0; w < slab->word_count; w++)
        verso__slab_bits_set(&block->free[w], w < slab->whole_word_count ? UINT64_MAX : slab->last_mask);
    (void)verso__slab_sum_up(slab, block);
    verso__slab_fresh(slab, index);
    atomic_store_explicit(&slab->owners[index], &verso__slab_nobody, memory_order_relaxed);
    atomic_store_explicit(&slab->made_bytes, start + verso__slab_block_bytes(slab), memory_order_release);
    *out_index = index;
    return 0;
}

static int get(struct verso_slab *slab, bool only_warm, size_t *out_index)
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
    struct verso_slab *slab = cache->slab;
    size_t index = 0;
    int r;

    verso__slab_lock(slab);
    r = get(slab, only_warm, &index);
    if (r == 0) {
        atomic_store_explicit(&slab->owners[index], cache, memory_order_release);
        verso__slab_list(cache, index);
    }
    verso__slab_unlock(slab);
    return r;
}

void verso__slab_block_put(struct verso__slab_cache *cache, size_t index)
{
    struct verso_slab *slab = cache->slab;
    struct verso__slab_place place;

    if (cache->base && verso__slab_locate(slab, cache->base, &place) && place.block == index) {
        cache->word = &verso__slab_none;
        cache->base = NULL;
    }
    verso__slab_unlist(cache, index);
    verso__slab_lock(slab);
    atomic_store_explicit(&slab->owners[index], &verso__slab_nobody, memory_order_release);
    keep(slab, index);
    verso__slab_unlock(slab);
}
