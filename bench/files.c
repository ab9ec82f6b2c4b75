/* SPDX-License-Identifier: MIT */
/* files - see files.h. */
#include "files.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <verso/base.h>
#include <verso/digest.h>
#include <verso/inspect.h>

#define BLOCK_BYTES ((size_t)FILES_RARE_EVERY * FILES_LINE_BYTES) /* is repeated; larger than private caches */
#define STEP_BYTES ((size_t)4 << 20)
#define TREE_PER_FOLDER 100

const char files_rare_word[] = "unfathomable";
const char files_frequent_word[] = "lantern";

static int open_to_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        bench_die(path);
    return fd;
}

static size_t bytes_of(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        bench_die("fstat");
    return (size_t)status.st_size;
}

/* ---- Sizes ---- */

static uint64_t free_memory_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kib = 0;
    char line[128];

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "MemAvailable:", 13) == 0)
            kib = strtoull(line + 13, NULL, 10);
    if (file)
        (void)fclose(file);
    return (uint64_t)kib << 10;
}

uint64_t files_scaled_bytes(uint64_t wanted_bytes, unsigned copies)
{
    uint64_t most, step = (uint64_t)16 << 20;
    struct statvfs disk;

    if (statvfs(bench_directory(), &disk) < 0)
        bench_die(bench_directory());
    most = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_memory_bytes() < most)
        most = free_memory_bytes();
    most = most / 2 / copies / step * step;
    if (most < step) {
        fprintf(stderr, "bench: no room for files of 16 MiB in %s or in memory\n", bench_directory());
        exit(2);
    }
    return wanted_bytes < most ? wanted_bytes : most;
}

/* ---- Text ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dU >> 32;
}

static const char *some_word(uint64_t *state)
{
    static const char *const common[] = {
        "the",  "of",   "and",  "to",    "in",    "is",    "you",  "that",  "it",     "he",   "was",  "for",   "on",
        "are",  "as",   "with", "his",   "they",  "at",    "be",   "this",  "have",   "from", "or",   "one",   "had",
        "by",   "word", "but",  "not",   "what",  "all",   "were", "we",    "when",   "your", "can",  "said",  "there",
        "use",  "an",   "each", "which", "she",   "do",    "how",  "their", "if",     "will", "up",   "other", "about",
        "out",  "many", "then", "them",  "these", "so",    "some", "her",   "would",  "make", "like", "him",   "into",
        "time", "has",  "look", "two",   "more",  "write", "go",   "see",   "number", "no",   "way",  "could", "people",
    };

    if (next_random(state) % 110 == 0)
        return files_frequent_word;
    return common[next_random(state) % (sizeof(common) / sizeof(common[0]))];
}

static void fill_line(char *line, uint64_t *state)
{
    size_t done = 0;

    while (done < FILES_LINE_BYTES - 1) {
        const char *word = some_word(state);
        size_t bytes = strlen(word), room = FILES_LINE_BYTES - 1 - done;

        memcpy(line + done, word, bytes < room ? bytes : room);
        done += bytes < room ? bytes : room;
        if (done < FILES_LINE_BYTES - 1)
            line[done++] = ' ';
    }
    line[FILES_LINE_BYTES - 1] = '\n';
}

/* Caller unmaps: what a bench holds when it forks would count as its commands' peak. */
static char *text_block(unsigned variant)
{
    uint64_t state = 0x9e3779b97f4a7c15U + variant;
    char *block = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED)
        bench_die("mmap");
    for (size_t i = 0; i < FILES_RARE_EVERY; i++)
        fill_line(block + i * FILES_LINE_BYTES, &state);
    memcpy(block + FILES_RARE_EVERY / 2 * FILES_LINE_BYTES + 16, files_rare_word, sizeof(files_rare_word) - 1);
    return block;
}

static void write_all(int fd, const char *data, size_t bytes, const char *path)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);

        if (n < 0)
            bench_die(path);
        data += n;
        bytes -= (size_t)n;
    }
}

/* Lines begin with their number: a file that repeats itself would send rsync looking in the wrong places. */
static void number_lines(char *block, uint64_t first)
{
    for (size_t i = 0; i < FILES_RARE_EVERY; i++) {
        uint64_t number = first + i;

        for (size_t digit = 10; digit-- > 0; number /= 10)
            block[i * FILES_LINE_BYTES + digit] = (char)('0' + number % 10);
        block[i * FILES_LINE_BYTES + 10] = ' ';
    }
}

char *files_text(const char *name, uint64_t bytes, unsigned variant)
{
    char *path = bench_text("%s/%s", bench_directory(), name), *block = text_block(variant);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        bench_die(path);
    for (uint64_t done = 0; done < bytes; done += BLOCK_BYTES) {
        number_lines(block, done / FILES_LINE_BYTES);
        write_all(fd, block, bytes - done < BLOCK_BYTES ? (size_t)(bytes - done) : BLOCK_BYTES, path);
    }
    if (close(fd) < 0)
        bench_die(path);
    munmap(block, BLOCK_BYTES);
    return path;
}

/* ---- Trees ---- */

char *files_tree_path(const char *tree, unsigned index)
{
    return bench_text("%s/%u/%u", tree, index / TREE_PER_FOLDER, index);
}

static void write_small(const char *path, const char *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        bench_die(path);
    write_all(fd, data, bytes - 1, path);
    write_all(fd, "\n", 1, path);
    if (close(fd) < 0)
        bench_die(path);
}

