/* SPDX-License-Identifier: MIT */
/*
 * channel-each-kills - writers and readers of a BROADCAST are killed at random, and others take their place.
 *
 * One reader lives through all of it, and sees that each writer's messages come whole, once and in order; that none is
 * missing whose send had returned, or that as many are told to be lost; and that nobody is held up by the dead.
 */
#include "../unit/channel/channels.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define WRITERS 2
#define READERS 2
#define MOST 300U
#define GAPS 256 /* kills that the surviving reader may be behind */
#define LONG_MS 60000

/* Shared by all: of each writer's messages those from said to begun may have been sent, or not. */
static struct field {
    _Atomic uint64_t said[WRITERS];
    _Atomic uint64_t begun[WRITERS];
    _Atomic uint64_t received;
    _Atomic uint32_t wrong; /* the line of the first who saw what must not be */
} * field;

#define MUST(condition)                                      \
    do {                                                     \
        if (!(condition)) {                                  \
            atomic_store(&field->wrong, (uint32_t)__LINE__); \
            _exit(1);                                        \
        }                                                    \
    } while (0)

static unsigned roll(unsigned *dice)
{
    *dice = *dice * 1664525U + 1013904223U;
    return *dice >> 16;
}

/* ---- Those who are killed ---- */

/* The writer's @nth message; so it can be told whose it is. */
static uint64_t number_of(unsigned slot, uint64_t nth)
{
    return nth * WRITERS + slot;
}

static void send_one(struct verso_channel_writer *own, uint64_t number, bool in_place)
{
    unsigned char data[MOST];
    size_t length = length_of(number, MOST);
    void *room = data;
    int r;

    while (in_place && (r = verso_channel_reserve(own, MOST, LONG_MS, &room)) != 0)
        MUST(r == VERSO_E_PEER_DIED); /* of a reader; told once */
    message_fill(room, number, length);
    if (in_place)
        MUST(verso_channel_commit(own, length) == 0);
    while (!in_place && (r = verso_channel_send(own, data, length, LONG_MS)) != 0)
        MUST(r == VERSO_E_PEER_DIED);
}

static size_t send_three(struct verso_channel_writer *own, unsigned slot, uint64_t nth)
{
    static unsigned char data[3][MOST];
    struct verso_channel_part parts[3];
    size_t count = 0;
    int r;

    for (unsigned i = 0; i < 3; i++) {
        size_t length = length_of(number_of(slot, nth + i), MOST);

        message_fill(data[i], number_of(slot, nth + i), length);
        parts[i] = (struct verso_channel_part){ data[i], length };
    }
    while ((r = verso_channel_send_many(own, parts, 3, LONG_MS, &count)) != 0)
        MUST(r == VERSO_E_PEER_DIED);
    return count;
}

static void write_for_ever(unsigned slot, unsigned dice)
{
    struct verso_channel_writer *own;

    MUST(verso_channel_writer_open(channel, NULL, &own) == 0);
    for (uint64_t nth = atomic_load(&field->begun[slot]);;) {
        unsigned way = roll(&dice) % 4;
        size_t count = 1;

        atomic_store(&field->begun[slot], nth + (way == 3 ? 3 : 1));
        if (way == 3)
            count = send_three(own, slot, nth);
        else
            send_one(own, number_of(slot, nth), way == 2);
        nth += count;
        atomic_store(&field->begun[slot], nth);
        atomic_store(&field->said[slot], nth);
    }
}

/* What a reader knows, from the first message on. */
struct course {
    bool has_begun;
    uint64_t number;        /* the next message's */
    uint64_t next[WRITERS]; /* nth of each writer, at least */
};

/* Whether a message fits to those before it; says whose it is, and its nth. */
static bool follows(struct course *course, const struct verso_channel_message *message, const void *data,
                    unsigned *out_slot, uint64_t *out_nth)
{
    uint64_t number = message_number(data, message->bytes, MOST), nth = number / WRITERS;
    unsigned slot = (unsigned)(number % WRITERS);

    if (number == UINT64_MAX || nth < course->next[slot])
        return false;
    if (course->has_begun && message->number - message->lost < course->number)
        return false;
    course->has_begun = true;
    course->number = message->number + 1;
    course->next[slot] = nth + 1;
    *out_slot = slot;
    *out_nth = nth;
    return true;
}

