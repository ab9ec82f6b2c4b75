/* SPDX-License-Identifier: MIT */
/*
 * corners - what lies between the cases of the other tests: counts after gaps, locks that are kept, or that a thread
 * had when another one forked.
 */
#include "channel/channel.h"
#include "each.h"

#include <pthread.h>
#include <stdatomic.h>
#include <verso/digest.h>

/* ---- Numbers: what a reader has lost, where the oldest that is left was given up or is the rest of a message ---- */

/* How a stretch of the ring is sent: each message with its number as content, whole or the short part of what was
 * reserved, and now and then something that is given up. */
static void send_with_gaps(uint64_t *numbers, unsigned dice, bool with_rests)
{
    void *room;

    if (dice % 2 == 0) {
        assert_ok(verso_channel_reserve(writer, 8 + dice % 100, 0, &room));
        verso_channel_abandon(writer);
    } else {
        size_t reserved = with_rests ? 8 + dice % 120 : 8;

        assert_ok(verso_channel_reserve(writer, reserved, 0, &room));
        memcpy(room, numbers, sizeof(*numbers));
        assert_ok(verso_channel_commit(writer, sizeof(*numbers)));
        ++*numbers;
    }
}

/* Whatever is overwritten, and whatever stands where the reader goes on: no message is missing without being told. */
static void lose_and_count(bool with_rests)
{
    struct verso_channel_message message;
    uint64_t sent = 0, next = 0, content;
    unsigned dice = 1;

    make(VERSO_CHANNEL_FULL_DROP_OLDEST, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    for (unsigned turn = 0; turn < 2000; turn++) {
        for (unsigned i = 0; i < 60 + turn % 97; i++) {
            dice = dice * 1103515245U + 12345U;
            send_with_gaps(&sent, dice >> 16, with_rests);
        }
        for (unsigned i = 0; i < 1 + turn % 5 && verso_channel_receive(readers[0], 0, &message) == 0; i++) {
            memcpy(&content, message.data, sizeof(content));
            assert_true(content - next <= message.lost);
            if (content == next)
                assert_int_equal(message.lost, 0);
            next = content + 1;
        }
    }
}

static void test_what_is_lost_before_something_given_up_is_told(void **state)
{
    (void)state;
    lose_and_count(false);
}

static void test_what_is_lost_before_the_rest_of_a_message_is_told(void **state)
{
    (void)state;
    lose_and_count(true);
}

/* ---- Time limits, and answers ---- */

/* A lock of lane 0 in the hand of another thread, as if it had been stopped there. */
static struct verso_mutex *lock;
static atomic_int holding;

static void *hold(void *arg)
{
    (void)arg;
    assert_int_equal(verso_mutex_lock(lock, -1), 0);
    atomic_store(&holding, 1);
    while (atomic_load(&holding) == 1)
        sleep_ms(1);
    assert_int_equal(verso_mutex_unlock(lock), 0);
    return NULL;
}

static pthread_t hold_lock(struct verso_mutex *mutex)
{
    pthread_t thread;

    lock = mutex;
    atomic_store(&holding, 0);
    assert_int_equal(pthread_create(&thread, NULL, hold, NULL), 0);
    while (!atomic_load(&holding))
        sleep_ms(1);
    return thread;
}

static void let_go(pthread_t thread)
{
    atomic_store(&holding, 2);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_the_only_writer_of_a_broadcast_waits_for_no_lock_longer_than_it_may(void **state)
{
    pthread_t thread;
    int r;

    (void)state;
    make(VERSO_CHANNEL_FULL_DROP_OLDEST, PAGE, 1);
    thread = hold_lock(&channel->lane->claim);
    while ((r = verso_channel_send(writer, "12345678", 8, 0)) == 0)
        ;
    assert_int_equal(r, -EAGAIN); /* and not -EBUSY, which says something else */
    assert_fails(verso_channel_send(writer, "12345678", 8, 5), -ETIMEDOUT);
    let_go(thread);
    assert_ok(verso_channel_send(writer, "12345678", 8, 0));
}

/* Who does not wait for room does not wait for others either, whatever the time limit; and what is dropped is counted
 * and told as such, whoever was in the way. */
static void test_who_does_not_wait_is_told_what_a_full_ring_tells(void **state)
{
    const enum verso_channel_full fulls[] = { VERSO_CHANNEL_FULL_REFUSE, VERSO_CHANNEL_FULL_DROP_NEWEST };
    const int answers[] = { -EAGAIN, VERSO_CHANNEL_DROPPED };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        pthread_t thread;

        make(fulls[i], PAGE, 2);
        thread = hold_lock(&channel->lane->claim);
        assert_int_equal(verso_channel_send(writer, "12345678", 8, -1), answers[i]);
        assert_int_equal(info_now().dropped, i);
        let_go(thread);
        assert_ok(verso_channel_send(writer, "12345678", 8, 0));
        verso_channel_close(channel);
    }
    channel = NULL;
}

/* ---- Plans that are whole, and can't be ---- */

static void plan_write(struct verso_share *share, uint64_t capacity_bytes, uint64_t lane_bytes, uint32_t clients_most)
{
    struct verso__channel_plan *plan = verso_share_data(share);
    struct verso_digest_value value;
    uint64_t sum = 0;

    *plan = (struct verso__channel_plan){
        .kind = VERSO_CHANNEL_MPMC,
        .header_bytes = 8,
        .capacity_bytes = capacity_bytes,
        .writers_most = 2,
        .readers_most = 2,
        .clients_most = clients_most,
        .answers_bytes = clients_most ? PAGE : 0,
        .ring_offset = 64 * PAGE,
        .lanes_offset = PAGE,
        .lane_bytes = lane_bytes,
    };
    assert_ok(verso_digest_of(VERSO_DIGEST_XXH3_64, (unsigned char *)plan + 8, sizeof(*plan) - 8, &value));
    for (unsigned i = 0; i < value.bytes; i++)
        sum = sum << 8 | value.value[i];
    plan->checksum = sum;
}

static void test_plans_beyond_what_headers_can_say(void **state)
{
    const struct verso_channel_options any = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_channel seen = { 0 };
    const char *hint;
    uint64_t lane = (sizeof(struct verso__channel_lane) + PAGE - 1) & ~(PAGE - 1);

    (void)state;
    options.most_bytes = UINT64_C(9) << 30;
    assert_ok(verso_share_create_anonymous(128 * PAGE, &options, &seen.share));
    plan_write(seen.share, PAGE, lane, 1);
    assert_int_equal(verso__channel_plan_read(&seen, &any, &hint), 0);
    plan_write(seen.share, PAGE, lane + 8, 1); /* lanes that are not aligned */
    assert_int_equal(verso__channel_plan_read(&seen, &any, &hint), VERSO_E_CORRUPT);
    atomic_store(&((struct verso__share_header *)(void *)seen.share->base)->bytes, options.most_bytes);
    plan_write(seen.share, UINT64_C(4) << 30, lane, 0);
    assert_int_equal(verso__channel_plan_read(&seen, &any, &hint), 0);
    plan_write(seen.share, UINT64_C(8) << 30, lane, 0); /* lengths have 32 bits */
    assert_int_equal(verso__channel_plan_read(&seen, &any, &hint), VERSO_E_CORRUPT);
    verso_share_close(seen.share);
}

/* ---- Who waits for a server is told when it leaves ---- */

static void test_a_server_that_closes_wakes_its_clients(void **state)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel_client *client;
    _Atomic uint32_t *word;

    (void)state;
    options.kind = VERSO_CHANNEL_MPMC;
    options.clients_most = 2;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    word = &verso__channel_lane_at(channel, 1)->data_bell.word;
    atomic_fetch_or(word, 1); /* as a client that sleeps */
    verso_channel_reader_close(reader);
    assert_int_equal(atomic_load(word) & 1, 0);
}

