/* SPDX-License-Identifier: MIT */
/*
 * lock-steps - an owner dies at each instruction of each call: those who live go on, and are told exactly when the data
 * may be suspect.
 *
 * What the dead one did is judged by what it left: the words, read by the survivor before it does anything, say whether
 * the dead one was inside. "Told" must agree with that at each step.
 */
#include "../unit/lock/locks.h"

#include "lock/owner.h"
#include "steps.h"

/* What came out at the steps so far. */
static struct {
    unsigned told;
    unsigned untold;
} seen;

static struct verso_mutex *rehearsal(void)
{
    return &stage->other;
}

static void clear_stage(void *arg)
{
    (void)arg;
    memset((void *)stage, 0, sizeof(*stage));
}

/* Takes a seat, and makes the calls that waiting makes, once. */
static void take_seat(void *arg)
{
    (void)arg;
    if (verso_mutex_lock(rehearsal(), 0) != 0 || verso_mutex_unlock(rehearsal()) != 0)
        _exit(2);
    if (verso_event_wait(&stage->event, 1) != -ETIMEDOUT)
        _exit(3);
}

/* The data, with a mark of being in the middle. */
static void change(void)
{
    volatile uint64_t *pair = stage->pair;

    pair[0]++;
    pair[1]++;
}

/* ---- Mutex ---- */

static void lock_change_unlock(void *arg)
{
    (void)arg;
    if (verso_mutex_lock(&stage->mutex, 5000) != 0)
        _exit(4);
    change();
    if (verso_mutex_unlock(&stage->mutex) != 0)
        _exit(5);
}

/* The survivor's part: told or not, it then has a lock that is whole. */
static int inherit_mutex(void)
{
    int r = verso_mutex_lock(&stage->mutex, 5000);

    assert_true(r == 0 || r == VERSO_E_OWNER_DIED);
    if (r < 0)
        assert_ok(verso_mutex_consistent(&stage->mutex));
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_ok(verso_mutex_lock(&stage->mutex, 0));
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_true(stage->mutex.word == 0);
    return r;
}

static void count(int r)
{
    if (r < 0)
        seen.told++;
    else
        seen.untold++;
}

static void judge_mutex(void *arg, bool was_done)
{
    bool was_inside = stage->mutex.word != 0, is_half = stage->pair[0] != stage->pair[1];
    int r = inherit_mutex();

    (void)arg;
    assert_int_equal(r < 0, was_inside);
    assert_true(was_inside || !is_half);
    assert_true(!was_done || (r == 0 && stage->pair[1] == 1));
    count(r);
}

static void run(const struct support_steps *steps, const char *name)
{
    unsigned instructions;

    if (support_is_asan() || support_is_tsan())
        skip_because("the sanitizer's own instructions would be stepped through");
    if (!support_can_step())
        skip_because("no child can be traced here");
    memset(&seen, 0, sizeof(seen));
    instructions = support_kill_at_each_step(steps);
    print_message("# %s: %u instructions, %u deaths told of, %u not\n", name, instructions, seen.told, seen.untold);
    assert_true(instructions > 20 && seen.told + seen.untold > 20);
}

static void test_mutex(void **state)
{
    const struct support_steps steps = { clear_stage, take_seat, NULL, lock_change_unlock, judge_mutex, NULL };

    (void)state;
    run(&steps, "mutex");
    assert_true(seen.told > 5 && seen.untold > 5);
}

/* ---- Mutex, while another one sleeps for it ---- */

static struct other sleeper;

static void ready_inside(void *arg)
{
    take_seat(arg);
    if (verso_mutex_lock(&stage->mutex, 0) != 0)
        _exit(4);
}

static int lock_and_unlock(void *arg)
{
    int r = verso_mutex_lock(arg, 20000), unlocked;

    if (r < 0 && r != VERSO_E_OWNER_DIED)
        return 1;
    unlocked = verso_mutex_unlock(arg);
    return unlocked < 0 ? 2 : r;
}

static void start_sleeper(void *arg)
{
    (void)arg;
    sleeper = (struct other){ .act = lock_and_unlock, .arg = &stage->mutex };
    other_start(&sleeper);
    while (!(__atomic_load_n(&stage->mutex.word, __ATOMIC_RELAXED) & VERSO__OWNER_WAITERS))
        sleep_ms(1);
}

