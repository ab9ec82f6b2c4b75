/* SPDX-License-Identifier: MIT */
/* map change - resize and sync, with every call beneath them failing in turn. */
#include "map_steps.h"

#include <string.h>

/*
 * Resizes; a failure leaves size, address and content of the map, and the file's size. When more than one call was
 * refused, giving the size back may have been among them.
 */
static void resized(struct verso_map *map, const char *path, uint64_t bytes)
{
    size_t before = verso_map_bytes(map);
    void *data = verso_map_data(map);
    uint64_t file_before = file_bytes(path);
    size_t known = before < FILE_BYTES ? before : FILE_BYTES;

    attempt(verso_map_resize(map, bytes))
    {
        assert_int_equal(verso_map_bytes(map), before);
        assert_ptr_equal(verso_map_data(map), data);
        if (bytes >= before) /* pages behind a file's end can't be looked at */
            assert_true(support_matches(data, 0, known));
        if (torture_refusals() == 1)
            assert_int_equal(file_bytes(path), file_before);
    }
    assert_int_equal(verso_map_bytes(map), bytes);
    assert_int_equal(file_bytes(path), bytes);
    known = bytes < known ? bytes : known;
    assert_true(support_matches(verso_map_data(map), 0, known));
}

/* All that is behind the old end reads as zeros and takes stores. */
static void grown_is_usable(struct verso_map *map, size_t from)
{
    unsigned char *data = verso_map_data(map);
    size_t bytes = verso_map_bytes(map);

    for (size_t at = from; at < bytes; at += verso_page_bytes())
        assert_int_equal(data[at], 0);
    data[bytes - 1] = 'x';
    data[bytes - 1] = 0;
}

static void up_and_down(unsigned flags)
{
    struct verso_map_options options = with(VERSO_MAP_WRITE | flags);
    const char *path = support_file("file", FILE_BYTES);
    struct verso_map *map;

    map = opened(path, &options);
    resized(map, path, FILE_BYTES + 1);
    resized(map, path, 3 * FILE_BYTES);
    grown_is_usable(map, FILE_BYTES);
    resized(map, path, 3 * FILE_BYTES);
    resized(map, path, 5000);
    resized(map, path, 0);
    resized(map, path, 2 * verso_page_bytes());
    grown_is_usable(map, 0);
    verso_map_close(map);
}

static void resize_with_a_span(void)
{
    up_and_down(VERSO_MAP_GROW);
}
TORTURE(resize_with_a_span)

static void resize_that_moves(void)
{
    up_and_down(0);
}
TORTURE(resize_that_moves)

static void resize_sparse(void)
{
    up_and_down(VERSO_MAP_SPARSE | VERSO_MAP_KEEP_FD);
}
TORTURE(resize_sparse)

static void resize_dressed(void)
{
    up_and_down(VERSO_MAP_GROW | VERSO_MAP_POPULATE | VERSO_MAP_LOCK | VERSO_MAP_NO_CORE | VERSO_MAP_NO_FORK);
}
TORTURE(resize_dressed)

static void resize_dressed_that_moves(void)
{
    up_and_down(VERSO_MAP_POPULATE | VERSO_MAP_LOCK | VERSO_MAP_HUGE);
}
TORTURE(resize_dressed_that_moves)

/* Advice to a part makes several mappings of one, which mremap does not stretch. */
static void resize_in_pieces(void)
{
    struct verso_map_options options = with(VERSO_MAP_WRITE | VERSO_MAP_LOCK);
    const char *path = support_file("file", FILE_BYTES);
    struct verso_map *map = opened(path, &options);

    attempt(verso_map_advise(map, verso_page_bytes(), verso_page_bytes(), VERSO_MAP_ADVICE_RANDOM)) continue;
    resized(map, path, 3 * FILE_BYTES);
    grown_is_usable(map, FILE_BYTES);
    verso_map_close(map);
}
TORTURE(resize_in_pieces)

static void resize_from_nothing(void)
{
    struct verso_map_options options = with(VERSO_MAP_WRITE | VERSO_MAP_GROW | VERSO_MAP_CREATE);
    const char *path = support_path("made");
    struct verso_map *map;

    options.span_bytes = 1 << 20;
    map = opened(path, &options);
    attempt(verso_map_resize(map, 5000)) assert_int_equal(verso_map_bytes(map), 0);
    grown_is_usable(map, 0);
    assert_fails(verso_map_resize(map, (1 << 20) + 1), VERSO_E_SPAN);
    assert_int_equal(verso_map_bytes(map), 5000);
    verso_map_close(map);
    assert_int_equal(unlink(path), 0);
}
TORTURE(resize_from_nothing)

/* ---- Sync ---- */

/*
 * A sync that fails because the storage did poisons the map: each later one says so, with the cause. One that fails for
 * another reason (no descriptor to be had) works the next time. Answers whether the map is poisoned.
 */
static bool synced(struct verso_map *map, uint64_t offset, uint64_t length, enum verso_map_sync_level level)
{
    for (unsigned failures = fake_failures(), tries = 0;;) {
        int r = verso_map_sync(map, offset, length, level);
        int poison = info_of(map).poison;

        if (poison) {
            assert_int_equal(r, poison);
            assert_fails(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_START), VERSO_E_POISONED);
            assert_int_equal(verso_error_last()->cause, poison);
            return true;
        }
        if (r == -EIO || r == -ENOSPC) /* the storage's own answer; other calls' refusals come as other codes */
            assert_int_not_equal(strncmp(fake_failed_call(), "sync_", 5), 0);
        if (torture_judge(r, &failures, &tries, "verso_map_sync", __FILE__, __LINE__))
            return false;
    }
}

static void sync_levels(unsigned flags)
{
    struct verso_map *map = opened_file(VERSO_MAP_WRITE | flags);
    bool poisoned;

    ((unsigned char *)verso_map_data(map))[70000] = support_byte(70000);
    poisoned = synced(map, 5000, 70000, VERSO_MAP_SYNC_START) || synced(map, 69999, 2, VERSO_MAP_SYNC_DATA) ||
               synced(map, 0, 0, VERSO_MAP_SYNC_FULL);
    assert_true(!poisoned || torture_refusals());
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
}

static void sync_with_a_descriptor(void)
{
    sync_levels(VERSO_MAP_KEEP_FD);
}
TORTURE(sync_with_a_descriptor)

static void sync_by_name(void)
{
    sync_levels(0);
}
TORTURE(sync_by_name)

static void sync_an_empty_map(void)
{
    struct verso_map_options options = with(VERSO_MAP_WRITE | VERSO_MAP_GROW);
    struct verso_map *map = opened(support_file("file", 0), &options);

    (void)(synced(map, 0, 0, VERSO_MAP_SYNC_DATA) || synced(map, 0, 0, VERSO_MAP_SYNC_FULL));
    verso_map_close(map);
}
TORTURE(sync_an_empty_map)

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_resize_with_a_span),
        torture_test(test_resize_that_moves),
        torture_test(test_resize_sparse),
        torture_test(test_resize_dressed),
        torture_test(test_resize_dressed_that_moves),
        torture_test(test_resize_in_pieces),
        torture_test(test_resize_from_nothing),
        torture_test(test_sync_with_a_descriptor),
        torture_test(test_sync_by_name),
        torture_test(test_sync_an_empty_map),
    };

    return run_test_list(list);
}
