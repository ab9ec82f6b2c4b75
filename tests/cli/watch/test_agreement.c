/* SPDX-License-Identifier: MIT */
/*
 * agreement - what `verso watch --once --json` prints against second readings of the kernel: filefrag's extents, our
 * own pagemap, mincore.
 */
#include "command.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso/base.h>

#define PAGES 3000u
#define TRIES 5 /* the kernel may move a page between two readings; then both are taken again */
#define NOBODY 65534

static json_t *snapshot(const char *path)
{
    const char *const arguments[] = { "--once", path, NULL };

    return watch_json(0, arguments);
}

/* ---- Disk ---- */

/* A file of many pieces: written backwards, piece by piece, with holes. */
static const char *broken_file(const char *name)
{
    const char *path = support_path(name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    static char block[65536];

    assert_true(fd >= 0);
    for (int piece = 12; piece >= 0; piece--) {
        memset(block, 'a' + piece, sizeof(block));
        assert_int_equal(pwrite(fd, block, sizeof(block), (off_t)piece * 3 * 65536), sizeof(block));
        assert_int_equal(fsync(fd), 0);
    }
    close(fd);
    return path;
}

/* Fields of a line of `filefrag -v`: "   0:        0..      15:     1234..    1249:     16:  ...". */
static bool parse_extent(const char *line, unsigned long long *first, unsigned long long *disk,
                         unsigned long long *blocks)
{
    unsigned long long index, last, disk_last;

    return sscanf(line, "%llu: %llu.. %llu: %llu.. %llu: %llu:", &index, first, &last, disk, &disk_last, blocks) == 6;
}

/* "File size of broken is 2424832 (592 blocks of 4096 bytes)" */
static unsigned long long block_bytes_of(const char *text)
{
    const char *at = strstr(text, "blocks of ");
    unsigned long long bytes;

    assert_non_null(at);
    assert_int_equal(sscanf(at, "blocks of %llu", &bytes), 1);
    return bytes;
}

static void test_extents_agree_with_filefrag(void **state)
{
    const char *path = broken_file("broken"), *const arguments[] = { "-v", path, NULL };
    int code;
    char *text = command_run("filefrag", 0, arguments, &code), *line, *rest = text;
    unsigned long long bytes;
    size_t count = 0;
    json_t *object;

    (void)state;
    if (code != 0) {
        free(text);
        skip_because("filefrag does not tell of this file system, or is not installed (exit %d)", code);
    }
    bytes = block_bytes_of(text);
    object = snapshot(path);
    while ((line = strsep(&rest, "\n")) != NULL) {
        unsigned long long first, disk, blocks;
        const json_t *extent;

        if (!parse_extent(line, &first, &disk, &blocks))
            continue;
        extent = json_array_get(list_field(object, "extents"), count++);
        assert_non_null(extent);
        assert_true(field(extent, "file_offset_bytes") == first * bytes);
        assert_true(field(extent, "disk_offset_bytes") == disk * bytes);
        assert_true(field(extent, "length_bytes") == blocks * bytes);
    }
    assert_true(count >= 10); /* or nothing was compared */
    assert_true(json_array_size(list_field(object, "extents")) == count);
    json_decref(object);
    free(text);
}

/* ---- Frames and addresses ---- */

struct seen {
    uint64_t entries[PAGES]; /* of /proc/self/pagemap */
    unsigned char cached[PAGES];
};

static void look(const char *data, struct seen *out_seen)
{
    size_t page = verso_page_bytes();
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, out_seen->entries, sizeof(out_seen->entries), (off_t)((uintptr_t)data / page * 8)),
                     sizeof(out_seen->entries));
    close(fd);
    assert_int_equal(mincore((void *)(uintptr_t)data, PAGES * page, out_seen->cached), 0);
}

static bool is_present(const struct seen *seen, size_t page)
{
    return seen->entries[page] >> 63;
}

