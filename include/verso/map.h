/* SPDX-License-Identifier: MIT */
/*
 * map.h - a range of a file, seen as memory. See also guard.h (faults), window.h (larger than memory), pack.h
 * (thousands).
 *
 *     struct verso_map *map;
 *     int error = verso_map_open("words.txt", NULL, &map);
 *     if (error < 0)
 *         return error;
 *     fwrite(verso_map_data(map), 1, verso_map_bytes(map), stdout);
 *     verso_map_close(map);
 *
 * Caveats, most bitten first:
 *   - Text in a map does not end with a NUL. A file whose size is a multiple of the page size is followed by nothing at
 * all: strlen() on it runs into the next mapping. Use verso_map_bytes().
 *   - Whoever may write the file can change or cut it while you read. See "stability" below and guard.h.
 *   - Stores reach other maps of the file at once, and the disk when the kernel likes. See verso_map_sync().
 *   - A map is inherited by fork(): shared maps stay shared, private ones part on the next store.
 *     A LEASED map's lease is one for both: when the child closes or settles its map, the parent's lease goes, too.
 *
 * Everything works the same for files that the kernel can't map (pipes, /proc, most devices): they are read into
 * private memory, and verso_map_info() says so. Empty files are empty maps: verso_map_bytes() is 0, the data pointer is
 * not NULL.
 */
#ifndef VERSO_MAP_H
#define VERSO_MAP_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/* Opaque, so it may grow without an ABI break. */
struct verso_map;

enum verso_map_flags {
    /* Shared: stores reach the file, which must be open (or openable) for reading and writing. Holes in the range are
     * given disk space first, so that no store meets a full disk; see SPARSE. */
    VERSO_MAP_WRITE = 1 << 0,
    VERSO_MAP_PRIVATE = 1 << 1, /* copy-on-write: stores stay in this process; the file may be read-only */
    VERSO_MAP_EXEC = 1 << 2,    /* readable and executable; with WRITE or PRIVATE refused: VERSO_E_WX */
    /* With WRITE: make the file (mode 0600 unless given) when it is not there, and as long as offset and length say
     * when it is shorter. When open fails in the end, the file is as it was: not there, or so long as before. */
    VERSO_MAP_CREATE = 1 << 3,
    VERSO_MAP_EXCLUSIVE = 1 << 4, /* with CREATE: -EEXIST when it is there; never follows a link */
    VERSO_MAP_NOFOLLOW = 1 << 5,  /* -ELOOP when the last part of the path is a symbolic link */
    /* Reserve address space, so that verso_map_resize() keeps the address; implies KEEP_FD. */
    VERSO_MAP_GROW = 1 << 6,
    /* With WRITE: leave holes; a store into one may meet a full disk (SIGBUS, see guard.h). */
    VERSO_MAP_SPARSE = 1 << 7,
    /* Keep a descriptor, so that sync, residency and resize need not open the file again. */
    VERSO_MAP_KEEP_FD = 1 << 8,
    VERSO_MAP_SUBSTITUTE = 1 << 9, /* a fault becomes zeros (guard.h); needs an installed guard; implies KEEP_FD */
    VERSO_MAP_POPULATE = 1 << 10,  /* bring the pages in now, for reading; failures are errors of open */
    VERSO_MAP_LOCK = 1 << 11,      /* and keep them in */
    /* Huge pages where they can be had: hugetlb, else THP, else base; verso_map_info() says. */
    VERSO_MAP_HUGE = 1 << 12,
    VERSO_MAP_NO_CORE = 1 << 13, /* leave it out of core dumps */
    VERSO_MAP_NO_FORK = 1 << 14, /* a child of fork() does not get it: calls there answer -EPERM, close works */
    /* With WRITE, on DAX: stores are durable without sync (MAP_SYNC); VERSO_E_UNSUPPORTED elsewhere. */
    VERSO_MAP_DURABLE = 1 << 15,
};

