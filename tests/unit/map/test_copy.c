/* SPDX-License-Identifier: MIT */
/* copy - maps of sealed memory that the content was copied to. rungs.h says who attacks. */
#include "rungs.h"

#include "mapping.h"

#include <pthread.h>

static void test_a_copy_holds(void **state)
{
    size_t page = verso_page_bytes();
    const struct {
        uint64_t offset, length;
    } ranges[] = {
        { 0, 0 }, { 0, 1 }, { 1, page - 1 }, { page, page }, { page - 1, 2 }, { 3 * page + 7, 0 }, { 16 * page - 1, 1 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        struct verso_map_options options = options_of(0, ranges[i].offset, ranges[i].length);
        const char *path = pattern_file();
        struct verso_map *map;

        options.stability = VERSO_MAP_COPY;
        assert_ok(verso_map_open(path, &options, &map));
        assert_rung(map, VERSO_MAP_COPY, "");
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_MEMORY);
        assert_string_equal(info_of(map).path, path);
        assert_int_equal(verso_map_bytes(map), ranges[i].length ? ranges[i].length : 16 * page - ranges[i].offset);
        suffer(path);
        assert_true(is_pattern(map));
        assert_ok(verso_map_check(map));
        verso_map_close(map);
    }
}

static void test_nobody_can_change_a_copy(void **state)
{
    struct verso_map *map = open_at(pattern_file(), VERSO_MAP_COPY, VERSO_MAP_KEEP_FD);
    int fd = info_of(map).fd;

    (void)state;
    assert_sealed(fd);
    assert_true(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
    assert_true(ftruncate(fd, 0) < 0 && errno == EPERM);
    assert_true(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)verso_page_bytes()) < 0);
    assert_true(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    assert_fails(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_WRITE), VERSO_E_READ_ONLY);
    if (mapping_at(verso_map_data(map)).mapping.shared)
        assert_true(mprotect(verso_map_data(map), 1, PROT_READ | PROT_WRITE) < 0);
    assert_fails(verso_map_remap(map, 0, 1), VERSO_E_NOT_MAPPED);
    assert_true(is_pattern(map));
    verso_map_close(map);
}

static void test_a_copy_has_a_name_in_maps(void **state)
{
    struct verso_map_options options = rung(VERSO_MAP_COPY, 0);
    struct verso_map *map;

    (void)state;
    options.name = "words";
    assert_ok(verso_map_open(pattern_file(), &options, &map));
    assert_non_null(strstr(mapping_at(verso_map_data(map)).name, "memfd:words"));
    verso_map_close(map);
}

static void test_private_stores_stay_private(void **state)
{
    struct verso_map *map = open_at(pattern_file(), VERSO_MAP_COPY, VERSO_MAP_PRIVATE | VERSO_MAP_KEEP_FD);
    unsigned char byte;

    (void)state;
    *(unsigned char *)verso_map_data(map) = 42;
    assert_int_equal(pread(info_of(map).fd, &byte, 1, 0), 1);
    assert_int_equal(byte, support_byte(0));
    verso_map_close(map);
}

static void test_an_executable_copy(void **state)
{
    struct verso_map *map = open_at(pattern_file(), VERSO_MAP_COPY, VERSO_MAP_EXEC);

    (void)state;
    assert_int_equal(mapping_at(verso_map_data(map)).mapping.access, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC);
    assert_true(is_pattern(map));
    verso_map_close(map);
}

static void test_holes_are_not_copied(void **state)
{
    struct verso_map_options options = options_of(VERSO_MAP_KEEP_FD, 10 << 20, 0);
    struct verso_map *map;
    struct stat status;

    (void)state;
    options.stability = VERSO_MAP_COPY;
    assert_ok(verso_map_open(sparse_file("sparse", 64 << 20), &options, &map));
    assert_int_equal(verso_map_bytes(map), 54 << 20);
    assert_int_equal(fstat(info_of(map).fd, &status), 0);
    assert_int_equal(status.st_blocks, 0);
    verso_map_close(map);
}

static void test_no_more_than_the_limit_is_copied(void **state)
{
    struct verso_map_options options = rung(VERSO_MAP_COPY, 0);
    struct verso_map *map;

    (void)state;
    options.copy_bytes_max = PAGES * verso_page_bytes() - 1;
    assert_open_fails(pattern_file(), &options, VERSO_E_TOO_LARGE, "copy");
    options.copy_bytes_max++;
    assert_ok(verso_map_open(support_path("stable"), &options, &map));
    verso_map_close(map);
}

/* Versions: a writer who counts up in the first page and then, the same number, in the last. */
struct writer {
    const char *path;
    uint64_t last_offset;
    atomic_bool stop;
    uint64_t versions;
};

static void *write_versions(void *arg)
{
    struct writer *writer = arg;
    int fd = open(writer->path, O_WRONLY | O_CLOEXEC);

    for (uint64_t version = 1; fd >= 0 && !atomic_load(&writer->stop); version++) {
        if (pwrite(fd, &version, sizeof(version), 0) != sizeof(version) ||
            pwrite(fd, &version, sizeof(version), (off_t)writer->last_offset) != sizeof(version))
            break;
        writer->versions = version;
    }
    return fd >= 0 && close(fd) == 0 ? writer : NULL;
}

static void test_a_file_that_will_not_hold_still(void **state)
{
    uint64_t bytes = 32 << 20, first, last;
    struct verso_map_options options = rung(VERSO_MAP_COPY, 0);
    struct writer writer = { .path = sparse_file("versions", bytes), .last_offset = bytes - sizeof(uint64_t) };
    struct verso_map *map;
    pthread_t thread;
    int r;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, write_versions, &writer), 0);
    for (int i = 0; i < 5; i++) {
        r = verso_map_open(writer.path, &options, &map);
        if (r < 0) {
            assert_int_equal(r, VERSO_E_CHANGED);
            assert_int_equal(verso_error_last()->code, VERSO_E_CHANGED);
            continue;
        }
        /* Then it is one version, or the moment between two writes. */
        memcpy(&first, verso_map_data(map), sizeof(first));
        memcpy(&last, (char *)verso_map_data(map) + writer.last_offset, sizeof(last));
        assert_true(first == last || first == last + 1);
        verso_map_close(map);
    }
    atomic_store(&writer.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(writer.versions > 0);
}

static int copy_without_memory_files(void *path)
{
    struct verso_map_options options = rung(VERSO_MAP_COPY, 0);
    struct verso_map *map = UNTOUCHED;

    if (!old_kernel_without(SYS_memfd_create, 0, 0, UINT32_MAX, ENOSYS))
        return CHILD_SKIPS;
    child_assert(verso_map_open(path, &options, &map) == VERSO_E_UNSUPPORTED);
    child_assert(map == UNTOUCHED);
    child_assert(verso_error_last()->cause == -ENOSYS);
    return 0;
}

static void test_no_rung_can_be_had(void **state)
{
    (void)state;
    assert_child_ok(copy_without_memory_files, (void *)(uintptr_t)pattern_file());
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_copy_holds),
        cmocka_unit_test(test_nobody_can_change_a_copy),
        cmocka_unit_test(test_a_copy_has_a_name_in_maps),
        cmocka_unit_test(test_private_stores_stay_private),
        cmocka_unit_test(test_an_executable_copy),
        cmocka_unit_test(test_holes_are_not_copied),
        cmocka_unit_test(test_no_more_than_the_limit_is_copied),
        cmocka_unit_test(test_a_file_that_will_not_hold_still),
        cmocka_unit_test(test_no_rung_can_be_had),
    };

    return run_test_list(list);
}