/* A ring that is full of whole answers to nobody, all around: who reads on and on would never come to an end. */
static void test_answers_without_end_end_with_the_time(void **state)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel_message answer;
    struct verso_channel_client *client;
    struct verso__channel_side side = { 0 };

    (void)state;
    options.kind = VERSO_CHANNEL_MPSC;
    options.clients_most = 1;
    options.answers_bytes = PAGE;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    verso__channel_stand(channel, 1, &side);
    for (uint64_t at = 0; at < PAGE; at += 32)
        atomic_store(verso__channel_at(&side, at), verso__channel_header(VERSO__CHANNEL_COMMITTED, 0, 24));
    assert_fails(verso_channel_answer_receive(client, 0, &answer), -EAGAIN);
    assert_fails(verso_channel_answer_receive(client, 3, &answer), -ETIMEDOUT);
    assert_fails(verso_channel_call(client, "?", 1, 3, &answer), -ETIMEDOUT);
}

/* ---- What a reader holds when it closes is not held for ever ---- */

static void *let_go_later(void *arg)
{
    (void)arg;
    sleep_ms(300);
    atomic_store(&holding, 2);
    return NULL;
}

static void test_who_closes_while_the_lock_is_kept_leaves_nothing_behind(void **state)
{
    struct verso_channel_message message;
    pthread_t holder, later;

    (void)state;
    channel_make(VERSO_CHANNEL_MPMC, PAGE, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_send(writer, "1", 1, 0));
    assert_ok(verso_channel_receive(reader, 0, &message));
    holder = hold_lock(&channel->lane->take);
    assert_int_equal(pthread_create(&later, NULL, let_go_later, NULL), 0);
    verso_channel_reader_close(reader);
    assert_int_equal(pthread_join(later, NULL), 0);
    assert_int_equal(pthread_join(holder, NULL), 0);
    assert_int_equal(info_now().used_bytes, 0);
    assert_int_equal(info_now().readers, 0);
}

