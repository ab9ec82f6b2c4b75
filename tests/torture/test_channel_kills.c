/* SPDX-License-Identifier: MIT */
/*
 * channel-kills - writers and readers of queues are killed at random, and others take their place.
 *
 * Each life of a writer sends a stream of its own, and says what has been acknowledged; readers note what they were
 * given. In the end all that was acknowledged has come, once, whole, and in its stream's order, or died with a reader;
 * and the ring is as empty as on the first day.
 */
#include "../unit/channel/channels.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define STREAMS 2048U
#define EACH 4096U /* messages of a stream */
#define MOST 1500U
#define HELD_MOST 4U
#define WORKERS_MOST 6U
#define KILLS_EACH 60U

/* As long as it takes on a machine with other things to do; a hang is for ever. */
#define LONG_MS 60000

static struct {
    _Atomic uint32_t wrong; /* the line of the first worker that saw what must not be */
    _Atomic uint32_t stop_writers;
    _Atomic uint32_t stop_readers;
    _Atomic uint32_t streams;
    _Atomic uint32_t acknowledged[STREAMS];
    _Atomic unsigned char got[(size_t)STREAMS * EACH];
} * field;

struct round {
    const char *name;
    enum verso_channel_kind kind;
    enum verso_channel_full full;
    unsigned flags;
    size_t writers;
    size_t readers;
};

static const struct round rounds[] = {
    { "SPSC", VERSO_CHANNEL_SPSC, VERSO_CHANNEL_FULL_WAIT, 0, 1, 1 },
    { "SPSC, dropping the oldest", VERSO_CHANNEL_SPSC, VERSO_CHANNEL_FULL_DROP_OLDEST, 0, 1, 1 },
    { "MPSC", VERSO_CHANNEL_MPSC, VERSO_CHANNEL_FULL_WAIT, 0, 3, 1 },
    { "MPSC, dropping the oldest", VERSO_CHANNEL_MPSC, VERSO_CHANNEL_FULL_DROP_OLDEST, 0, 3, 1 },
    { "MPMC", VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_WAIT, 0, 3, 3 },
    { "MPMC, delivering again", VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_WAIT, VERSO_CHANNEL_REDELIVER, 3, 3 },
    { "MPMC, dropping the oldest", VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_DROP_OLDEST, 0, 3, 3 },
};
static const struct round *round_now;

static void fail_at(uint32_t line)
{
    atomic_store(&field->wrong, line);
    _exit(1);
}

#define MUST(condition)                  \
    do {                                 \
        if (!(condition))                \
            fail_at((uint32_t)__LINE__); \
    } while (0)

static unsigned roll(unsigned *dice)
{
    *dice = *dice * 1664525U + 1013904223U;
    return *dice >> 16;
}

/* ---- Workers ---- */

static int send_in_some_way(struct verso_channel_writer *own, const unsigned char *data, size_t length, bool in_place)
{
    void *room;
    int r;

    if (!in_place)
        return verso_channel_send(own, data, length, LONG_MS);
    r = verso_channel_reserve(own, MOST, LONG_MS, &room);
    if (r < 0)
        return r;
    memcpy(room, data, length);
    return verso_channel_commit(own, length);
}

/* A stream, as far as it gets. */
static void write_stream(uint32_t stream, unsigned *dice)
{
    unsigned char data[MOST];
    struct verso_channel_writer *own;
    int r;

    while ((r = verso_channel_writer_open(channel, NULL, &own)) == -EUSERS)
        sleep_ms(1);
    MUST(r == 0);
    for (uint32_t i = 0; i < EACH && !atomic_load(&field->stop_writers);) {
        uint64_t number = (uint64_t)stream * EACH + i;
        size_t length = length_of(number, MOST);

        message_fill(data, number, length);
        r = send_in_some_way(own, data, length, roll(dice) % 4 == 0);
        MUST(r == 0 || r == VERSO_E_PEER_DIED);
        if (r == 0)
            atomic_store(&field->acknowledged[stream], ++i);
    }
    verso_channel_writer_close(own);
}

static void work_as_writer(unsigned dice)
{
    while (!atomic_load(&field->stop_writers)) {
        uint32_t stream = atomic_fetch_add(&field->streams, 1);

        if (stream < STREAMS)
            write_stream(stream, &dice);
        else
            sleep_ms(1);
    }
}

static bool is_redelivered(void)
{
    return round_now->flags & VERSO_CHANNEL_REDELIVER;
}

/* Whole, and new to everybody; and behind what this reader has had of the stream. */
static void note(const struct verso_channel_message *message, uint32_t *behind)
{
    uint64_t number = message_number(message->data, message->bytes, MOST);

    MUST(number < (uint64_t)STREAMS * EACH);
    MUST(atomic_fetch_add(&field->got[number], 1) == 0 || is_redelivered());
    MUST(is_redelivered() || number % EACH >= behind[number / EACH]);
    behind[number / EACH] = (uint32_t)(number % EACH) + 1;
}

static int receive_in_some_way(struct verso_channel_reader *own, unsigned dice, int timeout_ms,
                               struct verso_channel_message *messages, size_t *out_count)
{
    static unsigned char copy[MOST];

    *out_count = 1;
    if (dice % 3 == 0)
        return verso_channel_receive_many(own, timeout_ms, messages, HELD_MOST, out_count);
    if (dice % 3 == 1 && !is_redelivered()) /* what was copied is not delivered again */
        return verso_channel_read(own, copy, sizeof(copy), timeout_ms, messages);
    return verso_channel_receive(own, timeout_ms, messages);
}

