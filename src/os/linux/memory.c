/* SPDX-License-Identifier: MIT */
/* memory - mapping, protecting, advising, locking; files of memory. */
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int protection_of(unsigned access)
{
    int protection = PROT_NONE;

    if (access & VERSO__OS_ACCESS_READ)
        protection |= PROT_READ;
    if (access & VERSO__OS_ACCESS_WRITE)
        protection |= PROT_WRITE;
    if (access & VERSO__OS_ACCESS_EXEC)
        protection |= PROT_EXEC;
    return protection;
}

static int sharing_of(unsigned flags, int fd)
{
    int how;

    if (flags & VERSO__OS_MAP_DROPPABLE)
        return MAP_DROPPABLE | MAP_ANONYMOUS;
    if (flags & VERSO__OS_MAP_SYNC)
        how = MAP_SHARED_VALIDATE | MAP_SYNC;
    else
        how = flags & VERSO__OS_MAP_SHARED ? MAP_SHARED : MAP_PRIVATE;
    return fd < 0 ? how | MAP_ANONYMOUS : how;
}

int verso__os_map(void *wanted, size_t bytes, unsigned access, unsigned flags, int fd, uint64_t offset,
                  void **out_address)
{
    int how = sharing_of(flags, fd);
    void *address;

    if (flags & VERSO__OS_MAP_NORESERVE)
        how |= MAP_NORESERVE;
    if (flags & VERSO__OS_MAP_HUGE)
        how |= MAP_HUGETLB;
    if (flags & VERSO__OS_MAP_AT)
        how |= MAP_FIXED_NOREPLACE;
    if (flags & VERSO__OS_MAP_OVER)
        how |= MAP_FIXED;
    if (flags & VERSO__OS_MAP_POPULATE)
        how |= MAP_POPULATE;
    if (flags & VERSO__OS_MAP_LOCKED)
        how |= MAP_LOCKED;
    address = mmap(wanted, bytes, protection_of(access), how, fd, (off_t)offset);
    if (address == MAP_FAILED)
        return -errno;
    if ((flags & VERSO__OS_MAP_AT) && address != wanted) {
        (void)munmap(address, bytes); /* a kernel before 4.17 took NOREPLACE for a hint */
        return -EEXIST;
    }
    *out_address = address;
    return 0;
}

int verso__os_reserve(size_t bytes, size_t align_bytes, void **out_address)
{
    size_t slack = align_bytes > verso__os_page_bytes() ? align_bytes : 0;
    uintptr_t start, aligned;
    void *address;

    if (bytes > SIZE_MAX - slack)
        return -ENOMEM;
    address = mmap(NULL, bytes + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED)
        return -errno;
    start = (uintptr_t)address;
    aligned = slack ? (start + slack - 1) & ~(uintptr_t)(slack - 1) : start;
    if (aligned > start)
        (void)munmap(address, aligned - start);
    if (slack > aligned - start)
        (void)munmap((char *)address + (aligned - start) + bytes, slack - (aligned - start));
    *out_address = (char *)address + (aligned - start);
    return 0;
}

int verso__os_unmap(void *address, size_t bytes)
{
    return munmap(address, bytes) < 0 ? -errno : 0;
}

int verso__os_protect(void *address, size_t bytes, unsigned access)
{
    return mprotect(address, bytes, protection_of(access)) < 0 ? -errno : 0;
}

/* MS_ASYNC has started no write-back since Linux 2.6.19: what is left of it is the walk over the mappings. */
int verso__os_check_mapped(void *address, size_t bytes)
{
    return msync(address, bytes, MS_ASYNC) < 0 ? -errno : 0;
}

int verso__os_remap(void *address, size_t old_bytes, size_t new_bytes, bool may_move, void **out_address)
{
    void *moved = mremap(address, old_bytes, new_bytes, may_move ? MREMAP_MAYMOVE : 0);

    if (moved == MAP_FAILED)
        return -errno;
    *out_address = moved;
    return 0;
}

