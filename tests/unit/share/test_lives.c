/* SPDX-License-Identifier: MIT */
/* lives - death by SIGKILL, forks, zombies; waiting that ends with a death; nothing left behind. */
#include "regions.h"

#include <pthread.h>

/* What children write into a region's content. */
struct board {
    _Atomic uint32_t word;
    _Atomic uint32_t number;
    _Atomic uint32_t generation;
    _Atomic uint32_t member;
    _Atomic uint32_t member_generation;
    _Atomic uint32_t go;
};

static struct board *board_of(struct verso_share *share)
{
    return verso_share_data(share);
}

static void sit_in(struct verso_share *share)
{
    struct board *board = board_of(share);
    const struct verso__share_seat *seat;
    uint32_t member, generation;

    if (verso__share_seat_of(board, &seat) != 0 || verso__share_member_here(share, &member, &generation) != 0)
        _exit(1);
    board->number = seat->number;
    board->generation = seat->generation;
    board->member = member;
    board->member_generation = generation;
}

static void attach_and_sit(void *arg)
{
    struct verso_share *share;

    if (verso_share_attach(arg, NULL, &share) != 0)
        _exit(1);
    sit_in(share);
}

static void inherit_and_sit(void *arg)
{
    sit_in(arg);
}

static struct verso__share_seat told(struct verso_share *share)
{
    return (struct verso__share_seat){ share, board_of(share)->number, board_of(share)->generation };
}

static void alive_then_killed(struct verso_share *share, struct child child)
{
    struct board *board = board_of(share);
    struct verso__share_seat seat = told(share);
    uint32_t member, generation;

    assert_false(verso__share_seat_is_marked(&seat));
    assert_false(verso__share_seat_is_dead(&seat));
    assert_false(verso__share_member_is_dead(share, board->member, board->member_generation));
    assert_int_equal(verso__share_seat_member(&seat, &member, &generation), 0);
    assert_true(member == board->member && generation == board->member_generation);
    assert_int_equal(members_of(share), 2);
    child_kill(child);
    assert_true(verso__share_seat_is_marked(&seat)); /* the kernel has done it before it told the parent */
    assert_true(verso__share_seat_is_dead(&seat));
    assert_true(verso__share_member_is_dead(share, board->member, board->member_generation));
    assert_int_equal(members_of(share), 1);
}

static void test_killed(void **state)
{
    char path[PATH_MAX];
    struct verso_share *share;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", support_path("k"));
    share = made(path, sizeof(struct board));
    for (int i = 0; i < 20; i++) {
        alive_then_killed(share, child_that(attach_and_sit, path));
        alive_then_killed(share, child_that(inherit_and_sit, share)); /* a child of fork() becomes one of its own */
    }
    assert_int_equal(board_of(share)->number, 0); /* places and seats of the dead are taken again */
    assert_int_equal(board_of(share)->member, 1);
    assert_int_equal(board_of(share)->generation, 40);
    verso_share_close(share);
    assert_int_equal(access(path, F_OK), -1);
}

/* ---- Forks ---- */

static void test_the_child_is_not_the_parent(void **state)
{
    struct verso_share *share = made(support_path("f"), sizeof(struct board));
    const struct verso__share_seat *seat;
    struct verso__share_seat mine;
    struct child child;

    (void)state;
    assert_int_equal(verso__share_seat_of(board_of(share), &seat), 0);
    mine = *seat;
    child = child_that(inherit_and_sit, share);
    assert_int_not_equal(board_of(share)->number, mine.number);
    assert_int_equal(board_of(share)->member, 1);
    assert_false(verso__share_seat_is_dead(&mine));
    child_kill(child);
    assert_false(verso__share_seat_is_dead(&mine));
    assert_false(verso__share_seat_is_marked(&mine));
    assert_int_equal(members_of(share), 1);
    verso_share_close(share);
}

static int close_in_child(void *arg)
{
    verso_share_close(arg);
    return 0;
}

static void test_a_child_that_closes_takes_nothing_along(void **state)
{
    struct verso_share *share = made(support_path("f"), sizeof(struct board));
    const struct verso__share_seat *seat;

    (void)state;
    assert_int_equal(verso__share_seat_of(board_of(share), &seat), 0);
    assert_int_equal(support_child(close_in_child, share), 0);
    assert_int_equal(access(support_path("f"), F_OK), 0);
    assert_int_equal(members_of(share), 1);
    assert_false(verso__share_seat_is_dead(seat));
    verso_share_close(share);
}