static void read_for_ever(unsigned dice)
{
    struct verso_channel_end end = VERSO_CHANNEL_END_INIT;
    struct verso_channel_message messages[4];
    struct verso_channel_reader *own;
    struct course course = { 0 };
    unsigned char copies[4][MOST];

    end.from = (enum verso_channel_from)(roll(&dice) % 3);
    end.history = roll(&dice) % 20;
    MUST(verso_channel_reader_open(channel, &end, &own) == 0);
    for (;;) {
        unsigned way = roll(&dice) % 3, slot;
        size_t count = 1;
        uint64_t nth;
        int r;

        if (way == 0)
            r = verso_channel_read(own, copies[0], MOST, LONG_MS, &messages[0]);
        else
            r = verso_channel_receive_many(own, LONG_MS, messages, way == 1 ? 1 : 4, &count);
        if (r == VERSO_E_PEER_DIED)
            continue;
        MUST(r == 0);
        for (size_t i = 0; way != 0 && i < count; i++)
            memcpy(copies[i], messages[i].data, messages[i].bytes < MOST ? messages[i].bytes : MOST);
        if (way != 0 && verso_channel_release(own) == VERSO_E_OVERRUN) {
            course.number = messages[count - 1].number + 1;
            continue;
        }
        for (size_t i = 0; i < count; i++)
            MUST(follows(&course, &messages[i], copies[i], &slot, &nth));
        (void)atomic_fetch_add(&field->received, count);
    }
}

static pid_t hire(unsigned worker, unsigned dice)
{
    pid_t parent = getpid(), child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent);
        if (worker < WRITERS)
            write_for_ever(worker, dice);
        read_for_ever(dice);
    }
    return child;
}

/* ---- The one who lives ---- */

static struct {
    struct course course;
    struct {
        uint64_t from, to;
    } gaps[WRITERS][GAPS]; /* what the killed may not have sent */
    unsigned gap_count[WRITERS];
    uint64_t given, lost, given_up, told;
} judge;

static bool may_be_missing(unsigned slot, uint64_t nth)
{
    for (unsigned i = 0; i < GAPS && i < judge.gap_count[slot]; i++)
        if (nth >= judge.gaps[slot][i].from && nth < judge.gaps[slot][i].to)
            return true;
    return false;
}

static void note_death(unsigned slot)
{
    unsigned i = judge.gap_count[slot]++ % GAPS;

    judge.gaps[slot][i].from = atomic_load(&field->said[slot]);
    judge.gaps[slot][i].to = atomic_load(&field->begun[slot]);
}

/* One message, or word of a death. */
static void look_on(void)
{
    struct verso_channel_message message;
    unsigned char copy[MOST];
    uint64_t next[WRITERS], nth;
    unsigned slot;
    int r = verso_channel_read(reader, copy, sizeof(copy), LONG_MS, &message);

    if (r == VERSO_E_PEER_DIED) {
        judge.told++;
        return;
    }
    assert_ok(r);
    memcpy(next, judge.course.next, sizeof(next));
    assert_true(message.number - message.lost >= judge.course.number);
    judge.given_up += message.number - message.lost - judge.course.number;
    assert_true(follows(&judge.course, &message, copy, &slot, &nth));
    judge.given++;
    judge.lost += message.lost;
    for (uint64_t missing = next[slot]; judge.lost == 0 && missing < nth; missing++)
        assert_true(may_be_missing(slot, missing));
}

static uint64_t seconds_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec;
}

/* Enough were killed: 300, and for as many seconds as TEST_LONG says. */
static bool is_enough(unsigned kills, uint64_t start)
{
    const char *text = getenv("TEST_LONG");
    unsigned least = support_is_asan() || support_is_tsan() ? 60 : 300;

    return kills >= least && (!text || seconds_now() - start >= strtoul(text, NULL, 10) / 3);
}

