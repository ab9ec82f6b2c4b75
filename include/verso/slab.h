/* SPDX-License-Identifier: MIT */
/*
 * slab.h - objects of one size: taken and given back in a few nanoseconds, and a wrong free is found.
 *
 *     struct verso_slab *slab;
 *     int error = verso_slab_open(sizeof(struct node), NULL, &slab);
 *     struct node *node = error == 0 ? verso_slab_alloc(slab) : NULL;
 *     ...
 *     error = verso_slab_free(slab, node);
 *     verso_slab_close(slab);                             gives back every object at once
 *
 *     span   |=== block ===|=== block ===|=== block ===|....... reserved .......|
 *             [o][o][ ][o].. objects, side by side       a bit for each, elsewhere: free or not
 *
 * Nothing is written into free objects or between them: what is free stands in bitmaps of their own, found from an
 * object's address by arithmetic. So an object that is written over its end, or after it was freed, never breaks the
 * slab; freeing an address that is no object's start, or an object twice, is an error code; and freeing does not touch
 * cold memory. Memory that holds no objects any more goes back to the kernel.
 *
 * Caveats, most bitten first:
 *   - One thread at a time, unless SHARED is asked. With SHARED any thread may free what another has allocated.
 *   - Without HANDLES, freeing an object that has been freed *and handed out again* frees it under its new owner, as
 *     with free(3). Of an object that another thread freed, the second free may only be counted (double_free_count of
 *     verso_slab_info()). With HANDLES each second free is found by the call itself, and old handles are known as such.
 *   - Objects are not zeroed unless ZERO is asked; see pages.h for what happens when the machine is out of memory.
 *   - fork(): the child has a copy of the slab, all objects in it. SHARED: its one thread takes over what the other
 *     threads had ready. An allocation or a free that another thread was in the midst of may or may not have happened.
 *   - A thread that ends leaves what it had ready to the threads that go on; its objects stay.
 */
#ifndef VERSO_SLAB_H
#define VERSO_SLAB_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/*
 * What verso_slab_alloc() and verso_slab_free() need inline. It is part of the ABI, to be read and written by the
 * inline functions of this header alone; the rest of a slab, of a front and of a block follows, unseen.
 */

/* 64 objects side by side. */
struct verso_slab_word {
    uint64_t free;        /* a bit for each: 1 free */
    unsigned char *first; /* the object of the lowest bit */
};

/* A block of objects; its words begin VERSO_SLAB_WORDS_AT bytes from here. */
struct verso_slab_block {
    uint32_t frees; /* that are to come before somebody has to look at the block: it may be empty */
};
#define VERSO_SLAB_WORDS_AT 16

/* Where a thread takes objects from. What others read and what it alone writes are lines apart. */
struct verso_slab_front {
    uintptr_t thread;
    unsigned char apart[120];
    struct verso_slab_word *word;
};

struct verso_slab {
    unsigned char *base;              /* the first object */
    size_t reach_bytes;               /* from there on, that can be freed inline */
    uint64_t inverse;                 /* 2^32 / stride_bytes, and a little more: */
    uint32_t excess_end;              /* that times the last object of a block, and 1 */
    uint32_t unseen;                  /* 0 */
    size_t stride_bytes;              /* from one object to the next */
    unsigned char *blocks;            /* struct verso_slab_block, one after the other, */
    size_t note_bytes;                /* so far apart */
    struct verso_slab_front *only;    /* NULL: each thread has one of its own */
    struct verso_slab_front **fronts; /* theirs, by VERSO_SLAB_SLOT() */
    struct verso_slab_front **owners; /* of each block */
};

enum verso_slab_flags {
    VERSO_SLAB_SHARED = 1 << 0, /* any number of threads; up to 4,096 that allocate, at a time */
    VERSO_SLAB_ZERO = 1 << 1,   /* objects are zeros when they are handed out */
    VERSO_SLAB_HANDLES =
        1 << 2, /* a generation for each object: handles, and every second free is found. 4 bytes each */
    /* For debugging; brings HANDLES with it. Freed objects are filled, and looked at before they are handed out again:
     * who wrote to one in between is found. */
    VERSO_SLAB_CHECK = 1 << 3,
    VERSO_SLAB_GUARD = 1 << 4, /* a guard page behind each block: what runs over a block's end is SIGSEGV */
    VERSO_SLAB_HUGE = 1 << 5,  /* transparent huge pages where they can be had */
};

