/* SPDX-License-Identifier: MIT */
/*
 * namespaces - members of other namespaces of process ids, or of time: their death is seen, and nothing that only looks
 * like death there is taken for it.
 *
 * "Here" is the test's own namespace. Children of a helper that has unshared one begin it; the helper waits for them.
 */
#include "regions.h"

#include "child.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* What members write into the region; one place for each. */
struct card {
    _Atomic uint32_t member;
    _Atomic uint32_t generation;
    _Atomic uint32_t process; /* as it sees itself */
    _Atomic uint32_t is_there;
};

static struct verso_share *share;

static struct card *card(unsigned i)
{
    return (struct card *)verso_share_data(share) + i;
}

/* Becomes a member of its own, without a seat: what lies in life words is not to help here. */
static bool sign(unsigned i)
{
    uint32_t member, generation;

    if (verso__share_member_here(share, &member, &generation) != 0)
        return false;
    card(i)->member = member;
    card(i)->generation = generation;
    card(i)->process = (uint32_t)getpid();
    card(i)->is_there = 1;
    return true;
}

static bool is_dead(unsigned i)
{
    return verso__share_member_is_dead(share, card(i)->member, card(i)->generation);
}

/* A member that stays. @i: its card. */
static pid_t member_starts(unsigned i)
{
    pid_t process = fork();

    if (process == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !sign(i))
            _exit(1);
        for (;;)
            (void)pause();
    }
    while (process > 0 && !card(i)->is_there && waitpid(process, NULL, WNOHANG) == 0)
        (void)usleep(500);
    return process > 0 && card(i)->is_there ? process : -1;
}

static void member_ends(pid_t process)
{
    (void)kill(process, SIGKILL);
    (void)waitpid(process, NULL, 0);
}

/* ---- Getting there ---- */

/* From now on children are in a new namespace. As an ordinary user, one of users has to come first. */
static bool unshared(int kind)
{
    return unshare(kind) == 0 || (geteuid() != 0 && unshare(CLONE_NEWUSER | kind) == 0);
}

/* What a grandchild answers, through its parent. */
static int answer_of(int (*function)(void *arg), void *arg)
{
    int status = support_child(function, arg);

    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Runs @function as the first process of a new namespace of process ids, with the /proc of here. */
static int in_new_ids(int (*function)(void *arg), void *arg)
{
    return unshared(CLONE_NEWPID) ? answer_of(function, arg) : CHILD_SKIPS;
}

#define LACK "no namespace of process ids can be had"

static void begin(void)
{
    assert_ok(verso_share_create_anonymous(8 * sizeof(struct card), NULL, &share));
}

/* ---- Equal ids, and none ---- */

static int look_from_inside(void *arg)
{
    (void)arg;
    child_assert(getpid() == 1);
    child_assert(sign(1));
    child_assert(!is_dead(0)); /* its id is nobody's here, or another's */
    child_assert(!is_dead(1));
    return 0;
}

static int look_from_new_ids(void *arg)
{
    return in_new_ids(look_from_inside, arg);
}

/* Who is here has an id that does not exist there: kill(2) says ESRCH, and that proves nothing. */
static void test_who_is_elsewhere_lives(void **state)
{
    (void)state;
    begin();
    assert_true(sign(0));
    assert_child_does(look_from_new_ids, NULL, LACK);
    assert_true(is_dead(1));
    assert_int_equal(members_of(share), 1);
    verso_share_close(share);
}

static int be_member_inside(void *arg)
{
    child_assert(getpid() == 1);
    child_assert(sign(*(const unsigned *)arg));
    for (;;)
        (void)pause();
}

/* The helper ends with its child: that is killed from here. */
static pid_t new_ids_start(unsigned i)
{
    pid_t helper = fork();

    assert_true(helper >= 0);
    if (helper == 0) {
        pid_t inner;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !unshared(CLONE_NEWPID))
            _exit(CHILD_SKIPS);
        inner = fork();
        if (inner == 0)
            _exit(prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || be_member_inside(&i));
        if (inner < 0)
            _exit(CHILD_SKIPS);
        for (;;)
            (void)pause();
    }
    while (!card(i)->is_there) {
        if (waitpid(helper, NULL, WNOHANG) == helper)
            return -1;
        (void)usleep(500);
    }
    return helper;
}

static int see(const struct verso_share_member *member, void *arg)
{
    unsigned *same = arg;

    same[member->is_same_namespace != 0]++;
    return 0;
}

/* Two that are both number 1 at home, and whoever has that number here. */
static void test_equal_ids_are_no_proof(void **state)
{
    unsigned of_namespace[2] = { 0, 0 };
    pid_t first, second;

    (void)state;
    begin();
    first = new_ids_start(1);
    if (first < 0)
        skip_because(LACK);
    second = new_ids_start(2);
    assert_true(second > 0);
    assert_int_equal(card(1)->process, 1);
    assert_int_equal(card(2)->process, 1);
    assert_false(is_dead(1));
    assert_false(is_dead(2));
    assert_int_equal(verso_share_members(share, see, of_namespace), 0);
    assert_int_equal(of_namespace[0], 2);
    assert_int_equal(of_namespace[1], 1);
    member_ends(first); /* and its child with it */
    while (!is_dead(1))
        (void)usleep(500);
    assert_false(is_dead(2));
    assert_int_equal(members_of(share), 2);
    member_ends(second);
    while (!is_dead(2))
        (void)usleep(500);
    verso_share_close(share);
}

/* ---- /proc of another namespace ---- */

