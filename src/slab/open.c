/* SPDX-License-Identifier: MIT */
/*
 * open - how large blocks are, and where everything stands.
 *
 * A block is a power of two, so that an address leads to its block by a shift: 64 KiB; more for large objects, of which
 * eight fit; above 1 MiB, one. A summary has a bit for each of 64 words, so 4,096 small objects are all that a block
 * takes: what they leave of it is addresses that nobody touches.
 */
#include "slab/slab.h"

#include "base/options.h"
#include "base/sums.h"

#include <errno.h>
#include <stdlib.h>

#define FLAGS_KNOWN ((unsigned)VERSO_SLAB_HUGE * 2 - 1)
#define BLOCK_LARGE_OBJECTS 8
#define STRIDE_LARGE_BYTES ((size_t)1 << 20) /* above, a block holds one object */
#define ALIGN_BYTES_DEFAULT_MAX ((size_t)16)
#define RETAIN_BYTES_DEFAULT ((uint64_t)64 << 20)
#define BLOCK_COUNT_DEFAULT_MAX ((uint64_t)1 << 20)
#define INDEX_COUNT ((uint64_t)1 << 32) /* objects that handles can name */
#define SPAN_BYTES_LEAST ((uint64_t)16 << 20)
#if UINTPTR_MAX > UINT32_MAX
#define SPAN_BYTES_DEFAULT ((uint64_t)64 << 30)
#else
#define SPAN_BYTES_DEFAULT ((uint64_t)256 << 20)
#endif

int verso__slab_fail(const struct verso__slab *slab, int code, const char *step, const char *hint)
{
    return verso__fail_hint(code, step, slab->objects_pages->name, hint);
}

