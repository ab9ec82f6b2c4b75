/* SPDX-License-Identifier: MIT */
/*
 * stability - how safe a map's content is from others, rung by rung.
 *
 *      COPY        sealed memory             nobody can change it            costs memory and a read of the file
 *      SNAPSHOT    a reflink of our own      nobody else can reach it        needs xfs or btrfs
 *      LEASED      the file, under a lease   writers wait until we settle    needs to own the file; no writers now
 *      GUARDED     the file, under guard     cuts become zeros and a mark    needs the guard
 *      RAW         the file                  nothing is promised             -
 *
 * The rung asked for is the lowest that will do; the first from there up that can be had is taken. What stood in the
 * way of the one asked for is told in a sentence, since only the person at the keyboard can mend it.
 */
#include "map/stability.h"

#include <errno.h>

#define COPY_BYTES_MAX_DEFAULT ((uint64_t)1 << 30)
#define COPY_TRIES 4

struct climb {
    struct verso_map *map;
    const struct verso_map_options *options;
    int fd;
    int got_fd; /* what to map instead; -1: the file itself */
    struct verso__failure failure;
};

static int refused(struct climb *climb, int code, int cause, const char *step, const char *why)
{
    climb->failure = (struct verso__failure){
        .code = code,
        .cause = cause,
        .step = step,
        .offset_bytes = VERSO_OFFSET_NONE,
        .hint = why,
    };
    return code;
}

static int take_guarded(struct climb *climb)
{
    if (verso_guard_state() != VERSO_GUARD_ACTIVE)
        return refused(climb, VERSO_E_GUARD, 0, "guard",
                       verso_guard_state() == VERSO_GUARD_ABSENT
                           ? "the fault guard is not installed: call verso_guard_install() before"
                           : "another SIGBUS handler has been put over the fault guard");
    climb->map->flags |= VERSO_MAP_SUBSTITUTE | VERSO_MAP_KEEP_FD;
    return 0;
}

static uint64_t range_end(const struct climb *climb)
{
    return climb->map->offset_bytes + climb->map->length_bytes;
}

static int take_leased(struct climb *climb)
{
    struct verso__map_lease lease;
    const char *why;
    int r;

    r = verso__map_lease_take(climb->fd, &lease, &why);
    if (r < 0)
        return refused(climb, VERSO_E_UNSUPPORTED, r, "lease", why);
    if (lease.witness.bytes < range_end(climb)) {
        verso__map_lease_end(&lease);
        return refused(climb, VERSO_E_CHANGED, 0, "lease", "the file was cut while it was opened");
    }
    climb->map->lease_fd = lease.fd;
    climb->map->witness = lease.witness;
    return 0;
}

static int take_snapshot(struct climb *climb)
{
    const char *why;
    int r = verso__map_snapshot(climb->fd, range_end(climb), &climb->got_fd, &why);

    if (r == VERSO_E_CHANGED)
        return refused(climb, r, 0, "reflink", why);
    return r < 0 ? refused(climb, VERSO_E_UNSUPPORTED, r, "reflink", why) : 0;
}

/*
 * One try to copy a file that holds still. A lease for as long as the copy takes is proof. Where none is given, size
 * and times before and after must agree, which shows every write and cut, but not stores through a map that has already
 * dirtied its page.
 */
static int copy_once(struct verso__map_copy *copy, int fd, int *out_fd)
{
    struct verso__map_lease lease = { .fd = -1 };
    struct verso__os_file_info before, after;
    const char *why;
    bool has_lease = verso__map_lease_take(fd, &lease, &why) == 0;
    bool is_same;
    int r;

    r = verso__os_file_info(fd, &before);
    if (r == 0)
        r = verso__map_copy_file(copy, fd, out_fd);
    if (r == 0) {
        is_same = has_lease ? verso__map_lease_kept(&lease)
                            : verso__os_file_info(fd, &after) == 0 && after.bytes == before.bytes &&
                                  after.modified_ns == before.modified_ns && after.changed_ns == before.changed_ns;
        if (!is_same) {
            verso__os_close(*out_fd);
            r = VERSO_E_CHANGED;
        }
    }
    verso__map_lease_end(&lease);
    return r;
}