int verso__os_map_again(void *address, size_t bytes, void *target)
{
    return mremap(address, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED ? -errno : 0;
}

int verso__os_move(void *address, size_t bytes, void *target)
{
    return mremap(address, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED ? -errno : 0;
}

int verso__os_advise(void *address, size_t bytes, enum verso__os_advice advice)
{
    static const int kernel_advice[] = {
        [VERSO__OS_ADVICE_NORMAL] = MADV_NORMAL,
        [VERSO__OS_ADVICE_RANDOM] = MADV_RANDOM,
        [VERSO__OS_ADVICE_SEQUENTIAL] = MADV_SEQUENTIAL,
        [VERSO__OS_ADVICE_WILLNEED] = MADV_WILLNEED,
        [VERSO__OS_ADVICE_COLD] = MADV_COLD,
        [VERSO__OS_ADVICE_PAGEOUT] = MADV_PAGEOUT,
        [VERSO__OS_ADVICE_DONTNEED] = MADV_DONTNEED,
        [VERSO__OS_ADVICE_FREE] = MADV_FREE,
        [VERSO__OS_ADVICE_HUGE] = MADV_HUGEPAGE,
        [VERSO__OS_ADVICE_NO_HUGE] = MADV_NOHUGEPAGE,
        [VERSO__OS_ADVICE_COLLAPSE] = MADV_COLLAPSE,
        [VERSO__OS_ADVICE_NO_CORE] = MADV_DONTDUMP,
        [VERSO__OS_ADVICE_CORE] = MADV_DODUMP,
        [VERSO__OS_ADVICE_NO_FORK] = MADV_DONTFORK,
        [VERSO__OS_ADVICE_FORK] = MADV_DOFORK,
        [VERSO__OS_ADVICE_REMOVE] = MADV_REMOVE,
        [VERSO__OS_ADVICE_WIPE_ON_FORK] = MADV_WIPEONFORK,
        [VERSO__OS_ADVICE_MERGE] = MADV_MERGEABLE,
        [VERSO__OS_ADVICE_GUARD_INSTALL] = MADV_GUARD_INSTALL,
        [VERSO__OS_ADVICE_GUARD_REMOVE] = MADV_GUARD_REMOVE,
    };

    if ((size_t)advice >= sizeof(kernel_advice) / sizeof(kernel_advice[0]) || advice < VERSO__OS_ADVICE_NORMAL)
        return -EINVAL;
    return madvise(address, bytes, kernel_advice[advice]) < 0 ? -errno : 0;
}

int verso__os_populate(void *address, size_t bytes, bool for_writing)
{
    int r;

    do
        r = madvise(address, bytes, for_writing ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* By number: glibc's mlock2() without flags is mlock(), and the sanitizers put functions that do nothing before mlock()
 * and munlock(), so that what locks and limits do could not be tested under them. */
int verso__os_lock(void *address, size_t bytes, bool on_fault)
{
    return syscall(SYS_mlock2, address, bytes, on_fault ? MLOCK_ONFAULT : 0) < 0 ? -errno : 0;
}

int verso__os_unlock(void *address, size_t bytes)
{
    return syscall(SYS_munlock, address, bytes) < 0 ? -errno : 0;
}

int verso__os_seal_mapping(void *address, size_t bytes)
{
    return syscall(SYS_mseal, address, bytes, 0UL) < 0 ? -errno : 0;
}

static int prefer(void *address, size_t bytes, int how, uint64_t nodes)
{
    unsigned long mask[sizeof(nodes) / sizeof(unsigned long)];

    for (size_t i = 0; i < sizeof(mask) / sizeof(mask[0]); i++)
        mask[i] = (unsigned long)(nodes >> i * 8 * sizeof(mask[0]));
    return syscall(SYS_mbind, address, bytes, how, mask, 8 * sizeof(mask) + 1, 0UL) < 0 ? -errno : 0;
}

int verso__os_prefer_nodes(void *address, size_t bytes, uint64_t nodes)
{
    int r = prefer(address, bytes, MPOL_PREFERRED_MANY, nodes);

    return r == -EINVAL ? prefer(address, bytes, MPOL_PREFERRED, nodes & -nodes) : r; /* before 5.15 only one */
}

int verso__os_name(void *address, size_t bytes, const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. :/";
    char clean[80];
    size_t n = 0;

    for (; *name && n + 1 < sizeof(clean); name++)
        if (strchr(allowed, *name))
            clean[n++] = *name;
    clean[n] = '\0';
    return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, bytes, clean) < 0 ? -errno : 0;
}

int verso__os_sync_mapping(void *address, size_t bytes)
{
    int r;

    do
        r = msync(address, bytes, MS_SYNC);
    while (r < 0 && errno == EINTR); /* FUSE and network file systems */
    return r < 0 ? -errno : 0;
}

int verso__os_memory_file(const char *name, unsigned flags, int *out_fd)
{
    unsigned how = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd;

    if (flags & VERSO__OS_MEMORY_FILE_SECRET) {
        fd = (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
        if (fd < 0)
            return -errno;
        *out_fd = fd;
        return 0;
    }
    if (flags & VERSO__OS_MEMORY_FILE_HUGE)
        how |= MFD_HUGETLB;
    fd = memfd_create(name, how | (flags & VERSO__OS_MEMORY_FILE_EXEC ? MFD_EXEC : MFD_NOEXEC_SEAL));
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, how); /* before 6.3 there are no such flags */
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) < 0 &&
        errno != EPERM) { /* EPERM: NOEXEC_SEAL has sealed the exec bits; owner-only bits remain */
        int error = errno;

        (void)close(fd);
        return -error;
    }
    *out_fd = fd;
    return 0;
}

int verso__os_seals_add(int fd, unsigned seals)
{
    int wanted = 0;

    if (seals & VERSO__OS_SEAL_SHRINK)
        wanted |= F_SEAL_SHRINK;
    if (seals & VERSO__OS_SEAL_GROW)
        wanted |= F_SEAL_GROW;
    if (seals & VERSO__OS_SEAL_WRITE)
        wanted |= F_SEAL_WRITE;
    if (seals & VERSO__OS_SEAL_FUTURE_WRITE)
        wanted |= F_SEAL_FUTURE_WRITE;
    if (seals & VERSO__OS_SEAL_SEAL)
        wanted |= F_SEAL_SEAL;
    return fcntl(fd, F_ADD_SEALS, wanted) < 0 ? -errno : 0;
}

int verso__os_seals_get(int fd, unsigned *out_seals)
{
    int found = fcntl(fd, F_GET_SEALS);

    if (found < 0)
        return -errno;
    *out_seals = (found & F_SEAL_SHRINK ? VERSO__OS_SEAL_SHRINK : 0U) |
                 (found & F_SEAL_GROW ? VERSO__OS_SEAL_GROW : 0U) | (found & F_SEAL_WRITE ? VERSO__OS_SEAL_WRITE : 0U) |
                 (found & F_SEAL_FUTURE_WRITE ? VERSO__OS_SEAL_FUTURE_WRITE : 0U) |
                 (found & F_SEAL_SEAL ? VERSO__OS_SEAL_SEAL : 0U);
    return 0;
}