static void unlock_only(void *arg)
{
    (void)arg;
    if (verso_mutex_unlock(&stage->mutex) != 0)
        _exit(5);
}

/* The sleeper comes through, whether it was woken by the unlock or by the death. It is told when it found the dead. */
static void judge_sleeper(void *arg, bool was_done)
{
    int r = other_join(&sleeper);

    (void)arg;
    assert_true(r == 0 || r == VERSO_E_OWNER_DIED);
    assert_true(!was_done || r == 0);
    assert_int_equal(inherit_mutex(), r);
    count(r);
}

static void test_mutex_that_is_waited_for(void **state)
{
    const struct support_steps steps = { clear_stage, ready_inside, start_sleeper, unlock_only, judge_sleeper, NULL };

    (void)state;
    run(&steps, "unlock beside a sleeper");
    assert_true(seen.told > 5 && seen.untold > 5);
}

/* ---- Mutex, taken from the dead ---- */

static void begin_with_dead_owner(void *arg)
{
    clear_stage(arg);
    assert_int_equal(in_killed_child(lock_it, &stage->mutex), 0);
    stage->pair[0] = 1; /* it died in the middle */
}

static void repair(void *arg)
{
    volatile uint64_t *pair = stage->pair;

    (void)arg;
    if (verso_mutex_lock(&stage->mutex, 5000) != VERSO_E_OWNER_DIED)
        _exit(4);
    pair[1] = pair[0];
    if (verso_mutex_consistent(&stage->mutex) != 0 || verso_mutex_unlock(&stage->mutex) != 0)
        _exit(5);
}

/* Nobody is told that all is well before it is. */
static void judge_repair(void *arg, bool was_done)
{
    bool is_half = stage->pair[0] != stage->pair[1], was_free = stage->mutex.word == 0;
    int r = inherit_mutex();

    (void)arg;
    assert_int_equal(r < 0, !was_free);
    assert_true(r < 0 || !is_half);
    assert_true(!was_done || r == 0);
    count(r);
}

static void test_mutex_of_the_dead(void **state)
{
    const struct support_steps steps = { begin_with_dead_owner, take_seat, NULL, repair, judge_repair, NULL };

    (void)state;
    run(&steps, "repair");
    assert_true(seen.told > 5 && seen.untold > 0);
}

/* ---- Mutex, not got in time ---- */

static void hold_mutex(void *arg)
{
    clear_stage(arg);
    assert_ok(verso_mutex_lock(&stage->mutex, 0));
}

static void lock_in_vain(void *arg)
{
    (void)arg;
    if (verso_mutex_lock(&stage->mutex, 1) != -ETIMEDOUT)
        _exit(4);
}

static void judge_in_vain(void *arg, bool was_done)
{
    (void)arg;
    (void)was_done;
    assert_ok(verso_mutex_unlock(&stage->mutex));
    count(inherit_mutex());
}

static void test_mutex_that_was_not_got(void **state)
{
    const struct support_steps steps = { hold_mutex, take_seat, NULL, lock_in_vain, judge_in_vain, NULL };

    (void)state;
    run(&steps, "lock in vain");
    assert_int_equal(seen.told, 0);
}

/* ---- Reader-writer lock ---- */

static int inherit_rwlock(void)
{
    int r = verso_rwlock_write(&stage->rwlock, 5000);

    assert_true(r == 0 || r == VERSO_E_OWNER_DIED);
    if (r < 0)
        assert_ok(verso_rwlock_consistent(&stage->rwlock));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_ok(verso_rwlock_read(&stage->rwlock, 0));
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_true(stage->rwlock.word == 0);
    return r;
}

static bool writer_was_inside(void)
{
    uint64_t word = stage->rwlock.word;

    return verso__owner_of(word) != 0 && !(word & VERSO__OWNER_CLAIMED);
}

static void read_unlock(void *arg)
{
    (void)arg;
    if (verso_rwlock_read(&stage->rwlock, 5000) != 0 || verso_rwlock_unlock(&stage->rwlock) != 0)
        _exit(4);
}

static void judge_reader(void *arg, bool was_done)
{
    (void)arg;
    (void)was_done;
    count(inherit_rwlock());
}

