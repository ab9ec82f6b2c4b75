/* SPDX-License-Identifier: MIT */
/*
 * bench_cache - `verso cache` beside vmtouch and fincore: a tree, many small files, one large file; and the library
 * beside mmap and mincore.
 *
 * Pages may be reclaimed while the sides take turns, and then their answers would differ for no fault of theirs. So
 * the files are locked in memory while they are looked at. Where that is not allowed, the answer is the number of
 * files, and a note says so.
 */
#include "commands.h"
#include "files.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <verso/base.h>
#include <verso/cache.h>
#include <verso/inspect.h>
#include <verso/map.h>

#define SMALL_COUNT 20000
#define SMALL_BYTES 6000
#define LARGE_BYTES ((uint64_t)1 << 30)
#define SPARSE_BYTES ((uint64_t)64 << 30)

static const char *verso_path;
static bool held = true; /* what is looked at is locked */

/* What both sides of a comparison are pointed at. */
struct subject {
    const char *path; /* a file or a directory */
    const char *list; /* its files, each with a NUL behind; NULL where not needed */
};

/* ---- The command line of each ---- */

static uint64_t number_after(const char *text, const char *label)
{
    const char *found = strstr(text, label);

    if (!found) {
        fprintf(stderr, "bench cache: no '%s' in: %s\n", label, text);
        exit(2);
    }
    return strtoull(found + strlen(label), NULL, 10);
}

