/* SPDX-License-Identifier: MIT */
/*
 * layout - the bytes of a channel, as docs/internals/channel.md lists them.
 *
 * Offsets are plain numbers here on purpose: other programs, in other languages, are written from that page.
 */
#include "channels.h"

#include "share/share.h"

#include <errno.h>
#include <verso/digest.h>
#include <verso/lock.h>

#define RING ((uint64_t)4096)
#define WRITER(number) (1024 + 128 * (size_t)(number))
#define READER(number) (9088 + 256 * (size_t)(number))

enum {
    NOTHING,
    RESERVED,
    COMMITTED,
    VOID,
    TAKEN,
    DONE,
};

static uint64_t number_at(const unsigned char *bytes, size_t offset, size_t count)
{
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        value |= (uint64_t)bytes[offset + i] << (8 * i);
#else
        value = value << 8 | bytes[offset + i];
#endif
    return value;
}

/* ---- Where things lie, by the page alone ---- */

static unsigned char *plan_here(void)
{
    return verso_share_data(verso_channel_share(channel));
}

static unsigned char *lane_here(void)
{
    return plan_here() + number_at(plan_here(), 64, 8);
}

static unsigned char *ring_here(void)
{
    return plan_here() + number_at(plan_here(), 56, 8);
}

static uint64_t header(unsigned state, unsigned place, uint64_t length)
{
    return state | (uint64_t)place << 16 | length << 32;
}

static void expect_header(uint64_t position, unsigned state, unsigned place, uint64_t length)
{
    assert_int_equal(number_at(ring_here(), position % RING, 8), header(state, place, length));
}

/* The owner of a place, and the seat of a thread of this process. */
static uint64_t owner_here(void)
{
    const struct verso_share *share = verso_channel_share(channel);

    return (uint64_t)share->member_generation << 32 | (share->member + 1);
}

static uint64_t seat_here(void)
{
    const struct verso__share_seat *seat;

    assert_int_equal(verso__share_seat_of(plan_here(), &seat), 0);
    return (uint64_t)seat->generation << 32 | (seat->number + 1);
}

/* ---- The plan ---- */

static void make(const struct verso_channel_options *options)
{
    assert_ok(verso_channel_create(NULL, options, &channel));
}

static struct verso_channel_options options_of(enum verso_channel_kind kind)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = kind;
    options.capacity_bytes = RING;
    return options;
}

static void open_both(void)
{
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
}

static uint64_t checksum_of_plan(void)
{
    struct verso_digest_value value;
    uint64_t sum = 0;

    assert_ok(verso_digest_of(VERSO_DIGEST_XXH3_64, plan_here() + 8, 120, &value));
    assert_int_equal(value.bytes, 8);
    for (size_t i = 0; i < 8; i++)
        sum = sum << 8 | value.value[i];
    return sum;
}

static void test_plan(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    const unsigned char *plan;
    uint64_t page = verso_page_bytes(), lane = (28672 + page - 1) / page * page;

    (void)state;
    options.full = VERSO_CHANNEL_FULL_DROP_NEWEST;
    options.capacity_bytes = 100000;
    options.writers_most = 5;
    options.flags = VERSO_CHANNEL_LASTING;
    make(&options);
    assert_ok(verso_share_info(verso_channel_share(channel), &info));
    assert_string_equal(info.kind, "verso channel");
    assert_int_equal(info.version, 1);
    plan = plan_here();
    assert_int_equal(number_at(plan, 0, 8), checksum_of_plan());
    assert_int_equal(number_at(plan, 8, 4), 2);
    assert_int_equal(number_at(plan, 12, 4), 2);
    assert_int_equal(number_at(plan, 16, 4), 1);
    assert_int_equal(number_at(plan, 20, 4), 8);
    assert_int_equal(number_at(plan, 24, 8), 131072);
    assert_int_equal(number_at(plan, 32, 4), 5);
    assert_int_equal(number_at(plan, 36, 4), 1);
    assert_int_equal(number_at(plan, 40, 4), 0);
    assert_int_equal(number_at(plan, 44, 4), 0);
    assert_int_equal(number_at(plan, 48, 8), 0);
    assert_int_equal(number_at(plan, 56, 8), page + lane);
    assert_int_equal(number_at(plan, 64, 8), page);
    assert_int_equal(number_at(plan, 72, 8), lane);
    for (size_t i = 80; i < page; i++)
        assert_int_equal(plan[i], 0);
    assert_int_equal(info.bytes, number_at(plan, 56, 8) + 131072);
}