/* The frame that the JSON tells for a page; 0 when none. */
static uint64_t frame_told(const json_t *object, uint64_t page)
{
    const json_t *runs = list_field(object, "frames");

    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        uint64_t first = field(run, "first_page");

        if (page >= first && page - first < field(run, "page_count"))
            return field(run, "pfn") + (page - first);
    }
    return 0;
}

static bool is_told(const json_t *runs, uint64_t page)
{
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        uint64_t first = field(run, "first_page");

        if (page >= first && page - first < field(run, "page_count"))
            return true;
    }
    return false;
}

/* The mapping that begins at @data in this process, as told. */
static const json_t *mapping_told(const json_t *object, const void *data)
{
    const json_t *processes = list_field(object, "processes");
    char start[32];

    (void)snprintf(start, sizeof(start), "0x%lx", (unsigned long)(uintptr_t)data);
    for (size_t i = 0; i < json_array_size(processes); i++) {
        const json_t *process = json_array_get(processes, i), *mappings = list_field(process, "mappings");

        if (field(process, "pid") != (uint64_t)getpid())
            continue;
        for (size_t m = 0; m < json_array_size(mappings); m++)
            if (strcmp(text_field(json_array_get(mappings, m), "start"), start) == 0)
                return json_array_get(mappings, m);
    }
    return NULL;
}

