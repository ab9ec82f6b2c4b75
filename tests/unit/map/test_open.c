/* SPDX-License-Identifier: MIT */
/* Opening regular files: every range, every way of mapping, what is kept. */
#include "maps.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void check_range(const char *path, uint64_t file_bytes, uint64_t offset, uint64_t length)
{
    struct verso_map_options options = options_of(0, offset, length);
    uint64_t wanted = length ? length : file_bytes - offset;
    struct verso_map *map;

    assert_ok(verso_map_open(path, &options, &map));
    assert_int_equal(verso_map_bytes(map), wanted);
    assert_non_null(verso_map_data(map));
    assert_true(support_matches(verso_map_data(map), offset, (size_t)wanted));
    assert_int_equal(info_of(map).offset_bytes, offset);
    assert_int_equal(info_of(map).kind, wanted ? VERSO_MAP_KIND_FILE : VERSO_MAP_KIND_EMPTY);
    verso_map_close(map);
}

static void test_whole_files(void **state)
{
    size_t page = verso_page_bytes();
    const uint64_t sizes[] = { 1, page - 1, page, page + 1, 16 * page, 16 * page + 7 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_range(support_file("whole", sizes[i]), sizes[i], 0, 0);
}

static void test_any_offset_and_length(void **state)
{
    size_t page = verso_page_bytes();
    uint64_t bytes = 5 * page + 123;
    const uint64_t places[] = { 0, 1, page - 1, page, page + 1, 2 * page, 5 * page, bytes - 1, bytes };
    const char *path = support_file("range", bytes);

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (size_t j = i; j < sizeof(places) / sizeof(places[0]); j++)
            check_range(path, bytes, places[i], places[j] - places[i]);
}

static void test_range_past_the_end(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", page + 10);
    const struct {
        uint64_t offset, length;
        int code;
    } cases[] = {
        { page + 11, 0, VERSO_E_RANGE },
        { page + 11, 1, VERSO_E_RANGE },
        { 0, page + 11, VERSO_E_RANGE },
        { page + 10, 1, VERSO_E_RANGE },
        { 1, page + 10, VERSO_E_RANGE },
        { INT64_MAX, 0, VERSO_E_RANGE },
        { 0, INT64_MAX, VERSO_E_RANGE },
        { INT64_MAX, 1, VERSO_E_OVERFLOW },
        { (uint64_t)1 << 63, 0, VERSO_E_OVERFLOW },
        { 0, (uint64_t)1 << 63, VERSO_E_OVERFLOW },
        { UINT64_MAX, 1, VERSO_E_OVERFLOW },
        { 1, UINT64_MAX, VERSO_E_OVERFLOW },
        { UINT64_MAX, UINT64_MAX, VERSO_E_OVERFLOW },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verso_map_options options = options_of(0, cases[i].offset, cases[i].length);

        assert_open_fails(path, &options, cases[i].code, "range");
        assert_string_equal(verso_error_last()->path, path);
        if (cases[i].code == VERSO_E_RANGE)
            assert_int_equal(verso_error_last()->offset_bytes, page + 10);
    }
}

static void test_beyond_four_gib(void **state)
{
    uint64_t far = ((uint64_t)4 << 30) + 12345;
    const char *path = sparse_file("large", ((uint64_t)5 << 30) + 1);
    struct verso_map_options options = options_of(0, far, 7);
    struct verso_map *map;
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(pwrite(fd, "beyond", 6, (off_t)far), 6);
    assert_int_equal(close(fd), 0);
    assert_ok(verso_map_open(path, &options, &map));
    assert_memory_equal(verso_map_data(map), "beyond\0", 7);
    verso_map_close(map);
#if SIZE_MAX > UINT32_MAX
    assert_ok(verso_map_open(path, NULL, &map));
    assert_int_equal(verso_map_bytes(map), ((uint64_t)5 << 30) + 1);
    assert_memory_equal((char *)verso_map_data(map) + far, "beyond\0", 7);
    verso_map_close(map);
#else
    assert_open_fails(path, NULL, VERSO_E_OVERFLOW, "range");
    assert_hint("window.h");
#endif
}

static void test_empty_file(void **state)
{
    const unsigned flags[] = { 0, VERSO_MAP_WRITE, VERSO_MAP_PRIVATE, VERSO_MAP_EXEC, VERSO_MAP_KEEP_FD };
    const char *path = support_file("empty", 0);

    (void)state;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct verso_map_options options = options_with(flags[i]);
        struct verso_map *map;

        assert_ok(verso_map_open(path, &options, &map));
        assert_int_equal(verso_map_bytes(map), 0);
        assert_non_null(verso_map_data(map));
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_EMPTY);
        assert_int_equal(signal_of_touch(verso_map_data(map), false), SIGSEGV); /* reading it is a mistake that shows */
        verso_map_close(map);
        options.length_bytes = 1;
        assert_open_fails(path, &options, VERSO_E_RANGE, "range");
        options = options_of(flags[i], 1, 0);
        assert_open_fails(path, &options, VERSO_E_RANGE, "range");
    }
}

