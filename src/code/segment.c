/* SPDX-License-Identifier: MIT */
/*
 * segment - two views of sealed memory, or one that is toggled.
 *
 * The order is what makes it safe: the view for writing is mapped first, then the file is sealed against any other
 * writable mapping, then parts of it are mapped for running. A view that is made after the seal can never be made
 * writable, because the kernel takes that right from it as it is mapped.
 *
 * The file is one that can't be executed as a file (MFD_NOEXEC_SEAL); being mapped is another right.
 */
#include "code/bits.h"
#include "code/code.h"

#include "base/sums.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READY_BYTES ((uint64_t)64 << 10)
#define SEALS (VERSO__OS_SEAL_FUTURE_WRITE | VERSO__OS_SEAL_GROW | VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_SEAL)
#define ACCESS_RUN (VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC)
#define ACCESS_WRITE (VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE)

/* ---- Traps ---- */

/* An instruction that stops whoever gets there; where it is one byte, in the middle of things, too. */
static void fill_traps(unsigned char *start, size_t bytes)
{
#if defined(__x86_64__) || defined(__i386__)
    memset(start, 0xcc, bytes); /* int3 */
#elif defined(__aarch64__)
    static const unsigned char brk[4] = { 0x00, 0x00, 0x20, 0xd4 };

    for (size_t i = 0; i < bytes; i += sizeof(brk))
        memcpy(start + i, brk, sizeof(brk));
#else
    memset(start, 0, bytes); /* on most others an instruction that there is not */
#endif
}

int verso__code_open_block(const struct verso_code *code, const struct place *place)
{
    if (code->mode == VERSO_CODE_DUAL)
        return 0;
    return verso__os_protect(verso__code_address(code, place), verso__code_bytes(code, place), ACCESS_WRITE);
}

int verso__code_close_block(const struct verso_code *code, const struct place *place)
{
    if (code->mode == VERSO_CODE_DUAL)
        return 0;
    return verso__os_protect(verso__code_address(code, place), verso__code_bytes(code, place), ACCESS_RUN);
}

int verso__code_fill(struct verso_code *code, struct segment *segment, size_t start, size_t end, const char **out_step)
{
    const struct place place = { segment, start, end };
    int r;

    *out_step = "mprotect";
    r = verso__code_open_block(code, &place);
    if (r < 0)
        return r;
    fill_traps(verso__code_cursor(code, &place), verso__code_bytes(code, &place));
    r = verso__code_close_block(code, &place);
    if (r == 0)
        verso__os_code_flush(verso__code_address(code, &place), verso__code_bytes(code, &place));
    return r;
}

/* ---- Memory behind the addresses ---- */

/*
 * Whether the descriptor still is the one of our memory: in a program that closes what it does not know, its number
 * soon means another file, and that must not become executable.
 */
static int check_file(const struct segment *segment)
{
    struct verso__os_file_info info;
    int r = verso__os_file_info(segment->fd, &info);

    if (r < 0)
        return r;
    return info.device == segment->device && info.inode == segment->inode ? 0 : -EBADF;
}

static int ready_dual(const struct verso_code *code, const struct segment *segment, size_t start, size_t bytes,
                      const char **out_step)
{
    void *run;
    int r;

    *out_step = "fstat";
    r = check_file(segment);
    if (r < 0)
        return r;
    /* A store that finds no memory is a signal; asked for, it is an error. Before Linux 5.14 it can't be asked for. */
    *out_step = "populate";
    r = verso__os_populate(segment->write + start, bytes, true);
    if (r < 0 && r != -EINVAL)
        return r == -EFAULT ? -ENOMEM : r;
    fill_traps(segment->write + start, bytes);
    *out_step = "mmap";
    r = verso__os_map(segment->run + start, bytes, ACCESS_RUN, VERSO__OS_MAP_SHARED | VERSO__OS_MAP_OVER, segment->fd,
                      start, &run);
    if (r == 0 && code->seal) {
        *out_step = "mseal";
        r = verso__os_seal_mapping(run, bytes);
    }
    return r;
}

static int ready_toggle(const struct segment *segment, size_t start, size_t bytes, const char **out_step)
{
    int r;

    *out_step = "mprotect";
    r = verso__os_protect(segment->run + start, bytes, ACCESS_WRITE);
    if (r < 0)
        return r;
    fill_traps(segment->run + start, bytes);
    return verso__os_protect(segment->run + start, bytes, ACCESS_RUN);
}

int verso__code_segment_ready(struct verso_code *code, struct segment *segment, size_t bytes, const char **out_step)
{
    uint64_t end;
    int r;

    if (bytes <= segment->ready_bytes)
        return 0;
    end = verso__round_down(bytes - 1, verso__max_u64(READY_BYTES, verso__os_page_bytes()));
    end = verso__min_u64(end + verso__max_u64(READY_BYTES, verso__os_page_bytes()), segment->bytes);
    if (code->mode == VERSO_CODE_DUAL)
        r = ready_dual(code, segment, segment->ready_bytes, (size_t)end - segment->ready_bytes, out_step);
    else
        r = ready_toggle(segment, segment->ready_bytes, (size_t)end - segment->ready_bytes, out_step);
    if (r == 0)
        segment->ready_bytes = (size_t)end;
    return r;
}

