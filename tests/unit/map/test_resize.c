/* SPDX-License-Identifier: MIT */
/* resize - file and map grow and shrink together: sizes, addresses, content, and nothing changed by a failure. */
#include "maps.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

static struct verso_map *open_grown(const char *path, unsigned flags)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | flags);
    struct verso_map *map;

    assert_ok(verso_map_open(path, &options, &map));
    return map;
}

/* Size of map and file, the pattern in what was there, zeros in what is new, and all of it can be stored to. */
static void check_grown(struct verso_map *map, const char *path, size_t pattern_bytes, size_t bytes)
{
    unsigned char *data = verso_map_data(map);

    assert_int_equal(verso_map_bytes(map), bytes);
    assert_int_equal(status_of(path).st_size, bytes);
    assert_true(support_matches(data, 0, pattern_bytes < bytes ? pattern_bytes : bytes));
    for (size_t i = pattern_bytes; i < bytes; i++)
        assert_int_equal(data[i], 0);
    if (bytes)
        data[bytes - 1] = data[bytes - 1];
}

static void resize_through_sizes(unsigned flags)
{
    size_t page = verso_page_bytes();
    const size_t sizes[] = { 1, page - 1, page, page + 1, 10 * page, 3 * page + 5, 3 * page, 1, 0, 2 * page, 0, 100 };
    const char *path = support_file("file", 0);
    struct verso_map *map = open_grown(path, flags);
    void *address = verso_map_data(map);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_ok(verso_map_resize(map, sizes[i]));
        assert_int_equal(info_of(map).kind, sizes[i] ? VERSO_MAP_KIND_FILE : VERSO_MAP_KIND_EMPTY);
        if (flags & VERSO_MAP_GROW) {
            assert_ptr_equal(verso_map_data(map), address);
            assert_int_equal(signal_of_touch((char *)address + (sizes[i] + page - 1) / page * page, false), SIGSEGV);
        }
        check_grown(map, path, 0, sizes[i]);
        if (!(flags & VERSO_MAP_SPARSE))
            assert_true((uint64_t)status_of(path).st_blocks * 512 >= sizes[i]);
    }
    verso_map_close(map);
    check_grown((map = open_grown(path, 0)), path, 0, 100);
    verso_map_close(map);
}

static void test_sizes(void **state)
{
    const unsigned ways[] = { VERSO_MAP_GROW,
                              0,
                              VERSO_MAP_KEEP_FD,
                              VERSO_MAP_GROW | VERSO_MAP_SPARSE,
                              VERSO_MAP_SPARSE,
                              VERSO_MAP_GROW | VERSO_MAP_POPULATE | VERSO_MAP_LOCK,
                              VERSO_MAP_POPULATE | VERSO_MAP_LOCK,
                              VERSO_MAP_NO_CORE | VERSO_MAP_NO_FORK };
    size_t mappings = support_mapping_count(), descriptors = support_descriptor_count();

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        resize_through_sizes(ways[i]);
    assert_int_equal(support_mapping_count(), mappings);
    assert_int_equal(support_descriptor_count(), descriptors);
}

static void test_content_stays(void **state)
{
    const unsigned ways[] = { VERSO_MAP_GROW, 0 };
    size_t page = verso_page_bytes();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *path = support_file("file", 2 * page + 77);
        struct verso_map *map = open_grown(path, ways[i]);

        assert_ok(verso_map_resize(map, 100 * page));
        check_grown(map, path, 2 * page + 77, 100 * page);
        assert_ok(verso_map_resize(map, page + 1));
        check_grown(map, path, page + 1, page + 1);
        assert_ok(verso_map_resize(map, 3 * page)); /* what was cut is gone */
        check_grown(map, path, page + 1, 3 * page);
        verso_map_close(map);
    }
}

/* The map begins inside a page of the file, and need not begin at its start. */
static void test_unaligned_start(void **state)
{
    size_t page = verso_page_bytes();
    const unsigned ways[] = { VERSO_MAP_GROW, 0 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *path = support_file("file", 3 * page);
        struct verso_map_options options = options_of(VERSO_MAP_WRITE | ways[i], page + 7, 0);
        struct verso_map *map;

        assert_ok(verso_map_open(path, &options, &map));
        assert_ok(verso_map_resize(map, 20 * page));
        assert_int_equal(status_of(path).st_size, 21 * page + 7);
        assert_true(support_matches(verso_map_data(map), page + 7, 2 * page - 7));
        ((unsigned char *)verso_map_data(map))[20 * page - 1] = 1;
        assert_ok(verso_map_resize(map, page));
        assert_int_equal(status_of(path).st_size, 2 * page + 7);
        assert_ok(verso_map_resize(map, 0));
        assert_int_equal(status_of(path).st_size, page + 7);
        assert_ok(verso_map_resize(map, 1));
        assert_int_equal(*(unsigned char *)verso_map_data(map), 0);
        verso_map_close(map);
    }
}

