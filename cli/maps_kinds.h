/* SPDX-License-Identifier: MIT */
/*
 * maps_kinds.h - what sort of memory a mapping is, in words.
 *
 * The kernel does not say it in one place: names, access, flags, and which other mappings show the same memory do,
 * together. What can't be told apart without the flags (see --no-memory) gets the wider word.
 */
#ifndef VERSO_CLI_MAPS_KINDS_H
#define VERSO_CLI_MAPS_KINDS_H

#include <jansson.h>
#include <stdbool.h>
#include <verso/inspect.h>

/* X(kind, its word: without blanks, so that columns can be counted) */
#define MAPPING_KINDS(X)                                                                            \
    X(KIND_MEMORY, "memory")       /* private, of no file */                                        \
    X(KIND_RESERVED, "reserved")   /* addresses only: no access, nothing promised, nothing there */ \
    X(KIND_NO_ACCESS, "no-access") /* memory of no file that nobody may touch */                    \
    X(KIND_HEAP, "heap")                                                                            \
    X(KIND_STACK, "stack")                                                                          \
    X(KIND_KERNEL, "kernel")         /* made by the kernel, or shared with it */                    \
    X(KIND_DROPPABLE, "droppable")   /* the kernel may empty it */                                  \
    X(KIND_SECRET, "secret")         /* out of the kernel's sight */                                \
    X(KIND_SHARED, "shared")         /* shared memory: anonymous, System V's, POSIX's */            \
    X(KIND_MEMFD, "memfd")           /* a file of memory */                                         \
    X(KIND_CLONE, "clone")           /* a private, writable view of a file of memory */             \
    X(KIND_MIRRORED, "mirrored")     /* one memory twice, side by side */                           \
    X(KIND_CODE, "code")             /* executable, and of no file on a disk */                     \
    X(KIND_CODE_RUN, "code-run")     /* executable view of memory ... */                            \
    X(KIND_CODE_WRITE, "code-write") /* ... that another view may write */                          \
    X(KIND_FILE, "file")                                                                            \
    X(KIND_FILE_COPY, "file-copy") /* private and writable: stores stay in the process */           \
    X(KIND_DEVICE, "device")

enum mapping_kind {
#define KIND_ENUM(kind, word) kind,
    MAPPING_KINDS(KIND_ENUM)
#undef KIND_ENUM
};

/* X(trait, its word, the kernel's flags that say so) */
#define MAPPING_TRAITS(X)                                                    \
    X(TRAIT_SEALED, "sealed", "sl")      /* nobody may change the mapping */ \
    X(TRAIT_TRACKED, "tracked", "uw")    /* userfaultfd notes stores */      \
    X(TRAIT_SERVED, "served", "um|ui")   /* userfaultfd answers faults */    \
    X(TRAIT_LOCKED, "locked", "lo")      /* stays in memory */               \
    X(TRAIT_HUGETLB, "hugetlb", "ht")    /* of the reserved pool */          \
    X(TRAIT_THP, "thp", "hg")            /* huge pages were asked for */     \
    X(TRAIT_NO_FORK, "no-fork", "dc")    /* children do not get it */        \
    X(TRAIT_WIPED, "wipe-on-fork", "wf") /* children get zeros */            \
    X(TRAIT_NO_CORE, "no-core", "dd")    /* core dumps do not hold it */

enum mapping_trait {
#define TRAIT_ENUM(trait, word, flags) trait,
    MAPPING_TRAITS(TRAIT_ENUM)
#undef TRAIT_ENUM
    TRAIT_COUNT
};

/* What was found out of one mapping. */
struct mapping_facts {
    enum mapping_kind kind;
    unsigned traits; /* bit n: enum mapping_trait n */
    uint64_t guard_pages;
    uint64_t guard_places;
};

/* Of a whole address space. */
struct space_facts {
    struct mapping_facts *mappings; /* one for each of the space's, in its order */
    bool traits_known;              /* the kernel told its flags */
    int guards_error;               /* 0: guards were counted; -ENODATA: nobody asked */
    const char *guards_why;         /* why they were not; "" */
    uint64_t guard_pages;
    uint64_t guard_places;
    uint64_t guarded_mappings;
    uint64_t writable_code_mappings; /* writable and executable at once */
    uint64_t writable_code_bytes;
};

/* Finds out all of it; guards only with @count_guards, which walks page tables. kinds_free() it. */
void kinds_find(const struct verso_inspect_space *space, bool count_guards, struct space_facts *out_facts);
void kinds_free(struct space_facts *facts);

const char *kind_shown(enum mapping_kind kind);
#define ALARM_COLOR "\033[38;5;202m" /* vermilion, for what is writable and executable */
bool is_writable_code(const struct verso_inspect_mapping *mapping);

/* @found, bits of traits, as "sealed,locked", or ""; in @text of at least TRAITS_ROOM bytes, which is returned. */
#define TRAITS_ROOM 96
char *traits_shown(unsigned found, char *text);

/* "3 guards in 2 places", with @word "guard", or "" without any; in @text of at least GUARDS_ROOM bytes, which is
 * returned. */
#define GUARDS_ROOM 80
char *guards_shown(const char *word, uint64_t pages, uint64_t places, char *text);

/* Adds "kind", "traits", "writable_executable", "guard_pages" and "guard_places" of mapping @index to @object. */
void kinds_to_json(const struct verso_inspect_space *space, const struct space_facts *facts, size_t index,
                   json_t *object);

/* Adds "guards" and "writable_executable" of the whole. */
void kinds_total_to_json(const struct space_facts *facts, json_t *object);

#endif