/*
 * How safe the content is from others, best last and dearest last. Ask for the lowest rung you accept in
 * options.stability; the map takes the first from there up that this file, file system and privilege allow, and
 * verso_map_info() says which and why. Memory that was sealed against stores and cuts, what was read in, and nothing at
 * all are safe as they are. With WRITE only RAW and GUARDED make sense; more is VERSO_E_OPTIONS.
 * verso_map_stability(7) has what each costs and promises.
 */
enum verso_map_stability {
    VERSO_MAP_RAW = 0,     /* default: the file itself; it may change or be cut at any time */
    VERSO_MAP_GUARDED = 1, /* the file itself; cuts and I/O errors become zeros and a torn mark (SUBSTITUTE) */
    /* The file itself; writers wait until you settle, or the system's lease-break-time runs out. */
    VERSO_MAP_LEASED = 2,
    VERSO_MAP_SNAPSHOT = 3, /* a reflink: same blocks, own file; nobody else can reach it. Instant on xfs and btrfs */
    VERSO_MAP_COPY = 4,     /* a sealed copy in memory: nobody can change it, not even this process */
};

/* What to map and how. Start from VERSO_MAP_OPTIONS_INIT; 0 always means "the default". */
struct verso_map_options {
    size_t struct_bytes;     /* set by the INIT macro; lets this struct grow */
    uint64_t offset_bytes;   /* first byte wanted; any, need not be page-aligned. Of a stream: from where it stands */
    uint64_t length_bytes;   /* 0: up to the end of the file */
    uint64_t span_bytes;     /* with GROW: address space to reserve, at least the length; 0: 1/16 of the address space,
                                at most 8 TiB, and less where that much is not allowed (ulimit -v) or not free
                                behind address */
    uint64_t copy_bytes_max; /* most to copy for COPY, or to read in of a pipe or device; 0: 1 GiB */
    void *address;      /* where the first byte is to be, with the same remainder by the page size as the offset; only
                           where nothing stands; NULL: anywhere */
    const char *name;   /* shown in /proc/PID/maps for memory without a file; NULL: "verso" */
    unsigned flags;     /* enum verso_map_flags */
    unsigned stability; /* enum verso_map_stability: the lowest rung accepted */
    unsigned mode;      /* with CREATE: permission bits; 0: 0600 */
    int timeout_ms;     /* how long to wait for a pipe's or device's next bytes; 0: for ever */
};
#define VERSO_MAP_OPTIONS_INIT                                               \
    {                                                                        \
        sizeof(struct verso_map_options), 0, 0, 0, 0, NULL, NULL, 0, 0, 0, 0 \
    }

/**
 * verso_map_open()    - map a range of a file
 * verso_map_open_fd() - the same for an open descriptor
 * @path, @fd, @options: what to map; NULL options map the whole file read-only
 * @out_map:             the new map; untouched on error
 *
 * Units:   bytes. Pages are an inside matter; you see exactly the range you asked for.
 * What the kernel can't map (pipes, sockets, terminals, most devices, /proc, /sys) is read into private memory; a
 * stream is read up to the end of the range and no further. Opening never waits for a FIFO's other end without regard
 * to timeout_ms.
 *
 * On a file system that never overwrites in place (btrfs; blocks shared by reflink), storing to a page takes new space
 * whatever was given before; there WRITE can't promise that a disk filled later is met in a call only. See guard.h.
 *
 * Owns:    you own *out_map until verso_map_close(). @path, @fd and @options are borrowed; @fd stays yours, open and,
 *          for what has positions, at its position. The mapping uses @fd's open file: of a write-back error either your
 *          fsync(@fd) or verso_map_sync() is told, whichever asks first.
 * Errors:  VERSO_E_OPTIONS, VERSO_E_WX; VERSO_E_RANGE (offset or length past the end, or past what a pipe gave);
 *          VERSO_E_OVERFLOW (past 2^63, or more than this process can address: see window.h); VERSO_E_SPAN (span_bytes
 *          smaller than the range); VERSO_E_TOO_LARGE (more than copy_bytes_max: what a pipe gave, or a COPY);
 *          VERSO_E_NOT_MAPPED (WRITE or EXEC on what can only be read in); -EISDIR; -EEXIST (something stands at
 *          address, or EXCLUSIVE); -ENOSPC (holes of a file opened for writing could not be given disk space);
 *          VERSO_E_UNSUPPORTED (no rung at or above stability could be had; no DAX for DURABLE); VERSO_E_CHANGED (COPY:
 *          the file was written to each time it was copied, four times); VERSO_E_GUARD (SUBSTITUTE, or GUARDED with
 *          WRITE, without the guard); VERSO_E_TORN (POPULATE met the end of a file that was just cut, or an I/O error);
 *          -EACCES (also a descriptor that is not open for what is asked); -ETIMEDOUT; -errno of open, fstat, mmap,
 *          read, fallocate, madvise, mlock.
 * Threads: any. Many threads may use one map; open, resize, remap, refresh, settle and close are for one at a time.
 * Source:  mmap(2) ERRORS and NOTES; POSIX.1-2017 mmap.
 */
