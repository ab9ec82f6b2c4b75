/* SPDX-License-Identifier: MIT */
/* Threads: objects freed elsewhere, threads that end, fork(). */
#include "slabs.h"

#include "slab/slab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_t started(void *(*function)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, function, arg), 0);
    return thread;
}

static void joined(pthread_t thread)
{
    void *bad = NULL;

    assert_int_equal(pthread_join(thread, &bad), 0);
    assert_null(bad);
}

static void run(void *(*function)(void *), void *arg)
{
    joined(started(function, arg));
}

/* What a thread answers when something was wrong: cmocka's assertions belong to the test's own thread. */
#define WRONG ((void *)1)

/* ---- Freed by another thread ---- */

#define COUNT 20000

struct shared {
    struct verso_slab *slab;
    void *objects[COUNT];
    size_t count;
};

static void *free_all(void *arg)
{
    struct shared *shared = arg;

    for (size_t i = 0; i < shared->count; i++)
        if (verso_slab_free(shared->slab, shared->objects[i]) < 0)
            return WRONG;
    return NULL;
}

static void *alloc_all(void *arg)
{
    struct shared *shared = arg;

    for (size_t i = 0; i < shared->count; i++) {
        shared->objects[i] = verso_slab_alloc(shared->slab);
        if (!shared->objects[i])
            return WRONG;
        memset(shared->objects[i], (int)i, 48);
    }
    return NULL;
}

static struct shared shared;

static void test_what_another_thread_freed_is_used_again(void **state)
{
    static const unsigned kinds[] = { 0, VERSO_SLAB_CHECK };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint64_t blocks;

        shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED | kinds[i]), .count = COUNT };
        assert_null(alloc_all(&shared));
        blocks = info_of(shared.slab).block_count;
        for (int round = 0; round < 5; round++) {
            run(free_all, &shared);
            assert_int_equal(info_of(shared.slab).live_count, 0);
            assert_null(alloc_all(&shared));
            assert_int_equal(info_of(shared.slab).live_count, COUNT);
        }
        assert_true(info_of(shared.slab).block_count <= blocks + 1);
        assert_int_equal(info_of(shared.slab).double_free_count, 0);
        verso_slab_close(shared.slab);
    }
}

static void *free_again(void *arg)
{
    struct shared *own = arg;

    return verso_slab_free(own->slab, own->objects[0]) == VERSO_E_STALE && verso_error_last()->code == VERSO_E_STALE
               ? NULL
               : WRONG;
}

static void *free_once(void *arg)
{
    struct shared *own = arg;

    return verso_slab_free(own->slab, own->objects[0]) == 0 ? NULL : WRONG;
}

static void test_a_second_free_elsewhere_is_found(void **state)
{
    (void)state;
    shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED) };
    shared.objects[0] = taken(shared.slab);
    run(free_once, &shared);
    run(free_again, &shared); /* both by others: at once */
    verso_slab_close(shared.slab);

    shared.slab = opened(48, VERSO_SLAB_SHARED | VERSO_SLAB_HANDLES);
    shared.objects[0] = taken(shared.slab);
    assert_ok(verso_slab_free(shared.slab, shared.objects[0]));
    run(free_again, &shared); /* with HANDLES: always */
    verso_slab_close(shared.slab);
}

static void test_a_second_free_that_came_late_is_counted(void **state)
{
    (void)state;
    shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED) };
    shared.objects[0] = taken(shared.slab);
    (void)taken(shared.slab);
    assert_ok(verso_slab_free(shared.slab, shared.objects[0]));
    run(free_once, &shared); /* it can't know */
    assert_int_equal(info_of(shared.slab).live_count, 1);
    assert_ok(verso_slab_trim(shared.slab));
    assert_int_equal(info_of(shared.slab).double_free_count, 1);
    assert_int_equal(info_of(shared.slab).live_count, 1);
    verso_slab_close(shared.slab);
}

/* ---- Churn: every object carries who has it ---- */

#define THREADS 4
#define SLOTS 512
#define STEPS 100000

static struct {
    struct verso_slab *slab;
    _Atomic(uint64_t *) slots[SLOTS];
} market;

