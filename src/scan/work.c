/* SPDX-License-Identifier: MIT */
/*
 * work - tickets, turns and threads.
 *
 * One lock covers all of it; it is taken twice for each window, which is at least a hundred microseconds of work. Who
 * draws a ticket must find a free slot for it: so nobody gets further ahead of the slowest than there are slots.
 */
#include "base/pause.h"
#include "base/sums.h"
#include "scan/scan.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS (uint64_t)200000
#define LOOKS_PASSED_OVER 15 /* after one in vain */
#define PROGRESS_NS (uint64_t)50000000

static void wait_to_go_on(struct verso_scan *scan)
{
    scan->run.waiting++;
    (void)pthread_cond_wait(&scan->to_go_on, &scan->lock);
    scan->run.waiting--;
}

static void let_go_on(struct verso_scan *scan)
{
    if (scan->run.waiting)
        (void)pthread_cond_broadcast(&scan->to_go_on);
}

/* ---- Tickets ---- */

static struct verso__scan_slot *draw(struct verso_scan *scan)
{
    struct verso__scan_run *run = &scan->run;
    struct verso__scan_leg *leg;
    struct verso__scan_slot *slot;

    while (!run->is_stopped && run->next < run->tickets && run->next - run->joined >= run->slot_count)
        wait_to_go_on(scan);
    if (run->is_stopped || run->next == run->tickets)
        return NULL;
    while (run->drawn_leg + 1 < run->leg_count && scan->legs[run->drawn_leg + 1].first_ticket <= run->next)
        run->drawn_leg++;
    leg = &scan->legs[run->drawn_leg];
    slot = &scan->slots[run->next % run->slot_count];
    slot->leg = leg;
    slot->ticket = run->next++;
    slot->is_done = false;
    slot->start =
        verso__max_u64(leg->start, (leg->first_window + (slot->ticket - leg->first_ticket)) * run->window_bytes);
    slot->end =
        slot->start + verso__min_u64(leg->end - slot->start, run->window_bytes - slot->start % run->window_bytes);
    slot->is_void = leg->outcome.status || slot->start >= run->limit;
    return slot;
}

static void join(struct verso_scan *scan, const struct verso__scan_slot *slot)
{
    struct verso__scan_run *run = &scan->run;
    struct verso__scan_leg *leg = slot->leg;

    run->joined++;
    if (leg->outcome.status || slot->is_void)
        return;
    verso__scan_summary_join(&scan->jobs, &leg->sum, &slot->summary);
    run->done_bytes += slot->outcome.reached - slot->start;
    leg->outcome = slot->outcome;
    if (leg->outcome.status)
        run->limit = verso__min_u64(run->limit, leg->outcome.reached);
    if (leg->outcome.status == VERSO_E_CANCELLED)
        run->cancelled_by = leg->outcome.step;
    if (leg->outcome.status && (run->leg_count == 1 || run->cancelled_by))
        run->is_stopped = true;
}

/* Whoever joined something lets go of it in the page cache, without the lock. */
static void drop_behind(struct verso_scan *scan)
{
    for (unsigned i = 0; scan->options.cache != VERSO_SCAN_CACHE_KEEP && i <= scan->run.drawn_leg; i++) {
        uint64_t from = scan->legs[i].dropped_to, to = verso__scan_droppable_to(scan, &scan->legs[i]);

        if (from >= to)
            continue;
        scan->legs[i].dropped_to = to;
        (void)pthread_mutex_unlock(&scan->lock);
        verso__scan_drop(scan, from, to);
        (void)pthread_mutex_lock(&scan->lock);
    }
}

static void hand_in(struct verso__scan_worker *worker, struct verso__scan_slot *slot)
{
    struct verso_scan *scan = worker->scan;
    struct verso__scan_run *run = &scan->run;

    slot->is_done = true;
    worker->has_turn = false;
    while (run->joined < run->next && scan->slots[run->joined % run->slot_count].is_done)
        join(scan, &scan->slots[run->joined % run->slot_count]);
    let_go_on(scan);
    drop_behind(scan);
}

static bool is_next(const struct verso__scan_run *run, const struct verso__scan_slot *slot)
{
    return atomic_load_explicit(&run->joined, memory_order_relaxed) == slot->ticket;
}

/*
 * Turns are some 50 us apart, and to be woken can cost as much: so it is looked for a while before sleeping. Where that
 * was in vain, whose turn it is has no processor; to keep one busy with looking would be the last thing to help.
 */
static void look_for_turn(struct verso__scan_worker *worker, const struct verso__scan_slot *slot)
{
    const struct verso__scan_run *run = &worker->scan->run;
    uint64_t end_ns;

    if (worker->looks_passed_over > 0) {
        worker->looks_passed_over--;
        return;
    }
    end_ns = verso__os_clock_ns() + LOOK_NS;
    while (!is_next(run, slot) && verso__os_clock_ns() < end_ns)
        verso__pause();
    if (!is_next(run, slot))
        worker->looks_passed_over = LOOKS_PASSED_OVER;
}

void verso__scan_take_turn(struct verso__scan_worker *worker, const struct verso__scan_slot *slot)
{
    struct verso_scan *scan = worker->scan;

    if (worker->has_turn)
        return;
    look_for_turn(worker, slot);
    (void)pthread_mutex_lock(&scan->lock);
    while (scan->run.joined != slot->ticket)
        wait_to_go_on(scan);
    worker->has_turn = true;
    (void)pthread_mutex_unlock(&scan->lock);
}

