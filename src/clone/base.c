/* SPDX-License-Identifier: MIT */
/*
 * base - what clones are views of: a file, or a memory file of our own.
 *
 * A memory file counts the mappings through which it may be written, and refuses to be sealed while there is one. Ours
 * is such a mapping even after mprotect(): it could be made writable again. So freezing puts a private mapping in its
 * place first, which shows the same pages and has no way back to them.
 */
#include "base/fail.h"
#include "base/sums.h"
#include "os/os.h"

#include "clone/clone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_KNOWN (VERSO_CLONE_WRITE | VERSO_CLONE_ALLOCATE | VERSO_CLONE_NOFOLLOW)

/* ---- Opening ---- */

static bool flags_make_sense(unsigned flags)
{
    return !(flags & ~(unsigned)FLAGS_KNOWN) && ((flags & VERSO_CLONE_WRITE) || !(flags & VERSO_CLONE_ALLOCATE));
}

static unsigned access_of(const struct verso_clone_base *base)
{
    return VERSO__OS_ACCESS_READ | (base->flags & VERSO_CLONE_WRITE ? VERSO__OS_ACCESS_WRITE : 0U);
}

static int round_up(uint64_t bytes, size_t *out_mapped_bytes)
{
    uint64_t mapped_bytes;

    if (bytes == 0)
        return VERSO_E_RANGE;
    if (bytes > INT64_MAX || !verso__round_up(bytes, verso__os_page_bytes(), &mapped_bytes) ||
        mapped_bytes >= verso__os_address_space_bytes() || mapped_bytes > SIZE_MAX / 2)
        return VERSO_E_OVERFLOW;
    *out_mapped_bytes = (size_t)mapped_bytes;
    return 0;
}

/* Whether the file is one that can be a base, and how long it is. */
static int measure_file(struct verso_clone_base *base)
{
    struct verso__os_file_info info;
    char byte;
    size_t done = 0;
    int r = verso__os_file_info(base->fd, &info);

    if (r < 0)
        return r;
    if (info.kind == VERSO__OS_FILE_DIRECTORY)
        return -EISDIR;
    if (info.kind != VERSO__OS_FILE_REGULAR)
        return VERSO_E_NOT_MAPPED;
    if (verso__os_file_page_bytes(base->fd) != verso__os_page_bytes())
        return VERSO_E_UNSUPPORTED;
    if (info.bytes == 0 && verso__os_read_at(base->fd, 0, &byte, 1, &done) == 0 && done > 0)
        return VERSO_E_NOT_MAPPED; /* a file of /proc: it has content, but no size */
    base->bytes = info.bytes;
    return round_up(info.bytes, &base->mapped_bytes);
}

/* A shared mapping counts as one that may be written, where the descriptor may; so who only reads has a private one. */
static unsigned sharing_of(const struct verso_clone_base *base)
{
    return base->flags & VERSO_CLONE_WRITE ? VERSO__OS_MAP_SHARED : 0U;
}

static int map_data(struct verso_clone_base *base)
{
    int r = verso__os_map(NULL, base->mapped_bytes, access_of(base), sharing_of(base), base->fd, 0, &base->data);

    if (r < 0)
        return r;
    base->range.start = (uintptr_t)base->data;
    base->range.end = base->range.start + base->mapped_bytes;
    return verso__guard_range_add(&base->range);
}

/* Where space can't be given to a file, storing gives it: the same faults, but with an answer. */
static int allocate(struct verso_clone_base *base)
{
    int r = verso__os_allocate(base->fd, 0, base->bytes);

    if (r == -EOPNOTSUPP || r == -ENOSYS || r == -EINVAL)
        r = verso__os_populate(base->data, base->mapped_bytes, true);
    return r == -EFAULT ? -ENOSPC : r;
}

/* Maps and allocates. @base is the caller's to release, also on failure, which is in the record. */
static int base_begin(struct verso_clone_base *base)
{
    int r = map_data(base);

    if (r < 0)
        return verso__clone_fail(base, r, "mmap");
    r = base->flags & VERSO_CLONE_ALLOCATE ? allocate(base) : 0;
    return r < 0 ? verso__clone_fail(base, r, "allocate") : 0;
}

/* Takes @fd over, also on failure, which is NULL. */
static struct verso_clone_base *base_new(int fd, const char *path, unsigned flags)
{
    struct verso_clone_base *base = calloc(1, sizeof(*base));

