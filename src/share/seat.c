/* SPDX-License-Identifier: MIT */
/*
 * seat - a page of a region for each thread that others may have to wait for.
 *
 * Sitting down takes the lock byte of a free seat, a new generation, and the life word; the thread keeps all of it
 * until it ends or the region is closed. What another thread recorded of who sat here before is then of an older
 * generation, and that is all it takes to know them dead.
 *
 * A region may be closed while other threads of the process sit in it. Their life words are in those threads' lists of
 * robust mutexes, and only they can take them out; so the words are cut off from the region and stay as orphans, until
 * their threads end.
 */
#include "share/region.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

struct verso__share_sitting {
    struct verso__share_sitting *next;
    pid_t thread;
    uint32_t number;
    uint32_t generation;
    void *life; /* NULL: there is none on this libc */
};

_Thread_local
    __attribute__((tls_model("initial-exec"))) struct verso__share_here verso__share_here[VERSO__SHARE_PLACES];
_Atomic uint32_t verso__share_epoch = 1;

static pthread_mutex_t all = PTHREAD_MUTEX_INITIALIZER; /* over what follows, and the sittings of each region */
static struct verso_share *regions;
static struct verso__share_sitting *orphans;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;
static int key_error;

void verso__share_list_lock(void)
{
    (void)pthread_mutex_lock(&all);
}

void verso__share_list_unlock(void)
{
    (void)pthread_mutex_unlock(&all);
}

static void new_epoch(void)
{
    atomic_fetch_add(&verso__share_epoch, 1);
}

/* ---- Standing up ---- */

static void sitting_free(struct verso__share_sitting *sitting)
{
    free(sitting);
}

/* Of a thread that is not there: its life is in nobody's list. */
static void forget(struct verso__share_sitting *sitting)
{
    if (sitting->life)
        verso__os_life_forget(sitting->life);
    sitting_free(sitting);
}

static void orphan(struct verso__share_sitting *sitting)
{
    sitting->next = orphans;
    orphans = sitting;
}

/* By its own thread. Should somebody have scribbled over the word, its mapping must stay: the thread's list leads
 * there.
 */
static void end_life(struct verso__share_sitting *sitting)
{
    if (!sitting->life || verso__os_life_end(sitting->life) == 0)
        sitting_free(sitting);
    else
        orphan(sitting);
}

static void clear_chair(const struct verso_share *share, const struct verso__share_sitting *sitting)
{
    atomic_store(&verso__share_chair(share, sitting->number)->member, 0);
}

static void stand_up(const struct verso_share *share, struct verso__share_sitting *sitting)
{
    clear_chair(share, sitting);
    verso__os_byte_unlock(share->fd, verso__share_seat_byte(sitting->number));
    end_life(sitting);
}

/* By another thread, when the region is closed. */
static void push_off(const struct verso_share *share, struct verso__share_sitting *sitting)
{
    _Atomic uint32_t *word = verso__share_life(share, sitting->number);

    clear_chair(share, sitting);
    if (!sitting->life) {
        sitting_free(sitting);
        return;
    }
    if (verso__os_life_detach(sitting->life) == 0)
        atomic_store(word, 0);
    verso__os_futex_wake(word, INT_MAX, VERSO__OS_FUTEX_SHARED);
    orphan(sitting);
}

/* The sittings of a thread, out of a list. */
static struct verso__share_sitting *take_out(struct verso__share_sitting **list, pid_t thread)
{
    struct verso__share_sitting *taken = NULL;

    while (*list) {
        struct verso__share_sitting *sitting = *list;

        if (sitting->thread != thread) {
            list = &sitting->next;
            continue;
        }
        *list = sitting->next;
        sitting->next = taken;
        taken = sitting;
    }
    return taken;
}

/* A thread ends. Should it use a region again in what is left of its life, it takes a new seat, and this runs again. */
static void leave(void *arg)
{
    pid_t thread = verso__os_thread_id();
    struct verso__share_sitting *mine, *next;

    (void)arg;
    verso__share_list_lock();
    for (struct verso_share *share = regions; share; share = share->next) {
        if (!verso__share_is_own(share))
            continue;
        for (mine = take_out(&share->sittings, thread); mine; mine = next) {
            next = mine->next;
            stand_up(share, mine);
        }
    }
    for (mine = take_out(&orphans, thread); mine; mine = next) {
        next = mine->next;
        end_life(mine);
    }
    verso__share_list_unlock();
    for (int i = 0; i < VERSO__SHARE_PLACES; i++)
        verso__share_here[i].bytes = 0;
}

/*
 * A thread that has never sat down finds its id in a list: of one that ended without a word to us (by the bare system
 * call, or after more rounds of pthread_key_create()'s destructors than libc makes), whose id has come round again.
 */