/* ---- Progress ---- */

bool verso__scan_tell_progress(struct verso_scan *scan, uint64_t done_bytes, bool now)
{
    struct verso__scan_run *run = &scan->run;
    struct verso_scan_progress progress = { done_bytes - run->source.start, 0 };
    uint64_t now_ns;

    if (!scan->options.progress)
        return true;
    now_ns = verso__os_clock_ns();
    if (!now && now_ns - run->told_ns < PROGRESS_NS)
        return true;
    run->told_ns = now_ns;
    if (run->source.end != UINT64_MAX)
        progress.total_bytes = run->source.end - run->source.start;
    return scan->options.progress(&progress, scan->options.progress_arg) == 0;
}

/* Called with the lock, which the caller's function must not hold. */
static void tell(struct verso_scan *scan)
{
    uint64_t done_bytes = scan->run.source.start + scan->run.done_bytes;
    bool goes_on;

    if (!scan->options.progress)
        return;
    (void)pthread_mutex_unlock(&scan->lock);
    goes_on = verso__scan_tell_progress(scan, done_bytes, false);
    (void)pthread_mutex_lock(&scan->lock);
    if (!goes_on) {
        scan->run.cancelled_by = "progress";
        scan->run.is_stopped = true;
        let_go_on(scan);
    }
}

/* ---- Working ---- */

/* Called with the lock, and leaves with it. */
static void work(struct verso__scan_worker *worker)
{
    struct verso_scan *scan = worker->scan;
    struct verso__scan_slot *slot;

    while ((slot = draw(scan))) {
        (void)pthread_mutex_unlock(&scan->lock);
        if (!slot->is_void)
            verso__scan_pass(worker, slot);
        if (scan->options.cache != VERSO_SCAN_CACHE_KEEP) /* what is mapped can't be dropped */
            verso__scan_view_leave(&worker->view);
        (void)pthread_mutex_lock(&scan->lock);
        hand_in(worker, slot);
        if (worker->number == 0)
            tell(scan);
    }
    (void)pthread_mutex_unlock(&scan->lock);
    verso__scan_view_leave(&worker->view);
    (void)pthread_mutex_lock(&scan->lock);
}

void verso__scan_work(struct verso_scan *scan)
{
    (void)pthread_mutex_lock(&scan->lock);
    if (scan->run.thread_count > 1) {
        scan->runs++;
        scan->busy = scan->run.thread_count - 1;
        (void)pthread_cond_broadcast(&scan->to_work);
    }
    work(&scan->workers[0]);
    while (scan->busy > 0)
        wait_to_go_on(scan);
    (void)pthread_mutex_unlock(&scan->lock);
}

/* ---- Threads ---- */

static void *live(void *arg)
{
    struct verso__scan_worker *worker = arg;
    struct verso_scan *scan = worker->scan;

    (void)pthread_mutex_lock(&scan->lock);
    while (!scan->is_closing) {
        if (scan->runs == worker->runs) {
            (void)pthread_cond_wait(&scan->to_work, &scan->lock);
            continue;
        }
        worker->runs = scan->runs;
        if (worker->number < scan->run.thread_count) {
            work(worker);
            scan->busy--;
            let_go_on(scan);
        }
    }
    (void)pthread_mutex_unlock(&scan->lock);
    return NULL;
}

/* Threads of a library take no signals but those that they cause themselves. */
static int start(struct verso__scan_worker *worker)
{
    static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
    pthread_attr_t attributes;
    sigset_t blocked;
    int r = pthread_attr_init(&attributes);

    if (r)
        return -r;
    (void)sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        (void)sigdelset(&blocked, own[i]);
    r = pthread_attr_setsigmask_np(&attributes, &blocked);
    if (r == 0)
        r = pthread_create(&worker->thread, &attributes, live, worker);
    (void)pthread_attr_destroy(&attributes);
    return -r;
}

void verso__scan_start_threads(struct verso_scan *scan, unsigned count)
{
    while (scan->started + 1 < count) {
        scan->workers[scan->started + 1].runs = scan->runs;
        if (start(&scan->workers[scan->started + 1]) < 0)
            return;
        scan->started++;
    }
}

void verso__scan_end_threads(struct verso_scan *scan)
{
    (void)pthread_mutex_lock(&scan->lock);
    scan->is_closing = true;
    (void)pthread_cond_broadcast(&scan->to_work);
    (void)pthread_mutex_unlock(&scan->lock);
    for (unsigned i = 1; i <= scan->started; i++)
        (void)pthread_join(scan->workers[i].thread, NULL);
    scan->started = 0;
}

bool verso__scan_make_slots(struct verso_scan *scan, unsigned count)
{
    struct verso__scan_slot *slots;

    if (count <= scan->slot_count)
        return true;
    slots = realloc(scan->slots, count * sizeof(*slots));
    if (!slots)
        return false;
    scan->slots = slots;
    for (; scan->slot_count < count; scan->slot_count++)
        if (!verso__scan_summary_make(&slots[scan->slot_count].summary, &scan->jobs))
            return false;
    return true;
}
