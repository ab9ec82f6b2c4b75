/* SPDX-License-Identifier: MIT */
/* machine - page sizes, address space, clock. */
#include "os/os.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

size_t verso__os_page_bytes(void)
{
    static atomic_size_t known;
    size_t bytes = atomic_load_explicit(&known, memory_order_relaxed);

    if (bytes == 0) {
        bytes = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&known, bytes, memory_order_relaxed);
    }
    return bytes;
}

size_t verso__os_huge_page_bytes(void)
{
    static atomic_size_t known = SIZE_MAX;
    size_t bytes = atomic_load_explicit(&known, memory_order_relaxed);
    uint64_t value;

    if (bytes == SIZE_MAX) {
        bytes = verso__os_setting("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", &value, NULL, 0) == 0
                    ? (size_t)value
                    : 0;
        atomic_store_explicit(&known, bytes, memory_order_relaxed);
    }
    return bytes;
}

uint64_t verso__os_address_space_bytes(void)
{
#if UINTPTR_MAX > UINT32_MAX
#if defined(__x86_64__)
    return UINT64_C(1) << 47;
#else
    /* 39, 48 bits ...: as the kernel was built. What a program is told at its start stands right below the end. */
    uint64_t top = (uint64_t)getauxval(AT_RANDOM);

    return top ? UINT64_C(1) << (64 - __builtin_clzll(top)) : UINT64_C(1) << 39;
#endif
#else
    return UINT64_C(1) << 32;
#endif
}

/* A set for more processors than cpu_set_t holds would be refused; there, all that are online are taken. */
unsigned verso__os_processor_count(void)
{
    cpu_set_t set;
    long count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);

    return count > 0 ? (unsigned)count : 1;
}

uint64_t verso__os_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now); /* can't fail for this clock and a valid pointer */
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int64_t verso__os_date_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void verso__os_identity(pid_t *out_process, pid_t *out_thread)
{
    *out_process = getpid();
    *out_thread = gettid();
}