int verso__slab_fail_at(const struct verso__slab *slab, int code, const char *step, const void *object,
                        const char *hint)
{
    uintptr_t address = (uintptr_t)object, base = (uintptr_t)slab->head.base;
    uint64_t offset = address >= base ? address - base : VERSO_OFFSET_NONE;
    const struct verso__failure failure = { code, 0, step, slab->objects_pages->name, offset, hint };

    return verso__fail_with(&failure);
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

static int refuse(int code, const char *hint)
{
    return verso__fail_hint(code, "options", NULL, hint);
}

static int size_objects(struct verso__slab *slab, size_t object_bytes, size_t align)
{
    uint64_t stride;

    if (object_bytes == 0)
        return refuse(VERSO_E_RANGE, "objects have one byte at least");
    if (align & (align - 1))
        return refuse(VERSO_E_OPTIONS, "align_bytes is a power of two");
    if (align == 0) {
        align = object_bytes & -object_bytes;
        align = align < ALIGN_BYTES_DEFAULT_MAX ? align : ALIGN_BYTES_DEFAULT_MAX;
    }
    if (!verso__round_up(object_bytes, align, &stride) || stride > PTRDIFF_MAX / 2)
        return refuse(VERSO_E_OVERFLOW, "objects are larger than address spaces are");
    slab->object_bytes = object_bytes;
    slab->align_bytes = align;
    slab->head.stride_bytes = (size_t)stride;
    return 0;
}

static void size_blocks(struct verso__slab *slab)
{
    size_t page = verso__os_page_bytes(), guard = slab->flags & VERSO_SLAB_GUARD ? page : 0;
    size_t stride = slab->head.stride_bytes, block = (size_t)1 << VERSO__SLAB_BLOCK_BITS, count;
    size_t least = stride <= STRIDE_LARGE_BYTES ? BLOCK_LARGE_OBJECTS * stride + guard : stride + guard;

    while (block < least || block <= page)
        block *= 2;
    count = stride <= STRIDE_LARGE_BYTES ? (block - guard) / stride : 1;
    if (count > VERSO__SLAB_BLOCK_OBJECTS_MAX)
        count = VERSO__SLAB_BLOCK_OBJECTS_MAX;
    slab->used_bytes = (size_t)verso__round_down(count * stride + page - 1, page);
    slab->block_objects = (unsigned)count;
    slab->block_bits = (unsigned)__builtin_ctzll(block);
    slab->word_count = (unsigned)((count + VERSO__SLAB_WORD_OBJECTS - 1) / VERSO__SLAB_WORD_OBJECTS);
    slab->last_mask = UINT64_MAX >> (VERSO__SLAB_WORD_OBJECTS - 1 - (count - 1) % VERSO__SLAB_WORD_OBJECTS);
    while ((size_t)1 << slab->index_bits < count)
        slab->index_bits++;
    if (slab->block_bits == VERSO__SLAB_BLOCK_BITS) {
        slab->head.inverse = ((uint64_t)1 << 32) / stride + 1;
        slab->head.excess_end = (uint32_t)((count - 1) * (slab->head.inverse * stride - ((uint64_t)1 << 32)) + 1);
    }
}

static bool fits(const struct verso__slab *slab)
{
    size_t bytes = (size_t)(slab->block_max << slab->block_bits);
    void *address;

    if (verso__os_reserve(bytes, verso__os_page_bytes(), &address) < 0)
        return false;
    (void)verso__os_unmap(address, bytes);
    return true;
}

/* What a process that may not have that many addresses (RLIMIT_AS) gets is found by trying; the rest of the program
 * wants most of it. */
static void count_usual_blocks(struct verso__slab *slab)
{
    uint64_t least = verso__max_u64(1, SPAN_BYTES_LEAST >> slab->block_bits), usual;

    usual = verso__min_u64(SPAN_BYTES_DEFAULT >> slab->block_bits, BLOCK_COUNT_DEFAULT_MAX);
    slab->block_max = verso__max_u64(usual, least);
    usual = slab->block_max;
    while (slab->block_max > least && !fits(slab))
        slab->block_max /= 2;
    if (slab->block_max < usual)
        slab->block_max = verso__max_u64(slab->block_max / 4, least);
}

static int count_blocks(struct verso__slab *slab, uint64_t objects_max)
{
    uint64_t bytes;

    if (objects_max) {
        slab->block_max = objects_max / slab->block_objects + (objects_max % slab->block_objects != 0);
    } else {
        count_usual_blocks(slab);
    }
    if (slab->block_max >= UINT32_MAX || !verso__multiply_u64(slab->block_max, verso__slab_block_bytes(slab), &bytes) ||
        bytes > PTRDIFF_MAX)
        return refuse(VERSO_E_OVERFLOW, "so many objects do not fit in an address space: lower objects_max");
    if ((slab->flags & VERSO_SLAB_HANDLES) && slab->block_max > INDEX_COUNT >> slab->index_bits)
        return refuse(VERSO_E_OVERFLOW, "handles can name 2^32 objects: lower objects_max");
    return 0;
}

static int size(struct verso__slab *slab, size_t object_bytes, const struct verso_slab_options *options)
{
    int r;

    if (options->flags & ~FLAGS_KNOWN)
        return refuse(VERSO_E_OPTIONS, "a flag is unknown to this version");
    slab->flags = options->flags & VERSO_SLAB_CHECK ? options->flags | VERSO_SLAB_HANDLES : options->flags;
    slab->care = verso__slab_care_of(slab->flags);
    slab->is_shared = (slab->flags & VERSO_SLAB_SHARED) != 0;
    slab->retain_bytes = options->retain_bytes ? options->retain_bytes : RETAIN_BYTES_DEFAULT;
    r = size_objects(slab, object_bytes, options->align_bytes);
    if (r < 0)
        return r;
    size_blocks(slab);
    return count_blocks(slab, options->objects_max);
}

/* ---- Places ------------------------------------------------------------------------------------------------------ */

static int open_objects(struct verso__slab *slab, const char *name)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    int r;

    options.name = name;
    options.align_bytes = slab->align_bytes > verso__os_page_bytes() ? slab->align_bytes : 0;
    if (slab->flags & VERSO_SLAB_GUARD)
        options.flags |= VERSO_PAGES_GUARD_ENDS;
    if (slab->flags & VERSO_SLAB_HUGE)
        options.flags |= VERSO_PAGES_HUGE;
    r = verso_pages_open(slab->block_max << slab->block_bits, &options, &slab->objects_pages);
    if (r < 0)
        return r;
    slab->head.base = verso_pages_data(slab->objects_pages);
    slab->objects = (struct verso__slab_region){ slab->objects_pages, 0, verso_pages_bytes(slab->objects_pages), 0 };
    return 0;
}

