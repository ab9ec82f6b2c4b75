/* SPDX-License-Identifier: MIT */
/* probe_maps - trying kinds of mappings, and what can be done with them. */
#include "os/linux/kernel.h"
#include "os/linux/probe.h"
#include "os/os.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MAP_ERROR(address) ((address) == MAP_FAILED ? -errno : 0)

/* One page of a file of one page, mapped with @flags. */
static int try_file_map(int flags, const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    void *address;
    int fd, r;

    r = verso__probe_file(&fd, out_note);
    if (r < 0)
        return r;
    r = verso__os_truncate(fd, bytes);
    if (r == 0) {
        address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
        r = MAP_ERROR(address);
        if (r == 0)
            (void)munmap(address, bytes);
    }
    verso__os_close(fd);
    return r;
}

static int try_shared(const char **out_note)
{
    return try_file_map(MAP_SHARED, out_note);
}

/* The old mmap ignores flags that it does not know; with VALIDATE, an impossible one must be refused. */
static int try_shared_validate(const char **out_note)
{
    const int unknown_flag = 1 << 24;
    int r = try_file_map(MAP_SHARED_VALIDATE, out_note);

    if (r < 0)
        return r;
    r = try_file_map(MAP_SHARED_VALIDATE | unknown_flag, out_note);
    return r == -EOPNOTSUPP ? 0 : -ENOTRECOVERABLE;
}

static int try_sync(const char **out_note)
{
    return try_file_map(MAP_SHARED_VALIDATE | MAP_SYNC, out_note);
}

static int try_fixed_noreplace(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    char *first;
    void *second;
    int r = verso__probe_memory(bytes, &first);

    (void)out_note;
    if (r < 0)
        return r;
    second = mmap(first, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    r = MAP_ERROR(second);
    if (r == 0) /* taken for a hint by a kernel that does not know it */
        (void)munmap(second, bytes);
    (void)verso__os_unmap(first, bytes);
    return r == -EEXIST ? 0 : r == 0 ? -EOPNOTSUPP : r;
}

static int try_droppable(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_DROPPABLE, -1, 0);
    int r = MAP_ERROR(address);

    (void)out_note;
    if (r == 0)
        (void)munmap(address, bytes);
    return r;
}

static int try_hugetlb(const char **out_note)
{
    size_t bytes = verso__os_huge_page_bytes();
    uint64_t pool = 0;
    void *address;
    int r;

    if (bytes == 0)
        bytes = (size_t)2 << 20;
    address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    r = MAP_ERROR(address);
    if (r == 0)
        (void)munmap(address, bytes);
    else if (r == -ENOMEM && verso__os_setting("vm/nr_hugepages", &pool, NULL, 0) == 0)
        *out_note = pool ? "the pool is used up" : "the pool is empty: vm.nr_hugepages is 0";
    return r;
}

