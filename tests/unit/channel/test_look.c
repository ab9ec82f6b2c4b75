/* SPDX-License-Identifier: MIT */
/* look - who is in a channel, place by place; and a channel seen from outside, which its users don't notice. */
#include "channels.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <verso/share.h>

#define PAGE ((uint64_t)4096)

/* ---- Places ---- */

struct crowd {
    struct verso_channel_place writers[64], readers[64];
    unsigned writer_count, reader_count;
};

static int take(const struct verso_channel_place *place, void *arg)
{
    struct crowd *crowd = arg;

    if (place->is_writer)
        crowd->writers[crowd->writer_count++] = *place;
    else
        crowd->readers[crowd->reader_count++] = *place;
    return 0;
}

static struct crowd places(void)
{
    struct crowd crowd = { 0 };

    assert_ok(verso_channel_places(channel, take, &crowd));
    return crowd;
}

static void test_places_nobody_has_had_are_not_told(void **state)
{
    struct crowd crowd;

    (void)state;
    channel_make(VERSO_CHANNEL_MPMC, PAGE, 0);
    crowd = places();
    assert_int_equal(crowd.writer_count + crowd.reader_count, 0);
}

static void test_who_has_a_place_and_what_it_did(void **state)
{
    struct verso_channel_message message;
    struct crowd crowd;

    (void)state;
    channel_make(VERSO_CHANNEL_MPSC, PAGE, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    for (int i = 0; i < 3; i++)
        assert_ok(verso_channel_send(writer, "12345", 5, 0));
    assert_ok(verso_channel_receive(reader, 0, &message));
    crowd = places();
    assert_int_equal(crowd.writer_count, 1);
    assert_int_equal(crowd.reader_count, 1);
    assert_int_equal(crowd.writers[0].number, 0);
    assert_int_equal(crowd.writers[0].process, getpid());
    assert_true(crowd.writers[0].is_alive);
    assert_true(crowd.writers[0].name[0]);
    assert_int_equal(crowd.writers[0].messages, 3);
    assert_int_equal(crowd.writers[0].bytes, 15);
    assert_false(crowd.writers[0].holds);
    assert_int_equal(crowd.writers[0].lag_bytes, 0);
    assert_int_equal(crowd.readers[0].process, getpid());
    assert_int_equal(crowd.readers[0].messages, 1);
    assert_int_equal(crowd.readers[0].bytes, 5);
    assert_int_equal(crowd.readers[0].lag_bytes, 3 * 16); /* what is held is not behind it yet */
    assert_true(crowd.readers[0].holds);
    assert_ok(verso_channel_release(reader));
    crowd = places();
    assert_false(crowd.readers[0].holds);
    assert_int_equal(crowd.readers[0].lag_bytes, 2 * 16);
}

static void test_a_place_that_was_left_keeps_its_counts(void **state)
{
    struct crowd crowd;

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_send(writer, "x", 1, 0));
    verso_channel_writer_close(writer);
    crowd = places();
    assert_int_equal(crowd.writer_count, 1);
    assert_int_equal(crowd.writers[0].messages, 1);
    assert_int_equal(crowd.writers[0].process, 0);
    assert_int_equal(crowd.writers[0].name[0], 0);
    assert_false(crowd.writers[0].is_alive);
}

/* ---- What is held ---- */

static void test_who_has_reserved(void **state)
{
    struct verso_channel_writer *second;
    struct crowd crowd;
    void *room;

    (void)state;
    channel_make(VERSO_CHANNEL_MPSC, PAGE, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_writer_open(channel, NULL, &second));
    assert_ok(verso_channel_send(writer, "before", 6, 0));
    assert_ok(verso_channel_reserve(second, 100, 0, &room));
    assert_ok(verso_channel_send(writer, "behind", 6, 0));
    crowd = places();
    assert_int_equal(crowd.writer_count, 2);
    assert_false(crowd.writers[0].holds);
    assert_true(crowd.writers[1].holds);
    assert_ok(verso_channel_commit(second, 10));
    assert_false(places().writers[1].holds);
}

static void test_who_of_several_readers_holds(void **state)
{
    struct verso_channel_reader *second;
    struct verso_channel_message message;
    struct crowd crowd;

    (void)state;
    channel_make(VERSO_CHANNEL_MPMC, PAGE, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_reader_open(channel, NULL, &second));
    for (int i = 0; i < 3; i++)
        assert_ok(verso_channel_send(writer, "x", 1, 0));
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_ok(verso_channel_release(reader));
    assert_ok(verso_channel_receive(second, 0, &message));
    crowd = places();
    assert_false(crowd.readers[0].holds);
    assert_true(crowd.readers[1].holds);
    assert_int_equal(crowd.readers[0].lag_bytes, 16); /* what nobody has taken */
    assert_int_equal(crowd.readers[1].lag_bytes, 16);
}

/* ---- The dead, and sleepers ---- */

