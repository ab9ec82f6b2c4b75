/* SPDX-License-Identifier: MIT */
/*
 * why - which limit an -ENOMEM met.
 *
 * The kernel has one answer for five limits. They are looked at in the order in which they can be told for sure; the
 * answer is a hint for people, and no decision of ours hangs on it.
 */
#include "pages/pages.h"

#include "base/sums.h"

#include <errno.h>
#include <string.h>

static int count_mapping(const struct verso__os_mapping *mapping, void *arg)
{
    uint64_t *count = arg;

    (void)mapping;
    ++*count;
    return 0;
}

/* Splitting one mapping makes two more. */
static bool is_out_of_mappings(void)
{
    uint64_t most, count = 0;

    return verso__os_setting("vm/max_map_count", &most, NULL, 0) == 0 &&
           verso__os_mappings(0, count_mapping, &count) == 0 && count + 4 > most;
}

static bool is_out_of_addresses(uint64_t bytes)
{
    struct verso__os_process_info info;
    uint64_t soft, hard, sum;

    if (verso__os_limit("address space", &soft, &hard) < 0 || soft == UINT64_MAX ||
        verso__os_process_info(0, &info) < 0)
        return false;
    return !verso__add_u64(info.virtual_bytes, bytes, &sum) || sum > soft;
}

static bool is_limited(const char *name)
{
    uint64_t soft, hard;

    return verso__os_limit(name, &soft, &hard) == 0 && soft != UINT64_MAX;
}

static const char *why_no_memory(uint64_t bytes)
{
    uint64_t mode, memory, swap;

    if (is_out_of_mappings())
        return "this process has as many mappings as vm.max_map_count allows";
    if (is_out_of_addresses(bytes))
        return "over the limit of addresses (RLIMIT_AS; `ulimit -v` says it)";
    if (verso__os_setting("vm/overcommit_memory", &mode, NULL, 0) == 0 && mode == 2)
        return "the kernel has promised all it may (vm.overcommit_memory is 2: see CommitLimit in /proc/meminfo)";
    if (is_limited("data"))
        return "over the limit of memory of its own (RLIMIT_DATA; `ulimit -d` says it)";
    if (verso__os_memory_totals(&memory, &swap) == 0 && bytes > memory + swap)
        return "more at once than this machine has memory and swap: commit less, or less at a time";
    return "no such span is free, or the kernel has no memory left for its tables";
}

const char *verso__pages_refused(int code, const char *step, uint64_t bytes)
{
    if (strcmp(step, "mlock") == 0 && (code == -ENOMEM || code == -EAGAIN || code == -EPERM))
        return "over the limit of locked memory (RLIMIT_MEMLOCK; `ulimit -l` says it), or no memory for some pages";
    if (code == -ENOSPC)
        return "no memory for these shared pages (they count as a file of memory)";
    return code == -ENOMEM ? why_no_memory(bytes) : NULL;
}