char *files_tree(const char *name, unsigned count, size_t bytes_each)
{
    char *tree = bench_text("%s/%s", bench_directory(), name), *block = text_block(0);

    if (mkdir(tree, 0700) < 0)
        bench_die(tree);
    for (unsigned i = 0; i < count; i++) {
        char *folder = bench_text("%s/%u", tree, i / TREE_PER_FOLDER), *path = files_tree_path(tree, i);

        if (i % TREE_PER_FOLDER == 0 && mkdir(folder, 0700) < 0)
            bench_die(folder);
        write_small(path, block + (size_t)i * FILES_LINE_BYTES % (BLOCK_BYTES / 2), bytes_each);
        free(folder);
        free(path);
    }
    munmap(block, BLOCK_BYTES);
    return tree;
}

char *files_tree_list(const char *tree, unsigned count)
{
    char *list = bench_text("%s.list", tree);
    FILE *file = fopen(list, "we");

    if (!file)
        bench_die(list);
    for (unsigned i = 0; i < count; i++) {
        char *path = files_tree_path(tree, i);

        (void)fprintf(file, "%s%c", path, '\0');
        free(path);
    }
    if (fclose(file) != 0)
        bench_die(list);
    return list;
}

/* ---- States ---- */

void files_evict(const char *path)
{
    int fd = open_to_read(path);

    if (fdatasync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        bench_die(path);
    close(fd);
}

/* MADV_HUGEPAGE makes readahead take folios of 2 MiB, however far the machine reads ahead. */
void files_cache_large(const char *path)
{
    int fd;
    size_t bytes;
    char *map;

    files_evict(path);
    fd = open_to_read(path);
    bytes = bytes_of(fd);
    map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        bench_die(path);
    (void)madvise(map, bytes, MADV_HUGEPAGE); /* refused where there are none: files_look() tells */
    for (size_t i = 0; i < bytes; i += verso_page_bytes())
        bench_use((void *)(uintptr_t)((volatile char *)map)[i]);
    munmap(map, bytes);
    close(fd);
}

/* Reads that are announced as random are done in base pages, also long ones. */
void files_cache_base(const char *path)
{
    char *buffer = malloc(STEP_BYTES);
    int fd;
    ssize_t n;

    files_evict(path);
    fd = open_to_read(path);
    if (!buffer || posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) != 0)
        bench_die(path);
    while ((n = read(fd, buffer, STEP_BYTES)) > 0)
        ;
    if (n < 0)
        bench_die(path);
    free(buffer);
    close(fd);
}

/* FilePmdMapped of the mapping that begins at @start. */
static double huge_bytes(const void *start)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[4096];
    bool here = false;
    double bytes = 0;

    while (file && fgets(line, sizeof(line), file)) {
        unsigned long long from, to;

        if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
            here = from == (uintptr_t)start;
        else if (here && strncmp(line, "FilePmdMapped:", 14) == 0)
            bytes = strtod(line + 14, NULL) * 1024;
    }
    if (file)
        (void)fclose(file);
    return bytes;
}

static long minor_faults(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) < 0)
        bench_die("getrusage");
    return usage.ru_minflt;
}

struct files_state files_look(const char *path)
{
    struct verso_inspect_cache cache;
    int fd = open_to_read(path);
    size_t bytes = bytes_of(fd);
    struct files_state state;
    char *map;
    long before;

    if (verso_inspect_cache(fd, 0, 0, &cache) < 0)
        bench_die(path);
    map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        bench_die(path);
    state.cached_share = (double)cache.cached.value / (double)cache.pages;
    before = minor_faults();
    for (size_t i = 0; i < bytes; i += verso_page_bytes())
        bench_use((void *)(uintptr_t)((volatile char *)map)[i]);
    state.faults_per_mib = (double)(minor_faults() - before) / (double)bytes * 1048576;
    state.huge_share = huge_bytes(map) / (double)bytes;
    munmap(map, bytes);
    close(fd);
    return state;
}

/* ---- Content ---- */

uint64_t files_digest(const char *path)
{
    struct verso_digest_value value;
    int fd = open_to_read(path);
    size_t bytes = bytes_of(fd);
    uint64_t digest = 0;
    void *map = bytes ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0) : NULL;

    if (map == MAP_FAILED || verso_digest_of(VERSO_DIGEST_XXH3_64, map, bytes, &value) < 0)
        bench_die(path);
    for (size_t i = 0; i < 8; i++)
        digest = digest << 8 | value.value[i];
    if (map)
        munmap(map, bytes);
    close(fd);
    return digest;
}

static size_t tree_prefix; /* of the names that nftw() hands out */
static uint64_t tree_sum;

static int add_to_sum(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    struct verso_digest_value name;
    uint64_t sum = 0;

    (void)where;
    if (verso_digest_of(VERSO_DIGEST_XXH3_64, path + tree_prefix, strlen(path + tree_prefix), &name) < 0)
        bench_die(path);
    memcpy(&sum, name.value, sizeof(sum));
    sum = sum * 31 + (uint64_t)status->st_mode;
    if (kind == FTW_F)
        sum = sum * 31 + files_digest(path);
    sum = sum * 31 + (uint64_t)status->st_mtim.tv_sec;
    sum = sum * 31 + (uint64_t)status->st_mtim.tv_nsec;
    tree_sum += sum; /* in whatever order the folders list them */
    return 0;
}

uint64_t files_tree_digest(const char *path)
{
    tree_prefix = strlen(path);
    tree_sum = 0;
    if (nftw(path, add_to_sum, 16, FTW_PHYS) < 0)
        bench_die(path);
    return tree_sum;
}
