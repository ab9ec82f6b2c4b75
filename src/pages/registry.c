/* SPDX-License-Identifier: MIT */
/*
 * registry - which span holds an address, asked from a signal handler.
 *
 * The record holds all that is told, the name as well: the span itself may be closed while somebody reads.
 */
#include "base/registry.h"

#include "pages/pages.h"

#include <errno.h>
#include <string.h>

enum words {
    WORD_DATA = VERSO__REGISTRY_OWN,
    WORD_BYTES,
    WORD_COMMITTED,
    WORD_KIND,
    WORD_FLAGS,
    WORD_PAGE_BYTES,
    WORD_GUARD_METHOD,
    WORD_NAME,
    WORDS = WORD_NAME + VERSO__PAGES_NAME_BYTES / sizeof(uint64_t),
};

static struct verso__registry registry = VERSO__REGISTRY_INIT(WORDS);

static void describe(const struct verso_pages *pages, uint64_t *out_words)
{
    out_words[VERSO__REGISTRY_START] = (uintptr_t)pages->outer;
    out_words[VERSO__REGISTRY_END] = (uintptr_t)pages->outer + pages->outer_bytes;
    out_words[WORD_DATA] = (uintptr_t)pages->data;
    out_words[WORD_BYTES] = atomic_load_explicit(&pages->bytes, memory_order_relaxed);
    out_words[WORD_COMMITTED] = pages->runs.committed_bytes;
    out_words[WORD_KIND] = pages->kind;
    out_words[WORD_FLAGS] = pages->flags;
    out_words[WORD_PAGE_BYTES] = pages->page_bytes;
    out_words[WORD_GUARD_METHOD] = atomic_load(&pages->guard_method);
    memcpy(&out_words[WORD_NAME], pages->name, VERSO__PAGES_NAME_BYTES);
}

int verso__pages_enter(struct verso_pages *pages)
{
    uint64_t words[WORDS];

    describe(pages, words);
    pages->slot = verso__registry_add(&registry, words);
    return pages->slot == VERSO__REGISTRY_NONE ? -ENOMEM : 0;
}

void verso__pages_moved(struct verso_pages *pages)
{
    uint64_t words[WORDS];

    describe(pages, words);
    verso__registry_refill(&registry, pages->slot, words);
}

void verso__pages_changed(struct verso_pages *pages)
{
    if (pages->slot == VERSO__REGISTRY_NONE)
        return; /* still opening */
    verso__registry_store(&registry, pages->slot, WORD_COMMITTED, pages->runs.committed_bytes);
    verso__registry_store(&registry, pages->slot, WORD_GUARD_METHOD, atomic_load(&pages->guard_method));
}

void verso__pages_leave(struct verso_pages *pages)
{
    if (pages->slot == VERSO__REGISTRY_NONE)
        return;
    verso__registry_drop(&registry, pages->slot);
    pages->slot = VERSO__REGISTRY_NONE;
}

bool verso__pages_find(uintptr_t address, struct verso__pages_place *out_place)
{
    uint64_t words[WORDS];

    if (!verso__registry_find(&registry, address, words))
        return false;
    out_place->outer_start = (uintptr_t)words[VERSO__REGISTRY_START];
    out_place->outer_end = (uintptr_t)words[VERSO__REGISTRY_END];
    out_place->start = (uintptr_t)words[WORD_DATA];
    out_place->end = (uintptr_t)(words[WORD_DATA] + words[WORD_BYTES]);
    out_place->committed_bytes = words[WORD_COMMITTED];
    out_place->kind = (unsigned)words[WORD_KIND];
    out_place->flags = (unsigned)words[WORD_FLAGS];
    out_place->page_bytes = (size_t)words[WORD_PAGE_BYTES];
    out_place->has_guard_mappings = words[WORD_GUARD_METHOD] == VERSO_PAGES_GUARD_MAPPINGS;
    memcpy(out_place->name, &words[WORD_NAME], VERSO__PAGES_NAME_BYTES);
    return true;
}