/* A map of a file of PAGES, cached, some of it touched. */
static char *mapped_file(const char *name, const char **out_path)
{
    size_t page = verso_page_bytes();
    int fd;
    char *data;

    *out_path = support_file(name, PAGES * page);
    fd = open(*out_path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fsync(fd), 0);
    data = mmap(NULL, PAGES * page, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(data != MAP_FAILED);
    for (size_t i = 100; i < PAGES; i += 300)
        (void)*(volatile char *)(data + i * page);
    return data;
}

/* Whether told and seen agree, given that what was seen stayed as it was meanwhile. */
static void compare(const json_t *object, const struct seen *seen, const void *data)
{
    const json_t *mapping = mapping_told(object, data);
    size_t present = 0;

    assert_non_null(mapping);
    for (size_t page = 0; page < PAGES; page++) {
        bool told = is_told(list_field(mapping, "runs"), page);

        if (told != is_present(seen, page))
            print_error("page %zu: present is told %d, seen %d\n", page, told, is_present(seen, page));
        assert_true(told == is_present(seen, page));
        assert_true(is_told(list_field(object, "cached_runs"), page) == (seen->cached[page] & 1));
        present += told;
        if (support_is_root() && told)
            assert_true(frame_told(object, page) == (seen->entries[page] & ((UINT64_C(1) << 55) - 1)));
        if (support_is_root() && (seen->cached[page] & 1))
            assert_true(frame_told(object, page) != 0); /* cached pages have frames, mapped or not */
    }
    assert_true(present >= 10 && present < PAGES);
}

static void test_pages_agree_with_pagemap(void **state)
{
    static struct seen before, after;
    const char *path;
    char *data = mapped_file("mapped", &path);
    bool stayed = false;

    (void)state;
    for (int i = 0; i < TRIES && !stayed; i++) {
        json_t *object;

        look(data, &before);
        object = snapshot(path);
        look(data, &after);
        stayed = memcmp(&before, &after, sizeof(before)) == 0;
        if (stayed)
            compare(object, &before, data);
        json_decref(object);
    }
    assert_int_equal(munmap(data, PAGES * verso_page_bytes()), 0);
    assert_true(stayed);
}

/* ---- Own copies, dirty pages ---- */

static void test_own_copies_are_told(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("copied", 20 * page);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *data = mmap(NULL, 20 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    json_t *object;
    const json_t *runs;
    size_t own = 0;

    (void)state;
    close(fd);
    assert_true(data != MAP_FAILED);
    data[7 * page] = 1;
    data[8 * page] = 1;
    object = snapshot(path);
    assert_non_null(mapping_told(object, data));
    runs = list_field(mapping_told(object, data), "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);

        if (!json_is_true(json_object_get(run, "own_copy")))
            continue;
        assert_int_equal(field(run, "first_page"), 7);
        own += field(run, "page_count");
    }
    assert_int_equal(own, 2);
    json_decref(object);
    assert_int_equal(munmap(data, 20 * page), 0);
}

static void test_dirty_pages_are_found(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("dirty", 1000 * page);
    static const size_t written[] = { 0, 3, 511, 512, 700, 999 };
    size_t told = 0;

    (void)state;
    for (int i = 0; i < TRIES && told != 6; i++) { /* write-back may begin at any time: then again */
        int fd = open(path, O_RDWR | O_CLOEXEC);
        json_t *object;
        const json_t *dirty;

        assert_true(fd >= 0);
        assert_int_equal(fsync(fd), 0);
        for (size_t at = 0; at < 6; at++)
            assert_int_equal(pwrite(fd, "x", 1, (off_t)(written[at] * page)), 1);
        object = snapshot(path);
        dirty = json_object_get(object, "dirty_runs");
        if (json_is_null(dirty)) {
            json_decref(object);
            close(fd);
            skip_because("this kernel does not tell dirty pages (no cachestat)");
        }
        told = 0;
        for (size_t at = 0; at < 6; at++)
            told += is_told(dirty, written[at]);
        json_decref(object);
        close(fd);
    }
    assert_int_equal(told, 6);
}

/* ---- Without root ---- */

/* Whether the command can be run by somebody else, wherever it was built. */
static bool nobody_can_run_it(void)
{
    const char *const version[] = { "--version", NULL };
    int code;

    free(command_run(NULL, NOBODY, version, &code));
    return code == 0;
}

static void test_what_is_hidden_says_why(void **state)
{
    const char *path = support_file("foreign", 20 * verso_page_bytes());
    const char *const arguments[] = { "--once", path, NULL };
    const json_t *frames;
    json_t *object;

    (void)state;
    if (!support_is_root())
        skip_because("needs root, to become somebody else");
    if (!nobody_can_run_it())
        skip_because("the command lies where other users can't run it");
    assert_int_equal(chmod(support_directory(), 0755), 0);
    assert_int_equal(chmod(path, 0644), 0);
    object = watch_json(NOBODY, arguments);
    assert_true(json_is_null(json_object_get(object, "frames")));
    frames = json_object_get(json_object_get(object, "sources"), "frames");
    assert_string_equal(text_field(frames, "error"), "EPERM");
    assert_true(strlen(text_field(frames, "why")) > 10);
    /* Nor is the cache of a file that is another's told: not "all", which is what the kernel would have one believe. */
    assert_true(json_is_null(json_object_get(object, "cached_runs")));
    assert_true(json_is_null(json_object_get(json_object_get(json_object_get(object, "cache"), "cached"), "value")));
    json_decref(object);
}

static void test_of_own_files_the_cache_is_told(void **state)
{
    const char *path = support_file("own", 20 * verso_page_bytes());
    const char *const arguments[] = { "--once", path, NULL };
    json_t *object;

    (void)state;
    if (!support_is_root())
        skip_because("needs root, to become somebody else");
    if (!nobody_can_run_it())
        skip_because("the command lies where other users can't run it");
    assert_int_equal(chmod(support_directory(), 0755), 0);
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    object = watch_json(NOBODY, arguments);
    assert_true(json_array_size(list_field(object, "cached_runs")) > 0);
    assert_true(json_is_null(json_object_get(object, "frames")));
    json_decref(object);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_extents_agree_with_filefrag), cmocka_unit_test(test_pages_agree_with_pagemap),
        cmocka_unit_test(test_own_copies_are_told),         cmocka_unit_test(test_dirty_pages_are_found),
        cmocka_unit_test(test_what_is_hidden_says_why),     cmocka_unit_test(test_of_own_files_the_cache_is_told),
    };

    command_find(count, arguments);
    return run_test_list(list);
}