VERSO_API VERSO_MUST_CHECK int verso_map_open(const char *path, const struct verso_map_options *options,
                                              struct verso_map **out_map);
VERSO_API VERSO_MUST_CHECK int verso_map_open_fd(int fd, const struct verso_map_options *options,
                                                 struct verso_map **out_map);

/**
 * verso_map_close() - unmap and forget
 *
 * Takes NULL. Never loses more than the kernel would: stored pages still reach the file in time; call verso_map_sync()
 * before if you must know. The data pointer is invalid afterwards.
 *
 * Errors:  none.
 * Threads: no other thread may use the map.
 */
VERSO_API void verso_map_close(struct verso_map *map);

/**
 * verso_map_data()  - the first byte of the range; never NULL. Writable only with WRITE or PRIVATE.
 * verso_map_bytes() - how many bytes there are
 *
 * An empty map's pointer marks where bytes would be; reading there is a fault (SIGSEGV).
 *
 * Owns:    the map. Valid until close; stable across resize with GROW.
 * Errors:  none.
 * Threads: any.
 */
VERSO_API void *verso_map_data(const struct verso_map *map);
VERSO_API size_t verso_map_bytes(const struct verso_map *map);

/* Where the bytes come from. */
enum verso_map_kind {
    VERSO_MAP_KIND_FILE = 1, /* the page cache of a file */
    VERSO_MAP_KIND_BUFFER,   /* private memory that was read in: pipe, device, /proc, /sys */
    VERSO_MAP_KIND_MEMORY,   /* a sealed copy in memory (VERSO_MAP_COPY) */
    VERSO_MAP_KIND_EMPTY,    /* zero bytes */
};

/* Which pages hold it. */
enum verso_map_pages {
    VERSO_MAP_PAGES_BASE = 1,
    VERSO_MAP_PAGES_THP,     /* huge pages were asked for and allowed; each page as the kernel finds room */
    VERSO_MAP_PAGES_HUGETLB, /* from the reserved pool */
};

/* What was asked and what was got. Initialise struct_bytes by VERSO_MAP_INFO_INIT. */
struct verso_map_info {
    size_t struct_bytes;
    enum verso_map_kind kind;
    enum verso_map_stability stability; /* the rung got */
    const char *stability_why;          /* why not the rung asked for; "" when it is that one */
    enum verso_map_pages pages;
    const char *pages_why;      /* why not larger pages; "" when got as asked */
    const char *path;           /* as opened; for descriptors what the kernel calls it, or "" */
    uint64_t offset_bytes;      /* of the first byte, in the file */
    uint64_t span_bytes;        /* reserved address space behind data */
    uint64_t torn_offset_bytes; /* first byte in the file that could not be had; VERSO_OFFSET_NONE */
    uint64_t torn_count;        /* how often a fault was met since open */
    int poison;                 /* the -errno of the first failed write-back, 0 */
    int fd;                     /* the kept descriptor, owned by the map; -1 */
    unsigned flags;             /* enum verso_map_flags in effect */
};
#define VERSO_MAP_INFO_INIT                                                                                         \
    {                                                                                                               \
        sizeof(struct verso_map_info), VERSO_MAP_KIND_EMPTY, VERSO_MAP_RAW, "", VERSO_MAP_PAGES_BASE, "", "", 0, 0, \
            VERSO_OFFSET_NONE, 0, 0, -1, 0                                                                          \
    }

