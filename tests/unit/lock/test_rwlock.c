/* SPDX-License-Identifier: MIT */
/* rwlock - many that look or one that changes; the dead among either. */
#include "locks.h"

#include "os/os.h"

static void test_zeros_are_a_free_lock(void **state)
{
    (void)state;
    assert_ok(verso_rwlock_read(&stage->rwlock, -1));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_ok(verso_rwlock_write(&stage->rwlock, -1));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_true(stage->rwlock.word == 0);
}

static void test_readers_are_many(void **state)
{
    (void)state;
    assert_ok(verso_rwlock_read(&stage->rwlock, 0));
    assert_int_equal(in_thread(try_read, &stage->rwlock), 0);
    assert_int_equal(in_killed_child(try_read, &stage->rwlock), 0);
    assert_int_equal(in_thread(try_write, &stage->rwlock), -EBUSY);
    assert_int_equal(in_killed_child(try_write, &stage->rwlock), -EBUSY);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_int_equal(in_thread(try_write, &stage->rwlock), 0);
}

static void test_a_writer_is_alone(void **state)
{
    (void)state;
    assert_ok(verso_rwlock_write(&stage->rwlock, 0));
    assert_int_equal(in_thread(try_read, &stage->rwlock), -EBUSY);
    assert_int_equal(in_thread(try_write, &stage->rwlock), -EBUSY);
    assert_int_equal(in_killed_child(try_read, &stage->rwlock), -EBUSY);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_int_equal(in_thread(try_read, &stage->rwlock), 0);
}

static void test_asking_again_would_wait_for_oneself(void **state)
{
    (void)state;
    assert_ok(verso_rwlock_read(&stage->rwlock, -1));
    assert_fails_in(verso_rwlock_read(&stage->rwlock, -1), -EDEADLK, "rwlock");
    assert_fails(verso_rwlock_write(&stage->rwlock, -1), -EDEADLK);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_ok(verso_rwlock_write(&stage->rwlock, -1));
    assert_fails(verso_rwlock_read(&stage->rwlock, -1), -EDEADLK);
    assert_fails(verso_rwlock_write(&stage->rwlock, 0), -EDEADLK);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
}

static int unlock_rwlock(void *arg)
{
    return verso_rwlock_unlock(arg);
}

static void test_only_who_has_it_unlocks(void **state)
{
    (void)state;
    assert_fails_in(verso_rwlock_unlock(&stage->rwlock), -EPERM, "rwlock");
    assert_fails(verso_rwlock_consistent(&stage->rwlock), -EPERM);
    assert_ok(verso_rwlock_read(&stage->rwlock, -1));
    assert_fails(verso_rwlock_consistent(&stage->rwlock), -EPERM);
    assert_int_equal(in_thread(unlock_rwlock, &stage->rwlock), -EPERM);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_fails(verso_rwlock_unlock(&stage->rwlock), -EPERM);
    assert_ok(verso_rwlock_write(&stage->rwlock, -1));
    assert_int_equal(in_killed_child(unlock_rwlock, &stage->rwlock), -EPERM);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
}

static int read_for_20_ms(void *arg)
{
    uint64_t start = verso__os_clock_ns();
    int r = verso_rwlock_read(arg, 20);

    return verso__os_clock_ns() - start >= 20000000U ? r : 1;
}

static int write_for_20_ms(void *arg)
{
    uint64_t start = verso__os_clock_ns();
    int r = verso_rwlock_write(arg, 20);

    return verso__os_clock_ns() - start >= 20000000U ? r : 1;
}

/* A writer whose time runs out while it waits for readers keeps nobody out afterwards, and no suspicion stays. */
static void test_time_runs_out(void **state)
{
    (void)state;
    assert_ok(verso_rwlock_read(&stage->rwlock, -1));
    assert_int_equal(in_thread(write_for_20_ms, &stage->rwlock), -ETIMEDOUT);
    assert_int_equal(in_thread(try_read, &stage->rwlock), 0);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_ok(verso_rwlock_write(&stage->rwlock, -1));
    assert_int_equal(in_thread(write_for_20_ms, &stage->rwlock), -ETIMEDOUT);
    assert_int_equal(in_thread(read_for_20_ms, &stage->rwlock), -ETIMEDOUT);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_int_equal(in_thread(try_write, &stage->rwlock), 0);
    assert_true(stage->rwlock.word == 0);
}