/* The grandchild has the open file of its killed parent, and so its lock; pid and start time tell. */
static void fork_and_sit(void *arg)
{
    struct verso_share *share;
    pid_t idle;

    if (verso_share_attach(arg, NULL, &share) != 0)
        _exit(1);
    sit_in(share);
    idle = fork();
    if (idle == 0)
        for (;;)
            (void)pause();
    board_of(share)->word = (uint32_t)idle;
}

static void test_dead_though_its_child_holds_the_lock(void **state)
{
    struct verso_share *share;
    struct child child;
    char path[PATH_MAX];
    uint32_t member, generation;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", support_path("g"));
    share = made(path, sizeof(struct board));
    child = child_that(fork_and_sit, path);
    member = board_of(share)->member;
    generation = board_of(share)->member_generation;
    assert_false(verso__share_member_is_dead(share, member, generation));
    child_kill(child);
    assert_int_equal(verso__os_bytes_are_locked(share->fd, VERSO__SHARE_MEMBER_BYTE + member, 1), 1);
    assert_true(verso__share_member_is_dead(share, member, generation));
    assert_int_equal(members_of(share), 1);
    assert_int_equal(kill((pid_t)board_of(share)->word, SIGKILL), 0);
    verso_share_close(share);
}

static void test_a_zombie_is_dead(void **state)
{
    struct verso_share *share;
    struct child child;
    char path[PATH_MAX];
    siginfo_t info;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", support_path("z"));
    share = made(path, sizeof(struct board));
    child = child_that(fork_and_sit, path);
    assert_int_equal(kill(child.process, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)child.process, &info, WEXITED | WNOWAIT), 0);
    assert_true(verso__share_member_is_dead(share, board_of(share)->member, board_of(share)->member_generation));
    assert_int_equal(waitid(P_PID, (id_t)child.process, &info, WEXITED), 0);
    assert_int_equal(kill((pid_t)board_of(share)->word, SIGKILL), 0);
    verso_share_close(share);
}

static void *wait_for_ever(void *arg)
{
    while (arg)
        (void)pause();
    return NULL;
}

/* The child's first thread ends, another goes on. */
static void end_first_thread(void *arg)
{
    pthread_t thread;

    sit_in(arg);
    if (pthread_create(&thread, NULL, wait_for_ever, arg) != 0)
        _exit(1);
    board_of(arg)->go = 1;
    pthread_exit(NULL);
}

static void test_a_process_without_its_first_thread_lives(void **state)
{
    struct verso_share *share = made(support_path("t"), sizeof(struct board));
    struct verso__os_process_info info;
    struct verso__share_seat seat;
    pid_t process = fork();

    (void)state;
    assert_true(process >= 0);
    if (process == 0)
        end_first_thread(share);
    while (!atomic_load(&board_of(share)->go))
        (void)usleep(500);
    do { /* it looks like a zombie then */
        (void)usleep(500);
        assert_int_equal(verso__os_process_info(process, &info), 0);
    } while (info.state != 'Z');
    seat = told(share);
    assert_false(verso__share_member_is_dead(share, board_of(share)->member, board_of(share)->member_generation));
    assert_int_equal(members_of(share), 2);
    assert_true(verso__share_seat_is_dead(&seat)); /* the thread that sat there has ended */
    child_kill((struct child){ process });
    assert_true(verso__share_member_is_dead(share, board_of(share)->member, board_of(share)->member_generation));
    verso_share_close(share);
}

/* ---- Waiting ---- */

static void test_wait_looks_again(void **state)
{
    struct verso_share *share = made(support_path("w"), sizeof(struct board));
    struct board *board = board_of(share);
    uint64_t soon;

    (void)state;
    board->word = 1;
    assert_int_equal(verso__share_wait(&board->word, 0, NULL, 0, VERSO__OS_NEVER), 0);
    soon = verso__os_clock_ns() + 1000000;
    assert_int_equal(verso__share_wait(&board->word, 1, NULL, 0, soon), -ETIMEDOUT);
    assert_true(verso__os_clock_ns() >= soon);
    assert_int_equal(verso__share_wait(&board->word, 1, NULL, VERSO__SHARE_WATCHED_MAX + 1, soon), -EINVAL);
    verso_share_close(share);
}

