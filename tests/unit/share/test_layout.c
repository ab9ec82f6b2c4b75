/* SPDX-License-Identifier: MIT */
/*
 * layout - the bytes of a region, as docs/internals/shared-memory.md lists them.
 *
 * Offsets are plain numbers here on purpose: other programs, in other languages, are written from that page.
 */
#include "regions.h"

static uint64_t number_at(const unsigned char *file, size_t offset, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        value |= (uint64_t)file[offset + i] << (8 * i);
#else
        value = value << 8 | file[offset + i];
#endif
    return value;
}

static void test_header(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;
    const unsigned char *file;
    uint64_t page = verso_page_bytes();

    (void)state;
    options.kind = "prices";
    options.version = 5;
    options.layout = UINT64_C(0x1122334455667788);
    options.most_bytes = 70000;
    options.member_count = 40;
    options.seat_count = 3;
    options.flags = VERSO_SHARE_KEEP;
    assert_ok(verso_share_create(support_path("l"), 5000, &options, &share));
    file = share->base;
    assert_int_equal(number_at(file, 0, 8), UINT64_C(0x4552414853535256));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    assert_memory_equal(file, "VRSSHARE", 8);
#endif
    assert_int_equal(number_at(file, 8, 4), 0x01020304);
    assert_int_equal(number_at(file, 12, 4), 1);
    assert_int_equal(number_at(file, 24, 8), share->span_bytes);
    assert_int_equal(number_at(file, 32, 8), (unsigned char *)verso_share_data(share) - file);
    assert_int_equal(number_at(file, 40, 8), 70000);
    assert_int_equal(number_at(file, 48, 8), page);
    assert_int_equal(number_at(file, 56, 8), page + (40 * 128 + page - 1) / page * page);
    assert_int_equal(number_at(file, 64, 4), page);
    assert_int_equal(number_at(file, 68, 4), 40);
    assert_int_equal(number_at(file, 72, 4), 3);
    assert_int_equal(number_at(file, 76, 4), 8);
    assert_int_equal(number_at(file, 80, 4), 5);
    assert_int_equal(number_at(file, 84, 4), getpid());
    assert_int_equal(number_at(file, 88, 8), UINT64_C(0x1122334455667788));
    assert_int_equal(number_at(file, 96, 8), share->made.created_ns);
    assert_string_equal(file + 104, "prices");
    assert_int_equal(number_at(file, 256, 8), 5000);
    assert_int_equal(number_at(file, 264, 4), 0);
    assert_int_equal(number_at(file, 32, 8), number_at(file, 56, 8) + 3 * page);
    verso_share_close(share);
    assert_ok(verso_share_remove(support_path("l")));
}

static void test_member(void **state)
{
    struct verso_share *share = made(support_path("l"), 10), *second = attached(support_path("l"));
    const unsigned char *member = share->base + verso_page_bytes() + 128;
    struct verso__os_life_mark mark;

    (void)state;
    verso__os_life_mark(&mark);
    assert_int_equal(second->member, 1);
    assert_int_equal(number_at(member, 0, 4), getpid());
    assert_int_equal(number_at(member, 4, 4), geteuid());
    assert_int_equal(number_at(member, 8, 8), mark.start_ticks);
    assert_int_equal(number_at(member, 16, 8), mark.namespace);
    assert_int_not_equal(number_at(member, 24, 8), 0);
    assert_int_equal(number_at(member, 32, 4), 1);
    assert_int_not_equal(member[40], 0);
    verso_share_close(second);
    assert_int_equal(number_at(member, 0, 4), 0);
    assert_int_equal(number_at(member, 32, 4), 1);
    verso_share_close(share);
}

static void test_seat(void **state)
{
    struct verso_share *share = made(support_path("l"), 10);
    const unsigned char *page = share->base + share->made.seats_offset;
    const struct verso__share_seat *seat;
    size_t keep_bytes;

    (void)state;
    assert_int_equal(verso__share_seat_of(verso_share_data(share), &seat), 0);
    assert_int_equal(number_at(share->base, 264, 4), 1);
    assert_int_equal(number_at(page, 0, 4), 1);
    assert_int_equal(number_at(page, 4, 4), share->member + 1);
    assert_int_equal(number_at(page, 8, 4), share->member_generation);
    assert_int_equal(number_at(page, 12, 4), gettid());
    assert_int_not_equal(number_at(page, 16, 8), 0);
    assert_int_equal(number_at(page, 24, 4), 1);
    assert_int_equal(number_at(page, verso_page_bytes() - 8, 4), (uint64_t)gettid() | 0x80000000);
    assert_ptr_equal(verso__share_seat_keep(share, 0, &keep_bytes), page + 64);
    assert_int_equal(keep_bytes, verso_page_bytes() - 128);
    assert_null(verso__share_seat_keep(share, 1, &keep_bytes));
    assert_null(verso__share_seat_keep(share, UINT32_MAX, &keep_bytes));
    verso_share_close(share);
}

/* Which bytes are locked: asked of the kernel through an open file of another. */
static void test_locks(void **state)
{
    const uint64_t base = UINT64_C(1) << 62;
    struct verso_share_options look = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share = made(support_path("l"), 10), *reader;
    const struct verso__share_seat *seat;
    int fd = open(support_path("l"), O_RDWR | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(verso__os_bytes_are_locked(fd, base, 6), 0);
    assert_int_equal(verso__os_bytes_are_locked(fd, base + (1 << 20), 1), 1);
    assert_int_equal(verso__os_bytes_are_locked(fd, base + (1 << 20) + 1, 100000), 0);
    assert_int_equal(verso__os_bytes_are_locked(fd, base + (2 << 20), 100000), 0);
    assert_int_equal(verso__share_seat_of(verso_share_data(share), &seat), 0);
    assert_int_equal(verso__os_bytes_are_locked(fd, base + (2 << 20), 1), 1);
    look.flags = VERSO_SHARE_READ_ONLY;
    assert_ok(verso_share_attach(support_path("l"), &look, &reader));
    assert_int_equal(verso__os_bytes_are_locked(fd, base + 4, 1), 1);
    assert_int_equal(verso__os_bytes_are_locked(fd, base, 4), 0);
    verso_share_close(reader);
    verso_share_close(share);
    assert_int_equal(verso__os_bytes_are_locked(fd, 0, INT64_MAX), 0);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_member),
        cmocka_unit_test(test_seat),
        cmocka_unit_test(test_locks),
    };

    return run_test_list(list);
}
