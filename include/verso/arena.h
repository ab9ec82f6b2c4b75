/* SPDX-License-Identifier: MIT */
/*
 * arena.h - memory that is handed out in a row, and taken back all at once.
 *
 *     struct verso_arena *arena;
 *     if (verso_arena_open(NULL, &arena) < 0)
 *         return -1;
 *     struct point *points = verso_arena_new(arena, struct point, 1000);      zeros, or NULL
 *     char *line = verso_arena_printf(arena, "%zu points", count);
 *     verso_arena_close(arena);                                               all of it goes
 *
 *     span   |==block=|=block==|block|......committed......|~~~~~~~~~reserved~~~~~~~~~|G|
 *             ^ verso_arena_open()    ^ the next block      ^ the first byte that faults ^ a guard, always
 *
 * An arena reserves a span of addresses and makes memory of it as it is needed, so no block ever moves, however large
 * the arena becomes. A block is had by moving one pointer. Single blocks are not freed: a mark remembers how far the
 * arena was filled, and releasing it takes back what came after; reset and close take back all.
 *
 * Caveats, most bitten first:
 *   - What was released is handed out again. Who keeps a pointer across a release reads another block's bytes. Find
 *     such bugs with AddressSanitizer, which needs nothing but being on, or with guard_one_in.
 *   - An arena belongs to one thread at a time; nothing here locks. verso_arena_scratch() gives each thread its own.
 *   - Calls that hand out memory answer NULL on failure; why is in verso_error_last().
 *   - No destructor is called for anything in a block.
 *   - fork() gives the child a copy of every arena, usable by the thread that forked.
 */
#ifndef VERSO_ARENA_H
#define VERSO_ARENA_H

#include <stdarg.h>
#include <verso/base.h>
#include <verso/error.h>
#include <verso/pages.h>

VERSO_BEGIN_DECLS

/* The alignment that suits every ordinary type; what an align_bytes of 0 means. */
#define VERSO_ARENA_ALIGN ((size_t)16)

/*
 * An arena begins with what verso_arena_alloc() needs inline. It is part of the ABI, to be read and written by the
 * inline functions of this header alone; the rest of an arena follows it, unseen.
 */
struct verso_arena {
    unsigned char *next;  /* where the next block may begin */
    unsigned char *end;   /* behind the last byte that is had without asking the library */
    unsigned char *fresh; /* from here on nothing has been handed out yet: zeros */
    uint64_t blocks;
};

enum verso_arena_flags {
    /* Huge pages where they can be had: fewer faults and fewer TLB misses for arenas of many MiB, and up to a huge page
     * of memory that is not used. verso_arena_info() says what was got, and why not more. */
    VERSO_ARENA_HUGE = 1 << 0,
    /* What is committed is brought in at once: a block's first use faults no more, and a machine without memory says
     * -ENOMEM instead of killing. Costs memory that is not used yet. */
    VERSO_ARENA_POPULATE = 1 << 1,
};

/* How to make an arena. Start from VERSO_ARENA_OPTIONS_INIT; 0 always means "the default". */
struct verso_arena_options {
    size_t struct_bytes; /* set by the INIT macro; lets this struct grow */
    /* The most it can ever hold, alignment and guards counted; what is asked for is got, or -ENOMEM. 0: 1/1024 of what
     * can be addressed (128 GiB of 128 TiB), or less where that much is not to be had (verso_arena_info() says why). */
    uint64_t reserve_bytes;
    /* A span to use in place of one of its own: secret, locked, on NUMA nodes of your choice; opened with GUARD_ENDS.
     * Borrowed: nobody else changes it until the arena is closed; then it is as the arena leaves it, blocks and guards
     * and all. NULL: one of its own. reserve_bytes, name and flags are for its own only. */
    struct verso_pages *pages;
    const char *name; /* shown in /proc/PID/maps and in errors; rules as in pages.h; NULL: "arena" */
    /* Guards that find mistakes where they happen, by SIGSEGV. 1: behind every block stands a guard page, and what is
     * released faults (the electric fence; at least two pages a block). N: behind one block of N, chosen at random:
     * overruns only, for programs in use. 0: none but at the ends. */
    unsigned guard_one_in;
    unsigned flags; /* enum verso_arena_flags */
};
#define VERSO_ARENA_OPTIONS_INIT                                 \
    {                                                            \
        sizeof(struct verso_arena_options), 0, NULL, NULL, 0, 0, \
    }