static void test_wait_for_the_living_times_out(void **state)
{
    struct verso_share *share = made(support_path("w"), sizeof(struct board));
    struct child child = child_that(inherit_and_sit, share);
    struct verso__share_seat seats[2];
    uint64_t deadline = verso__os_clock_ns() + 250000000; /* two slices and a half */
    int r;

    (void)state;
    seats[0] = seats[1] = told(share);
    while ((r = verso__share_wait(&board_of(share)->word, 0, seats, 2, deadline)) == 0)
        assert_true(verso__os_clock_ns() < deadline + UINT64_C(60000000000));
    assert_int_equal(r, -ETIMEDOUT);
    assert_true(verso__os_clock_ns() >= deadline);
    child_kill(child);
    assert_int_equal(verso__share_wait(&board_of(share)->word, 0, seats, 2, VERSO__OS_NEVER), -EOWNERDEAD);
    verso_share_close(share);
}

/* Others that wait as well: the kernel wakes one, that one the next. All must get away. */
static int wait_for_death(void *arg)
{
    struct verso_share *share = arg;
    struct verso__share_seat seat = told(share);
    int r;

    atomic_fetch_add(&board_of(share)->go, 1);
    while ((r = verso__share_wait(&board_of(share)->word, 0, &seat, 1, VERSO__OS_NEVER)) == 0)
        ;
    return r == -EOWNERDEAD ? 0 : 1;
}

static void test_wait_ends_with_a_death(void **state)
{
    struct verso_share *share = made(support_path("w"), sizeof(struct board));

    (void)state;
    for (int round = 0; round < 10; round++) {
        struct child child = child_that(inherit_and_sit, share);
        pid_t waiters[5];

        board_of(share)->go = 0;
        for (int i = 0; i < 5; i++) {
            waiters[i] = fork();
            assert_true(waiters[i] >= 0);
            if (waiters[i] == 0)
                _exit(wait_for_death(share));
        }
        while (atomic_load(&board_of(share)->go) < 5)
            (void)usleep(500);
        (void)usleep(2000); /* most of them sleep by now; it must work either way */
        child_kill(child);
        for (int i = 0; i < 5; i++) {
            int status;

            assert_int_equal(waitpid(waiters[i], &status, 0), waiters[i]);
            assert_int_equal(status, 0);
        }
    }
    verso_share_close(share);
}

static void sleep_at_life_word(struct verso_share *share)
{
    struct verso__share_seat seat = told(share);
    const _Atomic uint32_t *word = verso__share_life(share, seat.number);
    uint32_t alive = atomic_load(word);

    atomic_fetch_add(&board_of(share)->go, 1);
    while (atomic_load(word) == alive)
        if (verso__os_futex_wait(word, alive, VERSO__OS_NEVER, VERSO__OS_FUTEX_SHARED) < 0)
            _exit(1);
    _exit(0);
}

/* Two that sleep at the life word alone, with no slices: the kernel wakes one at most, the other is woken by who waited
 * with verso__share_wait() and saw the death. */
static void test_who_sees_a_death_wakes_the_others(void **state)
{
    struct verso_share *share = made(support_path("w"), sizeof(struct board));
    struct child child = child_that(inherit_and_sit, share);
    pid_t sleepers[2];
    int status;

    (void)state;
    for (int i = 0; i < 2; i++) {
        sleepers[i] = fork();
        assert_true(sleepers[i] >= 0);
        if (sleepers[i] == 0)
            sleep_at_life_word(share);
    }
    while (atomic_load(&board_of(share)->go) < 2)
        (void)usleep(500);
    (void)usleep(20000); /* asleep by now; it passes either way */
    child_kill(child);
    assert_int_equal(wait_for_death(share), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(waitpid(sleepers[i], &status, 0), sleepers[i]);
        assert_int_equal(status, 0);
    }
    verso_share_close(share);
}