/* Until nothing comes, and nothing will. */
static void read_all(unsigned dice, int timeout_ms)
{
    static uint32_t behind[STREAMS];
    struct verso_channel_message messages[HELD_MOST];
    struct verso_channel_reader *own;
    size_t count;
    int r;

    memset(behind, 0, sizeof(behind));
    while ((r = verso_channel_reader_open(channel, NULL, &own)) == -EUSERS)
        sleep_ms(1);
    MUST(r == 0);
    for (;;) {
        r = receive_in_some_way(own, roll(&dice), timeout_ms, messages, &count);
        if (r == -ETIMEDOUT && atomic_load(&field->stop_readers))
            break;
        MUST(r == 0 || r == -ETIMEDOUT || r == VERSO_E_PEER_DIED);
        for (size_t i = 0; r == 0 && i < count; i++)
            note(&messages[i], behind);
        if (roll(&dice) % 4 == 0)
            (void)verso_channel_release(own);
    }
    verso_channel_reader_close(own);
}

static pid_t hire(size_t place, unsigned dice)
{
    pid_t parent = getpid(), child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
            _exit(2);
        if (place < round_now->writers)
            work_as_writer(dice);
        else
            read_all(dice, 50);
        _exit(0);
    }
    return child;
}

/* ---- The test ---- */

static void expect_right(void)
{
    if (atomic_load(&field->wrong))
        fail_msg("%s: a worker saw what must not be: line %u", round_now->name, atomic_load(&field->wrong));
}

static void let_go(const pid_t *workers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = child_wait(workers[i]);

        expect_right();
        assert_int_equal(status, 0);
    }
}

/* How many that were acknowledged did not come. What was not, may have: the one that was being sent, and no other. */
static uint64_t count_missing(void)
{
    uint64_t missing = 0;

    for (size_t stream = 0; stream < STREAMS; stream++) {
        uint32_t acknowledged = atomic_load(&field->acknowledged[stream]);

        for (size_t i = 0; i < EACH; i++) {
            bool has_come = atomic_load(&field->got[stream * EACH + i]) != 0;

            missing += i < acknowledged && !has_come;
            assert_false(i > acknowledged && has_come);
        }
    }
    return missing;
}

static void expect_empty(void)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct verso_channel_message message;
    int r;

    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_send(writer, "the last", 8, LONG_MS));
    while ((r = verso_channel_receive(reader, LONG_MS, &message)) == VERSO_E_PEER_DIED)
        ;
    assert_ok(r);
    assert_memory_equal(message.data, "the last", 8);
    assert_ok(verso_channel_release(reader));
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.used_bytes, 0);
    assert_int_equal(info.writers, 1);
    assert_int_equal(info.readers, 1);
}

static void judge(unsigned killed_readers)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    uint64_t missing = count_missing();

    assert_ok(verso_channel_info(channel, &info));
    print_message("# %s: %llu sent, %llu received, %llu given up, %llu dropped, %llu lost, %llu missing\n",
                  round_now->name, (unsigned long long)info.sent, (unsigned long long)info.received,
                  (unsigned long long)info.given_up, (unsigned long long)info.dropped, (unsigned long long)info.lost,
                  (unsigned long long)missing);
    assert_true(info.sent > 0 && info.received > 0);
    assert_true(info.lost <= (uint64_t)killed_readers * HELD_MOST);
    if (is_redelivered())
        assert_int_equal(missing, 0);
    else /* a copy may have been given to one that died before it could note it */
        assert_true(missing <= info.dropped + info.lost + killed_readers);
}

static unsigned play(unsigned *dice)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    size_t count = round_now->writers + round_now->readers;
    unsigned kills = support_is_asan() || support_is_tsan() ? KILLS_EACH / 6 : KILLS_EACH, killed_readers = 0;
    pid_t workers[WORKERS_MOST];

    field = mmap(NULL, sizeof(*field), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(field != MAP_FAILED);
    options.kind = round_now->kind;
    options.full = round_now->full;
    options.flags = VERSO_CHANNEL_LASTING | round_now->flags;
    options.capacity_bytes = 16384;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    for (size_t i = 0; i < count; i++)
        workers[i] = hire(i, roll(dice));
    for (unsigned i = 0; i < kills; i++) {
        size_t victim = roll(dice) % count;

        (void)usleep(roll(dice) & 0xfff);
        child_kill(workers[victim]);
        expect_right();
        killed_readers += victim >= round_now->writers;
        workers[victim] = hire(victim, roll(dice));
    }
    atomic_store(&field->stop_writers, 1);
    let_go(workers, round_now->writers);
    atomic_store(&field->stop_readers, 1);
    let_go(workers + round_now->writers, round_now->readers);
    read_all(*dice, 10); /* what is left */
    expect_empty();
    judge(killed_readers);
    assert_int_equal(channel_drop(NULL), 0);
    assert_int_equal(munmap(field, sizeof(*field)), 0);
    return kills;
}

static uint64_t seconds_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec;
}

/* Each kind once; with TEST_LONG, again and again for so many seconds. */
static void test_kills(void **state)
{
    const char *text = getenv("TEST_LONG");
    uint64_t start = seconds_now(), seconds = text ? strtoul(text, NULL, 10) : 0;
    unsigned dice = 20011, kills = 0;

    (void)state;
    do
        for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
            round_now = &rounds[i];
            kills += play(&dice);
        }
    while (seconds_now() - start < seconds);
    print_message("# %u kills\n", kills);
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_kills),
};

int main(void)
{
    return run_test_list(test_list);
}