static int copy_failed(struct climb *climb, const struct verso__map_copy *copy, int code)
{
    if (code == -ENOSYS || code == -EPERM)
        code = refused(climb, VERSO_E_UNSUPPORTED, code, "memfd_create", "no memory file could be made for a copy");
    else
        (void)refused(climb, code, 0, "copy", NULL);
    climb->failure.offset_bytes = copy->bad_offset_bytes;
    return code;
}

static int take_copy(struct climb *climb)
{
    const struct verso_map_options *options = climb->options;
    uint64_t limit = options->copy_bytes_max ? options->copy_bytes_max : COPY_BYTES_MAX_DEFAULT;
    struct verso_map *map = climb->map;
    struct verso__map_copy copy = {
        .name = options->name ? options->name : "verso",
        .offset_bytes = map->offset_bytes,
        .length_bytes = map->length_bytes,
        .is_executable = map->flags & VERSO_MAP_EXEC,
        .wants_huge = map->flags & VERSO_MAP_HUGE,
        /* Private stores would take more of the pool, and a fixed address seldom suits its pages. */
        .takes_hugetlb = !(map->flags & VERSO_MAP_PRIVATE) && !options->address,
    };
    int r = VERSO_E_CHANGED;

    if (map->length_bytes > limit)
        return refused(climb, VERSO_E_TOO_LARGE, 0, "copy", "the range is larger than copy_bytes_max: raise that");
    for (int i = 0; i < COPY_TRIES && r == VERSO_E_CHANGED; i++)
        r = copy_once(&copy, climb->fd, &climb->got_fd);
    if (r < 0)
        return copy_failed(climb, &copy, r);
    map->kind = VERSO_MAP_KIND_MEMORY;
    map->granule_bytes = copy.granule_bytes;
    map->pages = copy.pages;
    return 0;
}

static int (*const rungs[])(struct climb *climb) = {
    [VERSO_MAP_GUARDED] = take_guarded,
    [VERSO_MAP_LEASED] = take_leased,
    [VERSO_MAP_SNAPSHOT] = take_snapshot,
    [VERSO_MAP_COPY] = take_copy,
};

/* Memory that somebody has sealed against stores and cuts is on the highest rung already. */
static bool is_sealed(int fd)
{
    const unsigned fixed = VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_WRITE;
    unsigned seals;

    return verso__os_seals_get(fd, &seals) == 0 && (seals & fixed) == fixed;
}

/* The first rung from @asked up. On failure climb->failure is about the last one, and why about the one asked for. */
static int climb_from(struct climb *climb, unsigned asked, unsigned *out_got, const char **out_why)
{
    unsigned highest = climb->map->flags & VERSO_MAP_WRITE ? VERSO_MAP_GUARDED : VERSO_MAP_COPY;
    int r = 0;

    *out_why = "";
    for (unsigned rung = asked; rung <= highest; rung++) {
        r = rungs[rung](climb);
        *out_got = rung;
        if (r == 0)
            return 0;
        if (rung == asked)
            *out_why = climb->failure.hint;
    }
    return r;
}

int verso__map_stability_source(struct verso_map *map, int fd, const struct verso_map_options *options, int *out_fd,
                                struct verso__failure *out_failure)
{
    struct climb climb = { .map = map, .options = options, .fd = fd, .got_fd = -1 };
    unsigned asked = options->stability, got = asked;
    const char *why = "";
    int r = 0;

    if (asked > VERSO_MAP_GUARDED && is_sealed(fd)) {
        got = VERSO_MAP_COPY;
        why = asked == got ? "" : "the file is sealed memory, so nobody can change it";
    } else if (asked > VERSO_MAP_RAW)
        r = climb_from(&climb, asked, &got, &why);
    if (r < 0) {
        *out_failure = climb.failure;
        return r;
    }
    map->stability = got;
    map->stability_why = why;
    *out_fd = climb.got_fd;
    return 0;
}