static void test_plan_of_each_kind(void **state)
{
    static const struct {
        enum verso_channel_kind kind;
        unsigned number;
        unsigned writers;
        unsigned readers;
        unsigned header_bytes;
    } kinds[] = { { VERSO_CHANNEL_KIND_ANY, 1, 1, 1, 8 },
                  { VERSO_CHANNEL_SPSC, 1, 1, 1, 8 },
                  { VERSO_CHANNEL_MPSC, 2, 16, 1, 8 },
                  { VERSO_CHANNEL_MPMC, 3, 16, 16, 8 },
                  { VERSO_CHANNEL_BROADCAST, 4, 16, 16, 16 } };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct verso_channel_options options = options_of(kinds[i].kind);

        make(&options);
        assert_int_equal(number_at(plan_here(), 8, 4), kinds[i].number);
        assert_int_equal(number_at(plan_here(), 12, 4), 0);
        assert_int_equal(number_at(plan_here(), 16, 4), 0);
        assert_int_equal(number_at(plan_here(), 20, 4), kinds[i].header_bytes);
        assert_int_equal(number_at(plan_here(), 32, 4), kinds[i].writers);
        assert_int_equal(number_at(plan_here(), 20, 4), kinds[i].number == 4 ? 16 : 8);
        assert_int_equal(number_at(plan_here(), 36, 4), kinds[i].readers);
        assert_int_equal(number_at(plan_here(), 0, 8), checksum_of_plan());
        (void)channel_drop(state);
    }
}

static void test_plan_with_clients(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPMC);
    uint64_t page = verso_page_bytes(), lane = (28672 + page - 1) / page * page;

    (void)state;
    options.full = VERSO_CHANNEL_FULL_REFUSE;
    options.flags = VERSO_CHANNEL_REDELIVER;
    options.readers_most = 7;
    options.clients_most = 3;
    options.answers_bytes = 5000;
    make(&options);
    assert_int_equal(number_at(plan_here(), 8, 4), 3);
    assert_int_equal(number_at(plan_here(), 12, 4), 1);
    assert_int_equal(number_at(plan_here(), 16, 4), 2);
    assert_int_equal(number_at(plan_here(), 36, 4), 7);
    assert_int_equal(number_at(plan_here(), 40, 4), 3);
    assert_int_equal(number_at(plan_here(), 48, 8), 8192);
    assert_int_equal(number_at(plan_here(), 56, 8), page + 4 * lane);
    assert_int_equal(number_at(plan_here(), 64, 8), page);
    assert_int_equal(verso_share_bytes(verso_channel_share(channel)), page + 4 * lane + RING + 3 * 8192);
}

/* Whatever is changed in it, nobody attaches; and what was attached before goes on. */
static void test_a_damaged_plan_is_refused(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_SPSC);
    struct verso_channel *other = NULL;
    struct verso_share *share;

    (void)state;
    make(&options);
    open_both();
    for (size_t i = 0; i < 128; i++) {
        plan_here()[i] ^= 1;
        assert_ok(verso_share_attach_descriptor(verso_share_descriptor(verso_channel_share(channel)), NULL, &share));
        assert_fails(verso_channel_attach_share(share, NULL, &other), VERSO_E_CORRUPT);
        assert_null(other);
        verso_share_close(share);
        plan_here()[i] ^= 1;
    }
    memset(plan_here(), 0xff, 128);
    assert_ok(verso_channel_send(writer, "on", 2, 0));
}

/* ---- Records ---- */

