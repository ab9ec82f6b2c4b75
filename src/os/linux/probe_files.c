/* SPDX-License-Identifier: MIT */
/*
 * probe_files - trying what depends on the file system, on a file without a name.
 *
 * Nothing is written to the disk but what a file system writes at once; most probes work on holes.
 */
#include "os/linux/kernel.h"
#include "os/linux/probe.h"
#include "os/os.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Runs @try on a file of @bytes, a hole. */
static int with_file(uint64_t bytes, int (*try)(int fd), const char **out_note)
{
    int fd, r = verso__probe_file(&fd, out_note);

    if (r < 0)
        return r;
    r = bytes ? verso__os_truncate(fd, bytes) : 0;
    if (r == 0)
        r = try(fd);
    verso__os_close(fd);
    return r;
}

static int allocate(int fd)
{
    return verso__os_allocate(fd, 0, verso__os_page_bytes());
}

static int try_allocate(const char **out_note)
{
    return with_file(0, allocate, out_note);
}

static int punch(int fd)
{
    return verso__os_punch(fd, 0, verso__os_page_bytes());
}

static int try_punch(const char **out_note)
{
    return with_file(verso__os_page_bytes(), punch, out_note);
}

/* A file system without holes to tell of answers that all is data. */
static int find_hole(int fd)
{
    uint64_t hole = 1;
    int r = verso__os_next_hole(fd, 0, &hole);

    return r < 0 ? r : hole == 0 ? 0 : -EOPNOTSUPP;
}

static int try_hole(const char **out_note)
{
    return with_file((uint64_t)16 * verso__os_page_bytes(), find_hole, out_note);
}

static int start_sync(int fd)
{
    return verso__os_sync_start(fd, 0, verso__os_page_bytes());
}

static int try_sync_start(const char **out_note)
{
    return with_file(verso__os_page_bytes(), start_sync, out_note);
}

static int list_extents(int fd)
{
    struct fiemap query;

    memset(&query, 0, sizeof(query));
    query.fm_length = FIEMAP_MAX_OFFSET; /* without room for extents: how many are there? */
    return ioctl(fd, FS_IOC_FIEMAP, &query) < 0 ? -errno : 0;
}

static int try_fiemap(const char **out_note)
{
    return with_file(verso__os_page_bytes(), list_extents, out_note);
}

static int read_uncached(int fd)
{
    char byte;
    struct iovec room = { &byte, 1 };

    return preadv2(fd, &room, 1, 0, RWF_DONTCACHE) < 0 ? -errno : 0;
}

static int try_dontcache(const char **out_note)
{
    return with_file(0, read_uncached, out_note);
}

static int ask_atomic(int fd)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_WRITE_ATOMIC, &status) < 0)
        return -errno;
    return status.stx_attributes & STATX_ATTR_WRITE_ATOMIC ? 0 : -EOPNOTSUPP;
}

static int try_atomic(const char **out_note)
{
    return with_file(0, ask_atomic, out_note);
}

static int count_cached(int fd)
{
    struct verso__os_cache_counts counts;

    return verso__os_cache_counts(fd, 0, 0, &counts);
}

static int try_cachestat(const char **out_note)
{
    return with_file(0, count_cached, out_note);
}

/* A file system may open a nameless file only to lack what it takes: so not the one that probe.c falls back to. */
static int try_unnamed(const char **out_note)
{
    int fd, r = verso__probe_file(&fd, out_note);

    if (r < 0)
        return r;
    verso__os_close(fd);
    r = verso__os_open(verso__probe_directory(), VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_UNNAMED,
                       0600, &fd);
    if (r == 0)
        verso__os_close(fd);
    return r;
}

/* ---- Two files ---- */

static int copy_byte(int source, int target)
{
    size_t done;
    int r = verso__os_write_at(source, 0, "v", 1, &done);

    return r < 0 ? r : verso__os_copy_range(source, 0, target, 0, 1, &done);
}