/* Runs a line of the shell, both sides by the same. */
static void shell(char *text, size_t room_bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void shell(char *text, size_t room_bytes, const char *format, ...)
{
    const char *arguments[] = { "/bin/sh", "-c", NULL, NULL };
    va_list values;
    char *line;

    va_start(values, format);
    if (vasprintf(&line, format, values) < 0)
        bench_die("memory");
    va_end(values);
    arguments[2] = line;
    (void)bench_command(arguments, text, room_bytes);
    free(line);
}

static uint64_t verso_total(const char *text)
{
    const char *total = strstr(text, "\"total\"");

    return number_after(total ? total : text, held ? "\"cached\":" : "\"files\":");
}

static uint64_t verso_tree(void *arg)
{
    char text[4096];

    shell(text, sizeof(text), "%s cache --summary --json '%s'", verso_path, ((const struct subject *)arg)->path);
    return verso_total(text);
}

static uint64_t verso_list(void *arg)
{
    char text[4096];

    shell(text, sizeof(text), "%s cache --summary --json --quiet --null --files-from='%s'", verso_path,
          ((const struct subject *)arg)->list);
    return verso_total(text);
}

static uint64_t vmtouch_tree(void *arg)
{
    char text[4096];

    shell(text, sizeof(text), "vmtouch -m 1024G '%s' 2>/dev/null", ((const struct subject *)arg)->path);
    return number_after(text, held ? "Resident Pages: " : "Files: ");
}

static uint64_t vmtouch_list(void *arg)
{
    char text[4096];

    shell(text, sizeof(text), "vmtouch -0 -b '%s' 2>/dev/null", ((const struct subject *)arg)->list);
    return number_after(text, held ? "Resident Pages: " : "Files: ");
}

static uint64_t fincore_list(void *arg)
{
    char text[64];

    shell(text, sizeof(text),
          "xargs -0 -a '%s' fincore -rnbo pages | awk '{ sum += $1 } END { print \"sum \" (%d ? sum : NR) }'",
          ((const struct subject *)arg)->list, held);
    return number_after(text, "sum ");
}

static uint64_t fincore_file(void *arg)
{
    char text[64];

    shell(text, sizeof(text), "echo sum $(fincore -rnbo pages '%s')", ((const struct subject *)arg)->path);
    return number_after(text, "sum ");
}

/* What is moved depends on what the kernel took back meanwhile, so there is nothing to compare but the time. */
static uint64_t verso_touch(void *arg)
{
    shell(NULL, 0, "%s cache --touch --quiet --summary '%s' >/dev/null", verso_path,
          ((const struct subject *)arg)->path);
    return 0;
}

static uint64_t vmtouch_touch(void *arg)
{
    shell(NULL, 0, "vmtouch -m 1024G -t '%s' >/dev/null 2>&1", ((const struct subject *)arg)->path);
    return 0;
}

static uint64_t verso_evict(void *arg)
{
    shell(NULL, 0, "%s cache --evict --quiet --summary '%s' >/dev/null", verso_path,
          ((const struct subject *)arg)->path);
    return 0;
}

static uint64_t vmtouch_evict(void *arg)
{
    shell(NULL, 0, "vmtouch -m 1024G -e '%s' >/dev/null 2>&1", ((const struct subject *)arg)->path);
    return 0;
}

/* ---- The library ---- */

static uint64_t library_counts(void *arg)
{
    struct verso_inspect_cache cache;
    int fd = open(((const struct subject *)arg)->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || verso_inspect_cache(fd, 0, 0, &cache) < 0)
        bench_die("inspect");
    close(fd);
    return cache.cached.value;
}

static uint64_t mincore_counts(void *arg)
{
    int fd = open(((const struct subject *)arg)->path, O_RDONLY | O_CLOEXEC);
    uint64_t cached = 0;
    struct stat status;
    unsigned char *pages;
    size_t count;
    void *map;

    if (fd < 0 || fstat(fd, &status) < 0)
        bench_die("mincore");
    map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    count = ((size_t)status.st_size + verso_page_bytes() - 1) / verso_page_bytes();
    pages = malloc(count);
    if (map == MAP_FAILED || !pages || mincore(map, (size_t)status.st_size, pages) < 0)
        bench_die("mincore");
    for (size_t i = 0; i < count; i++)
        cached += pages[i] & 1;
    free(pages);
    munmap(map, (size_t)status.st_size);
    close(fd);
    return cached;
}

/* ---- What they are tried on ---- */

/* A tree of small files, and a list of them. */
static struct subject make_small(void)
{
    char *tree = files_tree("small", SMALL_COUNT, SMALL_BYTES), *list = files_tree_list(tree, SMALL_COUNT);

    sync();
    return (struct subject){ tree, list };
}

/* Locks a file's pages for as long as the bench runs; false when that is not allowed. */
static bool hold(const char *path)
{
    struct verso_map *map; /* ends with the process */

    return verso_map_open(path, NULL, &map) == 0 && verso_map_lock(map, 0, 0, 0) == 0;
}

static bool hold_small(const struct subject *subject)
{
    for (unsigned i = 0; i < SMALL_COUNT; i++) {
        char *path = files_tree_path(subject->path, i);
        bool holds = hold(path);

        free(path);
        if (!holds)
            return false;
    }
    return true;
}

static void drop(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || verso_cache_drop(fd, 0, 0, VERSO_CACHE_WRITE_BACK) < 0)
        bench_die(path);
    close(fd);
}

static void fetch(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || verso_cache_fetch(fd, 0, 0) < 0)
        bench_die(path);
    close(fd);
}

static void for_each_small(void *arg, void (*act)(const char *path))
{
    const struct subject *subject = arg;

    for (unsigned i = 0; i < SMALL_COUNT; i++) {
        char *path = files_tree_path(subject->path, i);

        act(path);
        free(path);
    }
}

static void drop_small(void *arg)
{
    for_each_small(arg, drop);
}

static void fetch_small(void *arg)
{
    for_each_small(arg, fetch);
}

static void drop_large(void *arg)
{
    drop(((const struct subject *)arg)->path);
}

static void fetch_large(void *arg)
{
    fetch(((const struct subject *)arg)->path);
}

/* ---- Rows ---- */

static void compare(const char *name, const char *peer, bench_function *verso, bench_function *peer_side,
                    struct subject *subject, void (*before)(void *arg))
{
    bench_compare(&(struct bench_case){
        .name = name,
        .peer = peer,
        .unit = "ms",
        .verso = verso,
        .peer_side = peer_side,
        .arg = subject,
        .before = before,
    });
}