static void test_records_of_one_writer(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_SPSC);
    const struct verso_channel_part two[] = { { "1234567", 7 }, { "12345678", 8 } };
    size_t count;
    void *room;

    (void)state;
    make(&options);
    open_both();
    expect_header(0, NOTHING, 0, 0);
    assert_ok(verso_channel_send(writer, "abc", 3, 0));
    expect_header(0, COMMITTED, 0, 3);
    assert_memory_equal(ring_here() + 8, "abc", 3);
    expect_header(16, NOTHING, 0, 0);
    assert_ok(verso_channel_send(writer, NULL, 0, 0));
    expect_header(16, COMMITTED, 0, 0);
    assert_ok(verso_channel_send_many(writer, two, 2, 0, &count));
    expect_header(24, COMMITTED, 0, 7);
    expect_header(40, COMMITTED, 0, 8);
    assert_memory_equal(ring_here() + 48, "12345678", 8);
    expect_header(56, NOTHING, 0, 0);
    assert_ok(verso_channel_reserve(writer, 100, 0, &room));
    expect_header(56, NOTHING, 0, 0);
    memcpy(room, "xy", 2);
    assert_ok(verso_channel_commit(writer, 2));
    expect_header(56, COMMITTED, 0, 2);
    assert_memory_equal(ring_here() + 64, "xy", 2);
    expect_header(72, NOTHING, 0, 0);
    assert_int_equal(number_at(lane_here(), 8, 8), 72);
}

static void test_records_of_several_writers(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);
    struct verso_channel_writer *second;
    void *room;

    (void)state;
    make(&options);
    open_both();
    assert_ok(verso_channel_writer_open(channel, NULL, &second));
    assert_ok(verso_channel_send(second, "abc", 3, 0));
    expect_header(0, COMMITTED, 1, 3);
    assert_ok(verso_channel_reserve(second, 100, 0, &room));
    expect_header(16, RESERVED, 1, 100);
    expect_header(128, NOTHING, 0, 0);
    assert_int_equal(number_at(lane_here(), 8, 8), 128);
    assert_ok(verso_channel_commit(second, 2));
    expect_header(32, VOID, 1, 88);
    expect_header(16, COMMITTED, 1, 2);
    assert_int_equal(number_at(lane_here(), 544, 8), 0);
    assert_ok(verso_channel_reserve(writer, 5, 0, &room));
    expect_header(128, RESERVED, 0, 5);
    verso_channel_abandon(writer);
    expect_header(128, VOID, 0, 8);
    expect_header(144, NOTHING, 0, 0);
    assert_int_equal(number_at(lane_here(), 544, 8), 1);
}

/* A record over the end of the ring goes on at its beginning. */
static void test_a_record_over_the_end(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_SPSC);
    unsigned char data[4000];
    struct verso_channel_message message;

    (void)state;
    make(&options);
    open_both();
    memset(data, 'd', sizeof(data));
    assert_ok(verso_channel_send(writer, data, sizeof(data), 0));
    assert_ok(verso_channel_read(reader, data, sizeof(data), 0, &message));
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)i;
    assert_ok(verso_channel_send(writer, data, 200, 0));
    expect_header(4008, COMMITTED, 0, 200);
    assert_memory_equal(ring_here() + 4016, data, 80);
    assert_memory_equal(ring_here(), data + 80, 120);
    assert_int_equal(number_at(lane_here(), 8, 8), 4216);
    expect_header(4216, NOTHING, 0, 0);
}

static void test_records_that_are_taken(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPMC);
    struct verso_channel_message message;
    struct verso_channel_writer *second_writer;
    struct verso_channel_reader *second;

    (void)state;
    make(&options);
    open_both();
    assert_ok(verso_channel_writer_open(channel, NULL, &second_writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &second));
    assert_ok(verso_channel_send(second_writer, "abc", 3, 0));
    assert_ok(verso_channel_send(writer, "de", 2, 0));
    assert_ok(verso_channel_receive(second, 0, &message));
    expect_header(0, TAKEN | 1 << 8, 1, 3);
    assert_int_equal(number_at(lane_here(), 136, 8), 16);
    assert_ok(verso_channel_receive(reader, 0, &message));
    expect_header(16, TAKEN, 0, 2);
    assert_int_equal(number_at(lane_here(), 136, 8), 32);
    assert_ok(verso_channel_release(reader));
    expect_header(16, DONE, 0, 2);
    assert_int_equal(number_at(lane_here(), 144, 8), 0);
    assert_ok(verso_channel_release(second));
    expect_header(0, DONE, 1, 3);
    assert_int_equal(number_at(lane_here(), 144, 8), 32);
    assert_int_equal(number_at(lane_here(), READER(1) + 144, 8), 1);
    assert_int_equal(number_at(lane_here(), READER(1) + 152, 8), 3);
    assert_int_equal(number_at(lane_here(), READER(0) + 32, 8), 1);
    assert_int_equal(number_at(lane_here(), READER(1) + 32, 8), 2);
}