static void bury_namesake(pid_t thread)
{
    struct verso__share_sitting *its, *next;

    for (struct verso_share *share = regions; share; share = share->next) {
        if (!verso__share_is_own(share))
            continue;
        for (its = take_out(&share->sittings, thread); its; its = next) {
            next = its->next;
            clear_chair(share, its);
            verso__os_byte_unlock(share->fd, verso__share_seat_byte(its->number));
            forget(its);
        }
    }
    for (its = take_out(&orphans, thread); its; its = next) {
        next = its->next;
        forget(its);
    }
}

/* ---- fork() ---- */

static void forget_all(struct verso__share_sitting **list)
{
    while (*list) {
        struct verso__share_sitting *sitting = *list;

        *list = sitting->next;
        forget(sitting);
    }
}

void verso__share_forget_seats(struct verso_share *share)
{
    forget_all(&share->sittings);
}

static void before_fork(void)
{
    (void)pthread_mutex_lock(&verso__share_growing);
    verso__share_list_lock();
}

static void after_fork(void)
{
    verso__share_list_unlock();
    (void)pthread_mutex_unlock(&verso__share_growing);
}

/* The child's list of robust mutexes is empty: no life of the parent's is in it. */
static void begin_child(void)
{
    forget_all(&orphans);
    new_epoch();
    after_fork();
}

static void prepare(void)
{
    key_error = -pthread_key_create(&key, leave);
    if (key_error == 0) {
        has_key = true;
        key_error = -pthread_atfork(before_fork, after_fork, begin_child);
    }
}

/* The library may be unloaded (dlclose); a thread that ends later must not call into it. */
static __attribute__((destructor)) void unload(void)
{
    if (has_key)
        (void)pthread_key_delete(key);
}

/* ---- The list ---- */

int verso__share_begin(void)
{
    (void)verso__os_forks(); /* from now on they are counted */
    (void)pthread_once(&once, prepare);
    return key_error;
}

void verso__share_enlist(struct verso_share *share)
{
    verso__share_list_lock();
    share->next = regions;
    regions = share;
    verso__share_list_unlock();
}

void verso__share_delist(struct verso_share *share)
{
    pid_t thread = verso__os_thread_id();

    verso__share_list_lock();
    for (struct verso_share **at = &regions; *at; at = &(*at)->next)
        if (*at == share) {
            *at = share->next;
            break;
        }
    new_epoch();
    if (share->is_member && !verso__share_is_own(share))
        verso__share_forget_seats(share);
    while (share->sittings) {
        struct verso__share_sitting *sitting = share->sittings;

        share->sittings = sitting->next;
        if (sitting->thread == thread)
            stand_up(share, sitting);
        else
            push_off(share, sitting);
    }
    verso__share_list_unlock();
}

static struct verso_share *find(const void *address)
{
    struct verso_share *share = regions;

    while (share && (uintptr_t)address - (uintptr_t)share->base >= share->span_bytes)
        share = share->next;
    return share;
}

int verso__share_of(const void *address, struct verso_share **out_share)
{
    struct verso_share *share;
    int r;

    verso__share_list_lock();
    share = find(address);
    r = share ? verso__share_adopt(share) : VERSO_E_RANGE;
    verso__share_list_unlock();
    if (r == 0)
        *out_share = share;
    return r;
}

/* ---- Sitting down ---- */

static bool is_taken_here(const struct verso_share *share, uint32_t number)
{
    const struct verso__share_sitting *sitting = share->sittings;

    while (sitting && sitting->number != number)
        sitting = sitting->next;
    return sitting != NULL;
}

/* Our open file's own locks don't exclude itself, so what this process has is passed over. */
static int find_free(const struct verso_share *share, uint32_t *out_number)
{
    for (uint32_t number = 0; number < share->made.seat_count; number++) {
        int r;

        if (is_taken_here(share, number))
            continue;
        r = verso__os_byte_lock(share->fd, verso__share_seat_byte(number), VERSO__OS_BYTE_EXCLUSIVE);
        if (r == 0)
            *out_number = number;
        if (r != -EAGAIN)
            return r;
    }
    return -EUSERS;
}

/* Memory for all seats up to this one; to have it already does no harm. */
static int give_memory(const struct verso_share *share, uint32_t number)
{
    _Atomic uint32_t *made = &verso__share_header(share)->seats_made;
    uint32_t before = verso__share_seats_made(share), page = share->made.page_bytes;
    int r;

    if (number < before)
        return 0;
    r = verso__os_allocate(share->fd, share->made.seats_offset + (uint64_t)before * page,
                           (uint64_t)(number + 1 - before) * page);
    while (r == 0 && before < number + 1 && !atomic_compare_exchange_weak(made, &before, number + 1))
        ;
    return r;
}

