/* SPDX-License-Identifier: MIT */
/* resize - longer and shorter, in place and elsewhere, with what was there still there. */
#include "spans.h"

#include "os/os.h"

#include <sys/mman.h>
#include <verso/guard.h>

static struct verso_pages *opened_at(void *address, size_t count, unsigned flags)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;

    options.address = address;
    options.flags = flags;
    assert_ok(verso_pages_open(count * verso_page_bytes(), &options, &pages));
    return pages;
}

/* A free place of @count pages, by address. */
static unsigned char *free_place(size_t count)
{
    size_t bytes = count * verso_page_bytes();
    void *place = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_ptr_not_equal(place, MAP_FAILED);
    assert_int_equal(munmap(place, bytes), 0);
    return place;
}

static void in_place(unsigned flags)
{
    size_t page = verso_page_bytes(), guard = flags & VERSO_PAGES_GUARD_ENDS ? page : 0;
    struct verso_pages *pages = opened_at(free_place(100) + page, 4, flags);
    unsigned char *data = data_of(pages);

    if (!(flags & VERSO_PAGES_COMMIT))
        assert_ok(verso_pages_commit(pages, 0, 4 * page));
    memset(data, 1, 4 * page);
    assert_ok(verso_pages_resize(pages, 8 * page - 1, 0));
    assert_int_equal(verso_pages_bytes(pages), 8 * page);
    assert_ptr_equal(data_of(pages), data);
    assert_true(is_filled(data, 4 * page, 1));
    if (flags & VERSO_PAGES_COMMIT)
        assert_true(is_filled(data + 4 * page, 4 * page, 0));
    else
        assert_no_read(data + 4 * page);
    assert_ok(verso_pages_commit(pages, 4 * page, 4 * page));
    memset(data + 4 * page, 2, 4 * page);
    assert_ok(verso_pages_resize(pages, 6 * page, 0));
    assert_true(is_filled(data + 4 * page, 2 * page, 2));
    assert_no_read(data + 6 * page);
    if (guard == 0)
        assert_ptr_not_equal(
            mmap(data + 6 * page, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
            MAP_FAILED); /* given back */
    assert_fails(verso_pages_commit(pages, 6 * page, page), VERSO_E_RANGE);
    if (guard == 0) {
        assert_fails(verso_pages_resize(pages, 7 * page, 0), VERSO_E_SPAN);
        assert_int_equal(munmap(data + 6 * page, page), 0);
    }
    assert_ok(verso_pages_resize(pages, 7 * page, 0));
    assert_ok(verso_pages_commit(pages, 6 * page, page));
    assert_true(is_filled(data + 6 * page, page, 0)); /* what was cut off is gone */
    if (guard)
        assert_no_read(data + 7 * page);
    assert_ok(verso_pages_resize(pages, 1, 0));
    assert_int_equal(verso_pages_bytes(pages), page);
    assert_true(is_filled(data, page, 1));
    assert_ok(verso_pages_resize(pages, page, 1));
    verso_pages_close(pages);
}

static void test_in_place(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers map what they like where they like");
    in_place(0);
    in_place(VERSO_PAGES_GUARD_ENDS);
    in_place(VERSO_PAGES_COMMIT);
    in_place(VERSO_PAGES_COMMIT | VERSO_PAGES_GUARD_ENDS);
}

/* A span that something stands behind. */
static struct verso_pages *opened_blocked(size_t count, unsigned flags, struct verso_pages **out_behind)
{
    size_t page = verso_page_bytes(), guard = flags & VERSO_PAGES_GUARD_ENDS ? page : 0;
    unsigned char *place = free_place(count + 4);
    struct verso_pages *pages = opened_at(place + guard, count, flags);

    *out_behind = opened_at(place + count * page + 2 * guard, 1, VERSO_PAGES_COMMIT);
    *data_of(*out_behind) = 99;
    return pages;
}

static void moved(unsigned flags)
{
    size_t page = verso_page_bytes();
    struct verso_pages *behind, *pages = opened_blocked(8, flags, &behind);
    unsigned char *data = data_of(pages);

    assert_ok(verso_pages_commit(pages, page, 3 * page));
    memset(data + page, 7, 3 * page);
    assert_fails(verso_pages_resize(pages, 16 * page, 0), VERSO_E_SPAN);
    assert_ptr_equal(data_of(pages), data);
    assert_int_equal(verso_pages_bytes(pages), 8 * page);
    assert_ok(verso_pages_resize(pages, 4096 * page, 1));
    assert_ptr_not_equal(data_of(pages), data);
    data = data_of(pages);
    assert_true(is_filled(data + page, 3 * page, 7));
    if (flags & VERSO_PAGES_COMMIT)
        data[4096 * page - 1] = data[8 * page] = 1;
    else
        assert_no_read(data + 4 * page);
    assert_ok(verso_pages_commit(pages, 0, 4096 * page));
    assert_true(is_filled(data + page, 3 * page, 7));
    assert_int_equal(data[5 * page], 0);
    if (flags & VERSO_PAGES_GUARD_ENDS) {
        assert_no_read(data - 1);
        assert_no_read(data + 4096 * page);
    }
    assert_int_equal(*data_of(behind), 99);
    verso_pages_close(behind);
    verso_pages_close(pages);
}

static void test_elsewhere(void **state)
{
    (void)state;
    moved(0);
    moved(VERSO_PAGES_GUARD_ENDS);
    moved(VERSO_PAGES_COMMIT);
    moved(VERSO_PAGES_COMMIT | VERSO_PAGES_GUARD_ENDS);
}

static void test_what_is_empty_moves_too(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *behind, *pages = opened_blocked(2, 0, &behind);

    (void)state;
    assert_ok(verso_pages_resize(pages, 100 * page, 1));
    assert_ok(verso_pages_commit(pages, 99 * page, page));
    data_of(pages)[100 * page - 1] = 1;
    verso_pages_close(pages);
    verso_pages_close(behind);
}

/* Several mappings, and guards that only the page table knows: in one call, where the kernel can. */
static void test_guards_move_along(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *behind, *pages = opened_blocked(8, VERSO_PAGES_GUARD_ENDS, &behind);
    unsigned char *data = data_of(pages);
    int r;

    (void)state;
    assert_ok(verso_pages_guard(pages, 0, page));
    assert_ok(verso_pages_commit(pages, page, page));
    assert_ok(verso_pages_commit(pages, 4 * page, 2 * page));
    assert_ok(verso_pages_guard(pages, 5 * page, 2 * page));
    memset(data + page, 1, page);
    memset(data + 4 * page, 2, page);
    r = verso_pages_resize(pages, 1000 * page, 1);
    if (r == VERSO_E_SPAN) {
        assert_ptr_equal(data_of(pages), data);
        assert_true(is_filled(data + page, page, 1));
    } else {
        assert_ok(r);
        data = data_of(pages);
        assert_true(is_filled(data + page, page, 1));
        assert_true(is_filled(data + 4 * page, page, 2));
        assert_no_read(data + 2 * page);
        assert_no_read(data + 5 * page);
        assert_ok(verso_pages_commit(pages, 0, 1000 * page));
        assert_no_read(data);
        assert_no_read(data + 6 * page);
        data[7 * page] = 1;
    }
    verso_pages_close(pages);
    verso_pages_close(behind);
    if (r == VERSO_E_SPAN)
        skip_because("this kernel moves one mapping at a time");
}

static void test_alignment_is_kept(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t page = verso_page_bytes(), align = (size_t)4 << 20;
    struct verso_pages *pages;

    (void)state;
    options.align_bytes = align;
    options.flags = VERSO_PAGES_COMMIT | VERSO_PAGES_GUARD_ENDS;
    assert_ok(verso_pages_open(page, &options, &pages));
    for (size_t bytes = page; bytes < (size_t)32 << 20; bytes *= 2) {
        assert_ok(verso_pages_resize(pages, bytes, 1));
        assert_int_equal((uintptr_t)verso_pages_data(pages) % align, 0);
        data_of(pages)[bytes - 1] = 1;
    }
    verso_pages_close(pages);
}

static void test_what_can_not_be_resized(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_SHARED, VERSO_PAGES_COMMIT | VERSO_PAGES_GUARD_ENDS);
    unsigned char *data = data_of(pages);

    (void)state;
    memset(data, 1, 4 * page);
    assert_fails(verso_pages_resize(pages, 5 * page, 1), VERSO_E_UNSUPPORTED);
    assert_ok(verso_pages_resize(pages, 2 * page, 0));
    assert_true(is_filled(data, 2 * page, 1));
    assert_no_read(data + 2 * page);
    assert_fails(verso_pages_resize(pages, 4 * page, 0), VERSO_E_UNSUPPORTED);
    assert_fails(verso_pages_resize(pages, 0, 0), VERSO_E_RANGE);
    assert_fails(verso_pages_resize(pages, UINT64_MAX, 0), VERSO_E_OVERFLOW);
    assert_fails(verso_pages_resize(pages, UINT64_MAX / 2 + 1, 0), VERSO_E_OVERFLOW);
    verso_pages_close(pages);
    pages = opened(1, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    *data_of(pages) = 7;
    assert_fails(verso_pages_resize(pages, UINT64_C(1) << (sizeof(void *) * 8 - 2), 1), -ENOMEM);
    assert_int_equal(*data_of(pages), 7);
    verso_pages_close(pages);
}

static void test_droppable_grows(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t page = verso_page_bytes();
    struct verso_pages *pages;
    int r;

    (void)state;
    options.kind = VERSO_PAGES_DROPPABLE;
    options.flags = VERSO_PAGES_GUARD_ENDS | VERSO_PAGES_COMMIT;
    r = verso_pages_open(page, &options, &pages);
    if (r == VERSO_E_UNSUPPORTED)
        skip_because("no MAP_DROPPABLE here");
    assert_ok(r);
    for (size_t count = 2; count < 200; count *= 2) {
        assert_ok(verso_pages_resize(pages, count * page, 1));
        memset(data_of(pages), 1, count * page);
        assert_no_read(data_of(pages) + count * page);
    }
    verso_pages_close(pages);
}

/* More than lies between the span and the end of all addresses; elsewhere there is room. */
static void test_past_the_end_of_addresses(void **state)
{
#if UINTPTR_MAX > UINT32_MAX
    struct verso_pages *pages = opened(1, VERSO_PAGES_PRIVATE, 0);
    uint64_t bytes = verso__os_address_space_bytes() / 4;
    void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)state;
    if (room == MAP_FAILED) {
        verso_pages_close(pages);
        skip_because("so many addresses can't be had here");
    }
    assert_int_equal(munmap(room, bytes), 0);
    if (bytes < verso__os_address_space_bytes() - (uintptr_t)data_of(pages)) {
        verso_pages_close(pages);
        skip_because("the kernel puts spans low here");
    }
    assert_fails(verso_pages_resize(pages, bytes, 0), VERSO_E_SPAN);
    assert_ok(verso_pages_resize(pages, bytes, 1));
    assert_int_equal(verso_pages_bytes(pages), bytes);
    verso_pages_close(pages);
#else
    (void)state;
    skip_because("addresses of 32 bits are too few");
#endif
}