static void test_dropped_oldest(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_SPSC);
    unsigned char data[248] = { 0 };

    (void)state;
    options.full = VERSO_CHANNEL_FULL_DROP_OLDEST;
    make(&options);
    open_both();
    for (unsigned i = 0; i < 15; i++)
        assert_ok(verso_channel_send(writer, data, sizeof(data), 0));
    assert_int_equal(number_at(lane_here(), 560, 8), 0);
    assert_int_equal(number_at(lane_here(), 144, 8), 0);
    assert_ok(verso_channel_send(writer, data, sizeof(data), 0));
    assert_int_not_equal(number_at(lane_here(), 560, 8), 0);
    assert_int_equal(number_at(lane_here(), 144, 8), 256 * number_at(lane_here(), 560, 8));
    assert_int_equal(number_at(lane_here(), 8, 8), 16 * 256);
}

/* Each has its number between header and content; but for a VOID of 8 bytes. */
static void test_records_of_a_broadcast(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_BROADCAST);
    struct verso_channel_message message;
    struct verso_channel_reader *second;
    void *room;

    (void)state;
    make(&options);
    open_both();
    assert_ok(verso_channel_send(writer, "abc", 3, 0));
    assert_ok(verso_channel_send(writer, NULL, 0, 0));
    expect_header(0, COMMITTED, 0, 3);
    assert_int_equal(number_at(ring_here(), 8, 8), 0);
    assert_memory_equal(ring_here() + 16, "abc", 3);
    expect_header(24, COMMITTED, 0, 0);
    assert_int_equal(number_at(ring_here(), 32, 8), 1);
    assert_ok(verso_channel_reserve(writer, 100, 0, &room));
    expect_header(40, RESERVED, 0, 100);
    assert_int_equal(number_at(ring_here(), 48, 8), 2);
    assert_ok(verso_channel_commit(writer, 1));
    expect_header(40, COMMITTED, 0, 1);
    expect_header(64, VOID, 0, 88);
    assert_int_equal(number_at(ring_here(), 72, 8), UINT64_MAX);
    expect_header(160, NOTHING, 0, 0);
    assert_ok(verso_channel_reserve(writer, 8, 0, &room));
    assert_ok(verso_channel_commit(writer, 0));
    expect_header(160, COMMITTED, 0, 0);
    assert_int_equal(number_at(ring_here(), 168, 8), 3);
    expect_header(176, VOID, 0, 0);
    expect_header(184, NOTHING, 0, 0);
    assert_int_equal(number_at(lane_here(), 8, 8), 184);
    assert_int_equal(number_at(lane_here(), 24, 8), 4);
    assert_int_equal(number_at(lane_here(), 152, 8), 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &second));
    assert_int_equal(number_at(lane_here(), READER(1) + 128, 8), 184);
    assert_int_equal(number_at(lane_here(), READER(0) + 128, 8), 0);
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_ok(verso_channel_release(reader));
    assert_int_equal(number_at(lane_here(), READER(0) + 128, 8), 24);
    assert_int_equal(number_at(lane_here(), READER(0) + 144, 8), 1);
}

static void test_overwritten(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_BROADCAST);
    struct verso_channel_message message;
    unsigned char data[240] = { 0 };
    uint64_t oldest;

    (void)state;
    options.full = VERSO_CHANNEL_FULL_DROP_OLDEST;
    make(&options);
    open_both();
    for (unsigned i = 0; i < 20; i++)
        assert_ok(verso_channel_send(writer, data, sizeof(data), 0));
    oldest = number_at(lane_here(), 152, 8);
    assert_true(oldest >= 5 * 256 && oldest % 256 == 0);
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_int_equal(message.number, oldest / 256);
    assert_int_equal(number_at(lane_here(), READER(0) + 160, 8), oldest / 256);
    for (unsigned i = 0; i < 20; i++)
        assert_ok(verso_channel_send(writer, data, sizeof(data), 0));
    assert_fails(verso_channel_release(reader), VERSO_E_OVERRUN);
}

/* ---- Requests and answers ---- */

