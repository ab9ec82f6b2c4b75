/* SPDX-License-Identifier: MIT */
/*
 * open - one memory file, mapped twice side by side.
 *
 *     span
 *     |ring|....|=========== data ===========|====== the same data ======|....|
 *      ^ lead    ^ from offset 0              ^ from offset 0 again        ^ no access
 *
 * The span is reserved whole, and everything is mapped *over* it. Unmapping a hole first and mapping into it afterwards
 * would be a race: between the two, another thread's mmap may be given the hole. What is left of the span on both ends
 * of the data has no access, so that a store that runs off is a fault and not somebody else's surprise.
 *
 * All memory is taken here. A memory file gives its pages when they are touched, and when there are none, by SIGBUS.
 */
#include "ring/ring.h"

#include "base/options.h"
#include "base/sums.h"

#include <errno.h>

#define FLAGS_KNOWN (VERSO_RING_HUGE | VERSO_RING_LOCK | VERSO_RING_NO_CORE)
#define READ_WRITE (VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE)

/* A ring while it is being made. */
struct making {
    const char *name;
    unsigned flags;
    uint64_t wanted_bytes;
    bool from_pool;
    size_t granule_bytes; /* the data's address and size are multiples of it */
    size_t capacity_bytes;
    size_t lead_bytes;
    size_t span_bytes;
    int fd;
    struct verso_ring *ring; /* NULL: no span yet */
    const char *step;        /* the last one tried */
    const char *hint;
};

static int options_read(const struct verso_ring_options *given, struct verso_ring_options *out_options)
{
    struct verso_ring_options options = VERSO_RING_OPTIONS_INIT;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return VERSO_E_OPTIONS;
    if (options.flags & ~(unsigned)FLAGS_KNOWN)
        return VERSO_E_OPTIONS;
    if (!options.name)
        options.name = "verso";
    *out_options = options;
    return 0;
}

/* Fallocate takes page after page until there is none left for anybody; so what can't be is refused before. */
static int check_memory(struct making *making)
{
    uint64_t memory_bytes, swap_bytes;
    int r = verso__os_memory_totals(&memory_bytes, &swap_bytes);

    making->step = "sysinfo";
    if (r < 0)
        return r;
    if (making->capacity_bytes <= memory_bytes || making->capacity_bytes - memory_bytes <= swap_bytes)
        return 0;
    making->step = "fallocate";
    making->hint = "a ring takes all of its memory at once, and that is more than this machine has";
    return -ENOMEM;
}

static int plan(struct making *making, size_t granule_bytes)
{
    size_t page = verso__os_page_bytes();
    uint64_t capacity, most;

    making->step = "capacity";
    making->granule_bytes = granule_bytes;
    making->lead_bytes = granule_bytes > 2 * page ? granule_bytes : 2 * page;
    most = (verso__os_address_space_bytes() - making->lead_bytes - page) / 2;
    if (making->wanted_bytes == 0)
        return VERSO_E_RANGE;
    if (!verso__round_up(making->wanted_bytes, granule_bytes, &capacity) || capacity > most)
        return VERSO_E_OVERFLOW;
    making->capacity_bytes = (size_t)capacity;
    making->span_bytes = making->lead_bytes + 2 * making->capacity_bytes + page;
    return check_memory(making);
}

/* The memory, as long as it will ever be: nobody who might get hold of it can cut it under us. */
static int make_file(struct making *making)
{
    int r;

    making->step = "memfd_create";
    r = verso__os_memory_file(making->name, making->from_pool ? VERSO__OS_MEMORY_FILE_HUGE : 0U, &making->fd);
    if (r < 0)
        return r;
    making->step = "ftruncate";
    r = verso__os_truncate(making->fd, making->capacity_bytes);
    if (r < 0)
        return r;
    making->step = "seal";
    return verso__os_seals_add(making->fd, VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW | VERSO__OS_SEAL_SEAL);
}

/* The span, and the ring's own page in it: zeros, which a child of fork() will see again. */
static int map_ring(struct making *making)
{
    size_t page = verso__os_page_bytes();
    void *span;
    int r;

    making->step = "mmap";
    r = verso__os_reserve(making->span_bytes, making->granule_bytes, &span);
    if (r < 0)
        return r;
    making->ring = span;
    r = verso__os_map(span, page, READ_WRITE, VERSO__OS_MAP_OVER, -1, 0, &span);
    if (r < 0)
        return r;
    (void)verso__os_name(span, page, making->name); /* before 5.17 there are no names */
    making->step = "madvise";
    r = verso__os_advise(span, page, VERSO__OS_ADVICE_WIPE_ON_FORK);
    if (r < 0)
        return r;
    return verso__os_advise((char *)span + page, making->span_bytes - page, VERSO__OS_ADVICE_NO_FORK);
}