/* Takes what a slot holds, whoever put it there, and puts in a new one. */
static void *trade(void *arg)
{
    uint64_t random = 7 + (uint64_t)(uintptr_t)arg * 1000003;

    for (int i = 0; i < STEPS; i++) {
        size_t slot = (size_t)(random_next(&random) % SLOTS);
        uint64_t *mine = verso_slab_alloc(market.slab), *other;

        if (!mine)
            return WRONG;
        for (int k = 0; k < 4; k++)
            mine[k] = (uint64_t)(uintptr_t)mine;
        other = atomic_exchange(&market.slots[slot], mine);
        if (!other)
            continue;
        for (int k = 0; k < 4; k++)
            if (other[k] != (uint64_t)(uintptr_t)other)
                return WRONG;
        memset(other, 0xee, 32);
        if (verso_slab_free(market.slab, other) < 0)
            return WRONG;
    }
    return NULL;
}

static void clear_market(void)
{
    for (size_t i = 0; i < SLOTS; i++) {
        uint64_t *left = atomic_exchange(&market.slots[i], NULL);

        if (left)
            assert_ok(verso_slab_free(market.slab, left));
    }
}

static void test_threads_trade_objects(void **state)
{
    static const unsigned kinds[] = { 0, VERSO_SLAB_CHECK, VERSO_SLAB_ZERO };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        pthread_t threads[THREADS];

        market.slab = opened(32, VERSO_SLAB_SHARED | kinds[i]);
        for (uintptr_t k = 0; k < THREADS; k++)
            threads[k] = started(trade, (void *)k);
        for (size_t k = 0; k < THREADS; k++)
            joined(threads[k]);
        assert_true(info_of(market.slab).live_count <= SLOTS);
        clear_market();
        assert_int_equal(info_of(market.slab).live_count, 0);
        assert_int_equal(info_of(market.slab).double_free_count, 0);
        assert_true(info_of(market.slab).block_count <= 2 * THREADS); /* what is freed comes back */
        verso_slab_close(market.slab);
    }
}

/* ---- Threads that end ---- */

static void test_a_thread_that_ends_leaves_its_blocks(void **state)
{
    uint64_t blocks;

    (void)state;
    shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED), .count = COUNT };
    run(alloc_all, &shared);
    assert_int_equal(info_of(shared.slab).thread_count, 0);
    assert_int_equal(info_of(shared.slab).live_count, COUNT);
    blocks = info_of(shared.slab).block_count;
    assert_null(free_all(&shared));
    assert_null(alloc_all(&shared)); /* this thread, from the other's blocks */
    assert_int_equal(info_of(shared.slab).block_count, blocks);
    assert_int_equal(info_of(shared.slab).thread_count, 1);
    verso_slab_close(shared.slab);
}

static void *alloc_and_free(void *arg)
{
    for (int i = 0; i < 10; i++)
        if (verso_slab_free(arg, verso_slab_alloc(arg)) < 0)
            return WRONG;
    return NULL;
}

/* The second thread gets what the first has left, but not what has been given away in between. */
static void test_what_was_inherited_is_not_inherited_again(void **state)
{
    struct verso_slab *slab = opened(48, VERSO_SLAB_SHARED);

    (void)state;
    for (int i = 0; i < 3; i++) {
        run(alloc_and_free, slab);
        assert_ok(verso_slab_trim(slab));
    }
    assert_int_equal(info_of(slab).live_count, 0);
    assert_int_equal(info_of(slab).block_count, 1);
    verso_slab_close(slab);
}

static void test_threads_come_and_go(void **state)
{
    uint64_t blocks = 0;

    (void)state;
    shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED), .count = 3000 };
    for (int round = 0; round < 200; round++) {
        run(alloc_all, &shared);
        run(free_all, &shared);
        if (round == 0)
            blocks = info_of(shared.slab).block_count;
    }
    assert_int_equal(info_of(shared.slab).live_count, 0);
    assert_true(info_of(shared.slab).block_count <= blocks + 1);
    verso_slab_close(shared.slab);
}

static void *alloc_is_refused(void *arg)
{
    void *object = verso_slab_alloc(arg);

    return !object && verso_error_last()->code == -EAGAIN ? NULL : WRONG;
}

/* The table of threads is full; whoever is in it goes on, who comes later is told, and may free. */
static void test_there_is_a_limit_to_threads(void **state)
{
    struct verso_slab *slab = opened(48, VERSO_SLAB_SHARED);
    struct verso__slab_cache *others = calloc(VERSO__SLAB_THREADS_MAX, sizeof(*others));

    (void)state;
    assert_non_null(others);
    shared = (struct shared){ .slab = slab, .objects = { taken(slab) }, .count = 1 };
    for (unsigned i = 0; i < VERSO__SLAB_THREADS_MAX; i++) {
        others[i].slot = i;
        others[i].front.thread = 1; /* no thread's */
        if (!slab->fronts[i])
            slab->fronts[i] = &others[i].front;
    }
    run(alloc_is_refused, slab);
    run(free_all, &shared);
    assert_non_null(taken(slab));
    for (unsigned i = 0; i < VERSO__SLAB_THREADS_MAX; i++)
        if (slab->fronts[i] == &others[i].front)
            slab->fronts[i] = NULL;
    free(others);
    shared.count = 10;
    run(alloc_all, &shared);
    verso_slab_close(slab);
}

