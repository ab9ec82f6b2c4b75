/* SPDX-License-Identifier: MIT */
/* track - see track.h: choosing the way, and telling what was found. */
#include "base/fail.h"
#include "base/sums.h"
#include "os/os.h"

#include "clone/track.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Beginning and ending ---- */

/* Whether an answer means that the kernel can't do it here, and another way may. */
static bool is_missing(int error)
{
    return error == -ENOSYS || error == -EPERM || error == -EACCES || error == -EINVAL || error == -ENOTTY ||
           error == -ENOENT || error == -EOPNOTSUPP;
}

/* What the kernel answered is kept, but in no record yet: the other way may work. */
static int begin_by_kernel(struct verso_clone_track *track)
{
    const char *step = "";
    int r = verso__clone_kernel_begin(track, &step);

    if (r == 0) {
        track->method = VERSO_CLONE_TRACK_KERNEL;
        return 0;
    }
    track->refused = r;
    track->refused_step = step;
    return is_missing(r) ? VERSO_E_UNSUPPORTED : verso__fail(r, step, NULL);
}

static int begin_by_faults(struct verso_clone_track *track)
{
    const char *step = "";
    int r = verso__clone_faults_begin(track, &step);

    if (r < 0)
        return verso__fail(r, step, NULL);
    track->method = VERSO_CLONE_TRACK_FAULTS;
    return 0;
}

static int begin(struct verso_clone_track *track, unsigned method)
{
    struct verso__failure failure = { VERSO_E_UNSUPPORTED, 0, NULL, NULL, VERSO_OFFSET_NONE, NULL };
    int r = method == VERSO_CLONE_TRACK_FAULTS ? VERSO_E_UNSUPPORTED : begin_by_kernel(track);

    if (r != VERSO_E_UNSUPPORTED)
        return r;
    if (method != VERSO_CLONE_TRACK_KERNEL)
        return begin_by_faults(track);
    failure.cause = track->refused;
    failure.step = track->refused_step;
    return verso__fail_with(&failure);
}

static void track_free(struct verso_clone_track *track)
{
    verso__clone_bits_free(&track->found);
    verso__clone_bits_free(&track->told);
    free(track);
}

static struct verso_clone_track *track_make(uintptr_t start, uint64_t bytes)
{
    struct verso_clone_track *track = calloc(1, sizeof(*track));
    uint64_t pages = bytes / verso__os_page_bytes();

    if (!track)
        return NULL;
    track->start = start;
    track->bytes = bytes;
    track->owner = verso__os_process_id();
    track->refused_step = "";
    if (verso__clone_bits_make(&track->found, pages) == 0 && verso__clone_bits_make(&track->told, pages) == 0)
        return track;
    track_free(track);
    return NULL;
}

static int check_range(uintptr_t start, uint64_t bytes)
{
    uint64_t end;

    if (bytes == 0 || start % verso__os_page_bytes() != 0 || bytes % verso__os_page_bytes() != 0)
        return verso__fail(VERSO_E_RANGE, "range", NULL);
    if (!verso__add_u64(start, bytes, &end) || end > verso__os_address_space_bytes())
        return verso__fail(VERSO_E_OVERFLOW, "range", NULL);
    return 0;
}

int verso_clone_track_begin(void *address, uint64_t bytes, unsigned method, struct verso_clone_track **out_track)
{
    struct verso_clone_track *track;
    int r;

    if (!out_track)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (method > VERSO_CLONE_TRACK_FAULTS)
        return verso__fail(VERSO_E_OPTIONS, "method", NULL);
    r = check_range((uintptr_t)address, bytes);
    if (r < 0)
        return r;
    r = verso__os_check_mapped(address, (size_t)bytes);
    if (r < 0)
        return verso__fail_hint(r, "range", NULL, "map all of it before, and keep it mapped");
    track = track_make((uintptr_t)address, bytes);
    if (!track)
        return verso__fail(-ENOMEM, "allocate", NULL);
    r = begin(track, method);
    if (r < 0)
        track_free(track);
    else
        *out_track = track;
    return r;
}