/**
 * verso_map_info() - what the map got and what has happened to it
 *
 * Owns:    strings belong to the map.
 * Errors:  VERSO_E_OPTIONS when out_info->struct_bytes was not set.
 * Threads: any.
 */
VERSO_API int verso_map_info(const struct verso_map *map, struct verso_map_info *out_info);

/**
 * verso_map_resize() - change the size of the file and of the map
 * @bytes: the map's new size; the file ends at the map's offset plus this
 *
 * Growing gives the file real disk space before any store can need it (fallocate), so a full disk is -ENOSPC here and
 * never a SIGBUS later; SPARSE maps only set the size. Shrinking cuts the file. With GROW the address stays; without it
 * the map may move: fetch verso_map_data() again. On failure size, address and content are as before.
 *
 * Errors:  VERSO_E_READ_ONLY (also PRIVATE maps); VERSO_E_NOT_MAPPED; VERSO_E_SPAN (the span is used up; or, at a fixed
 *          address without GROW, something stands behind it); VERSO_E_OVERFLOW; VERSO_E_NO_DESCRIPTOR; -ENOSPC,
 *          -EDQUOT, -EFBIG (also RLIMIT_FSIZE, without its signal); VERSO_E_RANGE (the map ends before the file does:
 *          it can't be the one to resize it); VERSO_E_UNSUPPORTED (a device has the size it has); -EPERM (the map or
 *          the file is sealed); -ENOMEM, -EAGAIN (also of LOCK).
 * Threads: with GROW, readers of bytes that stay may go on, and so may calls about them (sync, populate, info, ...);
 *          without, nobody else may use the map meanwhile: it may move. One resize at a time.
 * Source:  fallocate(2), ftruncate(2), mmap(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_map_resize(struct verso_map *map, uint64_t bytes);

/* What sync promises. Each includes the ones before. */
enum verso_map_sync_level {
    /* Writing has begun, but for pages that were on their way already; promises nothing; does not wait for the disk (it
     * may for a full queue). */
    VERSO_MAP_SYNC_START = 1,
    VERSO_MAP_SYNC_DATA, /* these bytes, and the size needed to read them, are on stable storage */
    VERSO_MAP_SYNC_FULL, /* and all metadata, and the file's name in its directory (when opened by path) */
};

/**
 * verso_map_sync() - make stores durable
 * @offset_bytes, @length_bytes: of the map; any alignment; length 0: to the end
 *
 * MS_ASYNC does nothing on Linux (since 2.6.19), so START uses sync_file_range. After the first write-back error the
 * map is *poisoned*: the kernel has dropped the dirty pages' news, a later sync may succeed without the data. Every
 * later call says so. START and FULL need a descriptor: the kept one, or the name while it is still the same file's.
 *
 * Errors:  VERSO_E_POISONED (record.cause: the first error); VERSO_E_RANGE; VERSO_E_READ_ONLY; VERSO_E_NOT_MAPPED
 *          (private maps: their stores never reach a file); VERSO_E_NO_DESCRIPTOR; VERSO_E_OPTIONS (no such level);
 *          VERSO_E_TORN (with SUBSTITUTE: stores into zeros that stand in for lost pages are lost); -EIO, -ENOSPC,
 *          -EDQUOT of the write-back itself.
 * Threads: any.
 * Source:  msync(2), fsync(2), sync_file_range(2); Rebello et al., "Can Applications Recover from fsync Failures?", ATC
 *          2020.
 */
