/* SPDX-License-Identifier: MIT */
/* info - sizes, counts, memory; and giving back what is not needed. */
#include "slab/slab.h"

#include <string.h>

static unsigned count_threads(const struct verso__slab *slab)
{
    unsigned count = 0;

    for (const struct verso__slab_cache *cache = slab->caches; slab->is_shared && cache; cache = cache->next)
        count += verso__slab_thread_of(cache) != VERSO__SLAB_NOBODY;
    return count;
}

int verso_slab_info(struct verso_slab *head, struct verso_slab_info *out_info)
{
    struct verso__slab *slab = verso__slab_of(head);
    struct verso_slab_info info = { .struct_bytes = out_info->struct_bytes };

    if (info.struct_bytes < sizeof(info))
        return verso__slab_fail(slab, VERSO_E_OPTIONS, "info", "start from VERSO_SLAB_INFO_INIT");
    info.object_bytes = slab->object_bytes;
    info.stride_bytes = slab->head.stride_bytes;
    info.align_bytes = slab->align_bytes;
    info.block_bytes = verso__slab_block_bytes(slab);
    info.block_objects = slab->block_objects;
    info.objects_max = slab->block_max * slab->block_objects;
    info.flags = slab->flags;
    verso__slab_lock(slab);
    info.block_count = slab->made_bytes >> slab->block_bits;
    info.retained_bytes = slab->retained_bytes;
    info.returned_bytes = slab->returned_bytes;
    info.thread_count = count_threads(slab);
    verso__slab_unlock(slab);
    for (size_t i = 0; i < info.block_count; i++)
        info.live_count += verso__slab_live_count(slab, i);
    info.double_free_count = atomic_load(&slab->double_free_count);
    info.set_aside_count = atomic_load(&slab->set_aside_count);
    memcpy(out_info, &info, sizeof(info));
    return 0;
}

/* Blocks without objects that the cache has ready. */
static void give_up_empty(struct verso__slab_cache *cache)
{
    for (uint32_t at = cache->listed; at;) {
        size_t index = at - 1;
        const struct verso__slab_block *block = verso__slab_block_at(cache->slab, index);

        at = block->next;
        if (verso__slab_block_is_free(cache->slab, block))
            verso__slab_block_put(cache, index);
    }
}

int verso_slab_trim(struct verso_slab *head)
{
    struct verso__slab *slab = verso__slab_of(head);
    struct verso__slab_cache *cache = verso__slab_cache_of_thread(slab);
    int r;

    if (!cache)
        return verso_error_last()->code;
    if (slab->is_shared) {
        verso__slab_drain(cache, cache);
        verso__slab_inherit(cache);
    }
    give_up_empty(cache);
    verso__slab_lock(slab);
    r = verso__slab_block_strip(slab);
    verso__slab_unlock(slab);
    return r < 0 ? verso__slab_fail(slab, r, "madvise", NULL) : 0;
}