static int with_two_files(int (*try)(int source, int target), const char **out_note)
{
    int source, target, r = verso__probe_file(&source, out_note);

    if (r < 0)
        return r;
    r = verso__probe_file(&target, out_note);
    if (r == 0) {
        r = try(source, target);
        verso__os_close(target);
    }
    verso__os_close(source);
    return r;
}

static int try_clone(const char **out_note)
{
    return with_two_files(verso__os_clone_file, out_note);
}

static int try_copy_range(const char **out_note)
{
    return with_two_files(copy_byte, out_note);
}

/* Only a file that nobody has open for writing can be leased. */
static int try_lease(const char **out_note)
{
    int writable, fd, r = verso__probe_file(&writable, out_note);

    if (r < 0)
        return r;
    r = verso__os_reopen(writable, VERSO__OS_OPEN_READ, &fd);
    verso__os_close(writable);
    if (r < 0)
        return r;
    r = verso__os_lease_take(fd);
    if (r == 0)
        verso__os_lease_drop(fd);
    verso__os_close(fd);
    return r;
}

/* ---- Large folios ---- */

/* Reads a hole of this size through, so that readahead gets going: it begins with small folios. */
#define FOLIO_FILE_BYTES ((size_t)2 << 20)
#define CANT_TELL (-ENODATA)

static int read_through(int fd)
{
    const size_t bytes = (size_t)64 << 10;
    void *room = malloc(bytes);
    size_t done = bytes;
    int r = room ? 0 : -ENOMEM;

    for (size_t offset = 0; r == 0 && offset < FOLIO_FILE_BYTES; offset += bytes)
        r = verso__os_read_at(fd, offset, room, bytes, &done);
    free(room);
    return r;
}

static int cached_pages(int fd, uint64_t *out_pages)
{
    struct verso__os_cache_counts counts;
    int r = verso__os_cache_counts(fd, 0, 0, &counts);

    if (r == 0)
        *out_pages = counts.cached_pages;
    return r;
}

/*
 * The cache drops folios only whole. So when dropping one page of a cached file leaves all its pages there, that page
 * was part of a larger folio; provided that this file system drops pages at all.
 */
static int drop_one(int fd)
{
    size_t page_bytes = verso__os_page_bytes();
    uint64_t before = 0, after = 0, none = 0;
    int r = read_through(fd);

    if (r == 0)
        r = cached_pages(fd, &before);
    if (r == 0)
        r = verso__os_cache_drop(fd, FOLIO_FILE_BYTES - 3 * page_bytes, page_bytes);
    if (r == 0)
        r = cached_pages(fd, &after);
    if (r == 0)
        r = verso__os_cache_drop(fd, 0, 0);
    if (r == 0)
        r = cached_pages(fd, &none);
    if (r < 0)
        return r == -ENOSYS || r == -EPERM ? CANT_TELL : r;
    if (none >= before)
        return CANT_TELL;
    return after == before ? 0 : -EOPNOTSUPP;
}

static int try_large_folios(const char **out_note)
{
    int r = with_file(FOLIO_FILE_BYTES, drop_one, out_note);

    return r == CANT_TELL ? verso__probe_untried(out_note, "what this file system caches can't be dropped and counted")
                          : r;
}

const struct probe verso__probes_of_files[] = {
    { "fallocate", try_allocate },
    { "FALLOC_FL_PUNCH_HOLE", try_punch },
    { "SEEK_HOLE", try_hole },
    { "sync_file_range", try_sync_start },
    { "O_TMPFILE", try_unnamed },
    { "FICLONE", try_clone },
    { "copy_file_range", try_copy_range },
    { "F_SETLEASE", try_lease },
    { "FIEMAP", try_fiemap },
    { "cachestat", try_cachestat },
    { "large folios", try_large_folios },
    { "RWF_DONTCACHE", try_dontcache },
    { "RWF_ATOMIC", try_atomic },
    { NULL, NULL },
};
