/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - kernel interfaces newer than Debian 12's headers.
 *
 * Each is defined here only when the system's header does not have it, under the kernel's own name and number. That a
 * number is known says nothing about the running kernel: callers try, and fall back.
 * Source of the numbers: include/uapi of Linux 6.18.
 */
#ifndef VERSO_SRC_OS_LINUX_KERNEL_H
#define VERSO_SRC_OS_LINUX_KERNEL_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* 6.5 */
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* 5.16 */
#endif
#ifndef SYS_mseal
#define SYS_mseal 462 /* 6.10 */
#endif

/* An entry of futex_waitv(2); its flags say how large the word is. */
struct verso__futex_waitv {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};
#define VERSO__FUTEX_32 2

struct verso__cachestat_range {
    uint64_t off;
    uint64_t len;
};
struct verso__cachestat {
    uint64_t nr_cache;
    uint64_t nr_dirty;
    uint64_t nr_writeback;
    uint64_t nr_evicted;
    uint64_t nr_recently_evicted;
};

/* The inode number of the first namespace of time, of which every other one has its own idea of start times (5.6). */
#define VERSO__TIME_NAMESPACE_FIRST 0xEFFFFFFAU

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* 6.11 */
#endif
#ifndef MADV_COLD
#define MADV_COLD 20 /* 5.4 */
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* 5.14 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* 6.1 */
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* 6.13 anonymous, 6.15 files */
#endif
#ifndef MADV_GUARD_REMOVE
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* 6.3 */
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* 6.3 */
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* 5.1 */
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* 5.17 */
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* 6.3 */
#define PR_GET_MDWE 66
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef PR_THP_DISABLE_EXCEPT_ADVISED
#define PR_THP_DISABLE_EXCEPT_ADVISED (1 << 1) /* 6.18 */
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080 /* 6.14 */
#endif
#ifndef STATX_WRITE_ATOMIC
#define STATX_WRITE_ATOMIC 0x00010000U /* 6.11 */
#endif
#ifndef STATX_ATTR_WRITE_ATOMIC
#define STATX_ATTR_WRITE_ATOMIC 0x00400000
#endif

/* PAGEMAP_SCAN, 6.7 */
#ifndef PAGEMAP_SCAN
struct page_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};
struct pm_scan_arg {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_WPALLOWED (1 << 0)
#define PAGE_IS_WRITTEN (1 << 1)
#define PAGE_IS_FILE (1 << 2)
#define PAGE_IS_PRESENT (1 << 3)
#define PAGE_IS_SWAPPED (1 << 4)
#define PAGE_IS_PFNZERO (1 << 5)
#define PAGE_IS_HUGE (1 << 6)
#define PAGE_IS_SOFT_DIRTY (1 << 7)
#define PAGE_IS_GUARD (1 << 8) /* 6.15 */
#define PM_SCAN_WP_MATCHING (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)
#endif

/* userfaultfd: what Debian 12's header lacks. Its own names are enumerators of the header's, so these are ours. */
#define VERSO__UFFD_FEATURE_WP_HUGETLBFS_SHMEM (UINT64_C(1) << 12) /* 5.19 */
#define VERSO__UFFD_FEATURE_WP_UNPOPULATED (UINT64_C(1) << 13)     /* 6.4 */
#define VERSO__UFFD_FEATURE_POISON (UINT64_C(1) << 14)             /* 6.6 */
#define VERSO__UFFD_FEATURE_WP_ASYNC (UINT64_C(1) << 15)           /* 6.7 */
#define VERSO__UFFD_FEATURE_MOVE (UINT64_C(1) << 16)               /* 6.8 */

/* PROCMAP_QUERY, 6.11 */
#ifndef PROCMAP_QUERY
struct procmap_query {
    uint64_t size;
    uint64_t query_flags;
    uint64_t query_addr;
    uint64_t vma_start;
    uint64_t vma_end;
    uint64_t vma_flags;
    uint64_t vma_page_size;
    uint64_t vma_offset;
    uint64_t inode;
    uint32_t dev_major;
    uint32_t dev_minor;
    uint32_t vma_name_size;
    uint32_t build_id_size;
    uint64_t vma_name_addr;
    uint64_t build_id_addr;
};
#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)
#define PROCMAP_QUERY_VMA_READABLE 0x01
#define PROCMAP_QUERY_VMA_WRITABLE 0x02
#define PROCMAP_QUERY_VMA_EXECUTABLE 0x04
#define PROCMAP_QUERY_VMA_SHARED 0x08
#define PROCMAP_QUERY_COVERING_OR_NEXT_VMA 0x10
#define PROCMAP_QUERY_FILE_BACKED_VMA 0x20
#endif

#endif
