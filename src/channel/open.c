/* SPDX-License-Identifier: MIT */
/*
 * open - a channel is a share whose content begins with a plan.
 *
 * The plan is written before the share can be seen by anybody, and believed by nobody who attaches: it is copied,
 * checked as a whole and field by field, and from then on only the copy counts.
 */
#include "channel/channel.h"

#include "base/options.h"
#include "base/sums.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <verso/digest.h>

#define FLAGS_KNOWN                                                                                                   \
    (VERSO_CHANNEL_LASTING | VERSO_CHANNEL_REDELIVER | VERSO_CHANNEL_KEEP | VERSO_CHANNEL_HUGE | VERSO_CHANNEL_LOCK | \
     VERSO_CHANNEL_NO_CORE)
#define FLAGS_OF_PLAN (VERSO_CHANNEL_LASTING | VERSO_CHANNEL_REDELIVER)

#define CAPACITY_DEFAULT (UINT64_C(256) << 10)
#define ANSWERS_DEFAULT (UINT64_C(64) << 10)
#define MOST_DEFAULT 16
#define READ_WRITE (VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE)

/* ---- The plan ---- */

static uint64_t checksum(const struct verso__channel_plan *plan)
{
    struct verso_digest_value value;
    uint64_t sum = 0;

    if (verso_digest_of(VERSO_DIGEST_XXH3_64, (const char *)plan + sizeof(plan->checksum),
                        sizeof(*plan) - sizeof(plan->checksum), &value) < 0)
        return 0; /* only for lack of arguments */
    for (unsigned i = 0; i < value.bytes; i++)
        sum = sum << 8 | value.value[i];
    return sum;
}

static bool may_have_writers(uint32_t kind)
{
    return kind != VERSO_CHANNEL_SPSC;
}

static bool may_have_readers(uint32_t kind)
{
    return kind == VERSO_CHANNEL_MPMC || kind == VERSO_CHANNEL_BROADCAST;
}

static uint32_t header_bytes_of(uint32_t kind)
{
    return kind == VERSO_CHANNEL_BROADCAST ? VERSO__CHANNEL_NUMBERED_BYTES : VERSO__CHANNEL_HEADER_BYTES;
}

static uint64_t power_of_two(uint64_t bytes)
{
    uint64_t power = verso__os_page_bytes();

    while (power < bytes)
        power *= 2;
    return power;
}

static bool is_too_long(uint64_t ring_bytes) /* lengths have 32 bits */
{
    return ring_bytes > verso__os_address_space_bytes() / 8 || ring_bytes > UINT64_C(1) << 32;
}

/* Who asks also sends, and is to be told what became of it. */
static bool has_sound_answers(const struct verso__channel_plan *plan, uint64_t content_bytes)
{
    uint64_t lanes_bytes, rings_bytes, clients = plan->clients_most, bytes = plan->answers_bytes;

    if (clients == 0)
        return true;
    return clients <= plan->writers_most && plan->kind != VERSO_CHANNEL_BROADCAST &&
           plan->full != VERSO_CHANNEL_FULL_DROP_OLDEST && bytes >= verso__os_page_bytes() &&
           (bytes & (bytes - 1)) == 0 && plan->lane_bytes % _Alignof(struct verso__channel_lane) == 0 &&
           !is_too_long(bytes) && verso__multiply_u64(plan->lane_bytes, clients + 1, &lanes_bytes) &&
           verso__within(plan->lanes_offset, lanes_bytes, content_bytes) &&
           verso__multiply_u64(bytes, clients, &rings_bytes) &&
           verso__within(plan->ring_offset + plan->capacity_bytes, rings_bytes, content_bytes);
}