VERSO_API VERSO_MUST_CHECK int verso_map_sync(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes,
                                              enum verso_map_sync_level level);

enum verso_map_advice {
    VERSO_MAP_ADVICE_NORMAL = 1,
    VERSO_MAP_ADVICE_RANDOM,     /* no readahead; and looking does not protect the pages from reclaim */
    VERSO_MAP_ADVICE_SEQUENTIAL, /* read far ahead, drop soon */
    VERSO_MAP_ADVICE_WILLNEED,   /* start reading now */
    VERSO_MAP_ADVICE_COLD,       /* first to go under pressure */
    VERSO_MAP_ADVICE_PAGEOUT,    /* write back and reclaim now; what the kernel declines it does not tell */
    VERSO_MAP_ADVICE_DONTNEED,   /* let go of our view; PRIVATE maps lose their stores in it */
    VERSO_MAP_ADVICE_FREE,       /* what was read in: content may be dropped; -EINVAL on file pages */
    VERSO_MAP_ADVICE_HUGE,
    VERSO_MAP_ADVICE_COLLAPSE, /* huge pages now, if they can be had */
    VERSO_MAP_ADVICE_NO_CORE,
};

/**
 * verso_map_advise() - say how a range will be used
 *
 * Ranges that change content or residency (DONTNEED, FREE, PAGEOUT, COLD) act on whole pages *inside* the range, so
 * never on a neighbour's bytes; the others on all pages it touches. The map's own ends count as page borders. Length 0:
 * to the end. COLLAPSE is best effort: a refusal changes nothing, and the map works on with small pages.
 *
 * Errors:  VERSO_E_RANGE, VERSO_E_OPTIONS (unknown advice); VERSO_E_NOT_MAPPED (DONTNEED of what was read in, which
 *          could not be read again); -errno of madvise: -EINVAL where this kernel or kind of map has no such advice, or
 *          pages are locked that should go (the hint says which).
 * Threads: any; DONTNEED and FREE change what others see.
 * Source:  madvise(2).
 */
VERSO_API int verso_map_advise(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes,
                               enum verso_map_advice advice);

/**
 * verso_map_populate() - bring a range in now, for reading or (writable != 0) for writing
 *
 * Unlike touching, failures are errors, and say where. On a kernel without MADV_POPULATE_* (before 5.14) pages are
 * touched under guard.
 * The kernel takes populated pages for active, so they outlive others under pressure: to look without protecting, touch
 * through a map that is advised RANDOM.
 *
 * Errors:  VERSO_E_RANGE, VERSO_E_READ_ONLY; VERSO_E_TORN (past the file's end, I/O error, no space under a hole: the
 *          record has the first bad page's offset in the file, the map is marked torn); VERSO_E_GUARD (on such an old
 *          kernel, without the guard); -EINVAL (verso_map_protect() has taken the access away); -ENOMEM.
 * Threads: any.
 * Source:  madvise(2), MADV_POPULATE_READ.
 */
VERSO_API int verso_map_populate(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, int writable);

/**
 * verso_map_lock()   - keep a range in memory; @on_fault: from when it is first used, instead of now
 * verso_map_unlock() - let it go
 *
 * On all pages the range touches. A failure leaves nothing locked that was not: where pages could not be brought in
 * (VERSO_E_TORN, -EAGAIN), nothing of the range.
 *
 * Errors:  VERSO_E_RANGE; VERSO_E_TORN (a page can't be brought in); -ENOMEM, -EAGAIN, -EPERM of mlock2 (the hint names
 *          the limit).
 * Threads: any. Locks do not nest, and are not inherited by fork.
 * Source:  mlock(2).
 */
VERSO_API int verso_map_lock(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, int on_fault);
VERSO_API int verso_map_unlock(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes);

enum verso_map_access {
    VERSO_MAP_ACCESS_NONE = 1,
    VERSO_MAP_ACCESS_READ,
    VERSO_MAP_ACCESS_WRITE, /* and read */
    VERSO_MAP_ACCESS_EXEC,  /* and read; never with write */
};