/**
 * verso_arena_open()  - make an arena
 * verso_arena_close() - take back every block and the arena itself; takes NULL
 *
 * Opening reserves addresses; memory is committed in steps of 64 KiB that double up to 2 MiB.
 *
 * Owns:    you own *out_arena until verso_arena_close(), which makes every block of it invalid.
 * Errors:  VERSO_E_OPTIONS (unknown flags; pages without GUARD_ENDS, or together with what is for its own span; a
 *          name's rules); VERSO_E_OVERFLOW; -ENOMEM (the hint says which limit). close: none.
 * Threads: any; the arena then belongs to one thread at a time.
 */
VERSO_API VERSO_MUST_CHECK int verso_arena_open(const struct verso_arena_options *options,
                                                struct verso_arena **out_arena);
VERSO_API void verso_arena_close(struct verso_arena *arena);

/* ---- Blocks ---- */

/**
 * verso_arena_alloc()      - a block; what is in it is not specified
 * verso_arena_alloc_zero() - a block of zeros; no work where the kernel's zeros were never handed out
 * @bytes:       its size. 0 gives an address that is not NULL and faults when touched; it takes no room
 * @align_bytes: a power of two that its address is a multiple of; 0: VERSO_ARENA_ALIGN
 *
 * With guard_one_in the guard stands at the next multiple of align_bytes behind the block: align_bytes 1 finds an
 * overrun of one byte, whatever the size.
 *
 * Owns:    the arena does: a block is valid until a mark from before it is released, reset, or close. It never moves.
 * Errors:  NULL, with the record: VERSO_E_SPAN (the reserved span is full); VERSO_E_OVERFLOW (no address space holds
 *          that, or a product was too large: verso_arena_bytes()); VERSO_E_OPTIONS (align_bytes is no power of two);
 *          -ENOMEM (the hint says which limit). All is as before then.
 * Threads: one at a time.
 * Source:  inline at the end of this header; cost in `./dev bench arena`.
 */
VERSO_API VERSO_MUST_CHECK inline void *verso_arena_alloc(struct verso_arena *arena, size_t bytes, size_t align_bytes)
    __attribute__((alloc_size(2)));
VERSO_API VERSO_MUST_CHECK inline void *verso_arena_alloc_zero(struct verso_arena *arena, size_t bytes,
                                                               size_t align_bytes) __attribute__((alloc_size(2)));

/**
 * verso_arena_bytes() - the size of an array; a product that does not fit becomes SIZE_MAX, which no arena has
 *
 * So `verso_arena_alloc(arena, verso_arena_bytes(count, sizeof(*items)), 0)` answers NULL, VERSO_E_OVERFLOW, for a
 * count that came from an enemy.
 *
 * Threads: any.
 */
VERSO_API inline size_t verso_arena_bytes(size_t count, size_t bytes_each);

#ifdef __cplusplus
#define VERSO_ARENA_ALIGN_OF(type) alignof(type)
#else
#define VERSO_ARENA_ALIGN_OF(type) _Alignof(type)
#endif

/* An array of @count zeroed @type, as a `type *`; NULL as verso_arena_alloc_zero(). */
#define verso_arena_new(arena, type, count) \
    ((type *)verso_arena_alloc_zero((arena), verso_arena_bytes((count), sizeof(type)), VERSO_ARENA_ALIGN_OF(type)))

/* Such an array with more or fewer elements, as verso_arena_realloc(); what is added is not zeroed. */
#define verso_arena_renew(arena, type, array, old_count, new_count)            \
    ((type *)verso_arena_realloc((arena), (array), (old_count) * sizeof(type), \
                                 verso_arena_bytes((new_count), sizeof(type)), VERSO_ARENA_ALIGN_OF(type)))

/**
 * verso_arena_realloc() - make a block larger or smaller
 * @block:       of this arena; NULL: a new one
 * @old_bytes:   its size as it was asked for
 * @new_bytes:   its size from now on
 * @align_bytes: as in verso_arena_alloc()
 *
 * The last block grows and shrinks where it stands, unless guard_one_in guards it. Any other that grows is copied to a
 * new place, and its old one is taken back with the rest; by an arena whose every block is guarded it faults from then
 * on. New bytes have no specified content.
 *
 * Errors:  NULL as verso_arena_alloc(), and VERSO_E_RANGE (block and old_bytes do not lie in what the arena handed
 *          out). The old block is as it was then.
 * Threads: one at a time.
 */
VERSO_API VERSO_MUST_CHECK void *verso_arena_realloc(struct verso_arena *arena, void *block, size_t old_bytes,
                                                     size_t new_bytes, size_t align_bytes);