static void test_requests(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);
    struct verso_channel_client *client;
    struct verso_channel_message message;
    struct verso_channel_request request;
    const unsigned char *lane, *ring;
    uint64_t number, name;

    (void)state;
    options.clients_most = 2;
    options.answers_bytes = 1;
    make(&options);
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    lane = lane_here() + number_at(plan_here(), 72, 8);
    ring = ring_here() + RING;
    name = 1 | number_at(lane, 528, 8) << 32;
    assert_int_equal(number_at(lane, 528, 8), 1);
    assert_ok(verso_channel_ask(client, "2+3", 3, 0, &number));
    assert_int_equal(number_at(ring_here(), 0, 8), header(COMMITTED, 0, 24 + 3));
    assert_int_equal(number_at(ring_here(), 8, 8), UINT64_C(0x3f6b73616f737276));
    assert_int_equal(number_at(ring_here(), 16, 8), name);
    assert_int_equal(number_at(ring_here(), 24, 8), number);
    assert_memory_equal(ring_here() + 32, "2+3", 3);
    assert_int_equal(number_at(lane, 568, 8), number);
    assert_int_equal(number_at(lane, 25216 + 8 * (size_t)number, 8), number << 32);
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_int_equal(number_at(lane, 25216 + 8 * (size_t)number, 8), number << 32 | 1 << 7 | 1);
    assert_ok(verso_channel_request_of(&message, &request));
    assert_ok(verso_channel_answer(reader, &request, "5", 1, 0));
    assert_int_equal(number_at(ring, 0, 8), header(COMMITTED, 0, 16 + 1));
    assert_int_equal(number_at(ring, 8, 8), name);
    assert_int_equal(number_at(ring, 16, 8), number);
    assert_memory_equal(ring + 24, "5", 1);
    verso_channel_client_close(client);
}

/* ---- The lane ---- */

static void expect_place(size_t offset, uint64_t owner, uint64_t seat)
{
    assert_int_equal(number_at(lane_here(), offset, 8), owner);
    if (owner != 0)
        assert_int_equal(number_at(lane_here(), offset + 8, 8), seat);
}

static void test_places(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);
    struct verso_channel_writer *second;

    (void)state;
    make(&options);
    expect_place(WRITER(0), 0, 0);
    open_both();
    assert_ok(verso_channel_writer_open(channel, NULL, &second));
    expect_place(WRITER(0), owner_here(), seat_here());
    expect_place(WRITER(1), owner_here(), seat_here());
    expect_place(WRITER(2), 0, 0);
    expect_place(READER(0), owner_here(), seat_here());
    assert_int_equal(number_at(lane_here(), 512, 8), 2);
    assert_int_equal(number_at(lane_here(), 528, 8), 1);
    verso_channel_writer_close(writer);
    verso_channel_reader_close(reader);
    expect_place(WRITER(0), 0, 0);
    expect_place(WRITER(1), owner_here(), seat_here());
    expect_place(READER(0), 0, 0);
    assert_int_equal(number_at(lane_here(), 512, 8), 2);
}

static void test_counts_and_positions(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);
    struct verso_channel_message message;
    char text[8];

    (void)state;
    options.full = VERSO_CHANNEL_FULL_DROP_NEWEST;
    make(&options);
    open_both();
    assert_ok(verso_channel_send(writer, "abc", 3, 0));
    assert_ok(verso_channel_send(writer, "de", 2, 0));
    assert_int_equal(number_at(lane_here(), WRITER(0) + 16, 8), 2);
    assert_int_equal(number_at(lane_here(), WRITER(0) + 24, 8), 5);
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_int_equal(number_at(lane_here(), READER(0) + 128, 8), 0);
    assert_int_equal(number_at(lane_here(), READER(0) + 136, 8), 16);
    assert_ok(verso_channel_release(reader));
    assert_int_equal(number_at(lane_here(), READER(0) + 128, 8), 16);
    assert_ok(verso_channel_read(reader, text, sizeof(text), 0, NULL));
    assert_int_equal(number_at(lane_here(), READER(0) + 128, 8), 32);
    assert_int_equal(number_at(lane_here(), READER(0) + 144, 8), 2);
    assert_int_equal(number_at(lane_here(), READER(0) + 152, 8), 5);
    for (unsigned i = 0; i < 16; i++)
        assert_ok(verso_channel_send(writer, ring_here(), 240, 0));
    assert_int_equal(verso_channel_send(writer, ring_here(), 500, 0), VERSO_CHANNEL_DROPPED);
    assert_int_equal(number_at(lane_here(), WRITER(0) + 32, 8), 1);
    assert_int_equal(number_at(lane_here(), WRITER(0) + 16, 8), 18);
}