/**
 * verso_map_protect() - change what may be done with whole pages of the map
 * @offset_bytes, @length_bytes: must start and end on page borders of the file (or at the map's own ends)
 *
 * Lasts until remap, refresh or settle put the pages anew: those come with the access the map was opened with.
 *
 * Errors:  VERSO_E_RANGE (also for borders inside a page); VERSO_E_OPTIONS (unknown access); VERSO_E_READ_ONLY (write
 *          asked of a map opened neither with WRITE nor PRIVATE); -EACCES, -ENOMEM of mprotect; -EPERM for a sealed
 *          map.
 * Threads: any; others fault (SIGSEGV) where they no longer may.
 * Source:  mprotect(2).
 */
VERSO_API int verso_map_protect(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes,
                                enum verso_map_access access);

/**
 * verso_map_remap() - show another range of the same file
 * @offset_bytes, @length_bytes: in the *file*; length 0: to the end
 *
 * The pages stay at their address where the new range fits in the old room, else they may move: fetch verso_map_data()
 * again in any case, since the first byte lies in its page as it does in the file. A map opened for writing gets disk
 * space under the new range, as open does. The torn mark goes. On failure the map is as before.
 *
 * Errors:  VERSO_E_RANGE, VERSO_E_OVERFLOW; VERSO_E_NOT_MAPPED (read in, or a COPY); VERSO_E_NO_DESCRIPTOR;
 *          VERSO_E_SPAN (with a fixed address); -ENOSPC, -EDQUOT; -EPERM for a sealed map; -errno of mmap.
 * Threads: no other thread may use the map meanwhile.
 * Source:  mmap(2), MAP_FIXED.
 */
VERSO_API VERSO_MUST_CHECK int verso_map_remap(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes);

/**
 * verso_map_seal() - nobody may unmap, move or re-protect this memory while the process lives (mseal)
 *
 * verso_map_close() then frees all but the memory itself. Resize, remap, refresh and protect answer -EPERM. Sealing
 * again does nothing.
 *
 * Errors:  VERSO_E_UNSUPPORTED before Linux 6.10 or on 32-bit; VERSO_E_OPTIONS for a map whose pages must stay
 *          replaceable to keep its promise: SUBSTITUTE, and LEASED until it is settled.
 * Threads: any.
 * Source:  mseal(2).
 */
VERSO_API int verso_map_seal(struct verso_map *map);

enum verso_map_residency_flags {
    VERSO_MAP_RESIDENCY_REFERENCED = 1 << 0, /* count those, too: the kernel walks every page table of the process */
};

/* How many pages of a range are where. What the source can't tell is VERSO_MAP_UNKNOWN. */
#define VERSO_MAP_UNKNOWN UINT64_MAX
struct verso_map_residency {
    size_t struct_bytes;
    unsigned flags;      /* in: enum verso_map_residency_flags */
    uint64_t pages;      /* that the range touches */
    uint64_t cached;     /* in memory */
    uint64_t dirty;      /* and newer than the disk */
    uint64_t writeback;  /* and on the way */
    uint64_t evicted;    /* had been in memory, and reclaimed */
    uint64_t referenced; /* mapped here and used since the kernel last looked; of the whole map only, when asked for */
    const char *source;  /* "cachestat", "mincore"; "" when nobody was asked, or told */
    const char *missing_why; /* why something that was asked for is UNKNOWN; "" when nothing is */
};
#define VERSO_MAP_RESIDENCY_INIT                                        \
    {                                                                   \
        sizeof(struct verso_map_residency), 0, 0, 0, 0, 0, 0, 0, "", "" \
    }