/* What a plan must be, whoever made it. */
static bool is_sound(const struct verso__channel_plan *plan, uint64_t content_bytes)
{
    uint64_t page = verso__os_page_bytes();

    return plan->checksum == checksum(plan) && plan->kind >= VERSO_CHANNEL_SPSC &&
           plan->kind <= VERSO_CHANNEL_BROADCAST && plan->full <= VERSO_CHANNEL_FULL_DROP_OLDEST &&
           plan->header_bytes == header_bytes_of(plan->kind) && plan->capacity_bytes >= page &&
           !is_too_long(plan->capacity_bytes) && (plan->capacity_bytes & (plan->capacity_bytes - 1)) == 0 &&
           !(plan->flags & ~(uint32_t)FLAGS_OF_PLAN) &&
           (!(plan->flags & VERSO_CHANNEL_REDELIVER) || plan->kind == VERSO_CHANNEL_MPMC) && plan->writers_most >= 1 &&
           plan->writers_most <= (may_have_writers(plan->kind) ? VERSO__CHANNEL_PLACES : 1) &&
           plan->readers_most >= 1 &&
           plan->readers_most <= (may_have_readers(plan->kind) ? VERSO__CHANNEL_PLACES : 1) &&
           plan->lanes_offset % page == 0 && plan->lane_bytes >= sizeof(struct verso__channel_lane) &&
           verso__within(plan->lanes_offset, plan->lane_bytes, content_bytes) && plan->ring_offset % page == 0 &&
           verso__within(plan->ring_offset, plan->capacity_bytes, content_bytes) &&
           has_sound_answers(plan, content_bytes);
}

/* By default there is room for all who need a place. */
static unsigned most_of(unsigned given, unsigned needed, bool may_have_many)
{
    if (given)
        return given;
    return may_have_many ? (needed > MOST_DEFAULT ? needed : MOST_DEFAULT) : 1;
}

/* How such a channel is received from; NULL: this version of the library does not know. */
static const struct verso__channel_way *way_of(const struct verso__channel_plan *plan)
{
    bool is_one = plan->kind == VERSO_CHANNEL_SPSC || plan->kind == VERSO_CHANNEL_MPSC;

    if (plan->kind == VERSO_CHANNEL_BROADCAST)
        return &verso__channel_each;
    if (plan->full == VERSO_CHANNEL_FULL_DROP_OLDEST)
        return &verso__channel_dropping;
    return is_one ? &verso__channel_direct : &verso__channel_taken;
}

static bool is_possible(const struct verso__channel_plan *plan)
{
    return way_of(plan);
}

/* Where everything lies; *out_content_bytes is the end of it. */
static bool plan_lay_out(struct verso__channel_plan *plan, uint64_t granule, uint64_t *out_content_bytes)
{
    uint64_t page = verso__os_page_bytes(), lane_bytes, ring_offset;

    plan->lanes_offset = page;
    if (!verso__round_up(sizeof(struct verso__channel_lane), page, &lane_bytes) ||
        !verso__round_up(plan->lanes_offset + lane_bytes * (plan->clients_most + UINT64_C(1)), granule, &ring_offset))
        return false;
    plan->lane_bytes = lane_bytes;
    plan->ring_offset = ring_offset;
    *out_content_bytes = ring_offset + plan->capacity_bytes + plan->clients_most * plan->answers_bytes;
    return true;
}

static int plan_make(const struct verso_channel_options *options, struct verso__channel_plan *out_plan,
                     uint64_t *out_content_bytes)
{
    uint64_t granule = verso__os_page_bytes(), content_bytes;
    uint64_t wanted = options->capacity_bytes ? options->capacity_bytes : CAPACITY_DEFAULT;
    uint64_t answers = options->answers_bytes ? options->answers_bytes : ANSWERS_DEFAULT;
    struct verso__channel_plan plan = { .full = options->full, .flags = options->flags & FLAGS_OF_PLAN };

    if (options->clients_most > VERSO__CHANNEL_PLACES)
        return VERSO_E_OPTIONS;
    plan.kind = options->kind == VERSO_CHANNEL_KIND_ANY ? VERSO_CHANNEL_SPSC : options->kind;
    plan.writers_most = most_of(options->writers_most, options->clients_most, may_have_writers(plan.kind));
    plan.readers_most = most_of(options->readers_most, 0, may_have_readers(plan.kind));
    plan.clients_most = options->clients_most;
    plan.header_bytes = header_bytes_of(plan.kind);
    if (is_too_long(wanted) || is_too_long(answers))
        return VERSO_E_OVERFLOW;
    if (options->flags & VERSO_CHANNEL_HUGE && verso__os_huge_page_bytes())
        granule = verso__os_huge_page_bytes();
    plan.capacity_bytes = power_of_two(wanted);
    plan.answers_bytes = plan.clients_most ? power_of_two(answers) : 0;
    if (!plan_lay_out(&plan, granule, &content_bytes))
        return VERSO_E_OVERFLOW;
    plan.checksum = checksum(&plan);
    if (!is_sound(&plan, content_bytes) || !is_possible(&plan))
        return VERSO_E_OPTIONS;
    *out_content_bytes = content_bytes;
    *out_plan = plan;
    return 0;
}