static void test_bells(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_SPSC);
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct verso_channel_message message;
    unsigned has_fences;

    (void)state;
    make(&options);
    open_both();
    assert_ok(verso_channel_info(channel, &info));
    has_fences = strcmp(info.barrier, "fence") == 0;
    assert_int_equal(number_at(lane_here(), 260, 4), has_fences);
    assert_int_equal(number_at(lane_here(), 388, 4), has_fences);
    assert_int_equal(number_at(lane_here(), 256, 4), 0);
    while (number_at(lane_here(), READER(0) + 16, 8) == 0) /* on a busy machine the time is over before it sleeps */
        assert_fails(verso_channel_receive(reader, 1, &message), -ETIMEDOUT);
    assert_int_equal(number_at(lane_here(), 256, 4), 1);
    assert_ok(verso_channel_send(writer, "abc", 3, 0));
    assert_int_equal(number_at(lane_here(), 256, 4), 2);
    assert_ok(verso_channel_send(writer, ring_here(), RING - 16 - 16, 0));
    while (number_at(lane_here(), WRITER(0) + 40, 8) == 0)
        assert_fails(verso_channel_send(writer, ring_here(), 200, 1), -ETIMEDOUT);
    assert_int_equal(number_at(lane_here(), 384, 4), 1);
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_ok(verso_channel_release(reader));
    assert_int_equal(number_at(lane_here(), 384, 4), 2);
}

static void test_armed(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPMC);
    struct verso_channel_reader *second;
    int fd;

    (void)state;
    make(&options);
    open_both();
    assert_ok(verso_channel_reader_open(channel, NULL, &second));
    assert_ok(verso_channel_descriptor(second, &fd));
    assert_int_equal(verso_channel_arm(second), 0);
    assert_int_equal(number_at(lane_here(), 272, 8), 1 << 1);
    assert_int_equal(number_at(lane_here(), 256, 4) & 1, 1);
    assert_ok(verso_channel_send(writer, ring_here(), RING - 16, 0));
    assert_int_equal(number_at(lane_here(), 272, 8), 0);
    assert_ok(verso_channel_writer_descriptor(writer, &fd));
    assert_fails(verso_channel_send(writer, "x", 1, 0), -EAGAIN);
    assert_int_equal(verso_channel_writer_arm(writer), 0);
    assert_int_equal(number_at(lane_here(), 400, 8), 1);
}

/* The position for which a writer sleeps: that an eighth of the ring is free. */
static void test_wanted(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_SPSC);
    unsigned char data[RING];

    (void)state;
    make(&options);
    open_both();
    memset(data, 0, sizeof(data));
    assert_ok(verso_channel_send(writer, data, RING - 16, 0));
    assert_fails(verso_channel_send(writer, data, 8, 1), -ETIMEDOUT);
    /* Later sleeps of the same wait are content with any room: the first one's number, or 0. */
    assert_true(number_at(lane_here(), 392, 8) == RING - 8 + RING / 8 - RING || number_at(lane_here(), 392, 8) == 0);
}

static int die_sending(void *arg)
{
    struct verso_channel_writer *own;
    void *room;

    (void)arg;
    if (verso_channel_writer_open(channel, NULL, &own) < 0 || verso_channel_reserve(own, 9, 0, &room) < 0)
        return 1;
    (void)raise(SIGKILL);
    return 2;
}

static int die_receiving(void *arg)
{
    struct verso_channel_reader *own;
    struct verso_channel_message message;

    (void)arg;
    if (verso_channel_reader_open(channel, NULL, &own) < 0 || verso_channel_receive(own, 0, &message) < 0)
        return 1;
    (void)raise(SIGKILL);
    return 2;
}