/* ---- fork() in a process of threads: none of their locks may be left for ever in the child ---- */

static atomic_bool is_over;

static void *come_and_go(void *arg)
{
    struct verso_channel_writer *mine;

    (void)arg;
    while (!atomic_load(&is_over))
        if (verso_channel_writer_open(channel, NULL, &mine) == 0)
            verso_channel_writer_close(mine);
    return NULL;
}

static int open_and_close(void *arg)
{
    struct verso_channel_writer *mine;

    (void)arg;
    (void)alarm(20); /* whoever hangs */
    if (verso_channel_writer_open(channel, NULL, &mine) < 0)
        return 1;
    verso_channel_writer_close(mine);
    return 0;
}

static void test_a_fork_amid_threads_finds_no_lock_kept(void **state)
{
    pthread_t threads[2];

    (void)state;
    if (support_is_tsan())
        skip_because("TSan has no threads in the child of a program that has some");
    channel_make(VERSO_CHANNEL_MPSC, 4096, 0);
    atomic_store(&is_over, false);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int round = 0; round < 500; round++)
        assert_int_equal(child_wait(child_start(open_and_close, NULL)), 0);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        channel_test(test_what_is_lost_before_something_given_up_is_told),
        channel_test(test_what_is_lost_before_the_rest_of_a_message_is_told),
        channel_test(test_the_only_writer_of_a_broadcast_waits_for_no_lock_longer_than_it_may),
        channel_test(test_who_does_not_wait_is_told_what_a_full_ring_tells),
        channel_test(test_plans_beyond_what_headers_can_say),
        channel_test(test_a_server_that_closes_wakes_its_clients),
        channel_test(test_answers_without_end_end_with_the_time),
        channel_test(test_who_closes_while_the_lock_is_kept_leaves_nothing_behind),
        channel_test(test_a_fork_amid_threads_finds_no_lock_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