static void test_read_only(void **state)
{
    const char *path = support_file("file", 100);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, NULL, &map));
    assert_int_equal(signal_of_touch(verso_map_data(map), true), SIGSEGV);
    assert_int_equal(mprotect(verso_map_data(map), 100, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(errno, EACCES); /* nobody can change that */
    verso_map_close(map);
}

static void test_stores_reach_the_file(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 3 * page);
    struct verso_map_options options = options_of(VERSO_MAP_WRITE, page - 2, 4);
    struct verso_map *map;
    char seen[6];

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    memcpy(verso_map_data(map), "abcd", 4);
    read_at(path, page - 3, seen, 6);
    assert_memory_equal(seen + 1, "abcd", 4);
    assert_int_equal((unsigned char)seen[0], support_byte(page - 3));
    assert_int_equal((unsigned char)seen[5], support_byte(page + 2));
    verso_map_close(map);
    read_at(path, page - 2, seen, 4);
    assert_memory_equal(seen, "abcd", 4);
}

static void test_private_stores_do_not(void **state)
{
    const char *path = support_file("read-only", 5000);
    struct verso_map_options options = options_with(VERSO_MAP_PRIVATE);
    struct verso_map *map;
    unsigned char seen;
    int fd;

    (void)state;
    assert_int_equal(chmod(path, 0400), 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_ok(verso_map_open_fd(fd, &options, &map));
    ((unsigned char *)verso_map_data(map))[4500] = (unsigned char)~support_byte(4500);
    read_at(path, 4500, &seen, 1);
    assert_int_equal(seen, support_byte(4500));
    verso_map_close(map);
    assert_ok(verso_map_open(path, &options, &map));
    assert_true(support_matches(verso_map_data(map), 0, 5000));
    verso_map_close(map);
    assert_int_equal(close(fd), 0);
}

static void test_executable(void **state)
{
#if defined(__x86_64__)
    const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
#elif defined(__aarch64__)
    const unsigned char code[] = { 0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6 };
#else
    const unsigned char *code = NULL;
#endif
    struct verso_map_options options = options_with(VERSO_MAP_EXEC);
    const char *path = support_path("code");
    int (*function)(void);
    struct verso_map *map;
    int fd;

    (void)state;
    if (sizeof(code) > 8)
        skip_because("no machine code known for this processor");
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_int_equal(write(fd, code, sizeof(code)), sizeof(code));
    assert_int_equal(close(fd), 0);
    assert_ok(verso_map_open(path, &options, &map));
    assert_int_equal(signal_of_touch(verso_map_data(map), true), SIGSEGV);
    *(void **)&function = verso_map_data(map);
    assert_int_equal(function(), 42);
    verso_map_close(map);
}

static void test_descriptor_is_not_kept(void **state)
{
    const unsigned kept[] = { VERSO_MAP_KEEP_FD, VERSO_MAP_GROW };
    const char *path = support_file("file", 100);
    size_t before = support_descriptor_count(), mappings = support_mapping_count();
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, NULL, &map));
    assert_int_equal(support_descriptor_count(), before);
    assert_int_equal(info_of(map).fd, -1);
    verso_map_close(map);
    for (size_t i = 0; i < 2; i++) {
        struct verso_map_options options = options_with(kept[i]);

        assert_ok(verso_map_open(path, &options, &map));
        assert_int_equal(support_descriptor_count(), before + 1);
        assert_int_equal(fcntl(info_of(map).fd, F_GETFD), FD_CLOEXEC);
        assert_true(info_of(map).flags & VERSO_MAP_KEEP_FD);
        verso_map_close(map);
        assert_int_equal(support_descriptor_count(), before);
    }
    assert_int_equal(support_mapping_count(), mappings);
}