/* What is wanted. Start from VERSO_SLAB_OPTIONS_INIT; 0 always means "the default". */
struct verso_slab_options {
    size_t struct_bytes; /* set by the INIT macro; lets this struct grow */
    /* A power of two that every object's address is a multiple of; 0: what a type of that size can need: the largest
     * power of two that divides object_bytes, at most 16. */
    size_t align_bytes;
    /* How many there may be at once, rounded up to whole blocks; 0: 64 GiB of addresses (32-bit systems: 256 MiB), at
     * most 2^32 objects; less where the process may not have as much (ulimit -v). */
    uint64_t objects_max;
    /* Empty blocks up to this are kept for the next objects, those beyond go back to the kernel at once; 1: as little
     * as possible; 0: 64 MiB. */
    uint64_t retain_bytes;
    const char *name; /* shown in /proc/PID/maps as [anon:name]; NULL: "verso slab" */
    unsigned flags;   /* enum verso_slab_flags */
};
#define VERSO_SLAB_OPTIONS_INIT                             \
    {                                                       \
        sizeof(struct verso_slab_options), 0, 0, 0, NULL, 0 \
    }

/**
 * verso_slab_open()  - reserve addresses for objects of one size
 * verso_slab_close() - give back all of it, live objects as well; takes NULL
 * @object_bytes: of one object
 *
 * Owns:    you own *out_slab until verso_slab_close(); every object's address is invalid afterwards.
 * Errors:  VERSO_E_RANGE (0 bytes); VERSO_E_OVERFLOW (objects of that size, or that many, do not fit in an address
 *          space; HANDLES: more than 2^32); VERSO_E_OPTIONS (unknown flags, an alignment that is no power of two, a
 *          name that the kernel would not show); -ENOMEM (the hint says which limit). close: none.
 * Threads: any; close when no other thread uses it.
 */
VERSO_API VERSO_MUST_CHECK int verso_slab_open(size_t object_bytes, const struct verso_slab_options *options,
                                               struct verso_slab **out_slab);
VERSO_API void verso_slab_close(struct verso_slab *slab);

/**
 * verso_slab_alloc() - an object
 *
 * A few instructions, inline; once in 64 objects a call; once in a block (64 KiB, or eight objects) a new block is
 * looked for, and the kernel may be asked for memory.
 *
 * Owns:    you own the object until verso_slab_free() or verso_slab_close().
 * Errors:  NULL, with verso_error_last(): VERSO_E_SPAN (objects_max are live); -ENOMEM (the hint says which limit);
 *          -EAGAIN (SHARED: 4,096 threads use it); VERSO_E_OVERWRITTEN (CHECK: the object that was next has been
 *          written to since it was freed; it is set aside, ask again for another).
 * Threads: one at a time; with SHARED any.
 * Source:  inline at the end of this header; `./dev bench slab`.
 */
VERSO_API VERSO_MUST_CHECK inline void *verso_slab_alloc(struct verso_slab *slab);

/**
 * verso_slab_free() - give an object back; takes NULL
 *
 * Errors:  VERSO_E_FOREIGN (not the first byte of an object of this slab); VERSO_E_STALE (it is free already). The
 *          slab is whole afterwards: nothing has been freed.
 * Threads: one at a time; with SHARED any, the one that allocated it or another. What the caller wrote into the object
 *          is done before anybody can be handed it again.
 */
VERSO_API inline int verso_slab_free(struct verso_slab *slab, void *object);

/* ---- Handles: with HANDLES or CHECK ------------------------------------------------------------------------------ */

/* Which object, and which of those that have lived at its place. All zeros is nobody's. A handle can be kept, sent and
 * compared; after 2^31 objects at one place the generations begin again. */
struct verso_slab_handle {
    uint32_t index;
    uint32_t generation;
};

/**
 * verso_slab_handle() - the handle of a live object
 *
 * Errors:  VERSO_E_FOREIGN, VERSO_E_STALE as verso_slab_free(); VERSO_E_OPTIONS (opened without HANDLES).
 * Threads: as verso_slab_alloc().
 */
VERSO_API VERSO_MUST_CHECK int verso_slab_handle(struct verso_slab *slab, const void *object,
                                                 struct verso_slab_handle *out_handle);

/**
 * verso_slab_get() - the object, or NULL when it has been freed since, or the handle never was one
 *
 * Errors:  none: NULL is an answer, and the record is left alone.
 * Threads: as verso_slab_alloc(). Whether another thread frees the object in the next moment is yours to know.
 */