/* Both halves; a core dump shows the bytes once. Advice that is a preference may be refused. */
static int map_data(const struct making *making, unsigned char *data)
{
    size_t bytes = making->capacity_bytes;
    void *half;
    int r = 0;

    for (int i = 0; r == 0 && i < 2; i++)
        r = verso__os_map(data + (size_t)i * bytes, bytes, READ_WRITE, VERSO__OS_MAP_SHARED | VERSO__OS_MAP_OVER,
                          making->fd, 0, &half);
    if (r < 0)
        return r;
    /* Mapping over has made new mappings: what was advised of the old ones is gone with them. */
    r = verso__os_advise(data, 2 * bytes, VERSO__OS_ADVICE_NO_FORK);
    if (r == 0 && making->flags & VERSO_RING_NO_CORE)
        r = verso__os_advise(data, bytes, VERSO__OS_ADVICE_NO_CORE);
    if (r == 0)
        (void)verso__os_advise(data + bytes, bytes, VERSO__OS_ADVICE_NO_CORE);
    if (r == 0 && making->flags & VERSO_RING_HUGE && !making->from_pool)
        (void)verso__os_advise(data, 2 * bytes, VERSO__OS_ADVICE_HUGE);
    return r;
}

/*
 * Takes the memory: by faulting it in, which is how huge pages come; what could not be had so (or on a kernel without
 * that call) by fallocate, which answers for all of it. The second half's page table comes last.
 */
static int take_memory(struct making *making, unsigned char *data)
{
    size_t bytes = making->capacity_bytes;
    int r;

    (void)verso__os_populate(data, bytes, true);
    making->step = "fallocate";
    r = verso__os_allocate(making->fd, 0, bytes);
    if (r < 0)
        return r;
    (void)verso__os_populate(data + bytes, bytes, true);
    if (!(making->flags & VERSO_RING_LOCK))
        return 0;
    making->step = "mlock";
    making->hint = "that much can't be locked: see ulimit -l";
    r = verso__os_lock(data, bytes, false); /* pages are locked, not mappings: one half is enough */
    return r < 0 ? r : verso__os_lock(making->ring, verso__os_page_bytes(), false);
}

static void unmake(struct making *making)
{
    if (making->ring)
        (void)verso__os_unmap(making->ring, making->span_bytes);
    if (making->fd >= 0)
        verso__os_close(making->fd);
    making->ring = NULL;
    making->fd = -1;
}

static int make(struct making *making)
{
    unsigned char *data;
    int r = make_file(making);

    if (r == 0)
        r = map_ring(making);
    if (r == 0) {
        data = (unsigned char *)making->ring + making->lead_bytes;
        making->step = "mmap";
        r = map_data(making, data);
    }
    if (r == 0)
        r = take_memory(making, data);
    if (r < 0)
        unmake(making);
    return r;
}

/* A ring from the pool of huge pages: NULL, or why not. */
static const char *make_from_pool(struct making *making)
{
    size_t granule = verso__ring_pool_page_bytes();

    if (granule == 0)
        return "this kernel has no pool of huge pages (hugetlb)";
    making->from_pool = true;
    if (plan(making, granule) == 0 && make(making) == 0)
        return NULL;
    making->from_pool = false;
    return "too few huge pages are free in the pool: see vm.nr_hugepages";
}

static void ring_fill(struct making *making, const char *why_no_pool)
{
    struct verso_ring *ring = making->ring;

    ring->data = (unsigned char *)ring + making->lead_bytes;
    ring->capacity_bytes = making->capacity_bytes;
    ring->span_bytes = making->span_bytes;
    ring->flags = making->flags;
    ring->has_barrier = verso__os_barrier_announce() == 0;
    ring->sides[VERSO__RING_PRODUCER].limit = making->capacity_bytes;
    ring->pages = making->from_pool ? VERSO_RING_PAGES_HUGETLB : VERSO_RING_PAGES_BASE;
    ring->pages_why = why_no_pool;
    if (making->flags & VERSO_RING_HUGE && !making->from_pool)
        verso__ring_see_pages(ring);
}

int verso_ring_open(uint64_t capacity_bytes, const struct verso_ring_options *given, struct verso_ring **out_ring)
{
    struct making making = { .wanted_bytes = capacity_bytes, .fd = -1 };
    struct verso_ring_options options;
    const char *why_no_pool = "";
    size_t huge;
    int r;

    if (!out_ring)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, &options);
    if (r < 0)
        return verso__fail(r, "options", NULL);
    making.name = options.name;
    making.flags = options.flags;
    huge = options.flags & VERSO_RING_HUGE ? verso__os_huge_page_bytes() : 0;
    if (options.flags & VERSO_RING_HUGE)
        why_no_pool = make_from_pool(&making);
    if (!making.ring) {
        making.hint = NULL;
        r = plan(&making, huge ? huge : verso__os_page_bytes());
        if (r == 0)
            r = make(&making);
    }
    if (r < 0)
        return verso__fail_hint(r, making.step, NULL, making.hint);
    verso__os_close(making.fd);
    ring_fill(&making, why_no_pool ? why_no_pool : "");
    *out_ring = making.ring;
    return 0;
}

void verso_ring_close(struct verso_ring *ring)
{
    if (!ring)
        return;
    /* In a child of fork() only this page is there, and what stands behind it by now is not ours. */
    (void)verso__os_unmap(ring, ring->span_bytes ? ring->span_bytes : verso__os_page_bytes());
}
