/* SPDX-License-Identifier: MIT */
/* region.h - what the files of this folder need of each other. */
#ifndef VERSO_SRC_SHARE_REGION_H
#define VERSO_SRC_SHARE_REGION_H

#include "share/share.h"

#include <limits.h>
#include <pthread.h>

/* The last step tried, and what to say about its failure; for a call that ends in verso__fail_with(). */
struct verso__share_trouble {
    const char *step;
    const char *hint; /* NULL: the code's own */
};

/* Parts of the region in memory. */
static inline struct verso__share_header *verso__share_header(const struct verso_share *share)
{
    return (struct verso__share_header *)(void *)share->base;
}
static inline struct verso__share_place *verso__share_place(const struct verso_share *share, uint32_t number)
{
    return (struct verso__share_place *)(void *)(share->base + share->made.members_offset) + number;
}
static inline struct verso__share_chair *verso__share_chair(const struct verso_share *share, uint32_t number)
{
    return (struct verso__share_chair *)(void *)(share->base + share->made.seats_offset +
                                                 (uint64_t)number * share->made.page_bytes);
}
static inline _Atomic uint32_t *verso__share_life(const struct verso_share *share, uint32_t number)
{
    return (_Atomic uint32_t *)(void *)((unsigned char *)verso__share_chair(share, number) + share->made.page_bytes -
                                        VERSO__OS_LIFE_BYTES);
}

/* Whether the member is this process, and not its parent, as in a child of fork() before verso__share_adopt(). */
static inline bool verso__share_is_own(const struct verso_share *share)
{
    return atomic_load_explicit(&share->forks, memory_order_acquire) == verso__os_forks();
}

/* Seats that have memory: what others wrote, but never more than there can be. */
uint32_t verso__share_seats_made(const struct verso_share *share);

/* ---- place.c: names ---- */

/* The path of a name; with @make, the directory of names is made when it is not there. -EINVAL, -ENAMETOOLONG;
 * VERSO_E_OWNER: the directory is not this user's alone. */
int verso__share_path(const char *name, bool make, char out_path[PATH_MAX], struct verso__share_trouble *trouble);

/* The directory of names, without its end; and whether it is this user's alone: 0, -errno (-ENOENT: not there), or
 * VERSO_E_OWNER. */
int verso__share_directory(char out_path[PATH_MAX], struct verso__share_trouble *trouble);
int verso__share_check_directory(const char *path, struct verso__share_trouble *trouble);

/* ---- layout.c ---- */

int verso__share_plan(uint64_t bytes, const struct verso_share_options *options, struct verso__share_header *out_made);

/* Whether @made is one that this library could have made for a file of @file_bytes, or why not. */
int verso__share_check(const struct verso__share_header *made, uint64_t file_bytes,
                       struct verso__share_trouble *trouble);
int verso__share_check_kind(const struct verso__share_header *made, const struct verso_share_options *options,
                            struct verso__share_trouble *trouble);
uint64_t verso__share_checksum(const struct verso__share_header *made);

/* ---- make.c: on failure, what has been got so far is in @share, for the caller to free ---- */

/* How names of unfinished regions begin, where there must be some: no region's name begins so. */
#define VERSO__SHARE_UNFINISHED ".unfinished-"

int verso__share_make_named(const char *path, const struct verso_share_options *options, struct verso_share *share,
                            struct verso__share_trouble *trouble);
int verso__share_make_anonymous(const struct verso_share_options *options, struct verso_share *share,
                                struct verso__share_trouble *trouble);

/* ---- attach.c ---- */

int verso__share_map(struct verso_share *share, struct verso__share_trouble *trouble);

/* What the flags ask of the content's memory. */
int verso__share_settle(struct verso_share *share, struct verso__share_trouble *trouble);

/* share->fd is open, by an open file of its own; in the end it is a member, or on failure the caller frees. */
int verso__share_attach(struct verso_share *share, const struct verso_share_options *options,
                        struct verso__share_trouble *trouble);

/* VERSO_E_FORMAT: it is something else. */
int verso__share_check_is_file(const struct verso__os_file_info *info, struct verso__share_trouble *trouble);

/* The same for looking only, without a lock or a place. */
int verso__share_see(struct verso_share *share, const struct verso_share_options *options,
                     struct verso__share_trouble *trouble);

/* The header of the file @fd, checked as all that attaching checks but the kind. */
int verso__share_read(int fd, const struct verso_share_options *options, struct verso__share_header *out_made,
                      struct verso__os_file_info *out_info, struct verso__share_trouble *trouble);

/* Takes the name @path away if it is that of @fd's file, whose gate is closed. -ENOENT: it is not. */
int verso__share_unlink_own(int fd, const char *path);

/* The same if nobody else has it attached; closes the gate. 1: it did; 0, -errno: not. */
int verso__share_remove_if_abandoned(int fd, const struct verso__share_header *made, const char *path);

/* ---- member.c ---- */

/* Takes a place as a member for this process. -EUSERS. */
int verso__share_join(struct verso_share *share);

/* The first thing in a call about @share: a child of fork() becomes a member of its own. The list's lock is held. */
int verso__share_adopt(struct verso_share *share);

/* The same, taking that lock; what a public call begins with. */
int verso__share_adopt_now(struct verso_share *share);

/* Gives the place back, if it is this process's. */
void verso__share_leave(struct verso_share *share);

/* Calls @each for every place that a living process holds, as seen through @fd, whose open file holds @own (or
 * UINT32_MAX). */
int verso__share_each_member(int fd, const struct verso__share_header *made, uint32_t own,
                             int (*each)(uint32_t number, void *arg), void *arg);

/* By pid, where pids mean the same: proof that the process of a place, the thread in a seat of @member, has ended. */
bool verso__share_place_is_gone(const struct verso__share_place *place);
bool verso__share_thread_is_gone(const struct verso_share *share, uint32_t number, uint32_t member);

/* Whether nobody but @fd's open file has the region attached: 1, 0, -errno. */
int verso__share_is_abandoned(int fd, const struct verso__share_header *made);

/* A lock that others hold only for moments: tries for two seconds. -EBUSY. */
int verso__share_lock(int fd, uint64_t byte, enum verso__os_byte_lock lock);

/* ---- data.c ---- */

/* Held while growing: a lock of the open file does not hold off our own threads. Taken before the list's. */
extern pthread_mutex_t verso__share_growing;

/* ---- info.c ---- */

/* The living members, as seen through @fd; @own as above. */
int verso__share_visit(int fd, const struct verso__share_header *made, uint32_t own,
                       int (*each)(const struct verso_share_member *member, void *arg), void *arg);

/* What there is to know without being a member. */
int verso__share_describe(int fd, const struct verso__share_header *made, uint32_t own,
                          const struct verso__os_file_info *file, struct verso_share_info *out_info);

/* ---- seat.c ---- */

/* Before the first region: what ends of threads and forks need. */
int verso__share_begin(void);

/* Puts a region into the list of those of this process, and takes it out with all its seats. */
void verso__share_enlist(struct verso_share *share);
void verso__share_delist(struct verso_share *share);

/* In a child of fork(): the parent's seats are not ours. The list's lock is held. */
void verso__share_forget_seats(struct verso_share *share);

/* The lock over the list, and over what of a region threads could change at once. */
void verso__share_list_lock(void);
void verso__share_list_unlock(void);

#endif