static void test_reader(void **state)
{
    const struct support_steps steps = { clear_stage, take_seat, NULL, read_unlock, judge_reader, NULL };

    (void)state;
    run(&steps, "read");
    assert_int_equal(seen.told, 0);
}

static void write_change_unlock(void *arg)
{
    (void)arg;
    if (verso_rwlock_write(&stage->rwlock, 5000) != 0)
        _exit(4);
    change();
    if (verso_rwlock_unlock(&stage->rwlock) != 0)
        _exit(5);
}

static void judge_writer(void *arg, bool was_done)
{
    bool was_inside = writer_was_inside(), is_half = stage->pair[0] != stage->pair[1];
    int r = inherit_rwlock();

    (void)arg;
    assert_int_equal(r < 0, was_inside);
    assert_true(was_inside || !is_half);
    assert_true(!was_done || (r == 0 && stage->pair[1] == 1));
    count(r);
}

static void test_writer(void **state)
{
    const struct support_steps steps = { clear_stage, take_seat, NULL, write_change_unlock, judge_writer, NULL };

    (void)state;
    run(&steps, "write");
    assert_true(seen.told > 5 && seen.untold > 5);
}

/* A writer beside a reader who stays: it claims, waits, gives up. */
static void hold_for_reading(void *arg)
{
    clear_stage(arg);
    assert_ok(verso_rwlock_read(&stage->rwlock, 0));
}

static void write_in_vain(void *arg)
{
    (void)arg;
    if (verso_rwlock_write(&stage->rwlock, 1) != -ETIMEDOUT)
        _exit(4);
}

static void judge_write_in_vain(void *arg, bool was_done)
{
    bool was_inside = writer_was_inside();
    int r;

    (void)arg;
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    r = inherit_rwlock();
    assert_int_equal(r < 0, was_inside); /* between its name in the word and its claim: as good as inside */
    assert_true(!was_done || r == 0);
    count(r);
}

static void test_writer_beside_a_reader(void **state)
{
    const struct support_steps steps = { hold_for_reading, take_seat, NULL, write_in_vain, judge_write_in_vain, NULL };

    (void)state;
    run(&steps, "write in vain");
}

/* A reader beside a writer who stays. */
static void hold_for_writing(void *arg)
{
    clear_stage(arg);
    assert_ok(verso_rwlock_write(&stage->rwlock, 0));
}

static void read_in_vain(void *arg)
{
    (void)arg;
    if (verso_rwlock_read(&stage->rwlock, 1) != -ETIMEDOUT)
        _exit(4);
}

static void judge_read_in_vain(void *arg, bool was_done)
{
    (void)arg;
    (void)was_done;
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    count(inherit_rwlock());
}

static void test_reader_beside_a_writer(void **state)
{
    const struct support_steps steps = { hold_for_writing, take_seat, NULL, read_in_vain, judge_read_in_vain, NULL };

    (void)state;
    run(&steps, "read in vain");
    assert_int_equal(seen.told, 0);
}

/* A reader who finds a dead writer: it stays suspect until a writer says otherwise. */
static void begin_with_dead_writer(void *arg)
{
    clear_stage(arg);
    assert_int_equal(in_killed_child(write_it, &stage->rwlock), 0);
}

static void read_suspect(void *arg)
{
    (void)arg;
    if (verso_rwlock_read(&stage->rwlock, 5000) != VERSO_E_OWNER_DIED || verso_rwlock_unlock(&stage->rwlock) != 0)
        _exit(4);
}

static void judge_suspect(void *arg, bool was_done)
{
    int r = inherit_rwlock();

    (void)arg;
    (void)was_done;
    assert_int_equal(r, VERSO_E_OWNER_DIED);
    count(r);
}

static void test_reader_after_a_dead_writer(void **state)
{
    const struct support_steps steps = { begin_with_dead_writer, take_seat, NULL, read_suspect, judge_suspect, NULL };

    (void)state;
    run(&steps, "read suspect data");
}

/* ---- Once ---- */

static void do_once(void *arg)
{
    (void)arg;
    if (verso_once_begin(&stage->once, 5000) != VERSO_ONCE_DO)
        _exit(4);
    change();
    if (verso_once_end(&stage->once, 1) != 0)
        _exit(5);
}

