/* SPDX-License-Identifier: MIT */
/*
 * share - a region whose header, members and seats hold anything: attaching refuses it with a documented error, or what
 * follows stays within it. And while it is attached, a peer goes on scribbling between any two calls.
 *
 * The first byte of the input says how the region comes (see flags); then come steps of eleven bytes: an operation,
 * where, and eight bytes to put there. Operations below 0x80 scribble before anybody attaches, the others afterwards,
 * each with a call behind it.
 */
#include "must.h"

#include "share/region.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso/lock.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum flags {
    CHECKSUM_IS_RIGHT = 1 << 0, /* whatever is in the header */
    SIZE_IS_RIGHT = 1 << 1,     /* the file is as long as the header says */
    IS_UNSEALED = 1 << 2,
    READ_ONLY = 1 << 3,
    ASKS_FOR_KIND = 1 << 4,
    IS_SHORT = 1 << 5, /* the file ends in the header */
};

#define STEP_BYTES 11
#define STEPS_MOST 200
#define CONTENT_BYTES 10000
#define FILE_BYTES_MOST (UINT64_C(16) << 20)
#define HANGS_AFTER_S 60

/* ---- A region's bytes, as the library makes them ---- */

static unsigned char pattern[1 << 17];
static size_t pattern_bytes;

static void pattern_make(void)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;
    ssize_t got;

    options.kind = "fuzz";
    options.version = 3;
    options.most_bytes = 20000;
    options.member_count = 4;
    options.seat_count = 4;
    must(verso_share_create_anonymous(CONTENT_BYTES, &options, &share) == 0);
    pattern_bytes = share->span_bytes;
    must(pattern_bytes <= sizeof(pattern));
    got = pread(verso_share_descriptor(share), pattern, pattern_bytes, 0);
    must(got == (ssize_t)pattern_bytes);
    verso_share_close(share);
}

static void scribble(unsigned char *file, size_t file_bytes, const uint8_t *step)
{
    size_t at = ((size_t)step[1] << 8 | step[2]) * 4;

    if (at < file_bytes && file_bytes - at >= 8)
        memcpy(file + at, step + 3, 8);
}

/* The file: its bytes are in @file, of pattern_bytes. */
static int file_make(unsigned char *file, unsigned flags)
{
    struct verso__share_header *header = (struct verso__share_header *)(void *)file;
    uint64_t size = pattern_bytes;
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    must(fd >= 0);
    if (flags & CHECKSUM_IS_RIGHT)
        header->checksum = verso__share_checksum(header);
    must(pwrite(fd, file, pattern_bytes, 0) == (ssize_t)pattern_bytes);
    if (flags & SIZE_IS_RIGHT && header->file_bytes <= FILE_BYTES_MOST)
        size = header->file_bytes;
    if (flags & IS_SHORT)
        size = header->file_bytes % sizeof(*header);
    must(ftruncate(fd, (off_t)size) == 0);
    if (!(flags & IS_UNSEALED))
        must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    return fd;
}

/* ---- What may be answered ---- */

#define SEATED 0, -EUSERS, -ENOSPC, -ENOMEM, -ENOLCK, VERSO_E_READ_ONLY

static int count_member(const struct verso_share_member *member, void *arg)
{
    must(strnlen(member->name, sizeof(member->name)) < sizeof(member->name));
    ++*(unsigned *)arg;
    return 0;
}

static void inform(struct verso_share *share)
{
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    unsigned members = 0;

    answers(verso_share_info(share, &info), 0);
    must(info.bytes <= info.most_bytes && info.bytes == verso_share_bytes(share));
    answers(verso_share_members(share, count_member, &members), 0);
    must(members <= share->made.member_count);
}

/* All of the content is there, and no more is said to be. */
static void touch(struct verso_share *share, bool may_write)
{
    volatile unsigned char *content = verso_share_data(share);
    uint64_t bytes = verso_share_bytes(share);

    must(bytes <= share->made.most_bytes);
    for (uint64_t at = 0; at < bytes; at += 4096)
        if (may_write)
            content[at] = 't';
        else
            (void)content[at];
}