    if (base)
        base->path = strdup(path);
    if (!base || !base->path) {
        free(base);
        verso__os_close(fd);
        return NULL;
    }
    atomic_init(&base->users, 1);
    base->fd = fd;
    base->flags = flags;
    verso__guard_range_init(&base->range);
    return base;
}

static int base_of_file(int fd, const char *path, unsigned flags, struct verso_clone_base **out_base)
{
    struct verso_clone_base *base = base_new(fd, path, flags);
    int r;

    if (!base)
        return verso__fail(-ENOMEM, "allocate", path);
    r = measure_file(base);
    if (r < 0)
        (void)verso__clone_fail(base, r, "stat");
    else
        r = base_begin(base);
    if (r < 0)
        verso__clone_base_release(base);
    else
        *out_base = base;
    return r;
}

int verso_clone_base_open(const char *path, unsigned flags, struct verso_clone_base **out_base)
{
    unsigned how = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_NONBLOCK; /* a FIFO must not make us wait to be refused */
    int fd, r;

    if (!path || !out_base)
        return verso__fail(-EINVAL, "arguments", path);
    if (!flags_make_sense(flags))
        return verso__fail(VERSO_E_OPTIONS, "flags", path);
    if (flags & VERSO_CLONE_WRITE)
        how |= VERSO__OS_OPEN_WRITE;
    if (flags & VERSO_CLONE_NOFOLLOW)
        how |= VERSO__OS_OPEN_NOFOLLOW;
    r = verso__os_open(path, how, 0, &fd);
    if (r < 0)
        return verso__fail(r, "open", path);
    return base_of_file(fd, path, flags, out_base);
}

/* An open file of our own, without the caller's modes: in append mode, a merge would write at the end. For reading
 * alone the caller's will do. */
static int take_descriptor(int fd, unsigned flags, int *out_fd)
{
    unsigned wanted = VERSO__OS_OPEN_READ | (flags & VERSO_CLONE_WRITE ? VERSO__OS_OPEN_WRITE : 0U), mode;
    int r = verso__os_open_mode(fd, &mode);

    if (r < 0)
        return r;
    if ((mode & wanted) != wanted)
        return -EBADF;
    r = verso__os_reopen(fd, wanted, out_fd);
    if (r < 0 && !(flags & VERSO_CLONE_WRITE))
        r = verso__os_duplicate(fd, out_fd);
    return r;
}

int verso_clone_base_open_fd(int fd, unsigned flags, struct verso_clone_base **out_base)
{
    struct verso__os_file_info info;
    int own, r;

    if (!out_base)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!flags_make_sense(flags))
        return verso__fail(VERSO_E_OPTIONS, "flags", NULL);
    r = verso__os_file_info(fd, &info); /* before opening anew: that would wait for a FIFO's other end */
    if (r == 0 && info.kind != VERSO__OS_FILE_REGULAR)
        r = info.kind == VERSO__OS_FILE_DIRECTORY ? -EISDIR : VERSO_E_NOT_MAPPED;
    if (r < 0)
        return verso__fail(r, "stat", NULL);
    r = take_descriptor(fd, flags, &own);
    if (r < 0)
        return verso__fail(r, "descriptor", NULL);
    return base_of_file(own, "", flags, out_base);
}

/* ---- Making ---- */

/* Its length is fixed from the start: nobody who gets the descriptor can cut it under us. */
static int make_file(uint64_t bytes, int *out_fd)
{
    int fd, r = verso__os_memory_file("verso-clone", 0, &fd);

    if (r < 0)
        return r;
    r = verso__os_truncate(fd, bytes);
    if (r == 0)
        r = verso__os_seals_add(fd, VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW);
    if (r < 0)
        verso__os_close(fd);
    else
        *out_fd = fd;
    return r;
}

