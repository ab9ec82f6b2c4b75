/* SPDX-License-Identifier: MIT */
/*
 * limits - settings and resource limits that programs which map memory run into, what happens there, and the command
 * that changes them.
 *
 * A limit "bites" when it is lower than programs that map much commonly need; most machines have some that do.
 */
#include "base/fail.h"
#include "os/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <verso/features.h>

#define WORD_BYTES 32

struct row {
    const char *name;
    int (*look)(const struct row *row, uint64_t *out_value, char *out_word);
    const char *source;
    const char *unit;
    uint64_t wanted;          /* bites below this; 0: never */
    const char *biting_words; /* bites when the word is one of these, "3|4"; NULL: never */
    const char *meaning;
    const char *mend;
};

/* A number under /proc/sys or /sys. */
static int look_number(const struct row *row, uint64_t *out_value, char *out_word)
{
    (void)out_word;
    return verso__os_setting(row->source, out_value, NULL, 0);
}

/* A word there; numbers that are rather switches, too. */
static int look_word(const struct row *row, uint64_t *out_value, char *out_word)
{
    (void)out_value;
    return verso__os_setting(row->source, NULL, out_word, WORD_BYTES);
}

static int look_limit(const struct row *row, uint64_t *out_value, char *out_word)
{
    uint64_t hard;

    (void)out_word;
    return verso__os_limit(row->source, out_value, &hard);
}

static int look_swap(const struct row *row, uint64_t *out_value, char *out_word)
{
    uint64_t memory_bytes;

    (void)row;
    (void)out_word;
    return verso__os_memory_totals(&memory_bytes, out_value);
}

/* The memory of this process's control group; its parents may allow less. */
static int look_group(const struct row *row, uint64_t *out_value, char *out_word)
{
    static const char prefix[] = "0::";
    char group[192], path[256];
    int r = verso__os_setting("/proc/self/cgroup", NULL, group, sizeof(group));

    if (r < 0)
        return r;
    if (strncmp(group, prefix, sizeof(prefix) - 1) != 0)
        return -ENOENT; /* version 1 of control groups comes first there: not looked into */
    r = snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", group + sizeof(prefix) - 1, row->source);
    if (r < 0 || (size_t)r >= sizeof(path))
        return -ENAMETOOLONG;
    r = verso__os_setting(path, out_value, out_word, WORD_BYTES);
    if (r == 0 && strcmp(out_word, "max") == 0)
        *out_value = VERSO_LIMIT_NONE;
    if (r == 0)
        *out_word = '\0';
    return r;
}