/* The life word is hidden by a scribbler: the lock tells, a slice later. */
static void test_wait_ends_though_the_word_lies(void **state)
{
    struct verso_share *share = made(support_path("w"), sizeof(struct board));
    struct child child = child_that(inherit_and_sit, share);
    struct verso__share_seat seat = told(share);
    int r;

    (void)state;
    atomic_store(verso__share_life(share, seat.number), 12345);
    child_kill(child);
    assert_false(verso__share_seat_is_marked(&seat));
    while ((r = verso__share_wait(&board_of(share)->word, 0, &seat, 1, VERSO__OS_NEVER)) == 0)
        ;
    assert_int_equal(r, -EOWNERDEAD);
    assert_true(verso__share_seat_is_dead(&seat));
    verso_share_close(share);
}

/* No life word at all, as on another libc: the same, by lock or by pid. */
static void test_wait_without_life_words(void **state)
{
    struct verso_share *share = made(support_path("w"), sizeof(struct board));
    struct child child = child_that(inherit_and_sit, share);
    struct verso__share_seat seat = told(share);
    int r;

    (void)state;
    atomic_store(&verso__share_chair(share, seat.number)->has_life, 0);
    assert_int_equal(verso__share_wait(&board_of(share)->word, 0, &seat, 1, VERSO__OS_NEVER), 0); /* a slice */
    child_kill(child);
    while ((r = verso__share_wait(&board_of(share)->word, 0, &seat, 1, VERSO__OS_NEVER)) == 0)
        ;
    assert_int_equal(r, -EOWNERDEAD);
    verso_share_close(share);
}

static void wake_after_a_while(void *arg)
{
    struct board *board = board_of(arg);

    (void)usleep(2000);
    board->word = 7;
    verso__share_wake(&board->word, 1);
}

static void test_wake(void **state)
{
    struct verso_share *share = made(support_path("w"), sizeof(struct board));
    struct child sitter = child_that(inherit_and_sit, share), waker;
    struct verso__share_seat seat = told(share);
    struct board *board = board_of(share);
    pid_t process = fork();
    int status;

    (void)state;
    assert_true(process >= 0);
    if (process == 0) {
        while (board->word == 0)
            if (verso__share_wait(&board->word, 0, &seat, 1, VERSO__OS_NEVER) < 0)
                _exit(1);
        _exit(board->word == 7 ? 0 : 2);
    }
    waker = child_that(wake_after_a_while, share);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(status, 0);
    child_kill(waker);
    child_kill(sitter);
    verso_share_close(share);
}

/* ---- Killed at any moment ---- */

#define LIVES 300

static void come_and_go(const char *path)
{
    struct verso_share *share;
    const struct verso__share_seat *seat;

    for (;;) {
        if (verso_share_open(path, 10000, NULL, &share) != 0)
            _exit(1);
        if (verso__share_seat_of(verso_share_data(share), &seat) != 0)
            _exit(2);
        verso_share_close(share);
    }
}

/* Attachers are killed while they attach, sit, leave, create and remove; those who live can always come in. */
static void test_killed_at_random(void **state)
{
    struct verso_share *share;
    char path[PATH_MAX];
    unsigned seed = 1;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", support_path("r"));
    for (int life = 0; life < LIVES; life++) {
        pid_t children[2];

        for (int i = 0; i < 2; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] == 0)
                come_and_go(path);
        }
        (void)usleep((useconds_t)(rand_r(&seed) % 3000));
        for (int i = 0; i < 2; i++) {
            int status;

            assert_int_equal(kill(children[i], SIGKILL), 0);
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_true(WIFSIGNALED(status)); /* killed, and had not met an error before */
        }
        assert_ok(verso_share_open(path, 10000, NULL, &share));
        assert_int_equal(members_of(share), 1);
        verso_share_close(share);
        assert_int_equal(access(path, F_OK), -1);
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_the_child_is_not_the_parent),
        cmocka_unit_test(test_a_child_that_closes_takes_nothing_along),
        cmocka_unit_test(test_dead_though_its_child_holds_the_lock),
        cmocka_unit_test(test_a_zombie_is_dead),
        cmocka_unit_test(test_a_process_without_its_first_thread_lives),
        cmocka_unit_test(test_wait_looks_again),
        cmocka_unit_test(test_wait_for_the_living_times_out),
        cmocka_unit_test(test_wait_ends_with_a_death),
        cmocka_unit_test(test_who_sees_a_death_wakes_the_others),
        cmocka_unit_test(test_wait_ends_though_the_word_lies),
        cmocka_unit_test(test_wait_without_life_words),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_killed_at_random),
    };

    return run_test_list(list);
}