/* Where the next part of the notes begins: on a page of its own. */
static size_t lay_out(size_t *at, size_t bytes)
{
    size_t start = *at;
    size_t page = verso__os_page_bytes();

    *at = (size_t)verso__round_down(start + bytes + page - 1, page);
    return start;
}

/* So that threads do not write to each other's lines. */
static size_t whole_lines(size_t bytes)
{
    return (bytes + VERSO__SLAB_LINE - 1) / VERSO__SLAB_LINE * VERSO__SLAB_LINE;
}

static int open_notes(struct verso__slab *slab, const char *name)
{
    size_t words = slab->word_count * sizeof(uint64_t), at = 0, fixed, notes, states, owners;
    size_t note = sizeof(struct verso__slab_block) + slab->word_count * sizeof(struct verso_slab_word);
    size_t table = slab->is_shared ? VERSO__SLAB_THREADS_MAX * sizeof(*slab->head.fronts) : 0;
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    unsigned char *data;
    int r;

    slab->head.note_bytes = note;
    if (slab->is_shared) {
        slab->remote_bytes = whole_lines(note);
        slab->head.note_bytes = slab->remote_bytes + sizeof(struct verso__slab_remote) + whole_lines(words);
    }
    (void)lay_out(&at, table);
    owners = lay_out(&at, (size_t)slab->block_max * sizeof(*slab->head.owners));
    fixed = at;
    notes = lay_out(&at, (size_t)slab->block_max * slab->head.note_bytes);
    states = at;
    if (slab->flags & VERSO_SLAB_HANDLES)
        (void)lay_out(&at, (size_t)slab->block_max * sizeof(uint32_t) << slab->index_bits);

    options.name = name;
    r = verso_pages_open(at, &options, &slab->notes_pages);
    if (r == 0)
        r = verso_pages_commit(slab->notes_pages, 0, fixed);
    if (r < 0)
        return r;
    data = verso_pages_data(slab->notes_pages);
    slab->head.fronts = (void *)data;
    slab->head.owners = (void *)(data + owners);
    slab->head.blocks = data + notes;
    slab->notes = (struct verso__slab_region){ slab->notes_pages, notes, states - notes, 0 };
    slab->states = (struct verso__slab_region){ slab->notes_pages, states, at - states, 0 };
    if (slab->flags & VERSO_SLAB_HANDLES)
        slab->generations = (void *)(data + states);
    return 0;
}

static int set_up(struct verso__slab *slab, size_t object_bytes, const struct verso_slab_options *options)
{
    const char *name = options->name ? options->name : "verso slab";
    int r = size(slab, object_bytes, options);

    if (r == 0)
        r = open_objects(slab, name);
    if (r == 0)
        r = open_notes(slab, name);
    if (r < 0)
        return r;
    if (slab->is_shared)
        r = verso__slab_enroll(slab);
    else
        slab->only = &slab->own;
    slab->head.only = slab->only ? &slab->only->front : NULL;
    if (slab->care)
        slab->head.only = &verso__slab_nobody.front; /* it never has any: all come the slow way */
    return r < 0 ? verso__slab_fail(slab, r, "allocate", NULL) : 0;
}

int verso_slab_open(size_t object_bytes, const struct verso_slab_options *given, struct verso_slab **out_slab)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct verso__slab *slab;
    int r;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return verso__fail(VERSO_E_OPTIONS, "options", NULL);
    slab = calloc(1, sizeof(*slab));
    if (!slab)
        return verso__fail(-ENOMEM, "malloc", options.name);
    (void)pthread_mutex_init(&slab->lock, NULL);
    slab->own.slab = slab;
    slab->own.front.word = &verso__slab_none;
    r = set_up(slab, object_bytes, &options);
    if (r == 0)
        *out_slab = &slab->head;
    else
        verso_slab_close(&slab->head);
    return r;
}

void verso_slab_close(struct verso_slab *head)
{
    struct verso__slab *slab = verso__slab_of(head);

    if (!slab)
        return;
    verso__slab_leave(slab);
    verso__slab_caches_close(slab);
    if (slab->head.base)
        verso__slab_forget(slab);
    verso_pages_close(slab->notes_pages);
    verso_pages_close(slab->objects_pages);
    (void)pthread_mutex_destroy(&slab->lock);
    free(slab);
}
