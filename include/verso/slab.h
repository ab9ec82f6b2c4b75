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

/* Opaque, so it may grow without an ABI break. */
struct verso_slab;

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
 * A few instructions; once in 64 objects a few more; once in a block (64 KiB, or eight objects) a new block is looked
 * for, and the kernel may be asked for memory.
 *
 * Owns:    you own the object until verso_slab_free() or verso_slab_close().
 * Errors:  NULL, with verso_error_last(): VERSO_E_SPAN (objects_max are live); -ENOMEM (the hint says which limit);
 *          -EAGAIN (SHARED: 4,096 threads use it); VERSO_E_OVERWRITTEN (CHECK: the object that was next has been
 *          written to since it was freed; it is set aside, ask again for another).
 * Threads: one at a time; with SHARED any.
 * Source:  `./dev bench slab`.
 */
VERSO_API VERSO_MUST_CHECK void *verso_slab_alloc(struct verso_slab *slab);

/**
 * verso_slab_free() - give an object back; takes NULL
 *
 * Errors:  VERSO_E_FOREIGN (not the first byte of an object of this slab); VERSO_E_STALE (it is free already). The
 *          slab is whole afterwards: nothing has been freed.
 * Threads: one at a time; with SHARED any, the one that allocated it or another. What the caller wrote into the object
 *          is done before anybody can be handed it again.
 */
VERSO_API int verso_slab_free(struct verso_slab *slab, void *object);

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

VERSO_END_DECLS

#endif
