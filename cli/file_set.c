/* SPDX-License-Identifier: MIT */
/* file_set - a hash table of (device, inode), grown at two thirds. */
#include "file_set.h"
#include "command.h"

#include <stdlib.h>

struct file_id {
    uint64_t device;
    uint64_t inode;
    bool used;
};

/* Where an id is, or the free slot where it belongs. */
static struct file_id *slot_of(const struct file_set *set, uint64_t device, uint64_t inode)
{
    uint64_t hash = (inode ^ device << 40 ^ device) * UINT64_C(0x9e3779b97f4a7c15);
    size_t mask = set->slot_count - 1;

    for (size_t i = (size_t)(hash >> 32) & mask;; i = (i + 1) & mask) {
        struct file_id *slot = &set->slots[i];

        if (!slot->used || (slot->inode == inode && slot->device == device))
            return slot;
    }
}

static void grow(struct file_set *set)
{
    struct file_set larger = *set;

    larger.slot_count = set->slot_count ? set->slot_count * 2 : 1024;
    larger.slots = allocate(NULL, larger.slot_count, sizeof(*larger.slots));
    for (size_t i = 0; i < larger.slot_count; i++)
        larger.slots[i].used = false;
    for (size_t i = 0; i < set->slot_count; i++)
        if (set->slots[i].used)
            *slot_of(&larger, set->slots[i].device, set->slots[i].inode) = set->slots[i];
    free(set->slots);
    set->slots = larger.slots;
    set->slot_count = larger.slot_count;
}

bool file_set_add(struct file_set *set, uint64_t device, uint64_t inode)
{
    struct file_id *slot;
    bool is_new;

    pthread_mutex_lock(&set->lock);
    if (set->count >= set->slot_count / 3 * 2)
        grow(set);
    slot = slot_of(set, device, inode);
    is_new = !slot->used;
    if (is_new) {
        *slot = (struct file_id){ device, inode, true };
        set->count++;
    }
    pthread_mutex_unlock(&set->lock);
    return is_new;
}

bool file_set_has(struct file_set *set, uint64_t device, uint64_t inode)
{
    bool has;

    pthread_mutex_lock(&set->lock);
    has = set->slot_count && slot_of(set, device, inode)->used;
    pthread_mutex_unlock(&set->lock);
    return has;
}

void file_set_clear(struct file_set *set)
{
    free(set->slots);
    set->slots = NULL;
    set->slot_count = 0;
    set->count = 0;
}