static int plan_write(void *data, uint64_t bytes, void *arg)
{
    (void)bytes;
    memcpy(data, arg, sizeof(struct verso__channel_plan));
    return 0;
}

/* ---- The ring, twice side by side ---- */

static void unmap_ring(struct verso__channel_mapped *ring)
{
    if (ring->span)
        (void)verso__os_unmap(ring->span, ring->span_bytes);
    *ring = (struct verso__channel_mapped){ 0 };
}

static int map_twice(const struct verso_channel *channel, uint64_t offset, size_t capacity,
                     struct verso__channel_mapped *ring)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < 2; i++) {
        void *half;

        r = verso__os_map(ring->ring + i * capacity, capacity, READ_WRITE, VERSO__OS_MAP_SHARED | VERSO__OS_MAP_OVER,
                          channel->share->fd, channel->share->made.content_offset + offset, &half);
    }
    if (r < 0)
        return r;
    /* Page faults in the middle of a message would be seen as its latency. Advice: the memory is there in any case. */
    (void)verso__os_populate(ring->ring, 2 * capacity, true);
    (void)verso__os_advise(ring->ring + capacity, capacity, VERSO__OS_ADVICE_NO_CORE);
    if (channel->share->flags & VERSO_SHARE_NO_CORE)
        return verso__os_advise(ring->ring, capacity, VERSO__OS_ADVICE_NO_CORE);
    return 0;
}

static int map_ring(const struct verso_channel *channel, uint64_t offset, uint64_t capacity_bytes,
                    struct verso__channel_mapped *out_ring)
{
    size_t page = verso__os_page_bytes(), huge = verso__os_huge_page_bytes();
    struct verso__channel_mapped ring = { .span_bytes = 2 * (size_t)capacity_bytes + 2 * page };
    int r = verso__os_reserve(ring.span_bytes, huge && capacity_bytes >= huge ? huge : page, &ring.span);

    if (r < 0)
        return r;
    ring.ring = ring.span;
    r = map_twice(channel, offset, (size_t)capacity_bytes, &ring);
    if (r < 0)
        unmap_ring(&ring);
    else
        *out_ring = ring;
    return r;
}

int verso__channel_map_answers(struct verso_channel *channel, uint32_t lane)
{
    uint64_t bytes = channel->plan.answers_bytes;
    int r = 0;

    verso__channel_lists_lock();
    if (!channel->answers[lane - 1].span)
        r = map_ring(channel, channel->plan.ring_offset + channel->plan.capacity_bytes + (lane - 1) * bytes, bytes,
                     &channel->answers[lane - 1]);
    verso__channel_lists_unlock();
    return r;
}

/* Says to all who use the lanes whether movers must have barriers of their own. */
static void announce(struct verso_channel *channel)
{
    channel->has_barrier = verso__os_barrier_shared_announce() == 0 && verso__os_barrier_shared() == 0;
    if (channel->has_barrier)
        return;
    for (uint32_t lane = 0; lane <= channel->plan.clients_most; lane++) {
        atomic_store(&verso__channel_lane_at(channel, lane)->data_bell.fences, 1);
        atomic_store(&verso__channel_lane_at(channel, lane)->room_bell.fences, 1);
    }
}

/* ---- The lists ---- */

static pthread_mutex_t lists = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;

void verso__channel_lists_lock(void)
{
    (void)pthread_mutex_lock(&lists);
}

void verso__channel_lists_unlock(void)
{
    (void)pthread_mutex_unlock(&lists);
}

/* Asked for after a share was attached, so that fork() takes this lock before those of src/share, as all do here. */
static void survive_fork(void)
{
    fork_error = -pthread_atfork(verso__channel_lists_lock, verso__channel_lists_unlock, verso__channel_lists_unlock);
}

/* ---- Attaching ---- */

/* Of a kind that was not asked for, by the one it has. */
static const char *const kind_hints[] = {
    [VERSO_CHANNEL_SPSC] = "the channel is an SPSC, another kind than was asked for",
    [VERSO_CHANNEL_MPSC] = "the channel is an MPSC, another kind than was asked for",
    [VERSO_CHANNEL_MPMC] = "the channel is an MPMC, another kind than was asked for",
    [VERSO_CHANNEL_BROADCAST] = "the channel is a BROADCAST, another kind than was asked for",
};