static void begin(enum verso_channel_full full, uint64_t capacity_bytes)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    memset(&judge, 0, sizeof(judge));
    field = mmap(NULL, sizeof(*field), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(field != MAP_FAILED);
    options.kind = VERSO_CHANNEL_BROADCAST;
    options.full = full;
    options.capacity_bytes = capacity_bytes;
    options.writers_most = WRITERS + 1;
    options.readers_most = READERS + 1;
    options.flags = VERSO_CHANNEL_LASTING;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
}

/* All is where it should be: who sends now is heard, and the numbers add up. */
static void finish(unsigned kills)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct verso_channel_message message;
    int r;

    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    while ((r = verso_channel_send(writer, "end", 3, 0)) != 0) {
        assert_true(r == -EAGAIN || r == VERSO_E_PEER_DIED);
        look_on();
    }
    for (;;) {
        r = verso_channel_receive(reader, 0, &message);
        if (r == VERSO_E_PEER_DIED)
            continue;
        assert_ok(r);
        judge.given++;
        judge.lost += message.lost;
        judge.given_up += message.number - message.lost - judge.course.number;
        judge.course.number = message.number + 1;
        if (message.bytes == 3)
            break;
    }
    assert_memory_equal(message.data, "end", 3);
    assert_int_equal(judge.given + judge.lost + judge.given_up, message.number + 1);
    r = verso_channel_receive(reader, 0, &message);
    assert_true(r == -EAGAIN || r == VERSO_E_PEER_DIED);
    assert_ok(verso_channel_info(channel, &info));
    assert_true(judge.given_up <= info.given_up && (judge.lost > 0 || judge.given_up == info.given_up));
    print_message("# %u kills; %llu messages given, %llu lost, %llu given up; told of deaths %llu times\n", kills,
                  (unsigned long long)judge.given, (unsigned long long)judge.lost, (unsigned long long)info.given_up,
                  (unsigned long long)judge.told);
    assert_true(judge.given > kills && atomic_load(&field->received) > kills);
    assert_int_equal(munmap(field, sizeof(*field)), 0);
}

static void kill_many(enum verso_channel_full full, uint64_t capacity_bytes)
{
    pid_t workers[WRITERS + READERS];
    unsigned dice = 4711, kills = 0;
    uint64_t start = seconds_now();

    begin(full, capacity_bytes);
    for (unsigned i = 0; i < WRITERS + READERS; i++)
        workers[i] = hire(i, i);
    for (; !is_enough(kills, start); kills++) {
        unsigned victim = roll(&dice) % (WRITERS + READERS);

        for (unsigned i = roll(&dice) % 100; i > 0; i--)
            look_on();
        child_kill(workers[victim]); /* fails when it has ended by itself: field->wrong is the line */
        if (victim < WRITERS)
            note_death(victim);
        assert_int_equal(atomic_load(&field->wrong), 0);
        workers[victim] = hire(victim, dice);
    }
    for (unsigned i = 0; i < WRITERS + READERS; i++)
        child_kill(workers[i]);
    assert_int_equal(atomic_load(&field->wrong), 0);
    finish(kills);
    assert_true(full == VERSO_CHANNEL_FULL_DROP_OLDEST || judge.lost == 0);
}

static void test_readers_hold_back(void **state)
{
    (void)state;
    kill_many(VERSO_CHANNEL_FULL_WAIT, 16384);
}

static void test_a_ring_of_a_few_messages(void **state)
{
    (void)state;
    kill_many(VERSO_CHANNEL_FULL_WAIT, 4096);
}

static void test_the_oldest_are_dropped(void **state)
{
    (void)state;
    kill_many(VERSO_CHANNEL_FULL_DROP_OLDEST, 16384);
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_readers_hold_back),
    channel_test(test_a_ring_of_a_few_messages),
    channel_test(test_the_oldest_are_dropped),
};

int main(void)
{
    return run_test_list(test_list);
}
