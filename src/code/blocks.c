/* SPDX-License-Identifier: MIT */
/*
 * blocks - first fit over bitmaps, and what becomes of freed memory.
 *
 * The lowest address that will do is taken, so that code lies close together and what was freed is used before anything
 * new. Marks keep the search short: before lowest[i] there is no run of i + 1 granules, and nowhere one of too_many.
 */
#include "code/bits.h"
#include "code/code.h"

#include "base/sums.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

/* So much may wait for a barrier before one is asked for: as much as a CPU's nearest cache holds of code, so that reuse
 * stays warm. */
#define WAITING_BYTES_MAX ((uint64_t)32 << 10)

/* ---- Finding a block by its address ---- */

static struct segment *segment_of(const struct verso_code *code, uintptr_t address)
{
    size_t low = 0, high = code->segment_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if ((uintptr_t)code->segments[middle]->run <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address - (uintptr_t)code->segments[low - 1]->run >= code->segments[low - 1]->bytes)
        return NULL;
    return code->segments[low - 1];
}

bool verso__code_find(const struct verso_code *code, const void *block, struct place *out_place)
{
    struct segment *segment = segment_of(code, (uintptr_t)block);
    size_t offset, at;

    if (!segment)
        return false;
    offset = (uintptr_t)block - (uintptr_t)segment->run;
    at = offset / code->granule_bytes;
    if (offset % code->granule_bytes != 0 || !verso__bit(segment->taken, at) || verso__bit(segment->waiting, at))
        return false;
    if (at > 0 && verso__bit(segment->taken, at - 1) && !verso__bit(segment->stop, at - 1))
        return false; /* in the middle of one */
    out_place->segment = segment;
    out_place->start = at;
    out_place->end = verso__bits_find(segment->stop, true, at, segment->granules) + 1;
    return true;
}

/* ---- Memory that waits for a barrier ---- */

static void stop_waiting(struct segment *segment, size_t granules)
{
    for (size_t i = 0; i < verso__bits_words(granules); i++) {
        segment->taken[i] &= ~segment->waiting[i];
        segment->stop[i] &= ~segment->waiting[i];
        segment->waiting[i] = 0;
    }
    segment->waiting_count = 0;
    memset(segment->lowest, 0, sizeof(segment->lowest));
    segment->too_many = SIZE_MAX;
}

/* Lets go of all that waits, if the barrier can be had now: else there will be another time. */
static void reclaim(struct verso_code *code)
{
    if (verso__os_code_barrier() < 0)
        return;
    code->barriers++;
    code->waiting_bytes = 0;
    for (size_t i = 0; i < code->segment_count; i++)
        if (code->segments[i]->waiting_count > 0)
            stop_waiting(code->segments[i], code->segments[i]->ready_bytes / code->granule_bytes);
}

/* ---- Taking ---- */

/* There is no run of @count granules before @start. */
static void raise_marks(struct segment *segment, size_t count, size_t start)
{
    for (size_t i = count - 1; i < RUN_CLASSES; i++)
        if (segment->lowest[i] < start)
            segment->lowest[i] = start;
}

/* Granules became free: the whole run that they are part of can be found again. */
static void lower_marks(struct segment *segment, size_t start, size_t end)
{
    size_t run_start = verso__bits_run_start(segment->taken, start);
    size_t count = verso__bits_find(segment->taken, true, end, segment->granules) - run_start;

    for (size_t i = 0; i < RUN_CLASSES && i < count; i++)
        if (segment->lowest[i] > run_start)
            segment->lowest[i] = run_start;
    if (segment->too_many <= count)
        segment->too_many = count + 1;
}

/* The first run of @count free granules; false when there is none. */
static bool find_run(struct segment *segment, size_t count, struct place *out_place)
{
    size_t total = segment->granules, mark = count < RUN_CLASSES ? count : RUN_CLASSES;
    size_t start, end;

    if (count >= segment->too_many)
        return false;
    start = verso__bits_find(segment->taken, false, segment->lowest[mark - 1], total);
    while (start < total && total - start >= count) {
        end = verso__bits_find(segment->taken, true, start, start + count);
        if (end == start + count) {
            raise_marks(segment, count, start);
            *out_place = (struct place){ segment, start, end };
            return true;
        }
        start = verso__bits_find(segment->taken, false, end, total);
    }
    segment->too_many = count;
    return false;
}