int verso__channel_plan_read(struct verso_channel *channel, const struct verso_channel_options *options,
                             const char **out_hint)
{
    unsigned char *content = verso_share_data(channel->share);

    if (verso_share_bytes(channel->share) < sizeof(channel->plan))
        return VERSO_E_CORRUPT;
    memcpy(&channel->plan, content, sizeof(channel->plan));
    if (!is_sound(&channel->plan, verso_share_bytes(channel->share)))
        return VERSO_E_CORRUPT;
    *out_hint = "this version of the library can't use such a channel";
    if (!is_possible(&channel->plan))
        return VERSO_E_KIND;
    *out_hint = kind_hints[channel->plan.kind];
    if (options->kind != VERSO_CHANNEL_KIND_ANY && options->kind != channel->plan.kind)
        return VERSO_E_KIND;
    channel->way = way_of(&channel->plan);
    channel->lane = (struct verso__channel_lane *)(void *)(content + channel->plan.lanes_offset);
    channel->bytes_most = channel->plan.capacity_bytes - 2 * (uint64_t)channel->plan.header_bytes;
    return 0;
}

static void channel_free(struct verso_channel *channel)
{
    for (uint32_t i = 0; channel->answers && i < channel->plan.clients_most; i++)
        unmap_ring(&channel->answers[i]);
    free(channel->answers);
    unmap_ring(&channel->ring);
    verso__channel_hang_up(channel);
    free(channel);
}

/* @share stays the caller's on failure. */
static int attach(struct verso_share *share, const struct verso_channel_options *options,
                  struct verso_channel **out_channel)
{
    struct verso_channel *channel = calloc(1, sizeof(*channel));
    const char *step = "plan", *hint = NULL;
    struct verso__os_file_info file;
    int r;

    if (!channel)
        return verso__fail(-ENOMEM, "calloc", NULL);
    (void)pthread_once(&fork_once, survive_fork);
    if (fork_error < 0) {
        free(channel);
        return verso__fail(fork_error, "pthread_atfork", NULL);
    }
    channel->share = share;
    channel->forks = verso__os_forks();
    r = verso__channel_plan_read(channel, options, &hint);
    if (r == 0) {
        step = "stat";
        r = verso__os_file_info(share->fd, &file);
    }
    if (r == 0) {
        step = "mmap";
        r = map_ring(channel, channel->plan.ring_offset, channel->plan.capacity_bytes, &channel->ring);
    }
    if (r == 0 && channel->plan.clients_most) {
        step = "calloc";
        channel->answers = calloc(channel->plan.clients_most, sizeof(*channel->answers));
        r = channel->answers ? 0 : -ENOMEM;
    }
    if (r < 0) {
        channel_free(channel);
        return verso__fail_hint(r, step, share->path, r == VERSO_E_KIND ? hint : NULL);
    }
    channel->device = file.device;
    channel->inode = file.inode;
    announce(channel);
    *out_channel = channel;
    return 0;
}

static int options_read(const struct verso_channel_options *given, struct verso_channel_options *out_options)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return VERSO_E_OPTIONS;
    if (options.flags & ~(unsigned)FLAGS_KNOWN)
        return VERSO_E_OPTIONS;
    *out_options = options;
    return 0;
}

static struct verso_share_options share_options(const struct verso_channel_options *options)
{
    struct verso_share_options share = VERSO_SHARE_OPTIONS_INIT;

    share.kind = VERSO__CHANNEL_KIND;
    share.version = VERSO__CHANNEL_VERSION;
    share.mode = options->mode;
    share.flags = (options->flags & VERSO_CHANNEL_KEEP ? VERSO_SHARE_KEEP : 0U) |
                  (options->flags & VERSO_CHANNEL_HUGE ? VERSO_SHARE_HUGE : 0U) |
                  (options->flags & VERSO_CHANNEL_LOCK ? VERSO_SHARE_LOCK : 0U) |
                  (options->flags & VERSO_CHANNEL_NO_CORE ? VERSO_SHARE_NO_CORE : 0U);
    share.prepare = plan_write;
    return share;
}

enum how {
    CREATE,
    ATTACH,
    OPEN
};