/**
 * verso_arena_strdup()  - a copy of a text
 * verso_arena_strndup() - a copy of its first @bytes_max bytes at most; always with a NUL
 * verso_arena_printf()  - a text as printf(3) makes it, of whatever length
 * verso_arena_vprintf() - the same for a va_list
 *
 * A text that fits into what is committed is formatted once, right into its place.
 *
 * Errors:  NULL as verso_arena_alloc(); -errno of vsnprintf (-EOVERFLOW, -EILSEQ).
 * Threads: one at a time.
 */
VERSO_API VERSO_MUST_CHECK char *verso_arena_strdup(struct verso_arena *arena, const char *text);
VERSO_API VERSO_MUST_CHECK char *verso_arena_strndup(struct verso_arena *arena, const char *text, size_t bytes_max);
VERSO_API VERSO_MUST_CHECK char *verso_arena_printf(struct verso_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
VERSO_API VERSO_MUST_CHECK char *verso_arena_vprintf(struct verso_arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* ---- Taking back ---- */

/* How far an arena was filled. A value: copy it, keep it where you like, never look into it. */
struct verso_arena_mark {
    void *next;
    uint64_t blocks;
    uint64_t guards;
    uint64_t serial;
    uint64_t depth;
};

/**
 * verso_arena_mark()    - remember how far the arena is filled; cannot fail
 * verso_arena_release() - take back every block handed out since; the mark has served then
 *
 * Marks nest. Releasing an outer one releases those within it, which are misused when they are released later: an error
 * for the innermost 64 levels, whatever has happened since; deeper ones are told from their place alone. A mark that is
 * never released costs its level until an outer one is, or reset.
 *
 * Memory stays committed for what comes next. Only an arena whose every block is guarded gives it back, so that
 * released blocks fault; and it goes on behind them while it has used less than half of its span, so that they go on
 * faulting.
 *
 * Errors:  release: VERSO_E_RANGE (the mark is of another arena, has been released, or an outer one has); with guards
 *          -ENOMEM, -EPERM as verso_pages_decommit(), _unguard(). Nothing is released then; it may be tried again.
 * Threads: one at a time.
 */
VERSO_API struct verso_arena_mark verso_arena_mark(struct verso_arena *arena);
VERSO_API int verso_arena_release(struct verso_arena *arena, struct verso_arena_mark mark);

/* What becomes of memory that held blocks. */
enum verso_arena_memory {
    VERSO_ARENA_KEEP = 1, /* it stays, for the next blocks: fastest */
    VERSO_ARENA_FREE,     /* the kernel may take it when it needs it (VERSO_PAGES_ADVICE_FREE) */
    VERSO_ARENA_DISCARD,  /* given back now; the kernel's promise of it stays (VERSO_PAGES_ADVICE_DISCARD) */
    VERSO_ARENA_DECOMMIT, /* the promise as well: the next blocks may meet -ENOMEM */
};

/**
 * verso_arena_reset() - take back every block; all marks have served then
 * @keep_bytes: so much memory stays in any case, rounded up to whole pages
 * @memory:     what becomes of the rest
 *
 * Errors:  VERSO_E_OPTIONS (no such enum verso_arena_memory; nothing is taken back); with a @memory other than KEEP,
 *          -errno as verso_pages_advise() and verso_pages_decommit(): the blocks are taken back all the same; with
 *          guards, -errno as verso_arena_release(): they are not. It may be tried again.
 * Threads: one at a time.
 * Source:  madvise(2); cost in `./dev bench arena`.
 */
VERSO_API int verso_arena_reset(struct verso_arena *arena, uint64_t keep_bytes, enum verso_arena_memory memory);

/* ---- One per thread ---- */

/**
 * verso_arena_scratch() - this thread's own arena, for what nobody needs after the calling function returns
 * @other: an arena that results will be put in, so that it is not the same; NULL: none
 *
 *     struct verso_arena *scratch = verso_arena_scratch(results);
 *     struct verso_arena_mark mark = verso_arena_mark(scratch);
 *     ...
 *     (void)verso_arena_release(scratch, mark);
 *
 * Each thread has two, made at their first use: whichever a caller up the stack uses for its results, the other one is
 * free for working. Release what you marked: the arena is shared with every function of this thread.
 *
 * After fork() the child's one thread goes on with its copies; those of the parent's other threads stay in the child's
 * address space as they were, unused, until it ends or calls exec.
 *
 * Owns:    the thread does; closed when it ends. Do not close it, and hand it to no other thread.
 * Errors:  NULL as verso_arena_open(); -EAGAIN (no key for thread-specific data is left).
 * Threads: any; no lock, after the first use no system call. Not for signal handlers.
 * Source:  pthread_key_create(3).
 */
VERSO_API VERSO_MUST_CHECK struct verso_arena *verso_arena_scratch(const struct verso_arena *other);

/* ---- Numbers ---- */

/* What it has and does. Initialise struct_bytes by VERSO_ARENA_INFO_INIT. */
struct verso_arena_info {
    size_t struct_bytes;
    uint64_t reserved_bytes;
    uint64_t committed_bytes;
    uint64_t used_bytes; /* from the first block to the next: alignment, guards, and what stays released to fault too */
    uint64_t high_bytes; /* the most that used_bytes has been */
    uint64_t blocks;     /* handed out and not taken back; of no bytes: none */
    uint64_t guards;     /* guard pages behind those */
    const char *reserve_why;    /* why less is reserved than the default; "" */
    enum verso_pages_size size; /* which pages hold it */
    const char *size_why;       /* HUGE: why not larger ones; "" */
    enum verso_pages_guard_method guard_method;
    const char *guard_why; /* why guards need mappings of their own; "" */
    int poisons;           /* 1: this program has AddressSanitizer, and it is told what may be touched */
};
#define VERSO_ARENA_INFO_INIT                                                                                        \
    {                                                                                                                \
        sizeof(struct verso_arena_info), 0, 0, 0, 0, 0, 0, "", VERSO_PAGES_SIZE_BASE, "", VERSO_PAGES_GUARD_MARKERS, \
            "", 0,                                                                                                   \
    }

/**
 * verso_arena_info() - what it has, what it does, and why not more
 *
 * In a program with AddressSanitizer (its own or this library built so) bytes that are not of a block are poisoned, and
 * 16 of them stand behind each: overruns and uses after release are reported where they happen.
 *
 * Owns:    strings are constants.
 * Errors:  VERSO_E_OPTIONS when out_info->struct_bytes was not set.
 * Threads: one at a time.
 */
VERSO_API int verso_arena_info(const struct verso_arena *arena, struct verso_arena_info *out_info);

/* ---- Inline ---- */

/**
 * verso_arena_alloc_slowly() - what verso_arena_alloc() calls when the block needs more than moving a pointer
 *
 * More memory, a guard, AddressSanitizer, 0 bytes, a wrong alignment. The same in every respect, but slower.
 *
 * Errors:  as verso_arena_alloc().
 * Threads: one at a time.
 */
VERSO_API VERSO_MUST_CHECK void *verso_arena_alloc_slowly(struct verso_arena *arena, size_t bytes, size_t align_bytes)
    __attribute__((alloc_size(2)));

inline void *verso_arena_alloc(struct verso_arena *arena, size_t bytes, size_t align_bytes)
{
    size_t align = align_bytes ? align_bytes : VERSO_ARENA_ALIGN;
    size_t room = (size_t)(arena->end - arena->next);
    uintptr_t start = ((uintptr_t)arena->next + (align - 1)) & ~(uintptr_t)(align - 1);
    size_t skip = (size_t)(start - (uintptr_t)arena->next);

    /* 0 bytes become the largest number there is, and so does a sum that wrapped. */
    if (__builtin_expect(bytes - 1 < room && skip <= room - bytes && (align & (align - 1)) == 0, 1)) {
        unsigned char *block = (unsigned char *)start; /* not next + skip: blocks wait for each other one step less */

        arena->next = block + bytes;
        arena->blocks++;
        return block;
    }
    return verso_arena_alloc_slowly(arena, bytes, align_bytes);
}

inline void *verso_arena_alloc_zero(struct verso_arena *arena, size_t bytes, size_t align_bytes)
{
    unsigned char *block = (unsigned char *)verso_arena_alloc(arena, bytes, align_bytes);

    if (block && block < arena->fresh) {
        size_t stale = (size_t)(arena->fresh - block);

        if (bytes <= stale)
            __builtin_memset(block, 0, bytes);
        else
            __builtin_memset(block, 0, stale);
    }
    return block;
}

inline size_t verso_arena_bytes(size_t count, size_t bytes_each)
{
    size_t bytes;

    return __builtin_mul_overflow(count, bytes_each, &bytes) ? SIZE_MAX : bytes;
}

VERSO_END_DECLS

#endif