static int open_and_wait(void *arg)
{
    _Atomic int *is_ready = arg;

    if (verso_channel_writer_open(channel, NULL, &writer) < 0)
        return 1;
    atomic_store(is_ready, 1);
    for (;;)
        pause();
}

static int receive_for_ever(void *arg)
{
    struct verso_channel_message message;

    (void)arg;
    if (verso_channel_reader_open(channel, NULL, &reader) < 0)
        return 1;
    return verso_channel_receive(reader, -1, &message) < 0;
}

static _Atomic int *shared_word(void)
{
    void *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(word != MAP_FAILED);
    return word;
}

static void test_who_died_and_nobody_has_put_in_order(void **state)
{
    _Atomic int *is_ready = shared_word();
    struct crowd crowd;
    pid_t child;

    (void)state;
    channel_make(VERSO_CHANNEL_MPSC, PAGE, 0);
    child = child_start(open_and_wait, (void *)(uintptr_t)is_ready);
    while (!atomic_load(is_ready))
        sleep_ms(1);
    assert_true(places().writers[0].is_alive);
    child_kill(child);
    crowd = places();
    assert_int_equal(crowd.writer_count, 1);
    assert_int_equal(crowd.writers[0].process, child);
    assert_false(crowd.writers[0].is_alive);
    assert_int_equal(munmap((void *)(uintptr_t)is_ready, PAGE), 0);
}

static void test_who_sleeps(void **state)
{
    struct crowd crowd;
    pid_t child;

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    child = child_start(receive_for_ever, NULL);
    do {
        sleep_ms(1);
        crowd = places();
    } while (crowd.reader_count == 0 || !crowd.readers[0].is_asleep);
    assert_int_equal(crowd.readers[0].process, child);
    assert_true(crowd.readers[0].sleeps > 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_send(writer, "x", 1, 0));
    assert_int_equal(child_wait(child), 0);
}

/* ---- The walk ---- */

static int end_at_second(const struct verso_channel_place *place, void *arg)
{
    unsigned *count = arg;

    (void)place;
    return ++*count == 2 ? 77 : 0;
}

static void test_the_walk_ends_when_it_is_told_to(void **state)
{
    struct verso_channel_writer *more[2];
    unsigned count = 0;

    (void)state;
    channel_make(VERSO_CHANNEL_MPSC, PAGE, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    for (int i = 0; i < 2; i++)
        assert_ok(verso_channel_writer_open(channel, NULL, &more[i]));
    assert_int_equal(verso_channel_places(channel, end_at_second, &count), 77);
    assert_int_equal(count, 2);
    assert_fails(verso_channel_places(NULL, end_at_second, &count), -EINVAL);
    assert_fails(verso_channel_places(channel, NULL, NULL), -EINVAL);
}

/* ---- From outside ---- */

static char name[64];

static void make_named_kind(enum verso_channel_kind kind, unsigned flags)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    (void)snprintf(name, sizeof(name), "test-look-%d", (int)getpid());
    options.kind = kind;
    options.capacity_bytes = PAGE;
    options.flags = flags;
    assert_ok(verso_channel_create(name, &options, &channel));
}

static void make_named(unsigned flags)
{
    make_named_kind(VERSO_CHANNEL_MPSC, flags);
}

static unsigned members(void)
{
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;

    assert_ok(verso_share_info(verso_channel_share(channel), &info));
    assert_false(info.has_readers);
    return info.members;
}

static void look_at_kind(enum verso_channel_kind kind, uint64_t record_bytes)
{
    struct verso_channel_info outside = VERSO_CHANNEL_INFO_INIT, inside = VERSO_CHANNEL_INFO_INIT;

    make_named_kind(kind, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_send(writer, "12345", 5, 0));
    assert_ok(verso_channel_look(name, &outside));
    assert_ok(verso_channel_info(channel, &inside));
    assert_memory_equal(&outside, &inside, sizeof(inside));
    assert_int_equal(outside.kind, kind);
    assert_int_equal(outside.sent, 1);
    assert_int_equal(outside.used_bytes, record_bytes);
    assert_int_equal(outside.writers, 1);
    assert_int_equal(outside.readers, 1);
    assert_int_equal(outside.opened_writers, 1);
    assert_int_equal(outside.opened_readers, 1);
    assert_int_equal(members(), 1);
    verso_channel_close(channel);
    channel = NULL;
    assert_fails(verso_channel_look(name, &outside), -ENOENT);
}

static void test_a_look_says_what_info_says(void **state)
{
    (void)state;
    look_at_kind(VERSO_CHANNEL_SPSC, 16);
    look_at_kind(VERSO_CHANNEL_MPSC, 16);
    look_at_kind(VERSO_CHANNEL_MPMC, 16);
    look_at_kind(VERSO_CHANNEL_BROADCAST, 24);
}