/* A tree that is there, not one made for the purpose. Nobody holds its pages, so files are what is compared. */
static void bench_big_tree(void)
{
    struct subject tree = { "/usr", NULL };
    bool before = held;

    if (!bench_wanted("tree /usr, warm"))
        return;
    held = false;
    bench_note("/usr: %llu files by verso's count; what both sides answer is the number of files",
               (unsigned long long)verso_tree(&tree));
    compare("tree /usr, warm", "vmtouch", verso_tree, vmtouch_tree, &tree, NULL);
    held = before;
}

/* Touching and evicting: the disk decides, and what each side does besides. */
static void bench_moving(struct subject *small, struct subject *large)
{
    compare("touch 20,000 small files, cold", "vmtouch", verso_touch, vmtouch_touch, small, drop_small);
    compare("touch 20,000 small files, warm", "vmtouch", verso_touch, vmtouch_touch, small, fetch_small);
    compare("touch 1 GiB, cold", "vmtouch", verso_touch, vmtouch_touch, large, drop_large);
    compare("touch 1 GiB, warm", "vmtouch", verso_touch, vmtouch_touch, large, fetch_large);
    compare("evict 20,000 small files", "vmtouch", verso_evict, vmtouch_evict, small, fetch_small);
    compare("evict 1 GiB", "vmtouch", verso_evict, vmtouch_evict, large, fetch_large);
}

static void bench_looking(struct subject *small, struct subject *large, struct subject *sparse)
{
    held = hold_small(small) && hold(large->path);
    if (!held)
        bench_note("pages can't be locked here (ulimit -l): files are compared, not pages");
    compare("20,000 small files, a tree", "vmtouch", verso_tree, vmtouch_tree, small, NULL);
    compare("20,000 small files, a list", "vmtouch", verso_list, vmtouch_list, small, NULL);
    if (bench_has("fincore"))
        compare("20,000 small files, a list", "fincore", verso_list, fincore_list, small, NULL);
    compare("one file of 1 GiB, cached", "vmtouch", verso_tree, vmtouch_tree, large, NULL);
    if (bench_has("fincore") && held)
        compare("one file of 1 GiB, cached", "fincore", verso_tree, fincore_file, large, NULL);
    compare("one file of 64 GiB, a hole", "vmtouch", verso_tree, vmtouch_tree, sparse, NULL);
    if (!held)
        return;
    compare("library: 1 GiB, cached", "mmap, mincore", library_counts, mincore_counts, large, NULL);
    small->path = files_tree_path(small->path, 0);
    bench_compare(&(struct bench_case){
        .name = "library: one small file",
        .peer = "mmap, mincore",
        .unit = "ns",
        .operations = 1,
        .verso = library_counts,
        .peer_side = mincore_counts,
        .arg = small,
    });
}

static struct subject make_sparse(void)
{
    struct subject subject = { bench_text("%s/sparse", bench_directory()), NULL };
    int fd = open(subject.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, (off_t)SPARSE_BYTES) < 0 || close(fd) < 0)
        bench_die(subject.path);
    return subject;
}

static void raise_limits(void)
{
    const __rlimit_resource_t limits[] = { RLIMIT_MEMLOCK, RLIMIT_NOFILE };
    struct rlimit limit;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (getrlimit(limits[i], &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            (void)setrlimit(limits[i], &limit);
        }
}

int main(int count, char **arguments)
{
    struct subject small, large, sparse;

    bench_start(count, arguments, "cache");
    verso_path = commands_verso();
    if (!verso_path || !bench_has("vmtouch")) {
        bench_note("the verso command was not built, or vmtouch is not installed: nothing to compare");
        return bench_finish();
    }
    raise_limits();
    bench_big_tree();
    small = make_small();
    large = (struct subject){ bench_file("large", LARGE_BYTES), NULL };
    sparse = make_sparse();
    bench_moving(&small, &large);
    bench_looking(&small, &large, &sparse);
    return bench_finish();
}