static void test_opened_by_descriptor(void **state)
{
    const unsigned ways[] = { VERSO_MAP_GROW, VERSO_MAP_KEEP_FD };
    const char *path = support_file("file", 1000);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct verso_map *map;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct verso_map_options options = options_with(VERSO_MAP_WRITE | ways[i]);

        assert_ok(verso_map_open_fd(fd, &options, &map));
        assert_ok(verso_map_resize(map, 100000));
        check_grown(map, path, 1000, 100000);
        assert_ok(verso_map_resize(map, 1000));
        verso_map_close(map);
    }
    {
        struct verso_map_options options = options_with(VERSO_MAP_WRITE);

        assert_ok(verso_map_open_fd(fd, &options, &map));
        assert_fails_in(verso_map_resize(map, 5000), VERSO_E_NO_DESCRIPTOR, "resize");
        assert_hint("KEEP_FD");
        check_grown(map, path, 1000, 1000);
        verso_map_close(map);
    }
    close(fd);
}

/* Without a kept descriptor the name is used, but only while it is the same file's. */
static void test_name_given_to_another(void **state)
{
    const char *path = support_file("file", 1000);
    struct verso_map *map = open_grown(path, 0);

    (void)state;
    assert_int_equal(unlink(path), 0);
    assert_fails_in(verso_map_resize(map, 5000), VERSO_E_NO_DESCRIPTOR, "resize");
    support_file("file", 70);
    assert_fails_in(verso_map_resize(map, 5000), VERSO_E_NO_DESCRIPTOR, "resize");
    assert_int_equal(status_of(path).st_size, 70);
    assert_true(support_matches(verso_map_data(map), 0, 1000));
    verso_map_close(map);
}

static void test_refusals(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 3 * page);
    const unsigned flags[] = { 0, VERSO_MAP_PRIVATE, VERSO_MAP_EXEC, VERSO_MAP_GROW };
    struct verso_map_options options;
    struct verso_map *map;

    (void)state;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        options = options_with(flags[i]);
        assert_ok(verso_map_open(path, &options, &map));
        assert_fails_in(verso_map_resize(map, 1), VERSO_E_READ_ONLY, "resize");
        verso_map_close(map);
    }
    options = options_of(VERSO_MAP_WRITE, 0, page);
    assert_ok(verso_map_open(path, &options, &map));
    assert_fails_in(verso_map_resize(map, 2 * page), VERSO_E_RANGE, "resize");
    assert_hint("behind the map");
    assert_fails_in(verso_map_resize(map, 1), VERSO_E_RANGE, "resize");
    assert_fails_in(verso_map_resize(map, UINT64_MAX), VERSO_E_OVERFLOW, "resize");
    assert_fails_in(verso_map_resize(map, (uint64_t)1 << 63), VERSO_E_OVERFLOW, "resize");
    verso_map_close(map);
    assert_int_equal(status_of(path).st_size, 3 * page);
}

static void test_span(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 3);
    struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_GROW, 2, 0);
    struct verso_map *map;

    (void)state;
    options.span_bytes = 10 * page - 2;
    assert_ok(verso_map_open(path, &options, &map));
    assert_int_equal(info_of(map).span_bytes, 10 * page - 2);
    assert_ok(verso_map_resize(map, 10 * page - 2));
    assert_fails_in(verso_map_resize(map, 10 * page - 1), VERSO_E_SPAN, "resize");
    assert_hint("span_bytes");
    assert_int_equal(verso_map_bytes(map), 10 * page - 2);
    assert_int_equal(status_of(path).st_size, 10 * page);
    verso_map_close(map);
    options = options_with(VERSO_MAP_WRITE | VERSO_MAP_GROW);
    options.span_bytes = 10 * page - 1;
    assert_open_fails(path, &options, VERSO_E_SPAN, "reserve");
    options.span_bytes = UINT64_MAX;
    assert_open_fails(path, &options, VERSO_E_OVERFLOW, "reserve");
}