static pthread_key_t late_key;

static void free_late(void *arg)
{
    (void)verso_slab_free(shared.slab, arg);
    (void)verso_slab_free(shared.slab, verso_slab_alloc(shared.slab));
}

static void *free_at_exit(void *arg)
{
    void *object = verso_slab_alloc(shared.slab);

    (void)arg;
    return pthread_setspecific(late_key, object) == 0 ? NULL : WRONG;
}

/* Destructors of thread-specific data run in no order that one may count on. */
static void test_a_thread_may_use_it_while_it_ends(void **state)
{
    (void)state;
    shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED) };
    assert_int_equal(pthread_key_create(&late_key, free_late), 0);
    for (int i = 0; i < 20; i++)
        run(free_at_exit, NULL);
    assert_int_equal(info_of(shared.slab).live_count, 0);
    assert_int_equal(info_of(shared.slab).thread_count, 0);
    assert_int_equal(pthread_key_delete(late_key), 0);
    verso_slab_close(shared.slab);
}

static void *alloc_one(void *arg)
{
    pthread_barrier_t *barrier = arg;
    void *object = verso_slab_alloc(shared.slab);

    (void)pthread_barrier_wait(barrier); /* all of them are there */
    (void)pthread_barrier_wait(barrier); /* the slab is gone */
    return object ? NULL : WRONG;
}

static void test_a_slab_may_be_closed_before_its_threads_end(void **state)
{
    struct verso_slab *other = opened(32, VERSO_SLAB_SHARED);
    pthread_barrier_t barrier;
    pthread_t threads[8];

    (void)state;
    shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED) };
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 9), 0);
    for (size_t i = 0; i < 8; i++)
        threads[i] = started(alloc_one, &barrier);
    (void)pthread_barrier_wait(&barrier);
    assert_int_equal(info_of(shared.slab).thread_count, 8);
    assert_int_equal(info_of(shared.slab).live_count, 8);
    verso_slab_close(shared.slab);
    (void)pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < 8; i++)
        joined(threads[i]);
    assert_int_equal(pthread_barrier_destroy(&barrier), 0);
    assert_ok(verso_slab_free(other, taken(other)));
    verso_slab_close(other);
}

/* ---- fork() ---- */

static atomic_bool is_over;

/* Whole blocks come and go, so that the locks are in use. */
static void *churn(void *arg)
{
    enum {
        BURST = 3000
    };
    void **objects = calloc(BURST, sizeof(void *));
    void *wrong = objects ? NULL : WRONG;

    while (!wrong && !atomic_load(&is_over)) {
        for (size_t i = 0; i < BURST; i++)
            objects[i] = verso_slab_alloc(arg);
        for (size_t i = 0; i < BURST; i++)
            if (!objects[i] || verso_slab_free(arg, objects[i]) < 0)
                wrong = WRONG;
    }
    free(objects);
    return wrong;
}

/* In the child: the parent's objects are all there, can be freed, and none is handed out again before. */
static int go_on(void *arg)
{
    struct shared *own = arg;

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < own->count; i++)
            if (*(uint64_t *)own->objects[i] != i || verso_slab_free(own->slab, own->objects[i]) < 0)
                return 1;
        for (size_t i = 0; i < own->count; i++) {
            own->objects[i] = verso_slab_alloc(own->slab);
            if (!own->objects[i])
                return 2;
            *(uint64_t *)own->objects[i] = i;
        }
    }
    for (void *object = verso_slab_next(own->slab, NULL); object; object = verso_slab_next(own->slab, object))
        if (verso_slab_free(own->slab, object) < 0)
            return 3;
    if (verso_slab_trim(own->slab) < 0)
        return 4;
    verso_slab_close(own->slab);
    return 0;
}

static void *alloc_numbered(void *arg)
{
    struct shared *own = arg;

    for (size_t i = 1; i < own->count; i += 2) {
        own->objects[i] = verso_slab_alloc(own->slab);
        if (!own->objects[i])
            return WRONG;
        *(uint64_t *)own->objects[i] = i;
    }
    return NULL;
}