static bool find_room(const struct verso_code *code, size_t count, struct place *out_place)
{
    for (size_t i = 0; i < code->segment_count; i++)
        if (find_run(code->segments[i], count, out_place))
            return true;
    return false;
}

/* One more segment, as large as @bytes need. */
static int grow(struct verso_code *code, uint64_t bytes, const char **out_step)
{
    uint64_t segment_bytes, total;

    if (!verso__round_up(verso__max_u64(bytes, code->segment_bytes), verso__os_page_bytes(), &segment_bytes) ||
        !verso__add_u64(code->reserved_bytes, segment_bytes, &total) || segment_bytes > SIZE_MAX / 2)
        return VERSO_E_OVERFLOW;
    if (code->total_bytes_max > 0 && total > code->total_bytes_max)
        return VERSO_E_TOO_LARGE;
    return verso__code_segment_make(code, (size_t)segment_bytes, out_step);
}

static int find_or_make_room(struct verso_code *code, uint64_t bytes, struct place *out_place, const char **out_step)
{
    size_t count = (size_t)(bytes / code->granule_bytes);
    int r;

    if (code->waiting_bytes >= WAITING_BYTES_MAX)
        reclaim(code);
    if (find_room(code, count, out_place))
        return 0;
    if (code->waiting_bytes > 0) {
        reclaim(code);
        if (find_room(code, count, out_place))
            return 0;
    }
    r = grow(code, bytes, out_step);
    return r == 0 && !find_room(code, count, out_place) ? -ENOMEM : r;
}

int verso__code_take(struct verso_code *code, size_t bytes, struct place *out_place, const char **out_step)
{
    struct segment *segment;
    uint64_t whole;
    int r;

    *out_step = "alloc";
    if (bytes == 0)
        return VERSO_E_RANGE;
    if (!verso__round_up(bytes, code->granule_bytes, &whole))
        return VERSO_E_OVERFLOW;
    r = find_or_make_room(code, whole, out_place, out_step);
    if (r < 0)
        return r;
    segment = out_place->segment;
    r = verso__code_segment_ready(code, segment, out_place->end * code->granule_bytes, out_step);
    if (r < 0)
        return r;
    verso__bits_set(segment->taken, out_place->start, out_place->end);
    verso__bits_set(segment->stop, out_place->end - 1, out_place->end);
    segment->used += out_place->end - out_place->start;
    code->blocks++;
    return 0;
}

/* ---- Giving back ---- */

/* The granules are nobody's; whoever may have run them must pass a barrier first, where there is one. */
static void let_go(struct verso_code *code, const struct place *place, size_t start, bool run_before)
{
    struct segment *segment = place->segment;
    size_t count = place->end - start;

    segment->used -= count;
    if (run_before && !*code->sync_why) {
        verso__bits_set(segment->waiting, start, place->end);
        segment->waiting_count += count;
        code->waiting_bytes += count * code->granule_bytes;
        return;
    }
    verso__bits_clear(segment->taken, start, place->end);
    verso__bits_clear(segment->stop, start, place->end);
    lower_marks(segment, start, place->end);
}

int verso__code_give_back(struct verso_code *code, const struct place *place, size_t start, const char **out_step)
{
    struct segment *segment = place->segment;
    bool run_before = verso__bit(segment->run_before, place->start);
    int r = 0;

    if (run_before || verso__bit(segment->written, place->start)) /* else nothing but traps was ever there */
        r = verso__code_fill(code, segment, start, place->end, out_step);
    if (r < 0)
        return r;
    let_go(code, place, start, run_before);
    if (start > place->start) {
        verso__bits_set(segment->stop, start - 1, start);
        return 0;
    }
    verso__bits_clear(segment->written, start, start + 1);
    verso__bits_clear(segment->run_before, start, start + 1);
    code->blocks--;
    if (segment->used == 0 && segment != code->first && !code->seal)
        verso__code_segment_release(code, segment);
    return 0;
}