static void lock(struct verso_share *share)
{
    struct verso_mutex *mutex = verso_share_data(share);

    if (verso_share_bytes(share) < sizeof(*mutex))
        return;
    answers(verso_mutex_lock(mutex, 1), SEATED, VERSO_E_OWNER_DIED, -ETIMEDOUT, -EDEADLK);
    answers(verso_mutex_unlock(mutex), SEATED, -EPERM);
}

static void follow(struct verso_share *share)
{
    const struct verso_rel *rel = verso_share_data(share);
    const unsigned char *start = verso_share_data(share), *target;

    if (verso_share_bytes(share) < sizeof(*rel))
        return;
    target = verso_share_at(share, rel, 16, 8);
    must(!target || (target >= start && (uint64_t)(target - start) + 16 <= verso_share_bytes(share)));
}

static void pass_on(struct verso_share *share)
{
    struct verso_share *other = NULL;
    int r = verso_share_attach_descriptor(verso_share_descriptor(share), NULL, &other);

    answers(r, 0, VERSO_E_FORMAT, VERSO_E_MACHINE, VERSO_E_KIND, VERSO_E_OWNER, VERSO_E_UNSEALED, -EUSERS, -EBUSY,
            -ENOMEM);
    verso_share_close(other);
}

static void call(struct verso_share *share, unsigned which, unsigned flags, uint64_t value)
{
    switch (which) {
    case 0:
        inform(share);
        break;
    case 1:
        lock(share);
        break;
    case 2:
        follow(share);
        break;
    case 3:
        answers(verso_share_grow(share, value), 0, VERSO_E_RANGE, VERSO_E_READ_ONLY, -ENOSPC, -EBUSY, -EFBIG);
        break;
    case 4:
        pass_on(share);
        break;
    default:
        touch(share, !(flags & READ_ONLY));
    }
}

/* ---- The input ---- */

static bool is_before(const uint8_t *step)
{
    return step[0] < 0x80;
}

/* The peer scribbles through a mapping of its own. */
static void live_with(struct verso_share *share, const uint8_t *steps, size_t count, unsigned flags)
{
    size_t there_bytes = share->span_bytes;
    unsigned char *there = mmap(NULL, there_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, share->fd, 0);
    bool is_there = there != MAP_FAILED; /* not where the descriptor is for reading only */

    for (size_t i = 0; i < count; i++) {
        const uint8_t *step = steps + i * STEP_BYTES;
        uint64_t value;

        if (is_before(step))
            continue;
        memcpy(&value, step + 3, sizeof(value));
        (void)alarm(HANGS_AFTER_S);
        if (is_there && step[0] & 0x40)
            scribble(there, there_bytes, step);
        call(share, step[0] & 7, flags, value);
    }
    if (is_there)
        must(munmap(there, there_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    static unsigned char file[sizeof(pattern)] __attribute__((aligned(8)));
    struct verso_share *share = NULL;
    const uint8_t *steps = data + 1;
    size_t count;
    unsigned flags;
    int fd, r;

    if (bytes == 0)
        return 0;
    if (pattern_bytes == 0)
        pattern_make();
    flags = data[0];
    count = (bytes - 1) / STEP_BYTES < STEPS_MOST ? (bytes - 1) / STEP_BYTES : STEPS_MOST;
    memcpy(file, pattern, pattern_bytes);
    for (size_t i = 0; i < count; i++)
        if (is_before(steps + i * STEP_BYTES))
            scribble(file, pattern_bytes, steps + i * STEP_BYTES);
    fd = file_make(file, flags);
    options.kind = flags & ASKS_FOR_KIND ? "fuzz" : NULL;
    options.flags = flags & READ_ONLY ? VERSO_SHARE_READ_ONLY : 0;
    (void)alarm(HANGS_AFTER_S);
    r = verso_share_attach_descriptor(fd, &options, &share);
    answers(r, 0, VERSO_E_FORMAT, VERSO_E_MACHINE, VERSO_E_KIND, VERSO_E_OWNER, VERSO_E_UNSEALED, -EUSERS, -EBUSY,
            -ENOMEM);
    must((r == 0) == (share != NULL));
    if (r == 0)
        live_with(share, steps, count, flags);
    verso_share_close(share);
    must(close(fd) == 0);
    (void)alarm(0);
    return 0;
}