/* The kernel moves mapping by mapping, and refuses those that are watched when it comes to them. */
static void test_moved_half_way_and_back(void **state)
{
    size_t page = verso_page_bytes();
    unsigned char *place = free_place(200);
    struct verso_pages *pages = opened_at(place, 16, 0);
    unsigned char *data = data_of(pages);
    int watch;

    (void)state;
    assert_ptr_not_equal(
        mmap(place + 16 * page, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), MAP_FAILED);
    assert_ok(verso_pages_commit(pages, page, 3 * page));
    assert_ok(verso_pages_commit(pages, 8 * page, 4 * page));
    memset(data + page, 1, 3 * page);
    memset(data + 8 * page, 2, 4 * page);
    if (verso__os_write_watch_open(&watch) < 0)
        skip_because("nothing can be watched here");
    assert_int_equal(verso__os_write_watch_add(watch, data + 8 * page, 4 * page), 0);
    assert_fails(verso_pages_resize(pages, 64 * page, 1), VERSO_E_SPAN);
    assert_ptr_equal(data_of(pages), data);
    assert_int_equal(verso_pages_bytes(pages), 16 * page);
    assert_true(is_filled(data + page, 3 * page, 1));
    assert_true(is_filled(data + 8 * page, 4 * page, 2));
    assert_no_read(data);
    assert_no_read(data + 4 * page);
    verso__os_close(watch);
    assert_ok(verso_pages_commit(pages, 0, 16 * page));
    assert_ok(verso_pages_resize(pages, 64 * page, 1)); /* one mapping, or a kernel that moves several */
    assert_true(is_filled(data_of(pages) + page, 3 * page, 1));
    verso_pages_close(pages);
    assert_int_equal(munmap(place + 16 * page, page), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_what_is_empty_moves_too),
        cmocka_unit_test(test_guards_move_along),
        cmocka_unit_test(test_alignment_is_kept),
        cmocka_unit_test(test_what_can_not_be_resized),
        cmocka_unit_test(test_droppable_grows),
        cmocka_unit_test(test_past_the_end_of_addresses),
        cmocka_unit_test(test_moved_half_way_and_back),
    };

    return run_test_list(list);
}