static int sit(const struct verso_share *share, struct verso__share_sitting *sitting)
{
    struct verso__share_chair *chair = verso__share_chair(share, sitting->number);
    int r;

    sitting->generation = (atomic_load(&chair->generation) + 1) & INT32_MAX;
    if (sitting->generation == 0)
        sitting->generation = 1;
    atomic_store(&chair->member, 0);
    atomic_store(&chair->generation, sitting->generation);
    atomic_store(verso__share_life(share, sitting->number), 0);
    r = verso__os_life_begin(chair, &sitting->life);
    if (r < 0 && r != -EOPNOTSUPP)
        return r;
    atomic_store(&chair->has_life, r == 0);
    atomic_store(&chair->thread, (uint32_t)sitting->thread);
    atomic_store(&chair->thread_start_ticks, verso__os_life_thread_ticks());
    atomic_store(&chair->member_generation, share->member_generation);
    atomic_store(&chair->member, share->member + 1);
    return 0;
}

static int sit_down(struct verso_share *share, pid_t thread, struct verso__share_sitting **out_sitting)
{
    struct verso__share_sitting *sitting = calloc(1, sizeof(*sitting));
    int r;

    if (!sitting)
        return -ENOMEM;
    sitting->thread = thread;
    r = -pthread_setspecific(key, share); /* any value: leave() is called */
    if (r == 0)
        r = find_free(share, &sitting->number);
    if (r == 0) {
        r = give_memory(share, sitting->number);
        if (r == 0)
            r = sit(share, sitting);
        if (r < 0)
            verso__os_byte_unlock(share->fd, verso__share_seat_byte(sitting->number));
    }
    if (r < 0) {
        sitting_free(sitting);
        return r;
    }
    sitting->next = share->sittings;
    share->sittings = sitting;
    *out_sitting = sitting;
    return 0;
}

/* ---- The calling thread's seat ---- */

static void remember(struct verso_share *share, const struct verso__share_sitting *sitting)
{
    for (int i = VERSO__SHARE_PLACES - 1; i > 0; i--)
        verso__share_here[i] = verso__share_here[i - 1];
    verso__share_here[0] = (struct verso__share_here){
        .start = (uintptr_t)share->base + (uintptr_t)share->made.content_offset,
        .bytes = (uintptr_t)share->made.most_bytes,
        .epoch = atomic_load(&verso__share_epoch),
        .seat = { share, sitting->number, sitting->generation },
    };
}

static bool was_here_lately(const void *address)
{
    uint32_t epoch = atomic_load_explicit(&verso__share_epoch, memory_order_relaxed);

    for (int i = 1; i < VERSO__SHARE_PLACES; i++) {
        struct verso__share_here here = verso__share_here[i];

        if ((uintptr_t)address - here.start < here.bytes && here.epoch == epoch) {
            verso__share_here[i] = verso__share_here[0];
            verso__share_here[0] = here;
            return true;
        }
    }
    return false;
}

/* The list's lock is held. */
static int seat_in_list(const void *address)
{
    struct verso_share *share = find(address);
    struct verso__share_sitting *sitting;
    pid_t thread = verso__os_thread_id();
    int r;

    if (!share || (uintptr_t)address - (uintptr_t)verso_share_data(share) >= share->made.most_bytes)
        return VERSO_E_RANGE;
    if (!share->is_member)
        return VERSO_E_READ_ONLY;
    r = verso__share_adopt(share);
    if (r < 0)
        return r;
    if (!pthread_getspecific(key))
        bury_namesake(thread);
    for (sitting = share->sittings; sitting && sitting->thread != thread; sitting = sitting->next)
        ;
    if (!sitting)
        r = sit_down(share, thread, &sitting);
    if (r == 0)
        remember(share, sitting);
    return r;
}

int verso__share_seat_find(const void *address, const struct verso__share_seat **out_seat)
{
    int r = 0;

    if (!was_here_lately(address)) {
        verso__share_list_lock();
        r = seat_in_list(address);
        verso__share_list_unlock();
    }
    if (r == 0)
        *out_seat = &verso__share_here[0].seat;
    return r;
}

void *verso__share_seat_keep(const struct verso_share *share, uint32_t number, size_t *out_bytes)
{
    if (number >= verso__share_seats_made(share))
        return NULL;
    *out_bytes = share->made.page_bytes - VERSO__SHARE_KEEP_OFFSET - VERSO__SHARE_LIFE_BYTES;
    return (unsigned char *)verso__share_chair(share, number) + VERSO__SHARE_KEEP_OFFSET;
}