static const struct row rows[] = {
    { "vm.max_map_count", look_number, "vm/max_map_count", "mappings", 262144, NULL,
      "at this many mappings of a process mmap, mprotect and unmapping a part answer ENOMEM",
      "sysctl -w vm.max_map_count=1048576" },
    { "vm.overcommit_memory", look_word, "vm/overcommit_memory", "", 0, "2",
      "2 counts private writable memory in full, used or not: large spans and forks answer ENOMEM",
      "sysctl -w vm.overcommit_memory=0" },
    { "vm.overcommit_ratio", look_number, "vm/overcommit_ratio", "% of memory", 0, NULL,
      "with vm.overcommit_memory=2, this share of main memory and all swap may be promised", "" },
    { "vm.overcommit_kbytes", look_number, "vm/overcommit_kbytes", "KiB", 0, NULL,
      "when not 0, so much instead of that share", "" },
    { "RLIMIT_MEMLOCK", look_limit, "memlock", "bytes", UINT64_C(8) << 20, NULL,
      "locking more, or a larger span of kind SECRET, answers ENOMEM, EAGAIN or EPERM; CAP_IPC_LOCK has no such limit",
      "ulimit -l unlimited" },
    { "RLIMIT_AS", look_limit, "address space", "bytes", VERSO_LIMIT_NONE, NULL,
      "mapping or reserving more addresses answers ENOMEM, even for files and empty spans", "ulimit -v unlimited" },
    { "RLIMIT_NOFILE", look_limit, "files", "descriptors", 4096, NULL,
      "at this many open files open answers EMFILE; a map that keeps its descriptor holds one", "ulimit -n 65536" },
    { "RLIMIT_FSIZE", look_limit, "file size", "bytes", VERSO_LIMIT_NONE, NULL, "growing a file beyond answers EFBIG",
      "ulimit -f unlimited" },
    { "memory.max", look_group, "memory.max", "bytes", 0, NULL,
      "this control group's share of memory, cached file pages counted: beyond, pages are reclaimed or processes "
      "killed",
      "" },
    { "vm.nr_hugepages", look_number, "vm/nr_hugepages", "huge pages", 0, NULL,
      "the pool that MAP_HUGETLB takes from; 0 leaves only transparent huge pages", "sysctl -w vm.nr_hugepages=512" },
    { "vm.nr_overcommit_hugepages", look_number, "vm/nr_overcommit_hugepages", "huge pages", 0, NULL,
      "so many more are made when the pool is used up and memory is whole enough",
      "sysctl -w vm.nr_overcommit_hugepages=512" },
    { "transparent_hugepage/enabled", look_word, "/sys/kernel/mm/transparent_hugepage/enabled", "", 0, "never",
      "never: no transparent huge pages, even where asked for",
      "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled" },
    { "transparent_hugepage/defrag", look_word, "/sys/kernel/mm/transparent_hugepage/defrag", "", 0, "never",
      "never: a huge page comes only where one lies ready, or when khugepaged comes by",
      "echo madvise > /sys/kernel/mm/transparent_hugepage/defrag" },
    { "transparent_hugepage/shmem_enabled", look_word, "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "", 0, NULL,
      "never: shared memory gets no huge pages unless it is mounted so",
      "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled" },
    { "swap", look_swap, NULL, "bytes", 0, NULL,
      "without swap, private stores and anonymous memory can't be paged out: COLD and PAGEOUT do nothing for them",
      "" },
    { "kernel.perf_event_paranoid", look_word, "kernel/perf_event_paranoid", "", 0, "3|4",
      "above 2, only root may watch page faults", "sysctl -w kernel.perf_event_paranoid=2" },
    { "vm.unprivileged_userfaultfd", look_word, "vm/unprivileged_userfaultfd", "", 0, NULL,
      "0: ordinary users handle faults of user mode only, not those met inside system calls",
      "sysctl -w vm.unprivileged_userfaultfd=1" },
    { "vm.memfd_noexec", look_word, "vm/memfd_noexec", "", 0, NULL,
      "2: files of memory can't be run as programs; verso makes none that can, and maps code from them all the same",
      "" },
    { "fs.leases-enable", look_word, "fs/leases-enable", "", 0, "0", "0: no leases; VERSO_MAP_LEASED takes a snapshot",
      "sysctl -w fs.leases-enable=1" },
    { "fs.lease-break-time", look_number, "fs/lease-break-time", "seconds", 0, NULL,
      "a leased map must be settled within this time when somebody wants to write",
      "sysctl -w fs.lease-break-time=45" },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* One block, so that one free() gives back all of it; the limits come first. */
struct answer {
    struct verso_limit limits[ROW_COUNT];
    char words[ROW_COUNT][WORD_BYTES];
};

static bool is_one_of(const char *words, const char *word)
{
    size_t length = strlen(word);
    const char *found = length ? strstr(words, word) : NULL;

    return found && (found == words || found[-1] == '|') && (found[length] == '\0' || found[length] == '|');
}

static bool bites(const struct row *row, uint64_t value, const char *word)
{
    return row->biting_words ? is_one_of(row->biting_words, word) : value < row->wanted;
}

static void fill(const struct row *row, struct verso_limit *limit, char *word)
{
    uint64_t value = 0;
    int error = row->look(row, &value, word);

    *limit = (struct verso_limit){
        .name = row->name,
        .value = error ? 0 : value,
        .unit = row->unit,
        .word = word,
        .error = error,
        .biting = error == 0 && bites(row, value, word),
        .meaning = row->meaning,
        .mend = row->mend,
    };
}

int verso_limits_get(struct verso_limit **out_limits, size_t *out_count)
{
    struct answer *answer = calloc(1, sizeof(*answer));

    if (!answer)
        return verso__fail(-ENOMEM, "malloc", NULL);
    for (size_t i = 0; i < ROW_COUNT; i++)
        fill(&rows[i], &answer->limits[i], answer->words[i]);
    *out_limits = answer->limits;
    *out_count = ROW_COUNT;
    return 0;
}

void verso_limits_free(struct verso_limit *limits)
{
    free(limits);
}
