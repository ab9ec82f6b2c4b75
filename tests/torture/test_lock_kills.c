/* SPDX-License-Identifier: MIT */
/*
 * lock-kills - processes that use all kinds of locks are killed at random, and others take their place.
 *
 * What each lock guards is changed in steps, with a mark of being in the middle. Whoever gets the lock without being
 * told of a death must find it whole; nobody may wait long; and the robust mutexes of glibc that the same threads hold
 * must go on working, since both live in the same list of the thread.
 */
#include "../unit/lock/locks.h"

#include <sys/prctl.h>

#define WORKERS 4

/* Everything is shared by the workers; the test looks at it when they are gone. */
struct arena {
    pthread_mutex_t robust;
    uint64_t robust_pair[2];
    uint64_t rw_pair[2];
    uint64_t made; /* by once, in this round */
    uint32_t stop;
    uint32_t wrong;   /* the line of the first worker that saw what must not be */
    uint64_t done;    /* changes, of all kinds */
    uint64_t told[3]; /* of deaths: mutex, rwlock, glibc's robust mutex */
};

static struct {
    struct stage stage;
    struct arena arena;
} * field;
static struct verso_share *share;

#define MUST(condition)                                                                  \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            __atomic_store_n(&field->arena.wrong, (uint32_t)__LINE__, __ATOMIC_RELAXED); \
            _exit(1);                                                                    \
        }                                                                                \
    } while (0)

/* As long as it takes on a machine with other things to do; a hang is for ever. */
#define LONG_MS 60000

static void loiter(unsigned *dice)
{
    *dice = *dice * 1664525U + 1013904223U;
    for (unsigned i = *dice >> 25; i > 0; i--)
        __asm__ volatile("" ::: "memory");
}

static void change(uint64_t *pair, unsigned *dice)
{
    volatile uint64_t *half = pair;

    half[0]++;
    loiter(dice);
    half[1]++;
    (void)__atomic_fetch_add(&field->arena.done, 1, __ATOMIC_RELAXED);
}

static void use_mutex(unsigned *dice)
{
    uint64_t *pair = field->stage.pair;
    int r = verso_mutex_lock(&field->stage.mutex, LONG_MS);

    MUST(r == 0 || r == VERSO_E_OWNER_DIED);
    if (r < 0) {
        field->arena.told[0]++;
        pair[1] = pair[0];
        MUST(verso_mutex_consistent(&field->stage.mutex) == 0);
    }
    MUST(pair[0] == pair[1]);
    change(pair, dice);
    MUST(verso_mutex_unlock(&field->stage.mutex) == 0);
}

static void read_rwlock(void)
{
    const uint64_t *pair = field->arena.rw_pair;
    int r = verso_rwlock_read(&field->stage.rwlock, LONG_MS);

    MUST(r == 0 || r == VERSO_E_OWNER_DIED);
    MUST(r < 0 || pair[0] == pair[1]);
    MUST(verso_rwlock_unlock(&field->stage.rwlock) == 0);
}

static void write_rwlock(unsigned *dice)
{
    uint64_t *pair = field->arena.rw_pair;
    int r = verso_rwlock_write(&field->stage.rwlock, LONG_MS);

    MUST(r == 0 || r == VERSO_E_OWNER_DIED);
    if (r < 0) {
        field->arena.told[1]++;
        pair[1] = pair[0];
        MUST(verso_rwlock_consistent(&field->stage.rwlock) == 0);
    }
    MUST(pair[0] == pair[1]);
    change(pair, dice);
    MUST(verso_rwlock_unlock(&field->stage.rwlock) == 0);
}

/* Ours within glibc's, so that both are in the thread's hands when it dies. */
static void use_both(unsigned *dice)
{
    uint64_t *pair = field->arena.robust_pair;
    int r = pthread_mutex_lock(&field->arena.robust);

    MUST(r == 0 || r == EOWNERDEAD);
    if (r == EOWNERDEAD) {
        field->arena.told[2]++;
        pair[1] = pair[0];
        MUST(pthread_mutex_consistent(&field->arena.robust) == 0);
    }
    MUST(pair[0] == pair[1]);
    pair[0]++;
    use_mutex(dice);
    pair[1]++;
    MUST(pthread_mutex_unlock(&field->arena.robust) == 0);
}

static void use_once(void)
{
    volatile uint64_t *made = &field->arena.made;
    int turn = verso_once_begin(&field->stage.once, LONG_MS);

    MUST(turn >= 0);
    MUST(turn != VERSO_ONCE_DO || *made == 0);
    if (turn != VERSO_ONCE_DONE) {
        *made = 1;
        *made = 2;
        MUST(verso_once_end(&field->stage.once, 1) == 0);
    }
    MUST(*made == 2);
}