static int enter(enum how how, const char *name, const struct verso_channel_options *given,
                 struct verso_channel **out_channel)
{
    struct verso_channel_options options;
    struct verso__channel_plan plan;
    struct verso_share_options of_share;
    struct verso_share *share;
    uint64_t bytes = 0;
    int r;

    if (!out_channel || (!name && how != CREATE))
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, &options);
    if (r == 0 && how != ATTACH)
        r = plan_make(&options, &plan, &bytes);
    if (r == VERSO_E_OVERFLOW)
        return verso__fail_hint(r, "options", name, "rings have 4 GiB at most, and fit all together in an address");
    if (r < 0)
        return verso__fail(r, "options", name);
    of_share = share_options(&options);
    of_share.prepare_arg = &plan;
    if (how == ATTACH) {
        of_share.flags &= VERSO_SHARE_LOCK | VERSO_SHARE_NO_CORE;
        r = verso_share_attach(name, &of_share, &share);
    } else if (!name) {
        r = verso_share_create_anonymous(bytes, &of_share, &share);
    } else {
        r = how == CREATE ? verso_share_create(name, bytes, &of_share, &share)
                          : verso_share_open(name, bytes, &of_share, &share);
    }
    if (r < 0)
        return r;
    r = attach(share, &options, out_channel);
    if (r < 0)
        verso_share_close(share);
    return r;
}

int verso_channel_create(const char *name, const struct verso_channel_options *options,
                         struct verso_channel **out_channel)
{
    return enter(CREATE, name, options, out_channel);
}

int verso_channel_attach(const char *name, const struct verso_channel_options *options,
                         struct verso_channel **out_channel)
{
    return enter(ATTACH, name, options, out_channel);
}

int verso_channel_open(const char *name, const struct verso_channel_options *options,
                       struct verso_channel **out_channel)
{
    return enter(OPEN, name, options, out_channel);
}

int verso_channel_attach_share(struct verso_share *share, const struct verso_channel_options *given,
                               struct verso_channel **out_channel)
{
    struct verso_channel_options options;
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    int r;

    if (!share || !out_channel)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, &options);
    if (r < 0)
        return verso__fail(r, "options", share->path);
    r = verso_share_info(share, &info);
    if (r < 0)
        return r;
    if (!share->is_member)
        return verso__fail(VERSO_E_READ_ONLY, "attach", share->path);
    if (strcmp(info.kind, VERSO__CHANNEL_KIND) != 0 || info.version != VERSO__CHANNEL_VERSION)
        return verso__fail(VERSO_E_KIND, "attach", share->path);
    return attach(share, &options, out_channel);
}

struct verso_share *verso_channel_share(const struct verso_channel *channel)
{
    return channel ? channel->share : NULL;
}

uint64_t verso_channel_message_bytes_most(const struct verso_channel *channel)
{
    return channel ? channel->bytes_most : 0;
}

/* What the dead left outside of the region, as the names of their bells, nobody sees to when all have gone. */
static void bury_all(struct verso_channel *channel)
{
    struct verso__channel_others others;
    struct verso__channel_side side;

    if (channel->forks != verso__os_forks())
        return;
    verso__channel_stand(channel, 0, &side);
    side.channel = channel;
    verso__channel_see_nobody(&others);
    (void)verso__channel_see_writers(&side, true, &others);
    (void)verso__channel_see_readers(&side, true, &others);
}

void verso_channel_close(struct verso_channel *channel)
{
    struct verso_share *share;

    if (!channel)
        return;
    while (channel->clients)
        verso_channel_client_close(channel->clients);
    while (channel->readers)
        verso_channel_reader_close(channel->readers);
    while (channel->writers)
        verso_channel_writer_close(channel->writers);
    bury_all(channel);
    share = channel->share;
    channel_free(channel);
    verso_share_close(share);
}

static int is_channel(const struct verso_share_entry *entry, void *arg)
{
    (void)arg;
    return strcmp(entry->info.kind, VERSO__CHANNEL_KIND) == 0 ? 0 : VERSO_E_KIND;
}

int verso_channel_remove(const char *name)
{
    int r;

    if (!name)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = verso_share_look(name, is_channel, NULL);
    if (r == VERSO_E_KIND)
        return verso__fail(r, "look", name);
    return r < 0 ? r : verso_share_remove(name);
}