static int two_inside(void *arg)
{
    pid_t other;

    (void)arg;
    child_assert(sign(1));
    other = member_starts(2);
    child_assert(other > 1);
    child_assert(!is_dead(2)); /* though its number in this /proc is another process, of another age */
    child_assert(!is_dead(1));
    child_assert(members_of(share) == 3);
    member_ends(other);
    child_assert(is_dead(2));
    return 0;
}

static int two_in_new_ids(void *arg)
{
    return in_new_ids(two_inside, arg);
}

static void test_proc_of_elsewhere_proves_nothing(void **state)
{
    (void)state;
    begin();
    assert_true(sign(0));
    assert_child_does(two_in_new_ids, NULL, LACK);
    verso_share_close(share);
}

/* With a /proc of its own a namespace has the second proof as well: for who is dead, but whose child has its lock. */
static int heir_inside(void *arg)
{
    pid_t other;

    (void)arg;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0)
        return CHILD_SKIPS;
    child_assert(sign(1));
    other = fork();
    if (other == 0) {
        if (!sign(2))
            _exit(1);
        if (fork() == 0) /* has the open file */
            for (;;)
                (void)pause();
        card(3)->is_there = 1;
        for (;;)
            (void)pause();
    }
    while (!card(3)->is_there) {
        child_assert(waitpid(other, NULL, WNOHANG) == 0);
        (void)usleep(500);
    }
    child_assert(!is_dead(2));
    member_ends(other);
    child_assert(verso__os_bytes_are_locked(share->fd, VERSO__SHARE_MEMBER_BYTE + card(2)->member, 1) == 1);
    child_assert(is_dead(2));
    return 0; /* the first process ends, and with it all others */
}

static int heir_in_new_ids(void *arg)
{
    return unshared(CLONE_NEWPID | CLONE_NEWNS) ? answer_of(heir_inside, arg) : CHILD_SKIPS;
}

static void test_own_proc_proves(void **state)
{
    (void)state;
    begin();
    assert_child_does(heir_in_new_ids, NULL, "no namespace of process ids and mounts can be had");
    verso_share_close(share);
}

/* ---- An id that comes round again ---- */

struct namesake {
    pid_t thread;
    struct verso__share_seat seat;
    int answer;
};

static void *sit(void *arg)
{
    struct namesake *namesake = arg;
    const struct verso__share_seat *seat;

    namesake->thread = verso__os_thread_id();
    namesake->answer = verso__share_seat_of(verso_share_data(share), &seat);
    if (namesake->answer == 0)
        namesake->seat = *seat;
    return NULL;
}

static void *sit_and_vanish(void *arg)
{
    (void)sit(arg);
    (void)syscall(SYS_exit, 0); /* no destructor is run */
    return NULL;
}

static bool next_id_is(pid_t id)
{
    FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "we");
    bool is_set = last && fprintf(last, "%d", id - 1) > 0;

    return last && fclose(last) == 0 && is_set;
}

/* In a namespace of our own nobody else takes the id meanwhile. */
static int namesakes_inside(void *arg)
{
    struct namesake first, second;
    pthread_t thread;

    (void)arg;
    child_assert(pthread_create(&thread, NULL, sit_and_vanish, &first) == 0 && pthread_join(thread, NULL) == 0);
    child_assert(first.answer == 0);
    child_assert(verso__share_seat_is_marked(&first.seat));
    do { /* until the kernel has put the first one away */
        if (!next_id_is(first.thread))
            return CHILD_SKIPS;
        child_assert(pthread_create(&thread, NULL, sit, &second) == 0);
        child_assert(pthread_join(thread, NULL) == 0);
    } while (second.thread != first.thread);
    child_assert(second.answer == 0);
    child_assert(second.seat.generation != first.seat.generation); /* not the seat of the dead */
    return 0;
}

static int namesakes_in_new_ids(void *arg)
{
    return in_new_ids(namesakes_inside, arg);
}

static void test_a_namesake_has_a_seat_of_its_own(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("the sanitizer has to see its threads end");
    begin();
    assert_child_does(namesakes_in_new_ids, NULL, "no namespace of process ids, or no say about the next one");
    verso_share_close(share);
}

/* ---- Time ---- */

static int look_from_other_time(void *arg)
{
    (void)arg;
    child_assert(sign(1));
    child_assert(!is_dead(0)); /* though it seems to have begun at another time */
    child_assert(verso__share_place(share, card(1)->member)->start_ticks == 0);
    return 0;
}

static int in_other_time(void *arg)
{
    FILE *offsets;
    bool is_set;

    if (!unshared(CLONE_NEWTIME))
        return CHILD_SKIPS;
    offsets = fopen("/proc/self/timens_offsets", "we");
    if (!offsets)
        return CHILD_SKIPS;
    is_set = fputs("boottime 86400 0\n", offsets) >= 0;
    if (fclose(offsets) != 0 || !is_set)
        return CHILD_SKIPS;
    return answer_of(look_from_other_time, arg);
}

static void test_another_clock_proves_nothing(void **state)
{
    (void)state;
    begin();
    assert_true(sign(0));
    assert_int_not_equal(verso__share_place(share, card(0)->member)->start_ticks, 0);
    assert_child_does(in_other_time, NULL, "no namespace of time can be had");
    verso_share_close(share);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_who_is_elsewhere_lives),           cmocka_unit_test(test_equal_ids_are_no_proof),
        cmocka_unit_test(test_proc_of_elsewhere_proves_nothing), cmocka_unit_test(test_own_proc_proves),
        cmocka_unit_test(test_a_namesake_has_a_seat_of_its_own), cmocka_unit_test(test_another_clock_proves_nothing),
    };

    return run_test_list(list);
}