static int read_and_stay(void *arg)
{
    int r = verso_rwlock_read(arg, 0);

    __atomic_store_n(&stage->signal, 1, __ATOMIC_RELEASE);
    if (r == 0)
        r = verso_event_wait(&stage->event, 60000);
    return r < 0 ? r : verso_rwlock_unlock(arg);
}

/* The writer lives on, and its claim is gone with its patience. */
static void test_a_writer_gives_up(void **state)
{
    struct other reader = { .act = read_and_stay, .arg = &stage->rwlock };

    (void)state;
    other_start(&reader);
    while (!__atomic_load_n(&stage->signal, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    assert_fails(verso_rwlock_write(&stage->rwlock, 0), -EBUSY); /* a thread's first */
    assert_int_equal(stage->rwlock.word, 0);
    assert_fails(verso_rwlock_write(&stage->rwlock, 0), -EBUSY);
    assert_fails(verso_rwlock_write(&stage->rwlock, 5), -ETIMEDOUT);
    assert_int_equal(stage->rwlock.word, 0);
    assert_int_equal(in_thread(try_read, &stage->rwlock), 0);
    assert_ok(verso_event_set(&stage->event));
    assert_int_equal(other_join(&reader), 0);
    assert_ok(verso_rwlock_write(&stage->rwlock, 0));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
}

static int write_and_say(void *arg)
{
    int r = verso_rwlock_write(arg, 10000);

    __atomic_store_n(&stage->signal, 1, __ATOMIC_RELEASE);
    return r < 0 ? r : verso_rwlock_unlock(arg);
}

static void until_a_writer_waits(void)
{
    while (__atomic_load_n(&stage->rwlock.word, __ATOMIC_RELAXED) == 0)
        sleep_ms(1);
}

static void test_writers_come_first(void **state)
{
    struct other writer = { .act = write_and_say, .arg = &stage->rwlock };

    (void)state;
    assert_ok(verso_rwlock_read(&stage->rwlock, -1));
    other_start(&writer);
    until_a_writer_waits();
    assert_int_equal(in_thread(try_read, &stage->rwlock), -EBUSY);
    assert_int_equal(in_thread(read_for_20_ms, &stage->rwlock), -ETIMEDOUT);
    assert_int_equal(__atomic_load_n(&stage->signal, __ATOMIC_ACQUIRE), 0);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_int_equal(other_join(&writer), 0);
    assert_int_equal(in_thread(try_read, &stage->rwlock), 0);
}

/* Readers that end without unlocking, in a thread and killed: nobody misses them, nothing is suspect. */
static void test_dead_readers_vanish(void **state)
{
    (void)state;
    assert_int_equal(in_thread(read_it, &stage->rwlock), 0);
    assert_int_equal(in_killed_child(read_it, &stage->rwlock), 0);
    assert_ok(verso_rwlock_write(&stage->rwlock, 0));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    for (size_t i = 0; i < VERSO_RWLOCK_READERS; i++)
        assert_true(stage->rwlock.readers[i] == 0);
}

static void inherit_from_the_dead(int lived)
{
    assert_int_equal(lived, 0);
    assert_fails(verso_rwlock_read(&stage->rwlock, 0), VERSO_E_OWNER_DIED);
    assert_int_equal(in_thread(try_write, &stage->rwlock), -EBUSY); /* we read all the same */
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_fails(verso_rwlock_read(&stage->rwlock, -1), VERSO_E_OWNER_DIED);
    assert_fails(verso_rwlock_consistent(&stage->rwlock), -EPERM); /* who only reads has not repaired */
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_fails_in(verso_rwlock_write(&stage->rwlock, 0), VERSO_E_OWNER_DIED, "rwlock");
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_fails(verso_rwlock_write(&stage->rwlock, -1), VERSO_E_OWNER_DIED);
    assert_int_equal(in_thread(try_read, &stage->rwlock), -EBUSY);
    assert_ok(verso_rwlock_consistent(&stage->rwlock));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_ok(verso_rwlock_read(&stage->rwlock, 0));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_true(stage->rwlock.word == 0);
}

static void test_after_a_writer_that_ended(void **state)
{
    (void)state;
    inherit_from_the_dead(in_thread(write_it, &stage->rwlock));
}

static void test_after_a_writer_that_was_killed(void **state)
{
    (void)state;
    inherit_from_the_dead(in_killed_child(write_it, &stage->rwlock));
}

/* It never was inside: nothing is suspect. */
static void test_after_a_writer_that_was_killed_while_it_waited(void **state)
{
    pid_t child;

    (void)state;
    assert_ok(verso_rwlock_read(&stage->rwlock, -1));
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(write_it(&stage->rwlock));
    until_a_writer_waits();
    sleep_ms(20);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(in_thread(try_read, &stage->rwlock), 0);
    assert_int_equal(in_thread(try_write, &stage->rwlock), -EBUSY);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_ok(verso_rwlock_write(&stage->rwlock, 0));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
}

static int hold(act_function *act)
{
    int r = act(&stage->rwlock);

    __atomic_store_n(&stage->signal, 1, __ATOMIC_RELEASE);
    for (;;)
        (void)pause();
    return r;
}

/* Those who sleep for somebody are told of that one's death: a writer for a reader, readers and writers for a writer.
 * */
static void death_wakes(act_function *held_by, act_function *waits, int wanted)
{
    struct other others[2];
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(hold(held_by));
    while (!__atomic_load_n(&stage->signal, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    for (size_t i = 0; i < 2; i++) {
        others[i] = (struct other){ .act = waits, .arg = &stage->rwlock };
        other_start(&others[i]);
    }
    sleep_ms(20);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(other_join(&others[i]), wanted);
}

static void test_death_wakes_readers(void **state)
{
    (void)state;
    death_wakes(write_it, read_it, VERSO_E_OWNER_DIED);
}

static void test_death_wakes_writers(void **state)
{
    (void)state;
    death_wakes(write_it, write_and_say, VERSO_E_OWNER_DIED);
}

static void test_death_of_a_reader_wakes_writers(void **state)
{
    (void)state;
    death_wakes(read_it, write_and_say, 0);
}

static void test_not_in_a_share(void **state)
{
    static struct verso_rwlock here;

    (void)state;
    assert_fails_in(verso_rwlock_read(&here, 0), VERSO_E_RANGE, "seat");
    assert_fails(verso_rwlock_write(&here, 0), VERSO_E_RANGE);
    assert_fails(verso_rwlock_unlock(&here), VERSO_E_RANGE);
    assert_fails(verso_rwlock_consistent(&here), VERSO_E_RANGE);
    assert_fails_in(verso_rwlock_read(NULL, 0), -EINVAL, "arguments");
    assert_fails(verso_rwlock_write(NULL, 0), -EINVAL);
    assert_fails(verso_rwlock_unlock(NULL), -EINVAL);
    assert_fails(verso_rwlock_consistent(NULL), -EINVAL);
}

/* Entries and lines that nobody set. */
static void test_rubbish_keeps_nobody_out(void **state)
{
    (void)state;
    memset(&stage->rwlock.lines, 0xff, sizeof(stage->rwlock.lines));
    for (uint32_t i = 0; i < VERSO_RWLOCK_READERS; i++)
        stage->rwlock.readers[i] = 0x7ffffff0U | i << 31;
    assert_ok(verso_rwlock_write(&stage->rwlock, 1000));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    stage->rwlock.word = 0x7fffffffU;
    assert_fails(verso_rwlock_read(&stage->rwlock, 1000), VERSO_E_OWNER_DIED);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
}

/* ---- More threads than entries ---- */

#define CROWD (VERSO_RWLOCK_READERS + 20)

static struct verso_rwlock *crowded;
static pthread_barrier_t crowd_gate;

/* Everybody has a seat before anybody reads; those with an entry read at once, the rest one at a time. */
static int read_in_a_crowd(void *arg)
{
    struct verso_mutex *own = arg;
    int r = verso_mutex_lock(own, 0);

    (void)pthread_barrier_wait(&crowd_gate);
    if (r == 0)
        r = verso_rwlock_read(crowded, 60000);
    if (r < 0)
        return r;
    if (verso_rwlock_read(crowded, 0) != -EDEADLK || verso_rwlock_consistent(crowded) != -EPERM)
        return 1;
    if (__atomic_fetch_add(&stage->signal, 1, __ATOMIC_RELAXED) == CROWD / 2)
        return 0; /* this one ends with it */
    return verso_rwlock_unlock(crowded);
}

static void test_more_readers_than_entries(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    static struct other others[CROWD];
    struct verso_share *share;
    struct verso_mutex *own;

    (void)state;
    options.seat_count = CROWD + 1;
    assert_ok(verso_share_create_anonymous(sizeof(*crowded) + CROWD * sizeof(*own), &options, &share));
    crowded = verso_share_data(share);
    own = (struct verso_mutex *)(crowded + 1);
    assert_int_equal(pthread_barrier_init(&crowd_gate, NULL, CROWD), 0);
    for (size_t i = 0; i < CROWD; i++) {
        others[i] = (struct other){ .act = read_in_a_crowd, .arg = &own[i] };
        other_start(&others[i]);
    }
    for (size_t i = 0; i < CROWD; i++)
        assert_int_equal(other_join(&others[i]), 0);
    assert_int_equal(pthread_barrier_destroy(&crowd_gate), 0);
    assert_ok(verso_rwlock_write(crowded, 0));
    assert_ok(verso_rwlock_unlock(crowded));
    verso_share_close(share);
}

/* ---- All at once ---- */

struct run {
    unsigned rounds;
    unsigned writes_of_8;
};

/* Writers keep the pair equal, and leave it unequal for a while; readers must not see that. */
static int read_and_write(void *arg)
{
    const struct run *run = arg;

    for (unsigned i = 0; i < run->rounds; i++) {
        bool to_write = i * 5 % 8 < run->writes_of_8;
        int r = to_write ? verso_rwlock_write(&stage->rwlock, 60000) : verso_rwlock_read(&stage->rwlock, 60000);
        uint64_t first;

        if (r < 0)
            return 1;
        first = stage->pair[0];
        for (unsigned pause = i & 63; pause > 0; pause--)
            __asm__ volatile("" ::: "memory");
        if (stage->pair[1] != first)
            return 2;
        if (to_write)
            stage->pair[0]++;
        for (unsigned pause = i & 63; pause > 0; pause--)
            __asm__ volatile("" ::: "memory");
        if (to_write)
            stage->pair[1]++;
        if (verso_rwlock_unlock(&stage->rwlock) < 0)
            return 3;
    }
    return 0;
}

static void test_threads_and_processes(void **state)
{
    struct run run = { support_is_tsan() || support_is_asan() ? 2000 : 20000, 1 };
    struct other others[3];
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(read_and_write(&run));
    for (size_t i = 0; i < 3; i++) {
        others[i] = (struct other){ .act = read_and_write, .arg = &run };
        other_start(&others[i]);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(other_join(&others[i]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(stage->pair[0] == 4 * (run.rounds / 8) && stage->pair[0] == stage->pair[1]);
    assert_true(stage->rwlock.word == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_zeros_are_a_free_lock),
        stage_test(test_readers_are_many),
        stage_test(test_a_writer_is_alone),
        stage_test(test_asking_again_would_wait_for_oneself),
        stage_test(test_only_who_has_it_unlocks),
        stage_test(test_time_runs_out),
        stage_test(test_a_writer_gives_up),
        stage_test(test_writers_come_first),
        stage_test(test_dead_readers_vanish),
        stage_test(test_after_a_writer_that_ended),
        stage_test(test_after_a_writer_that_was_killed),
        stage_test(test_after_a_writer_that_was_killed_while_it_waited),
        stage_test(test_death_wakes_readers),
        stage_test(test_death_wakes_writers),
        stage_test(test_death_of_a_reader_wakes_writers),
        stage_test(test_not_in_a_share),
        stage_test(test_rubbish_keeps_nobody_out),
        stage_test(test_more_readers_than_entries),
        stage_test(test_threads_and_processes),
    };

    return run_test_list(tests);
}
