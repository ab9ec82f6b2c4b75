/* SPDX-License-Identifier: MIT */
/* frames - the kernel's flags of physical frames, in words of our own: its bit numbers are a matter of /proc alone. */
#include "base/fail.h"
#include "base/sums.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>

/* Bits of /proc/kpageflags: Documentation/admin-guide/mm/pagemap.rst, the same since each was added. */
static const struct {
    unsigned bit;
    unsigned state;
} rows[] = {
    { 0, VERSO_INSPECT_FRAME_LOCKED },     { 1, VERSO_INSPECT_FRAME_ERROR },
    { 2, VERSO_INSPECT_FRAME_REFERENCED }, { 3, VERSO_INSPECT_FRAME_UPTODATE },
    { 4, VERSO_INSPECT_FRAME_DIRTY },      { 5, VERSO_INSPECT_FRAME_LRU },
    { 6, VERSO_INSPECT_FRAME_ACTIVE },     { 8, VERSO_INSPECT_FRAME_WRITEBACK },
    { 9, VERSO_INSPECT_FRAME_RECLAIM },    { 10, VERSO_INSPECT_FRAME_FREE },
    { 11, VERSO_INSPECT_FRAME_MAPPED },    { 12, VERSO_INSPECT_FRAME_ANONYMOUS },
    { 15, VERSO_INSPECT_FRAME_HEAD },      { 16, VERSO_INSPECT_FRAME_TAIL },
    { 17, VERSO_INSPECT_FRAME_HUGE },      { 18, VERSO_INSPECT_FRAME_UNEVICTABLE },
    { 19, VERSO_INSPECT_FRAME_POISONED },  { 20, VERSO_INSPECT_FRAME_ABSENT },
    { 22, VERSO_INSPECT_FRAME_HUGE },
};

static unsigned state_of(uint64_t flags)
{
    unsigned state = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (flags >> rows[i].bit & 1)
            state |= rows[i].state;
    return state;
}

#define BATCH ((size_t)512)

static int fail(int code, const char *path)
{
    if (code == -EACCES || code == -EPERM)
        return verso__fail_hint(code, "read frames", path, "only root (CAP_SYS_ADMIN) may look at physical memory");
    if (code == -ERANGE)
        return verso__fail_hint(VERSO_E_RANGE, "read frames", path, "the machine has no frames that high");
    return verso__fail(code, "read frames", path);
}

int verso_inspect_frames(uint64_t first_frame, size_t count, struct verso_inspect_frame *out_frames)
{
    uint64_t flags[BATCH], counts[BATCH];

    for (size_t done = 0; done < count;) {
        size_t step = (size_t)verso__min_u64(count - done, BATCH);
        int r = verso__os_frame_flags(first_frame + done, step, flags);

        if (r < 0)
            return fail(r, "/proc/kpageflags");
        r = verso__os_frame_counts(first_frame + done, step, counts);
        if (r < 0)
            return fail(r, "/proc/kpagecount");
        for (size_t i = 0; i < step; i++)
            out_frames[done + i] = (struct verso_inspect_frame){ state_of(flags[i]), counts[i] };
        done += step;
    }
    return 0;
}