VERSO_API void *verso_slab_get(struct verso_slab *slab, struct verso_slab_handle handle);

/**
 * verso_slab_free_handle() - give back the object, if it still is the one that was meant
 *
 * Errors:  VERSO_E_STALE (freed since, or never was one); VERSO_E_OPTIONS (opened without HANDLES).
 * Threads: as verso_slab_free(); of several threads with the same handle, one succeeds.
 */
VERSO_API int verso_slab_free_handle(struct verso_slab *slab, struct verso_slab_handle handle);

/* ---- All of them ------------------------------------------------------------------------------------------------- */

/**
 * verso_slab_next() - the live objects, one after the other, by address
 * @previous: NULL for the first; else what the last call answered, even if it was freed since
 *
 *     for (void *object = verso_slab_next(slab, NULL); object; object = verso_slab_next(slab, object))
 *
 * Errors:  none: NULL after the last, and for a @previous that is no object's address.
 * Threads: SHARED: while no other thread allocates or frees.
 */
VERSO_API void *verso_slab_next(struct verso_slab *slab, const void *previous);

/**
 * verso_slab_verify() - CHECK: whether any free object has been written to
 * @out_object: the first one, on VERSO_E_OVERWRITTEN; NULL if you don't care
 *
 * Errors:  VERSO_E_OVERWRITTEN; VERSO_E_OPTIONS (opened without CHECK).
 * Threads: SHARED: while no other thread allocates or frees.
 */
VERSO_API int verso_slab_verify(struct verso_slab *slab, void **out_object);

/**
 * verso_slab_trim() - give all memory that holds no object back to the kernel now
 *
 * Whole blocks. Those that other threads (SHARED) have ready stay with them. Addresses stay reserved, and the kernel's
 * promise (vm.overcommit_memory 2) is kept until close.
 *
 * Errors:  -errno of madvise; what could not be given back stays in use.
 * Threads: as verso_slab_alloc().
 * Source:  madvise(2), MADV_DONTNEED.
 */
VERSO_API int verso_slab_trim(struct verso_slab *slab);