static void test_default_span(void **state)
{
    const char *path = support_file("file", 3);
    struct verso_map *map = open_grown(path, VERSO_MAP_GROW);

    (void)state;
#if SIZE_MAX > UINT32_MAX
    assert_true(info_of(map).span_bytes >= (uint64_t)1 << 30);
    assert_true(info_of(map).span_bytes <= (uint64_t)8 << 40);
#endif
    assert_int_equal(signal_of_touch((char *)verso_map_data(map) + verso_page_bytes(), false), SIGSEGV);
    verso_map_close(map);
}

/* At a fixed address the default span ends before what stands behind; one that was asked for is had whole or not. */
static void test_default_span_before_a_neighbour(void **state)
{
    const size_t room = 64 << 20;
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_GROW);
    const char *path = support_file("file", 3);
    struct verso_map *map;
    char *place;

    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer maps what it needs where there is room");
    place = mmap(NULL, 2 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(place != MAP_FAILED);
    assert_int_equal(munmap(place, room), 0);
    options.address = place;
    assert_ok(verso_map_open(path, &options, &map));
    assert_ptr_equal(verso_map_data(map), place);
    assert_true(info_of(map).span_bytes >= room / 4 && info_of(map).span_bytes <= room);
    assert_ok(verso_map_resize(map, room / 4));
    assert_open_fails(path, &options, -EEXIST, "mmap"); /* now something stands there */
    verso_map_close(map);
    options.span_bytes = room + 1;
    assert_open_fails(path, &options, -EEXIST, "mmap");
    assert_int_equal(munmap(place + room, room), 0);
}

static void test_fixed_address_without_room(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", page);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    char *room = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct verso_map *map;

    (void)state;
    assert_int_equal(munmap(room, 2 * page), 0);
    options.address = room;
    assert_ok(verso_map_open(path, &options, &map));
    assert_ptr_equal(verso_map_data(map), room);
    assert_ok(verso_map_resize(map, 2 * page));
    assert_ptr_equal(verso_map_data(map), room);
    assert_fails_in(verso_map_resize(map, 2 * page + 1), VERSO_E_SPAN, "mremap");
    assert_int_equal(status_of(path).st_size, 2 * page);
    check_grown(map, path, page, 2 * page);
    verso_map_close(map);
    assert_int_equal(munmap(room + 2 * page, page), 0);
}

/* The file was cut by somebody else: resize gives it the size that is asked for. */
static void test_after_a_cut(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 4 * page);
    struct verso_map *map = open_grown(path, VERSO_MAP_GROW);

    (void)state;
    assert_int_equal(truncate(path, (off_t)page), 0);
    assert_ok(verso_map_resize(map, 3 * page));
    check_grown(map, path, page, 3 * page);
    assert_true((uint64_t)status_of(path).st_blocks * 512 >= 3 * page);
    verso_map_close(map);
}

/* ---- Under guard ------------------------------------------------------------------------------------------------ */

static void test_guarded_from_nothing(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 0);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_GROW);
    struct verso_map *map;

    (void)state;
    options.stability = VERSO_MAP_GUARDED;
    assert_open_fails(path, &options, VERSO_E_GUARD, "guard");
    assert_ok(verso_guard_install());
    assert_ok(verso_map_open(path, &options, &map));
    assert_ok(verso_map_resize(map, 4 * page));
    memset(verso_map_data(map), 'x', 4 * page);
    assert_int_equal(truncate(path, (off_t)page), 0);
    assert_int_equal(((volatile char *)verso_map_data(map))[3 * page], 0);
    assert_int_equal(info_of(map).torn_offset_bytes, page);
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

/* A short count from what was placed behind, too: the guard knows where the map ends now. */
static void test_the_guard_follows(void **state)
{
    size_t page = verso_page_bytes();
    const unsigned ways[] = { VERSO_MAP_GROW, 0 };
    char *copy = malloc(20 * page);

    (void)state;
    assert_ok(verso_guard_install());
    for (size_t i = 0; i < 2; i++) {
        const char *path = support_file("file", page);
        struct verso_map *map = open_grown(path, ways[i]);

        assert_ok(verso_map_resize(map, 20 * page));
        assert_int_equal(truncate(path, (off_t)(10 * page)), 0);
        assert_int_equal(verso_guard_copy(copy, verso_map_data(map), 20 * page), 10 * page);
        verso_map_close(map);
    }
    assert_ok(verso_guard_remove());
    free(copy);
}

/* ---- Readers go on ---------------------------------------------------------------------------------------------- */