static void test_how_far_each_reader_of_a_broadcast_lags(void **state)
{
    struct verso_channel_reader *second;
    struct verso_channel_message message;
    struct crowd crowd;

    (void)state;
    channel_make(VERSO_CHANNEL_BROADCAST, PAGE, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_reader_open(channel, NULL, &second));
    for (int i = 0; i < 3; i++)
        assert_ok(verso_channel_send(writer, "x", 1, 0));
    assert_ok(verso_channel_receive(second, 0, &message));
    assert_ok(verso_channel_release(second));
    crowd = places();
    assert_int_equal(crowd.readers[0].lag_bytes, 3 * 24);
    assert_int_equal(crowd.readers[1].lag_bytes, 2 * 24);
    assert_int_equal(crowd.readers[1].messages, 1);
}

static void test_who_has_left_was_opened_all_the_same(void **state)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;

    (void)state;
    channel_make(VERSO_CHANNEL_MPMC, PAGE, 0);
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.opened_writers + info.opened_readers, 0);
    for (int i = 0; i < 3; i++) {
        assert_ok(verso_channel_writer_open(channel, NULL, &writer));
        verso_channel_writer_close(writer);
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(verso_channel_reader_open(channel, NULL, &reader));
        verso_channel_reader_close(reader);
    }
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.writers + info.readers, 0);
    assert_int_equal(info.opened_writers, 3);
    assert_int_equal(info.opened_readers, 2);
}

static void test_a_look_at_what_nobody_uses_leaves_it(void **state)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;

    (void)state;
    make_named(VERSO_CHANNEL_KEEP);
    verso_channel_close(channel);
    channel = NULL;
    for (int i = 0; i < 3; i++)
        assert_ok(verso_channel_look(name, &info));
    assert_ok(verso_channel_remove(name));
}

static void test_a_look_at_what_is_no_channel(void **state)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT, untouched = info;
    struct verso_share *share;

    (void)state;
    (void)snprintf(name, sizeof(name), "test-look-%d", (int)getpid());
    assert_ok(verso_share_create(name, 100, NULL, &share));
    assert_fails(verso_channel_look(name, &info), VERSO_E_KIND);
    verso_share_close(share);
    assert_fails(verso_channel_look(name, &info), -ENOENT);
    assert_fails(verso_channel_look(NULL, &info), -EINVAL);
    assert_fails(verso_channel_look(name, NULL), -EINVAL);
    assert_memory_equal(&info, &untouched, sizeof(info));
    make_named(0);
    info.struct_bytes = 0;
    assert_fails(verso_channel_look(name, &info), VERSO_E_OPTIONS);
}

static void test_another_kind_is_refused_with_the_one_it_has(void **state)
{
    static const char *const kinds[] = { "", " SPSC,", " MPSC,", " MPMC,", " BROADCAST," };
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel *other;

    (void)state;
    for (int kind = VERSO_CHANNEL_SPSC; kind <= VERSO_CHANNEL_BROADCAST; kind++) {
        make_named_kind((enum verso_channel_kind)kind, 0);
        options.kind = kind == VERSO_CHANNEL_MPSC ? VERSO_CHANNEL_MPMC : VERSO_CHANNEL_MPSC;
        assert_fails_in(verso_channel_attach(name, &options, &other), VERSO_E_KIND, "plan");
        assert_non_null(strstr(verso_error_last()->hint, kinds[kind]));
        verso_channel_close(channel);
        channel = NULL;
    }
}

static void *look_until_told(void *arg)
{
    _Atomic int *is_over = arg;
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    int r = 0;

    while (!atomic_load(is_over) && (r == 0 || r == -ENOENT || r == -EBUSY))
        r = verso_channel_look(name, &info);
    return r == 0 || r == -ENOENT || r == -EBUSY ? NULL : arg;
}

/* The last one leaves in the middle of a look: the name goes all the same. */
static void test_a_look_keeps_no_name(void **state)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    pthread_t thread;
    void *failed;

    (void)state;
    for (int round = 0; round < 200; round++) {
        _Atomic int is_over = 0;

        make_named(0);
        assert_int_equal(pthread_create(&thread, NULL, look_until_told, &is_over), 0);
        if (round % 2)
            sleep_ms(1);
        verso_channel_close(channel);
        channel = NULL;
        atomic_store(&is_over, 1);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
        assert_fails(verso_channel_look(name, &info), -ENOENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        channel_test(test_places_nobody_has_had_are_not_told),
        channel_test(test_who_has_a_place_and_what_it_did),
        channel_test(test_a_place_that_was_left_keeps_its_counts),
        channel_test(test_who_has_reserved),
        channel_test(test_who_of_several_readers_holds),
        channel_test(test_how_far_each_reader_of_a_broadcast_lags),
        channel_test(test_who_died_and_nobody_has_put_in_order),
        channel_test(test_who_sleeps),
        channel_test(test_the_walk_ends_when_it_is_told_to),
        channel_test(test_a_look_says_what_info_says),
        channel_test(test_who_has_left_was_opened_all_the_same),
        channel_test(test_a_look_at_what_nobody_uses_leaves_it),
        channel_test(test_a_look_at_what_is_no_channel),
        channel_test(test_another_kind_is_refused_with_the_one_it_has),
        channel_test(test_a_look_keeps_no_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