static void test_a_child_of_fork_goes_on(void **state)
{
    pthread_t threads[3];

    (void)state;
    if (support_is_tsan())
        skip_because("TSan has no threads in the child of a program that has some");
    shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED), .count = 4000 };
    atomic_store(&is_over, false);
    for (size_t i = 0; i < shared.count; i += 2) {
        shared.objects[i] = taken(shared.slab);
        *(uint64_t *)shared.objects[i] = i;
    }
    run(alloc_numbered, &shared); /* the others are of a thread that has ended */
    for (size_t i = 0; i < 3; i++)
        threads[i] = started(churn, shared.slab);
    for (int i = 0; i < 30; i++) {
        int status = support_child(go_on, &shared);

        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < 3; i++)
        joined(threads[i]);
    for (size_t i = 0; i < shared.count; i++)
        assert_int_equal(*(uint64_t *)shared.objects[i], i);
    assert_int_equal(info_of(shared.slab).live_count, shared.count);
    verso_slab_close(shared.slab);
}

/* Frees objects here and there, and takes as many. */
static void *replace_some(void)
{
    for (size_t i = 0; i < shared.count; i += 100)
        if (verso_slab_free(shared.slab, shared.objects[i]) < 0)
            return WRONG;
    for (size_t i = 0; i < shared.count; i += 100) {
        shared.objects[i] = verso_slab_alloc(shared.slab);
        if (!shared.objects[i])
            return WRONG;
    }
    return NULL;
}

static void *alloc_and_stay(void *arg)
{
    void *wrong = alloc_all(&shared);

    for (size_t i = 0; i < shared.count && !wrong; i++) { /* so that each block is full, but held to have some */
        if (verso_slab_free(shared.slab, shared.objects[i]) < 0)
            wrong = WRONG;
        shared.objects[i] = verso_slab_alloc(shared.slab);
    }
    (void)pthread_barrier_wait(arg);
    (void)pthread_barrier_wait(arg);
    return wrong;
}

static int use_what_others_had(void *arg)
{
    struct verso_slab_info before = VERSO_SLAB_INFO_INIT, after = VERSO_SLAB_INFO_INIT;

    (void)arg;
    if (verso_slab_info(shared.slab, &before) < 0 || before.live_count != shared.count)
        return 1;
    if (replace_some())
        return 2;
    for (uint64_t i = before.live_count; i < before.block_count * before.block_objects; i++)
        if (!verso_slab_alloc(shared.slab)) /* every object of every block */
            return 2;
    if (free_all(&shared) || alloc_all(&shared) || verso_slab_info(shared.slab, &after) < 0)
        return 2;
    return after.block_count == before.block_count && after.thread_count == 1 ? 0 : 3;
}

static void test_a_child_of_fork_has_what_other_threads_had(void **state)
{
    pthread_barrier_t barrier;
    pthread_t thread;

    (void)state;
    if (support_is_tsan())
        skip_because("TSan has no threads in the child of a program that has some");
    for (int has_own = 0; has_own < 2; has_own++) {
        int status;

        shared = (struct shared){ .slab = opened(48, VERSO_SLAB_SHARED), .count = COUNT };
        if (has_own)
            assert_ok(verso_slab_free(shared.slab, taken(shared.slab)));
        assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
        thread = started(alloc_and_stay, &barrier);
        (void)pthread_barrier_wait(&barrier);
        status = support_child(use_what_others_had, NULL);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        (void)pthread_barrier_wait(&barrier);
        joined(thread);
        assert_int_equal(pthread_barrier_destroy(&barrier), 0);
        assert_int_equal(info_of(shared.slab).live_count, COUNT);
        verso_slab_close(shared.slab);
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_what_another_thread_freed_is_used_again),
        cmocka_unit_test(test_a_second_free_elsewhere_is_found),
        cmocka_unit_test(test_a_second_free_that_came_late_is_counted),
        cmocka_unit_test(test_threads_trade_objects),
        cmocka_unit_test(test_a_thread_that_ends_leaves_its_blocks),
        cmocka_unit_test(test_what_was_inherited_is_not_inherited_again),
        cmocka_unit_test(test_threads_come_and_go),
        cmocka_unit_test(test_there_is_a_limit_to_threads),
        cmocka_unit_test(test_a_thread_may_use_it_while_it_ends),
        cmocka_unit_test(test_a_slab_may_be_closed_before_its_threads_end),
        cmocka_unit_test(test_a_child_of_fork_goes_on),
        cmocka_unit_test(test_a_child_of_fork_has_what_other_threads_had),
    };

    return run_test_list(list);
}