static bool is_own(const struct verso_clone_track *track)
{
    return track->owner == verso__os_process_id();
}

/* A child inherits read-only pages, and its copy of the handler that answers for them: they are opened there too. */
void verso_clone_track_end(struct verso_clone_track *track)
{
    if (!track)
        return;
    if (track->method == VERSO_CLONE_TRACK_KERNEL)
        verso__clone_kernel_end(track, is_own(track));
    else
        verso__clone_faults_end(track);
    track_free(track);
}

/* ---- Answers ---- */

static int collect(struct verso_clone_track *track, bool reset)
{
    int r = 0;

    if (!track)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!is_own(track))
        return verso__fail_hint(VERSO_E_UNTRACKED, "track", NULL,
                                "tracking is not inherited: a child of fork() begins its own");
    if (track->method == VERSO_CLONE_TRACK_KERNEL)
        r = verso__clone_kernel_collect(track, reset);
    else if (verso__os_check_mapped((void *)track->start, (size_t)track->bytes) < 0)
        r = VERSO_E_UNTRACKED;
    else
        verso__clone_faults_collect(track, reset);
    return r < 0 ? verso__fail(r, "track", NULL) : 0;
}

static void count(const struct verso_clone_track *track, uint64_t *out_written_bytes)
{
    if (out_written_bytes)
        *out_written_bytes = verso__clone_bits_count(&track->told) * verso__os_page_bytes();
}

int verso_clone_track_look(struct verso_clone_track *track, uint64_t *out_written_bytes)
{
    int r = collect(track, false);

    if (r < 0)
        return r;
    verso__clone_bits_copy(&track->told, &track->found);
    count(track, out_written_bytes);
    return 0;
}

int verso_clone_track_take(struct verso_clone_track *track, uint64_t *out_written_bytes)
{
    struct verso__clone_bits found;
    int r = collect(track, true);

    if (r < 0)
        return r;
    found = track->found;
    track->found = track->told;
    track->told = found;
    verso__clone_bits_clear(&track->found);
    count(track, out_written_bytes);
    return 0;
}

int verso_clone_track_next(const struct verso_clone_track *track, uint64_t offset_bytes,
                           struct verso_clone_run *out_run)
{
    return verso__clone_bits_run(&track->told, offset_bytes, track->bytes, out_run);
}

int verso_clone_track_touch(struct verso_clone_track *track, uint64_t offset_bytes, uint64_t length_bytes)
{
    uint64_t page_bytes = verso__os_page_bytes();
    int r = 0;

    if (!track)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__within(offset_bytes, length_bytes, track->bytes))
        return verso__fail_at(VERSO_E_RANGE, "range", NULL, offset_bytes);
    if (!is_own(track))
        return verso__fail(VERSO_E_UNTRACKED, "track", NULL);
    if (track->method == VERSO_CLONE_TRACK_FAULTS && length_bytes > 0)
        r = verso__clone_faults_touch(track, offset_bytes / page_bytes,
                                      (offset_bytes + length_bytes - 1) / page_bytes + 1);
    return r < 0 ? verso__fail(r == -ENOMEM ? VERSO_E_UNTRACKED : r, "mprotect", NULL) : 0;
}

int verso_clone_track_info(const struct verso_clone_track *track, struct verso_clone_track_info *out_info)
{
    struct verso_clone_track_info info = {
        .struct_bytes = out_info->struct_bytes,
        .method = track->method,
        .refused = track->refused,
        .refused_step = track->refused_step,
    };

    if (info.struct_bytes < sizeof(info))
        return verso__fail(VERSO_E_OPTIONS, "info", NULL);
    memcpy(out_info, &info, sizeof(info));
    return 0;
}
