/* SPDX-License-Identifier: MIT */
/* options - what may be asked of open, and what contradicts itself. */
#include "base/options.h"
#include "base/sums.h"
#include "map/opening.h"

#define FLAGS_KNOWN ((unsigned)VERSO_MAP_DURABLE * 2 - 1)

/* Flags that mean something only together with another. */
static const struct rule {
    unsigned flag;
    unsigned needs;
    const char *hint;
} rules[] = {
    { VERSO_MAP_CREATE, VERSO_MAP_WRITE, "CREATE makes a file to write to: add VERSO_MAP_WRITE" },
    { VERSO_MAP_EXCLUSIVE, VERSO_MAP_CREATE, "EXCLUSIVE says how to create: add VERSO_MAP_CREATE" },
    { VERSO_MAP_SPARSE, VERSO_MAP_WRITE, "SPARSE leaves holes to be written later: add VERSO_MAP_WRITE" },
    { VERSO_MAP_DURABLE, VERSO_MAP_WRITE, "DURABLE is about stores: add VERSO_MAP_WRITE" },
};

static int check_flags(struct verso__map_opening *opening)
{
    unsigned flags = opening->options.flags;

    if (flags & ~FLAGS_KNOWN)
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options", "a flag is unknown to this version");
    if ((flags & VERSO_MAP_EXEC) && (flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE)))
        return verso__map_failed(opening, VERSO_E_WX, "options", NULL);
    if ((flags & VERSO_MAP_WRITE) && (flags & VERSO_MAP_PRIVATE))
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options",
                                 "WRITE stores into the file, PRIVATE never does: choose one");
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if ((flags & rules[i].flag) && !(flags & rules[i].needs))
            return verso__map_failed(opening, VERSO_E_OPTIONS, "options", rules[i].hint);
    if (!opening->path && (flags & (VERSO_MAP_CREATE | VERSO_MAP_NOFOLLOW)))
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options",
                                 "CREATE, EXCLUSIVE and NOFOLLOW are about names; this is a descriptor");
    if ((flags & VERSO_MAP_SUBSTITUTE) && !verso__guard_is_active())
        return verso__map_failed(opening, VERSO_E_GUARD, "options",
                                 "SUBSTITUTE needs the fault guard: call verso_guard_install() before");
    return 0;
}

static int check_values(struct verso__map_opening *opening)
{
    const struct verso_map_options *options = &opening->options;
    uint64_t page_mask = verso__os_page_bytes() - 1;
    uint64_t end;

    if (options->stability > VERSO_MAP_COPY)
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options", "stability is not a rung of the ladder");
    if (options->stability > VERSO_MAP_GUARDED && (options->flags & VERSO_MAP_WRITE))
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options",
                                 "stores that reach the file, and content that stays: open it for reading, or PRIVATE");
    if (options->span_bytes && !(options->flags & VERSO_MAP_GROW))
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options",
                                 "span_bytes is room to grow in: add VERSO_MAP_GROW");
    if (options->mode & ~0777U)
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options", "mode holds permission bits: 0 to 0777");
    if (options->timeout_ms < 0)
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options", "timeout_ms is negative; 0 waits for ever");
    if (options->address && (((uintptr_t)options->address ^ options->offset_bytes) & page_mask))
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options",
                                 "address and offset must have the same remainder by the page size");
    if (!verso__add_u64(options->offset_bytes, options->length_bytes, &end) || end > INT64_MAX)
        return verso__map_failed(opening, VERSO_E_OVERFLOW, "range", NULL);
    return 0;
}

int verso__map_options_take(struct verso__map_opening *opening, const struct verso_map_options *given)
{
    struct verso_map_options *options = &opening->options;
    int r;

    if (given && !verso__options_take(given, options, sizeof(*options), sizeof(*options)))
        return verso__map_failed(opening, VERSO_E_OPTIONS, "options", NULL);
    r = check_flags(opening);
    if (r == 0)
        r = check_values(opening);
    opening->length_bytes = options->length_bytes;
    if (options->flags & (VERSO_MAP_GROW | VERSO_MAP_SUBSTITUTE))
        options->flags |= VERSO_MAP_KEEP_FD;
    return r;
}