static void test_callers_descriptor_stays(void **state)
{
    const unsigned flags[] = { 0, VERSO_MAP_WRITE, VERSO_MAP_KEEP_FD, VERSO_MAP_PRIVATE | VERSO_MAP_GROW };
    const char *path = support_file("file", 10000);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    (void)state;
    assert_int_equal(lseek(fd, 77, SEEK_SET), 77);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct verso_map_options options = options_of(flags[i], 5000, 0);
        struct verso_map *map;

        assert_ok(verso_map_open_fd(fd, &options, &map));
        assert_true(support_matches(verso_map_data(map), 5000, 5000));
        assert_int_not_equal(info_of(map).fd, fd);
        assert_string_equal(info_of(map).path, path);
        verso_map_close(map);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 77);
    }
    assert_int_equal(close(fd), 0);
}

static void test_map_outlives_the_name(void **state)
{
    const char *path = support_file("gone", 5000);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, NULL, &map));
    assert_int_equal(unlink(path), 0);
    assert_true(support_matches(verso_map_data(map), 0, 5000));
    verso_map_close(map);
}

static void test_odd_names(void **state)
{
    const char *const names[] = { "line\nbreak", "\xff\xfe\x80", "tab\tbell\a", "\xe2\x82\xac", " ", "-", "a%sb" };
    char message[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *path = support_path(names[i]);
        struct verso_map *map;

        assert_open_fails(path, NULL, -ENOENT, "open");
        assert_string_equal(verso_error_last()->path, path);
        assert_true(verso_error_message(message, sizeof(message)) < sizeof(message));
        assert_null(strchr(message, '\n'));
        support_file(names[i], 100);
        assert_ok(verso_map_open(path, NULL, &map));
        assert_string_equal(info_of(map).path, path);
        verso_map_close(map);
    }
}

/* ---- Waiting for a lease ----------------------------------------------------------------------------------------- */

/* Gives the lease up when somebody waits for it. */
static void *give_up_lease(void *arg)
{
    int fd = *(int *)arg;

    while (fcntl(fd, F_GETLEASE) == F_RDLCK)
        usleep(1000);
    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
    return NULL;
}

/* Opening for writing breaks a read lease, and waits for its holder, as open(2) does. */
static void test_a_lease_is_waited_for(void **state)
{
    const char *path = support_file("leased", 100);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct verso_map *map;
    pthread_t holder;

    (void)state;
    if (fcntl(fd, F_SETSIG, SIGURG) != 0 || fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
        close(fd);
        skip_because("no lease to be had: %s", strerror(errno));
    }
    assert_int_equal(pthread_create(&holder, NULL, give_up_lease, &fd), 0);
    assert_ok(verso_map_open(path, &options, &map));
    pthread_join(holder, NULL);
    verso_map_close(map);
    close(fd);
}

static void test_info_asks_for_its_size(void **state)
{
    struct verso_map_info info = VERSO_MAP_INFO_INIT;
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(support_file("file", 1), NULL, &map));
    info.struct_bytes = 0;
    info.fd = 77;
    assert_fails(verso_map_info(map, &info), VERSO_E_OPTIONS);
    assert_int_equal(info.fd, 77);
    verso_map_close(map);
}

static void test_close_takes_null(void **state)
{
    (void)state;
    verso_map_close(NULL);
}

static void *open_and_close(void *arg)
{
    for (int i = 0; i < 200; i++) {
        struct verso_map *map;

        if (verso_map_open(arg, NULL, &map) < 0 || !support_matches(verso_map_data(map), 0, verso_map_bytes(map)))
            return arg;
        verso_map_close(map);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    char *path = strdup(support_file("file", 10000));
    pthread_t threads[4];
    void *failed;

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, path), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    free(path);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_whole_files),
        cmocka_unit_test(test_any_offset_and_length),
        cmocka_unit_test(test_range_past_the_end),
        cmocka_unit_test(test_beyond_four_gib),
        cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_stores_reach_the_file),
        cmocka_unit_test(test_private_stores_do_not),
        cmocka_unit_test(test_executable),
        cmocka_unit_test(test_descriptor_is_not_kept),
        cmocka_unit_test(test_callers_descriptor_stays),
        cmocka_unit_test(test_map_outlives_the_name),
        cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_a_lease_is_waited_for),
        cmocka_unit_test(test_info_asks_for_its_size),
        cmocka_unit_test(test_close_takes_null),
        cmocka_unit_test(test_many_threads),
    };

    return run_test_list(list);
}
