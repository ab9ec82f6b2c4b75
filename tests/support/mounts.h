/* SPDX-License-Identifier: MIT */
/*
 * mounts.h - small file systems for a test to fill, to clone in, and to forget.
 *
 * They are mounted in a mount namespace of the test's own, below its directory, and go when the test goes, however it
 * goes: the namespace dies with the process, the loop device lets go of its image, and the image has no name any more.
 */
#ifndef VERSO_TESTS_MOUNTS_H
#define VERSO_TESTS_MOUNTS_H

#include <stdint.h>

enum support_file_system {
    SUPPORT_TMPFS, /* exactly as large as asked, in pages: for full disks. Not root: where user namespaces allow */
    SUPPORT_EXT4,  /* at least 4 MiB; a journal from 8 MiB on. These and the next: root and loop devices */
    SUPPORT_EXT2,  /* at least 1 MiB; block maps, by the ext4 driver: shows its holes, has no fallocate */
    SUPPORT_XFS,   /* at least 320 MiB (sparse); reflinks */
    SUPPORT_BTRFS, /* at least 128 MiB (sparse); reflinks */
    SUPPORT_EXT4_UNJOURNALED, /* an ext4 that goes on when its disk fails: no journal to be given up */
};

/*
 * Mounts a new file system of at least @bytes; returns the directory it stands at, valid until the test program ends.
 * NULL when this machine or user can't, and *out_reason is why, for skip_because(). Call it before starting threads.
 */
const char *support_mount(enum support_file_system kind, uint64_t bytes, const char **out_reason);

/* The directory of a new xfs, else btrfs: files in it can share blocks (FICLONE). */
const char *support_mount_reflink(const char **out_reason);

/* The tmpfs of exactly @bytes, as support_mount() does. */
const char *support_mount_tmpfs(uint64_t bytes, const char **out_reason);

/*
 * An ext4 of @bytes whose disk stops writing when about @real_bytes are used: space can be allocated, but what is
 * written back fails. Root and loop devices.
 */
const char *support_mount_failing(uint64_t bytes, uint64_t real_bytes, const char **out_reason);

/* From now on the disk of a mounted ext4, xfs or btrfs can't read what lies past its first @bytes, nor what is not
 * cached yet. The file systems have their own tables in the first MiB. */
void support_disk_cut(const char *directory, uint64_t bytes);

/* Unmounts, even when files are open there; support_teardown() does it for all that are left. */
void support_unmount(const char *directory);
void support_unmount_all(void);

#endif