/* ---- Making and releasing ---- */

/* The one view that may be written to, and the seal that there will be no other. */
static int make_write_view(const struct verso_code *code, struct segment *segment, const char **out_step)
{
    struct verso__os_file_info info;
    void *write;
    int r;

    *out_step = "memfd_create";
    r = verso__os_memory_file(code->name, 0, &segment->fd);
    if (r < 0)
        return r;
    *out_step = "ftruncate";
    r = verso__os_truncate(segment->fd, segment->bytes);
    if (r < 0)
        return r;
    *out_step = "fstat";
    r = verso__os_file_info(segment->fd, &info);
    if (r < 0)
        return r;
    segment->device = info.device;
    segment->inode = info.inode;
    *out_step = "mmap";
    r = verso__os_map(NULL, segment->bytes, ACCESS_WRITE, VERSO__OS_MAP_SHARED | VERSO__OS_MAP_NORESERVE, segment->fd,
                      0, &write);
    if (r < 0)
        return r;
    segment->write = write;
    *out_step = "madvise";
    r = verso__os_advise(write, segment->bytes, VERSO__OS_ADVICE_NO_FORK);
    if (r < 0)
        return r;
    *out_step = "seal";
    return verso__os_seals_add(segment->fd, SEALS);
}

static int make_bitmaps(struct segment *segment)
{
    size_t words = verso__bits_words(segment->granules);
    uint64_t *bitmaps = calloc(5 * words, sizeof(*bitmaps));

    if (!bitmaps)
        return -ENOMEM;
    segment->taken = bitmaps;
    segment->stop = bitmaps + words;
    segment->waiting = bitmaps + 2 * words;
    segment->written = bitmaps + 3 * words;
    segment->run_before = bitmaps + 4 * words;
    return 0;
}

/* Takes @sealed views no longer for ours: they stay until the process ends. */
static void drop(const struct verso_code *code, struct segment *segment, bool write_is_sealed, bool write_is_here)
{
    size_t page_bytes = verso__os_page_bytes(), kept = code->seal ? segment->ready_bytes : 0;

    if (segment->run)
        (void)verso__os_unmap(segment->run + kept, segment->bytes + page_bytes - kept);
    if (segment->write && !write_is_sealed && write_is_here)
        (void)verso__os_unmap(segment->write, segment->bytes);
    if (segment->fd >= 0)
        verso__os_close(segment->fd);
    free(segment->taken);
    free(segment);
}

static int build(const struct verso_code *code, struct segment *segment, const char **out_step)
{
    int r;

    *out_step = "malloc";
    r = make_bitmaps(segment);
    if (r < 0)
        return r;
    *out_step = "reserve";
    r = verso__code_reserve(code, segment->bytes + verso__os_page_bytes(), &segment->run);
    if (r == 0 && code->mode == VERSO_CODE_DUAL)
        r = make_write_view(code, segment, out_step);
    else if (r == 0)
        (void)verso__os_name(segment->run, segment->bytes, code->name); /* where memory can have a name */
    if (r == 0 && code->seal) {
        *out_step = "mseal";
        r = verso__os_seal_mapping(segment->write, segment->bytes);
    }
    return r;
}

static int make_room(struct verso_code *code)
{
    size_t room = code->segment_room ? 2 * code->segment_room : 4;
    struct segment **segments;

    if (code->segment_count < code->segment_room)
        return 0;
    segments = realloc(code->segments, room * sizeof(*segments));
    if (!segments)
        return -ENOMEM;
    code->segments = segments;
    code->segment_room = room;
    return 0;
}

/* Lists are sorted by address. */
static void enlist(struct verso_code *code, struct segment *segment)
{
    size_t at = code->segment_count;

    for (; at > 0 && code->segments[at - 1]->run > segment->run; at--)
        code->segments[at] = code->segments[at - 1];
    code->segments[at] = segment;
    code->segment_count++;
    code->reserved_bytes += segment->bytes;
}

int verso__code_segment_make(struct verso_code *code, size_t bytes, const char **out_step)
{
    struct segment *segment;
    int r;

    *out_step = "malloc";
    r = make_room(code);
    if (r < 0)
        return r;
    segment = calloc(1, sizeof(*segment));
    if (!segment)
        return -ENOMEM;
    segment->fd = -1;
    segment->bytes = bytes;
    segment->granules = bytes / code->granule_bytes;
    segment->too_many = SIZE_MAX;
    r = build(code, segment, out_step);
    if (r < 0) {
        drop(code, segment, false, true); /* sealing comes last: what failed left it unsealed */
        return r;
    }
    if (!code->first)
        code->first = segment;
    enlist(code, segment);
    return 0;
}

void verso__code_segment_release(struct verso_code *code, struct segment *segment)
{
    bool write_is_here = *code->mark != 0; /* a child never had it: what is there now is not ours */
    size_t at = 0;

    while (code->segments[at] != segment)
        at++;
    memmove(&code->segments[at], &code->segments[at + 1], (code->segment_count - at - 1) * sizeof(segment));
    code->segment_count--;
    code->reserved_bytes -= segment->bytes;
    code->waiting_bytes -= segment->waiting_count * code->granule_bytes;
    if (segment == code->first)
        code->first = NULL;
    drop(code, segment, code->seal, write_is_here);
}
