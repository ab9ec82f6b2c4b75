/* SPDX-License-Identifier: MIT */
/* file_set.h - which files have been met, by device and inode. Safe for threads. */
#ifndef VERSO_CLI_FILE_SET_H
#define VERSO_CLI_FILE_SET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_set {
    pthread_mutex_t lock;
    struct file_id *slots; /* open addressing */
    size_t slot_count;     /* a power of two, or 0 */
    size_t count;
};

#define FILE_SET_INIT                         \
    {                                         \
        PTHREAD_MUTEX_INITIALIZER, NULL, 0, 0 \
    }

/* Adds; false when it was in there already. */
bool file_set_add(struct file_set *set, uint64_t device, uint64_t inode);

bool file_set_has(struct file_set *set, uint64_t device, uint64_t inode);

void file_set_clear(struct file_set *set);

#endif