static void judge_once(void *arg, bool was_done)
{
    uint64_t word = stage->once.word, pair[2] = { stage->pair[0], stage->pair[1] };
    int turn = verso_once_begin(&stage->once, 5000);

    (void)arg;
    assert_true(turn >= 0);
    assert_int_equal(turn == VERSO_ONCE_DONE, (word & VERSO__OWNER_DONE) != 0);
    assert_int_equal(turn == VERSO_ONCE_DO, word == 0);
    if (turn == VERSO_ONCE_DONE)
        assert_true(pair[0] == 1 && pair[1] == 1);
    if (turn == VERSO_ONCE_DO)
        assert_true(pair[0] == 0 && pair[1] == 0);
    assert_true(!was_done || turn == VERSO_ONCE_DONE);
    if (turn != VERSO_ONCE_DONE)
        assert_ok(verso_once_end(&stage->once, 1));
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DONE);
    count(turn == VERSO_ONCE_DO_OVER ? -1 : 0);
}

static void test_once(void **state)
{
    const struct support_steps steps = { clear_stage, take_seat, NULL, do_once, judge_once, NULL };

    (void)state;
    run(&steps, "once");
    assert_true(seen.told > 5 && seen.untold > 5);
}

/* ---- Event and semaphore: beside a sleeper ---- */

static int wait_for_event(void *arg)
{
    return verso_event_wait(arg, 1);
}

static void start_event_sleeper(void *arg)
{
    (void)arg;
    sleeper = (struct other){ .act = wait_for_event, .arg = &stage->event };
    other_start(&sleeper);
}

static void set_event(void *arg)
{
    (void)arg;
    if (verso_event_set(&stage->event) != 0)
        _exit(4);
}

static void judge_event(void *arg, bool was_done)
{
    bool is_set = stage->event.word == 1;
    int r = other_join(&sleeper);

    (void)arg;
    assert_true(r == 0 || r == -ETIMEDOUT);
    assert_true(is_set || (r < 0 && !was_done));
    assert_int_equal(verso_event_wait(&stage->event, 0), is_set ? 0 : -EBUSY);
    count(0);
}

static void test_event(void **state)
{
    const struct support_steps steps = { clear_stage, take_seat, start_event_sleeper, set_event, judge_event, NULL };

    (void)state;
    run(&steps, "event");
}

static int wait_for_unit(void *arg)
{
    return verso_semaphore_wait(arg, 20000);
}

static void start_unit_sleeper(void *arg)
{
    (void)arg;
    sleeper = (struct other){ .act = wait_for_unit, .arg = &stage->semaphore };
    other_start(&sleeper);
    while (__atomic_load_n(&stage->semaphore.sleepers, __ATOMIC_RELAXED) == 0)
        sleep_ms(1);
}

static void post_unit(void *arg)
{
    (void)arg;
    if (verso_semaphore_post(&stage->semaphore, 1) != 0)
        _exit(4);
}

/* One unit or none came of it; whoever sleeps finds it. */
static void judge_post(void *arg, bool was_done)
{
    bool is_posted = stage->semaphore.units == 1 || __atomic_load_n(&stage->semaphore.sleepers, __ATOMIC_RELAXED) == 0;

    (void)arg;
    if (!is_posted) {
        assert_false(was_done);
        assert_ok(verso_semaphore_post(&stage->semaphore, 1));
    }
    assert_int_equal(other_join(&sleeper), 0);
    assert_true(stage->semaphore.sleepers == 0);
    count(0);
}

static void test_semaphore(void **state)
{
    const struct support_steps steps = { clear_stage, take_seat, start_unit_sleeper, post_unit, judge_post, NULL };

    (void)state;
    run(&steps, "semaphore");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_mutex),
        stage_test(test_mutex_that_is_waited_for),
        stage_test(test_mutex_of_the_dead),
        stage_test(test_mutex_that_was_not_got),
        stage_test(test_reader),
        stage_test(test_writer),
        stage_test(test_writer_beside_a_reader),
        stage_test(test_reader_beside_a_writer),
        stage_test(test_reader_after_a_dead_writer),
        stage_test(test_once),
        stage_test(test_event),
        stage_test(test_semaphore),
    };

    return run_test_list(tests);
}