/* mremap stretches one mapping; advice and access given to a part make several. */
static void test_map_in_pieces(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_grown(support_file("file", 4 * page), 0);
    void *data;

    (void)state;
    assert_ok(verso_map_advise(map, page, page, VERSO_MAP_ADVICE_RANDOM));
    assert_ok(verso_map_resize(map, 9 * page));
    assert_true(support_matches(verso_map_data(map), 0, 4 * page));
    ((unsigned char *)verso_map_data(map))[9 * page - 1] = 7;
    verso_map_close(map);

    map = open_grown(support_file("file", 4 * page), 0);
    assert_ok(verso_map_protect(map, page, page, VERSO_MAP_ACCESS_READ));
    data = verso_map_data(map);
    if (verso_map_resize(map, 9 * page) == 0) { /* there was room behind it */
        assert_ptr_equal(verso_map_data(map), data);
    } else {
        assert_int_equal(verso_error_last()->code, VERSO_E_SPAN);
        assert_int_equal(verso_map_bytes(map), 4 * page);
    }
    assert_true(support_matches(verso_map_data(map), 0, 4 * page));
    verso_map_close(map);
}

struct readers {
    struct verso_map *map;
    const unsigned char *data;
    size_t kept_bytes;
    atomic_bool stop;
    atomic_bool failed;
};

/* What the header allows any thread to ask while another resizes. */
static bool can_use_what_stays(const struct readers *readers)
{
    struct verso_map_info info = VERSO_MAP_INFO_INIT;

    if (verso_map_info(readers->map, &info) == 0 && info.kind == VERSO_MAP_KIND_FILE &&
        verso_map_populate(readers->map, 0, readers->kept_bytes, 0) == 0 &&
        verso_map_sync(readers->map, 0, readers->kept_bytes, VERSO_MAP_SYNC_START) == 0)
        return true;
    print_error("%s: %s\n", verso_error_last()->step, verso_error_text(verso_error_last()->code));
    return false;
}

static void *read_what_stays(void *arg)
{
    struct readers *readers = arg;

    while (!atomic_load(&readers->stop)) {
        if (verso_map_data(readers->map) != readers->data || verso_map_bytes(readers->map) < readers->kept_bytes)
            atomic_store(&readers->failed, true);
        if (!can_use_what_stays(readers))
            atomic_store(&readers->failed, true);
        for (size_t i = 0; i < readers->kept_bytes; i += 97)
            if (readers->data[i] != support_byte(i))
                atomic_store(&readers->failed, true);
    }
    return NULL;
}

static void test_readers_go_on(void **state)
{
    size_t page = verso_page_bytes();
    struct readers readers = { .kept_bytes = 2 * page };
    pthread_t threads[3];

    (void)state;
    readers.map = open_grown(support_file("file", 2 * page), VERSO_MAP_GROW);
    readers.data = verso_map_data(readers.map);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_what_stays, &readers), 0);
    for (size_t i = 0; i < 300; i++)
        assert_ok(verso_map_resize(readers.map, 2 * page + i * 37 % 50 * page / 2));
    atomic_store(&readers.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_false(atomic_load(&readers.failed));
    verso_map_close(readers.map);
}

static void test_large_sparse_growth(void **state)
{
    struct verso_map *map = open_grown(support_file("file", 10), VERSO_MAP_GROW | VERSO_MAP_SPARSE);
    uint64_t far = ((uint64_t)5 << 30) + 3;

    (void)state;
    if (SIZE_MAX <= UINT32_MAX)
        skip_because("more than this process can address");
    assert_ok(verso_map_resize(map, far));
    ((unsigned char *)verso_map_data(map))[far - 1] = 7;
    assert_true(support_matches(verso_map_data(map), 0, 10));
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_content_stays),
        cmocka_unit_test(test_unaligned_start),
        cmocka_unit_test(test_opened_by_descriptor),
        cmocka_unit_test(test_name_given_to_another),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_span),
        cmocka_unit_test(test_default_span),
        cmocka_unit_test(test_default_span_before_a_neighbour),
        cmocka_unit_test(test_fixed_address_without_room),
        cmocka_unit_test(test_map_in_pieces),
        cmocka_unit_test(test_after_a_cut),
        cmocka_unit_test(test_guarded_from_nothing),
        cmocka_unit_test(test_the_guard_follows),
        cmocka_unit_test(test_readers_go_on),
        cmocka_unit_test(test_large_sparse_growth),
    };

    return run_test_list(list);
}