static void test_the_dead(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);
    struct verso_channel_message message;

    (void)state;
    make(&options);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_send(writer, "abc", 3, 0));
    assert_true(WIFSIGNALED(child_wait(child_start(die_receiving, NULL))));
    assert_int_equal(number_at(lane_here(), READER(0) + 136, 8), 16);
    assert_int_equal(number_at(lane_here(), READER(0) + 128, 8), 0);
    assert_true(WIFSIGNALED(child_wait(child_start(die_sending, NULL))));
    expect_header(16, RESERVED, 1, 9);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_int_equal(number_at(lane_here(), 536, 8), 1);
    assert_int_equal(number_at(lane_here(), 552, 8), 1);
    assert_int_equal(number_at(lane_here(), READER(0) + 128, 8), 16);
    assert_fails(verso_channel_receive(reader, 5000, &message), VERSO_E_PEER_DIED);
    assert_int_equal(number_at(lane_here(), 520, 8), 1);
    assert_int_equal(number_at(lane_here(), 544, 8), 1);
    expect_header(16, VOID, 1, 16);
    expect_place(WRITER(1), 0, 0);
}

/* ---- Locks: what they guard waits for who has them ---- */

static int ends[2];

/* Keeps the lock at an offset of the lane, and says so. */
static int keep(void *arg)
{
    struct verso_mutex *mutex = (struct verso_mutex *)(void *)(lane_here() + *(const size_t *)arg);

    if (verso_mutex_lock(mutex, 0) < 0 || write(ends[1], "k", 1) != 1)
        return 1;
    for (;;)
        (void)pause();
}

static pid_t keeper_start(size_t offset)
{
    pid_t keeper;
    char word;

    assert_int_equal(pipe(ends), 0);
    keeper = child_start(keep, &offset);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(read(ends[0], &word, 1), 1);
    assert_int_equal(close(ends[0]), 0);
    return keeper;
}

static void test_claim(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);
    struct verso_channel_writer *other;
    pid_t keeper;

    (void)state;
    make(&options);
    open_both();
    keeper = keeper_start(0);
    assert_fails(verso_channel_send(writer, "abc", 3, 0), -EAGAIN);
    assert_fails(verso_channel_send(writer, "abc", 3, 1), -ETIMEDOUT);
    assert_fails(verso_channel_writer_open(channel, NULL, &other), -EBUSY);
    expect_header(0, NOTHING, 0, 0);
    child_kill(keeper);
    assert_ok(verso_channel_send(writer, "abc", 3, 0));
}

static void test_take(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);
    pid_t keeper;

    (void)state;
    make(&options);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    keeper = keeper_start(128);
    assert_fails(verso_channel_reader_open(channel, NULL, &reader), -EBUSY);
    assert_ok(verso_channel_send(writer, "abc", 3, 0));
    child_kill(keeper);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
}

/* Our own name in a lock that we don't have: somebody has written it there. */
static void test_a_lock_with_our_name(void **state)
{
    struct verso_channel_options options = options_of(VERSO_CHANNEL_MPSC);

    (void)state;
    make(&options);
    open_both();
    assert_ok(verso_mutex_lock((struct verso_mutex *)(void *)lane_here(), 0));
    assert_fails(verso_channel_send(writer, "abc", 3, -1), VERSO_E_CORRUPT);
    assert_ok(verso_mutex_unlock((struct verso_mutex *)(void *)lane_here()));
    assert_ok(verso_channel_send(writer, "abc", 3, -1));
}

int main(void)
{
    const struct CMUnitTest list[] = {
        channel_test(test_plan),
        channel_test(test_plan_of_each_kind),
        channel_test(test_plan_with_clients),
        channel_test(test_a_damaged_plan_is_refused),
        channel_test(test_records_of_one_writer),
        channel_test(test_records_of_several_writers),
        channel_test(test_a_record_over_the_end),
        channel_test(test_records_that_are_taken),
        channel_test(test_dropped_oldest),
        channel_test(test_records_of_a_broadcast),
        channel_test(test_overwritten),
        channel_test(test_requests),
        channel_test(test_places),
        channel_test(test_counts_and_positions),
        channel_test(test_bells),
        channel_test(test_wanted),
        channel_test(test_armed),
        channel_test(test_the_dead),
        channel_test(test_claim),
        channel_test(test_take),
        channel_test(test_a_lock_with_our_name),
    };

    return run_test_list(list);
}