int verso_clone_base_make(uint64_t bytes, unsigned flags, struct verso_clone_base **out_base)
{
    struct verso_clone_base *base;
    size_t mapped_bytes = 0;
    int fd, r;

    if (!out_base)
        return verso__fail(-EINVAL, "arguments", NULL);
    flags |= VERSO_CLONE_WRITE;
    r = flags_make_sense(flags) ? round_up(bytes, &mapped_bytes) : VERSO_E_OPTIONS;
    if (r < 0)
        return verso__fail(r, r == VERSO_E_OPTIONS ? "flags" : "length", NULL);
    r = make_file(bytes, &fd);
    if (r < 0) /* -EINVAL: files of memory, but no seals */
        return verso__fail(r == -ENOSYS || r == -EINVAL ? VERSO_E_UNSUPPORTED : r, "memory file", NULL);
    base = base_new(fd, "", flags);
    if (!base)
        return verso__fail(-ENOMEM, "allocate", NULL);
    base->bytes = bytes;
    base->mapped_bytes = mapped_bytes;
    r = base_begin(base);
    if (r < 0)
        verso__clone_base_release(base);
    else
        *out_base = base;
    return r;
}

/* ---- Letting go ---- */

void verso__clone_base_use(struct verso_clone_base *base)
{
    atomic_fetch_add(&base->users, 1);
}

static void unmap_data(struct verso_clone_base *base)
{
    if (!base->data)
        return;
    verso__guard_range_drop(&base->range);
    (void)verso__os_unmap(base->data, base->mapped_bytes);
    base->data = NULL;
}

void verso__clone_base_release(struct verso_clone_base *base)
{
    if (atomic_fetch_sub(&base->users, 1) != 1)
        return;
    unmap_data(base);
    verso__os_close(base->fd);
    free(base->path);
    free(base);
}

void verso_clone_base_close(struct verso_clone_base *base)
{
    if (base)
        verso__clone_base_release(base);
}

void *verso_clone_base_data(const struct verso_clone_base *base)
{
    return base->data;
}

uint64_t verso_clone_base_bytes(const struct verso_clone_base *base)
{
    return base->bytes;
}

int verso_clone_base_fd(const struct verso_clone_base *base)
{
    return base->fd;
}

/* ---- Freezing ---- */

/* Puts another mapping of the base in the place of the one that is there. */
static int replace_data(struct verso_clone_base *base, unsigned access, unsigned sharing)
{
    void *address;

    return verso__os_map(base->data, base->mapped_bytes, access, sharing | VERSO__OS_MAP_OVER, base->fd, 0, &address);
}

/* On failure the base is as it was; unless it was frozen for others, which forbids the way back to us as well. */
static int freeze_for_all(struct verso_clone_base *base)
{
    int r = replace_data(base, VERSO__OS_ACCESS_READ, 0);

    if (r < 0)
        return r;
    r = verso__os_seals_add(base->fd, VERSO__OS_SEAL_WRITE | VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW);
    if (r < 0)
        (void)replace_data(base, access_of(base), sharing_of(base));
    return r;
}

int verso_clone_base_freeze(struct verso_clone_base *base, enum verso_clone_frozen how)
{
    struct verso__failure failure = { VERSO_E_UNSUPPORTED, 0, "seal", NULL, VERSO_OFFSET_NONE, NULL };
    unsigned seals;
    int r;

    if (!base)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (how != VERSO_CLONE_FROZEN && how != VERSO_CLONE_FROZEN_FOR_OTHERS)
        return verso__clone_fail(base, VERSO_E_OPTIONS, "freeze");
    if (verso_clone_base_frozen(base) >= how)
        return 0;
    r = verso__os_seals_get(base->fd, &seals); /* of files that know no seals the mapping need not be touched */
    if (r == 0 && how == VERSO_CLONE_FROZEN)
        r = freeze_for_all(base);
    else if (r == 0)
        r = verso__os_seals_add(base->fd, VERSO__OS_SEAL_FUTURE_WRITE | VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW);
    if (r == 0 || r == -EBUSY || r == -ENOMEM)
        return r < 0 ? verso__clone_fail(base, r, "seal") : 0;
    failure.cause = r;
    failure.path = base->path;
    failure.hint = "only memory made by verso_clone_base_make() can surely be frozen: copy the content there";
    return verso__fail_with(&failure);
}

enum verso_clone_frozen verso_clone_base_frozen(const struct verso_clone_base *base)
{
    unsigned seals = 0;

    if (verso__os_seals_get(base->fd, &seals) < 0)
        return VERSO_CLONE_NOT_FROZEN; /* no file of memory: nothing can seal it */
    if (seals & VERSO__OS_SEAL_WRITE)
        return VERSO_CLONE_FROZEN;
    return seals & VERSO__OS_SEAL_FUTURE_WRITE ? VERSO_CLONE_FROZEN_FOR_OTHERS : VERSO_CLONE_NOT_FROZEN;
}