static int try_dontunmap(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    char *memory;
    void *moved;
    int r = verso__probe_memory(bytes, &memory);

    (void)out_note;
    if (r < 0)
        return r;
    moved = mremap(memory, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    r = MAP_ERROR(moved);
    if (r == 0)
        (void)munmap(moved, bytes);
    (void)verso__os_unmap(memory, bytes);
    return r;
}

/* Two neighbours that can't be one mapping, for their access differs, moved over @target by one call. */
static int move_two(char *memory, char *target, size_t bytes)
{
    void *moved;

    if (mprotect(memory, bytes, PROT_READ) < 0)
        return -errno;
    moved = mremap(memory, 2 * bytes, 2 * bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    return MAP_ERROR(moved);
}

static int try_remap_of_several(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    char *memory, *target;
    int r = verso__probe_memory(2 * bytes, &memory);

    (void)out_note;
    if (r < 0)
        return r;
    r = verso__probe_memory(2 * bytes, &target);
    if (r < 0) {
        (void)munmap(memory, 2 * bytes);
        return r;
    }
    r = move_two(memory, target, bytes);
    if (r < 0)
        (void)munmap(memory, 2 * bytes);
    if (r != -EFAULT) /* before 6.17 the call makes room first and finds two mappings then: what is there is not ours */
        (void)munmap(target, 2 * bytes);
    return r;
}

/* What is sealed stays until the process ends, so only an empty range may be tried. */
static int try_mseal(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    char *memory;
    int r = verso__probe_memory(bytes, &memory);

    if (r < 0)
        return r;
    *out_note = "on an empty range: what is sealed stays";
    r = syscall(SYS_mseal, memory, (size_t)0, 0UL) < 0 ? -errno : 0;
    (void)verso__os_unmap(memory, bytes);
    return r;
}

/* Asked, not tried: trying would announce it, and that stays. */
static int try_membarrier(int command)
{
    long supported = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0U, 0);

    if (supported < 0)
        return -errno;
    return supported & command ? 0 : -EINVAL;
}

static int try_barrier(const char **out_note)
{
    (void)out_note;
    return try_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

static int try_code_barrier(const char **out_note)
{
    (void)out_note;
    return try_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
}

static int try_name(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    char *memory;
    int r = verso__probe_memory(bytes, &memory);

    (void)out_note;
    if (r < 0)
        return r;
    r = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory, bytes, "verso-probe") < 0 ? -errno : 0;
    (void)verso__os_unmap(memory, bytes);
    return r;
}

/* Asked, not tried: what it forbids stays forbidden. */
static int try_mdwe(const char **out_note)
{
    int flags = prctl(PR_GET_MDWE, 0UL, 0UL, 0UL, 0UL);

    if (flags < 0)
        return -errno;
    *out_note = flags ? "in force here: no mapping gains the right to be executed" : "not in force here";
    return 0;
}

/* Memory that is written first and run then, as one view of code is. */
static int try_executable(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    char *memory;
    int r = verso__probe_memory(bytes, &memory);

    if (r < 0)
        return r;
    r = verso__os_protect(memory, bytes, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC);
    if (r == -EACCES || r == -EPERM)
        *out_note = "a policy forbids it: MDWE, SELinux's execmem";
    (void)verso__os_unmap(memory, bytes);
    return r;
}

/* ---- Files of memory ---- */

static int try_seals(unsigned seals)
{
    int fd, r = verso__os_memory_file("verso-probe", 0, &fd);

    if (r < 0)
        return r;
    r = verso__os_seals_add(fd, seals);
    verso__os_close(fd);
    return r;
}

static int try_memfd(const char **out_note)
{
    (void)out_note;
    return try_seals(VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW | VERSO__OS_SEAL_WRITE);
}

static int try_future_write(const char **out_note)
{
    (void)out_note;
    return try_seals(VERSO__OS_SEAL_FUTURE_WRITE);
}

static int try_memfd_flags(unsigned flags)
{
    int fd = memfd_create("verso-probe", flags | MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    verso__os_close(fd);
    return 0;
}

static int try_noexec_seal(const char **out_note)
{
    (void)out_note;
    return try_memfd_flags(MFD_NOEXEC_SEAL);
}

static int try_memfd_hugetlb(const char **out_note)
{
    (void)out_note;
    return try_memfd_flags(MFD_HUGETLB);
}

/* The second view of code. */
static int try_memfd_executable(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    void *view;
    int fd, r = verso__os_memory_file("verso-probe", 0, &fd);

    if (r < 0)
        return r;
    r = verso__os_truncate(fd, bytes);
    if (r == 0)
        r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC, VERSO__OS_MAP_SHARED, fd, 0,
                          &view);
    if (r == 0)
        (void)verso__os_unmap(view, bytes);
    else if (r == -EACCES || r == -EPERM)
        *out_note = "a policy forbids it: SELinux, or the mount of files of memory";
    verso__os_close(fd);
    return r;
}

static int try_memfd_secret(const char **out_note)
{
    int fd = (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);

    (void)out_note;
    if (fd < 0)
        return -errno;
    verso__os_close(fd);
    return 0;
}

const struct probe verso__probes_of_maps[] = {
    { "MAP_SHARED", try_shared },
    { "MAP_SHARED_VALIDATE", try_shared_validate },
    { "MAP_SYNC", try_sync },
    { "MAP_FIXED_NOREPLACE", try_fixed_noreplace },
    { "MAP_DROPPABLE", try_droppable },
    { "MAP_HUGETLB", try_hugetlb },
    { "MREMAP_DONTUNMAP", try_dontunmap },
    { "mremap of several", try_remap_of_several },
    { "mseal", try_mseal },
    { "membarrier", try_barrier },
    { "membarrier for code", try_code_barrier },
    { "PR_SET_VMA_ANON_NAME", try_name },
    { "PR_SET_MDWE", try_mdwe },
    { "executable memory", try_executable },
    { "executable memfd", try_memfd_executable },
    { "memfd seals", try_memfd },
    { "F_SEAL_FUTURE_WRITE", try_future_write },
    { "MFD_NOEXEC_SEAL", try_noexec_seal },
    { "MFD_HUGETLB", try_memfd_hugetlb },
    { "memfd_secret", try_memfd_secret },
    { NULL, NULL },
};
