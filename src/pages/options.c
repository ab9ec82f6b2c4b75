/* SPDX-License-Identifier: MIT */
/* options - what may be asked of open, and what contradicts itself. */
#include "base/options.h"
#include "pages/pages.h"

#define FLAGS_KNOWN ((unsigned)VERSO_PAGES_WIPE_ON_FORK * 2 - 1)

static const char *flags_wrong(const struct verso_pages_options *options)
{
    unsigned flags = options->flags, kind = options->kind;

    if (flags & ~FLAGS_KNOWN)
        return "a flag is unknown to this version";
    if (kind > VERSO_PAGES_SECRET)
        return "kind is none of enum verso_pages_kind";
    if ((flags & VERSO_PAGES_NO_FORK) && (flags & VERSO_PAGES_WIPE_ON_FORK))
        return "a child gets zeros (WIPE_ON_FORK) or nothing (NO_FORK): choose one";
    if ((flags & VERSO_PAGES_WIPE_ON_FORK) && (kind == VERSO_PAGES_SHARED || kind == VERSO_PAGES_SECRET))
        return "memory shared with children can't be wiped for them (WIPE_ON_FORK): use NO_FORK";
    if ((flags & VERSO_PAGES_LOCK) && kind == VERSO_PAGES_DROPPABLE)
        return "what the kernel may drop can't be locked: choose DROPPABLE or LOCK";
    return NULL;
}

static const char *place_wrong(const struct verso_pages_options *options)
{
    size_t align = options->align_bytes;
    uintptr_t address = (uintptr_t)options->address;

    if (align & (align - 1))
        return "align_bytes is a power of two";
    if (address & (verso__os_page_bytes() - 1))
        return "address is that of a page";
    if (align && (address & (align - 1)))
        return "address is no multiple of align_bytes";
    if (align > PTRDIFF_MAX / 2)
        return "align_bytes is larger than address spaces are";
    return NULL;
}

/* The kernel would refuse other characters, or show something else. */
static const char *name_wrong(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. :/";

    if (!name)
        return NULL;
    if (*name == '\0' || name[strspn(name, allowed)] != '\0')
        return "a name consists of letters, digits, spaces and - _ . : /";
    if (strlen(name) >= VERSO__PAGES_NAME_BYTES)
        return "a name has 79 bytes at most";
    return NULL;
}

int verso__pages_options_take(const struct verso_pages_options *given, struct verso_pages_options *out_options)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    const char *wrong;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return verso__fail(VERSO_E_OPTIONS, "options", NULL);
    wrong = flags_wrong(&options);
    if (!wrong)
        wrong = place_wrong(&options);
    if (!wrong)
        wrong = name_wrong(options.name);
    if (wrong)
        return verso__fail_hint(VERSO_E_OPTIONS, "options", NULL, wrong);
    *out_options = options;
    return 0;
}