/* State bits of one page. */
enum verso_map_page_state {
    VERSO_MAP_PAGE_CACHED = 1 << 0,
    VERSO_MAP_PAGE_MAPPED = 1 << 1,  /* in this process's page table */
    VERSO_MAP_PAGE_PRIVATE = 1 << 2, /* our own copy */
    VERSO_MAP_PAGE_HUGE = 1 << 3,    /* mapped as part of a huge page */
    VERSO_MAP_PAGE_SWAPPED = 1 << 4,
    VERSO_MAP_PAGE_UNKNOWN = 1 << 5, /* not mapped; cached or not, the kernel does not tell us truly */
};

/**
 * verso_map_residency()       - counts for a range; length 0: to the end
 * verso_map_residency_pages() - one byte of enum verso_map_page_state for each page the range touches
 * @out_pages, @room_pages: the caller's; VERSO_E_RANGE when it is smaller than the pages of the range
 * @out_count:              how many pages were told of
 *
 * Counts are of the page cache: of the file, whoever brought the pages in. Private stores and read-in memory have no
 * dirty or evicted pages there. Page by page, the page table has its say as well: what is mapped is in memory.
 *
 * Units:   base pages, verso_page_bytes() each, whatever they are mapped by.
 * Errors:  VERSO_E_RANGE; VERSO_E_OPTIONS; -errno of mincore, of opening /proc/self/pagemap. Answers that the kernel
 *          would not give truly (a file one may neither write nor own, since Linux 5.2) are UNKNOWN with the reason,
 *          never "all".
 * Threads: any. The answer is of a moment that has passed.
 * Source:  cachestat(2), mincore(2), proc(5), PAGEMAP_SCAN.
 */
VERSO_API int verso_map_residency(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes,
                                  struct verso_map_residency *out_residency);
VERSO_API int verso_map_residency_pages(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes,
                                        unsigned char *out_pages, size_t room_pages, size_t *out_count);

/**
 * verso_map_check() - is the content still what it was promised to be?
 *
 * Errors:  0: yes. VERSO_E_POISONED. VERSO_E_TORN: something was cut or failed. VERSO_E_LEASE: another process waits
 *          for the file; call verso_map_settle() before fs.lease-break-time (45 s) runs out. VERSO_E_CHANGED: it ran
 *          out, and the file was written to; or, for RAW and GUARDED maps of files, the file is now smaller than the
 *          map (the record has its size). -errno of fstat.
 * Threads: any, but not beside settle, refresh, remap and resize. Costs a system call or two.
 */
VERSO_API int verso_map_check(struct verso_map *map);

/**
 * verso_map_settle() - keep the content as it is now, and let go of the file
 *
 * For a LEASED map: replaces the file's pages by a private sealed copy at the same address, then gives the lease up. It
 * is a COPY from then on; a kept descriptor becomes the copy's. Private stores are kept.
 *
 * Errors:  VERSO_E_NOT_MAPPED (not leased: nothing to settle); VERSO_E_TORN (part of it can't be read); VERSO_E_CHANGED
 *          (the time ran out, and the file was written to: what it held is lost); -EFAULT (PRIVATE: verso_map_protect()
 *          has made a part unreadable); -ENOMEM. After these the map is as before. -errno of mlock2 and madvise for its
 *          flags: it is settled all the same.
 * Threads: readers may go on; the bytes do not change under them.
 * Source:  fcntl(2), leases and file sealing; memfd_create(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_map_settle(struct verso_map *map);

/**
 * verso_map_refresh() - take the file as it is now, after it was torn
 *
 * Puts file pages back from the first torn one on, clears the torn mark; private stores before it stay. A map that is
 * not torn is left alone. The size of the map stays as the caller knows it; where the file is still shorter, the mark
 * comes back at the next fault. A map opened for writing gets disk space under what the file has by now.
 *
 * Errors:  VERSO_E_NOT_MAPPED, VERSO_E_NO_DESCRIPTOR; -ENOSPC, -EDQUOT; -EPERM for a sealed map; -errno of mmap.
 * Threads: as verso_map_remap().
 */
VERSO_API VERSO_MUST_CHECK int verso_map_refresh(struct verso_map *map);

VERSO_END_DECLS

#endif