/* How it is, and how much there is of it. Initialise struct_bytes by VERSO_SLAB_INFO_INIT. */
struct verso_slab_info {
    size_t struct_bytes;
    size_t object_bytes; /* as asked */
    size_t stride_bytes; /* from one object to the next */
    size_t align_bytes;
    size_t block_bytes;         /* from one block to the next */
    size_t block_objects;       /* in a block */
    uint64_t objects_max;       /* that the span has room for */
    uint64_t live_count;        /* objects handed out; SHARED: about, while others are at it */
    uint64_t block_count;       /* blocks that have been used; live_count of block_count * block_objects are in use */
    uint64_t retained_bytes;    /* memory of empty blocks that was kept, without those that threads have ready */
    uint64_t returned_bytes;    /* given back to the kernel so far */
    uint64_t double_free_count; /* SHARED, without HANDLES: second frees found after their call had ended; ignored */
    uint64_t set_aside_count;   /* CHECK: objects that were written to after they had been freed, no more handed out */
    unsigned thread_count;      /* SHARED: threads that have something ready */
    unsigned flags;             /* enum verso_slab_flags in effect */
};
#define VERSO_SLAB_INFO_INIT                                                     \
    {                                                                            \
        sizeof(struct verso_slab_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * verso_slab_info() - sizes, counts, memory
 *
 * Errors:  VERSO_E_OPTIONS when out_info->struct_bytes was not set.
 * Threads: any; takes time with the number of blocks.
 */
VERSO_API int verso_slab_info(struct verso_slab *slab, struct verso_slab_info *out_info);

/* ---- Inline ------------------------------------------------------------------------------------------------------ */

/* A thread, by an address that no other living thread has; 1: here only the library can tell. */
#define VERSO_SLAB_THREAD ((uintptr_t)1)
#if defined(__has_builtin) && (defined(__x86_64__) || defined(__aarch64__))
#if __has_builtin(__builtin_thread_pointer)
#undef VERSO_SLAB_THREAD
#define VERSO_SLAB_THREAD ((uintptr_t)__builtin_thread_pointer())
#endif
#endif

/* Where a thread is looked for first, of 4,096 places: by a hash. */
#define VERSO_SLAB_SLOT(thread) ((uint32_t)((thread) >> 12) * 0x9e3779b1U >> 20)

/* The line that is wanted some calls later is asked for early, as objects are taken by address, mostly, and stored to
 * at once. An address where nothing stands costs nothing. */
#define VERSO_SLAB_AHEAD_BYTES 512

/**
 * verso_slab_alloc_slowly() - what verso_slab_alloc() calls when the word it takes from has no free object
 * verso_slab_free_slowly()  - what verso_slab_free() calls for all but live objects of the calling thread's blocks,
 *                             and when a block may have become empty
 *
 * Both always where there is more to be done: ZERO, HANDLES, CHECK, AddressSanitizer. The same in every respect.
 *
 * Errors:  as verso_slab_alloc(), verso_slab_free().
 * Threads: as verso_slab_alloc(), verso_slab_free().
 */
VERSO_API VERSO_MUST_CHECK void *verso_slab_alloc_slowly(struct verso_slab *slab);
VERSO_API int verso_slab_free_slowly(struct verso_slab *slab, void *object);

/* Relaxed atomics cost nothing: a word has one writer, and others look. */
inline void *verso_slab_alloc(struct verso_slab *slab)
{
    struct verso_slab_front *front = slab->only;
    struct verso_slab_word *word;
    unsigned char *object;
    uint64_t bits;

    if (!front) {
        uintptr_t thread = VERSO_SLAB_THREAD;

        front = __atomic_load_n(&slab->fronts[VERSO_SLAB_SLOT(thread)], __ATOMIC_ACQUIRE);
        if (__builtin_expect(!front || __atomic_load_n(&front->thread, __ATOMIC_RELAXED) != thread, 0))
            return verso_slab_alloc_slowly(slab);
    }
    word = front->word;
    bits = __atomic_load_n(&word->free, __ATOMIC_RELAXED);
    if (__builtin_expect(bits == 0, 0))
        return verso_slab_alloc_slowly(slab);
    /* The lowest; its offset fits 32 bits, as a block of larger objects has one. */
    object = word->first + (unsigned)__builtin_ctzll(bits) * (uint32_t)slab->stride_bytes;
    __atomic_store_n(&word->free, bits & (bits - 1), __ATOMIC_RELAXED);
    __builtin_prefetch(object + VERSO_SLAB_AHEAD_BYTES, 1);
    return object;
}

/*
 * An object's offset in its block times the inverse has the object's number from bit 32 on, and below it that number
 * times the excess; for what is no object's first byte, more than the whole inverse, which is larger than that product
 * can be. So one comparison tells both whether an object begins here and whether the block has so many.
 */
inline int verso_slab_free(struct verso_slab *slab, void *object)
{
    size_t offset = (size_t)((uintptr_t)object - (uintptr_t)slab->base), index = offset >> 16;
    uint64_t number = (uint64_t)(offset & 0xffff) * slab->inverse, bits;
    struct verso_slab_front *front = slab->only;
    struct verso_slab_block *block;
    struct verso_slab_word *word;

    if (__builtin_expect(
            offset >= __atomic_load_n(&slab->reach_bytes, __ATOMIC_RELAXED) || (uint32_t)number >= slab->excess_end, 0))
        return verso_slab_free_slowly(slab, object);
    if (!front) {
        front = __atomic_load_n(&slab->owners[index], __ATOMIC_ACQUIRE);
        if (__builtin_expect(__atomic_load_n(&front->thread, __ATOMIC_RELAXED) != VERSO_SLAB_THREAD, 0))
            return verso_slab_free_slowly(slab, object);
    }
    block = (struct verso_slab_block *)(void *)(slab->blocks + index * slab->note_bytes);
    word = (struct verso_slab_word *)(void *)((unsigned char *)block + VERSO_SLAB_WORDS_AT) + (number >> 38);
    bits = __atomic_load_n(&word->free, __ATOMIC_RELAXED);
    if (__builtin_expect((int)(bits >> (number >> 32 & 63) & 1), 0))
        return verso_slab_free_slowly(slab, object);
    __atomic_store_n(&word->free, bits | (uint64_t)1 << (number >> 32 & 63), __ATOMIC_RELAXED);
    front->word = word; /* what was freed last is handed out first */
    if (__builtin_expect(--block->frees == 0, 0))
        return verso_slab_free_slowly(slab, object); /* the object is free: that is seen by the 0 */
    return 0;
}

VERSO_END_DECLS

#endif