static void work(unsigned dice)
{
    while (!__atomic_load_n(&field->arena.stop, __ATOMIC_RELAXED)) {
        loiter(&dice);
        switch (dice >> 20 & 7) {
        case 0:
            write_rwlock(&dice);
            break;
        case 1:
            use_both(&dice);
            break;
        case 2:
            use_once();
            break;
        case 3:
        case 4:
            read_rwlock();
            break;
        default:
            use_mutex(&dice);
        }
    }
}

static pid_t hire(unsigned dice)
{
    pid_t parent = getpid(), child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
            _exit(2);
        work(dice);
        _exit(0);
    }
    return child;
}

static void robust_init(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;

    assert_int_equal(pthread_mutexattr_init(&attributes), 0);
    assert_int_equal(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
    assert_int_equal(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    assert_int_equal(pthread_mutex_init(mutex, &attributes), 0);
    assert_int_equal(pthread_mutexattr_destroy(&attributes), 0);
}

/* From time to time the once begins anew, which is nobody's to do but with everybody out of the way. */
static void new_once(pid_t *workers)
{
    int status;

    __atomic_store_n(&field->arena.stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
        assert_int_equal(field->arena.wrong, 0);
        assert_int_equal(status, 0);
    }
    __atomic_store_n(&field->arena.stop, 0, __ATOMIC_RELAXED);
    field->stage.once.word = 0;
    field->arena.made = 0;
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = hire((unsigned)i + 1);
}

static uint64_t seconds_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec;
}

/* Enough were killed: 400, and for as many seconds as TEST_LONG says. */
static bool is_enough(unsigned kills, uint64_t start)
{
    const char *text = getenv("TEST_LONG");
    unsigned least = support_is_asan() || support_is_tsan() ? 60 : 400;

    return kills >= least && (!text || seconds_now() - start >= strtoul(text, NULL, 10));
}

static void test_kills(void **state)
{
    unsigned dice = 20011, kills = 0;
    uint64_t start = seconds_now();
    pid_t workers[WORKERS];
    int status;

    (void)state;
    assert_ok(verso_share_create_anonymous(sizeof(*field), NULL, &share));
    field = verso_share_data(share);
    robust_init(&field->arena.robust);
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = hire((unsigned)i + 1);
    for (; !is_enough(kills, start); kills++) {
        pid_t *victim = &workers[(dice = dice * 1664525U + 1013904223U) >> 16 & (WORKERS - 1)];

        (void)usleep(dice >> 8 & 0xfff);
        assert_int_equal(kill(*victim, SIGKILL), 0);
        assert_int_equal(waitpid(*victim, &status, 0), *victim);
        assert_int_equal(field->arena.wrong, 0);
        *victim = hire(dice);
        if (kills % 16 == 15)
            new_once(workers);
    }
    new_once(workers);
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(kill(workers[i], SIGKILL), 0);
        assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
    }
    status = verso_mutex_lock(&field->stage.mutex, 0);
    assert_true(status == 0 || status == VERSO_E_OWNER_DIED);
    assert_ok(verso_mutex_unlock(&field->stage.mutex));
    print_message("# %u kills, %llu changes; told of deaths: mutex %llu, rwlock %llu, glibc's %llu\n", kills,
                  (unsigned long long)field->arena.done, (unsigned long long)field->arena.told[0],
                  (unsigned long long)field->arena.told[1], (unsigned long long)field->arena.told[2]);
    assert_true(field->arena.done > kills);
    assert_int_equal(pthread_mutex_destroy(&field->arena.robust), 0);
    verso_share_close(share);
}

/* By hand, so that it surely is there: one thread dies with ours and glibc's in its hands, in both orders. */
static void test_glibc_is_told_as_well(void **state)
{
    (void)state;
    assert_ok(verso_share_create_anonymous(sizeof(*field), NULL, &share));
    field = verso_share_data(share);
    for (int ours_first = 0; ours_first < 2; ours_first++) {
        pid_t child;
        int status;

        robust_init(&field->arena.robust);
        memset(&field->stage, 0, sizeof(field->stage));
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            MUST(!ours_first || verso_mutex_lock(&field->stage.mutex, 0) == 0);
            MUST(pthread_mutex_lock(&field->arena.robust) == 0);
            MUST(ours_first || verso_mutex_lock(&field->stage.mutex, 0) == 0);
            (void)kill(getpid(), SIGKILL);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(pthread_mutex_trylock(&field->arena.robust), EOWNERDEAD);
        assert_int_equal(pthread_mutex_consistent(&field->arena.robust), 0);
        assert_int_equal(pthread_mutex_unlock(&field->arena.robust), 0);
        assert_fails(verso_mutex_lock(&field->stage.mutex, 0), VERSO_E_OWNER_DIED);
        assert_ok(verso_mutex_unlock(&field->stage.mutex));
        assert_int_equal(pthread_mutex_destroy(&field->arena.robust), 0);
    }
    verso_share_close(share);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glibc_is_told_as_well),
        cmocka_unit_test(test_kills),
    };

    return run_test_list(tests);
}
