/* SPDX-License-Identifier: MIT */
/*
 * journal - what of a copy is done already, for the next try.
 *
 *      .target.verso-part       |window|window|window|......|      the copy as far as it has come
 *      .target.verso-journal    |header|record|record|record|tor   which source; where, how long, checksum of content
 *
 * A record is appended when its window has been stored. Neither is on stable storage then, and after a power cut either
 * may lack what the other tells of: so a record is only a claim. A window is believed when what the part holds has the
 * checksum in the record; the record when its own checksum is right, which takes in the header's. What comes after the
 * first wrong one is cut off. The header says which source it was, with its size and times, and for whom the part was
 * made: for another one all begins anew, with a new part.
 *
 * The journal is locked while a copy is under way. Numbers are stored as this machine has them: elsewhere no checksum
 * fits.
 */
#include "copy/copy.h"

#include "base/sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES_MIN VERSO__COPY_JOURNAL_BYTES_MIN
#define WINDOW_BYTES_MAX ((uint64_t)64 << 20)
#define WINDOWS_WANTED 1024
#define JOURNAL_BYTES_MAX ((uint64_t)64 << 20) /* nothing that was written here gets as long */
#define TRIES_MAX 10

struct header {
    char magic[16];
    uint64_t window_bytes;
    uint64_t device;
    uint64_t inode;
    uint64_t bytes;
    int64_t modified_ns;
    int64_t changed_ns;
    uint64_t mode;  /* that the part was made with */
    uint64_t check; /* of all before */
};

struct verso__copy_record {
    uint64_t offset;
    uint64_t bytes;
    uint64_t content; /* XXH3 */
    uint64_t check;   /* of all before, and of the header's */
};

static uint64_t number_of(const struct verso_digest_value *value)
{
    uint64_t number;

    memcpy(&number, value->value, sizeof(number));
    return number;
}

static uint64_t check_of(const void *data, size_t bytes)
{
    struct verso_digest_value value;

    return verso_digest_of(VERSO_DIGEST_XXH3_64, data, bytes, &value) == 0 ? number_of(&value) : 0;
}

static uint64_t check_of_record(const struct verso__copy_journal *journal, const struct verso__copy_record *record)
{
    const uint64_t all[] = { journal->header_check, record->offset, record->bytes, record->content };

    return check_of(all, sizeof(all));
}

static uint64_t window_for(uint64_t bytes)
{
    uint64_t window = WINDOW_BYTES_MIN;

    while (window < WINDOW_BYTES_MAX && bytes / window > WINDOWS_WANTED)
        window *= 2;
    return window;
}

static struct header header_for(const struct verso__copy *copy, unsigned mode)
{
    const struct verso__os_file_info *info = &copy->source.info;
    struct header header = { .magic = "verso-copy 1",
                             .window_bytes = window_for(info->bytes),
                             .device = info->device,
                             .inode = info->inode,
                             .bytes = info->bytes,
                             .modified_ns = info->modified_ns,
                             .changed_ns = info->changed_ns,
                             .mode = mode };

    header.check = check_of(&header, offsetof(struct header, check));
    return header;
}

/* ---- Opening ---- */

static int fail(struct verso__copy *copy, int code, const char *step, const char *hint)
{
    return verso__copy_fail(copy, code, step, copy->target.path, VERSO_OFFSET_NONE, hint);
}

/* In a directory for all, somebody could have put a file of his own there, to read what we store in it. */
static int open_own(struct verso__copy *copy, const char *path, unsigned mode, int *out_fd)
{
    const unsigned how = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_CREATE | VERSO__OS_OPEN_NOFOLLOW;
    struct verso__os_file_info info;
    int fd, r = verso__os_open_at(copy->target.directory, path, how, mode, &fd);

    if (r < 0)
        return fail(copy, r, "create", NULL);
    r = verso__os_file_info(fd, &info);
    if (r < 0)
        (void)fail(copy, r, "stat", NULL);
    else if (!verso__copy_is_ours(&info))
        r = fail(copy, -EPERM, "journal", "a file of that name beside the target is not ours: take it away");
    else if (verso__copy_is_source(copy, &info))
        r = fail(copy, VERSO_E_SAME_FILE, "journal", "the source has a name that this copy needs beside the target");
    if (r < 0)
        verso__os_close(fd);
    else
        *out_fd = fd;
    return r;
}

/* Whoever had the lock before us may have taken the journal away: then what we have locked is no journal any more. */
static int open_locked(struct verso__copy *copy)
{
    int fd = -1, r = 0;

    for (int i = 0; i < TRIES_MAX; i++) {
        r = open_own(copy, copy->journal.path, 0600, &fd);
        if (r < 0)
            return r;
        r = verso__os_lock_file(fd);
        if (r == 0 && verso__copy_is_named(copy, fd, copy->journal.path)) {
            copy->journal.fd = fd;
            return 0;
        }
        verso__os_close(fd);
        if (r < 0)
            break;
    }
    return fail(copy, r < 0 ? r : -EBUSY, "lock", "another copy to this target is under way");
}

/* ---- What it says ---- */

/* Records as they were appended, which is nearly in order; a later one for the same place is the true one. */
static void sort(struct verso__copy_journal *journal)
{
    struct verso__copy_record *records = journal->records;
    size_t kept = 0;

    for (size_t i = 0; i < journal->count; i++) {
        const struct verso__copy_record record = records[i];
        size_t place = kept;

        while (place > 0 && records[place - 1].offset > record.offset)
            place--;
        if (place > 0 && records[place - 1].offset == record.offset) {
            records[place - 1] = record;
            continue;
        }
        memmove(records + place + 1, records + place, (kept - place) * sizeof(*records));
        records[place] = record;
        kept++;
    }
    journal->count = kept;
}

static bool has_header(const struct verso__copy_journal *journal, const struct header *wanted)
{
    struct header header;
    size_t done;

    return verso__os_read_at(journal->fd, 0, &header, sizeof(header), &done) == 0 && done == sizeof(header) &&
           memcmp(&header, wanted, sizeof(header)) == 0;
}

static int read_records(struct verso__copy_journal *journal, uint64_t bytes)
{
    size_t room = (size_t)(bytes - sizeof(struct header)), done;
    int r;

    journal->records = malloc(room + sizeof(*journal->records)); /* never none */
    if (!journal->records)
        return -ENOMEM;
    r = verso__os_read_at(journal->fd, sizeof(struct header), journal->records, room, &done);
    if (r < 0)
        return r;
    while ((journal->count + 1) * sizeof(*journal->records) <= done &&
           journal->records[journal->count].check == check_of_record(journal, &journal->records[journal->count]))
        journal->count++;
    journal->end = sizeof(struct header) + journal->count * sizeof(*journal->records);
    sort(journal);
    return 0;
}

/* A part that is there may be open to more than this copy is for, and somebody may have opened it. */
static int renew_part(struct verso__copy *copy, unsigned mode)
{
    const unsigned how = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_CREATE | VERSO__OS_OPEN_EXCLUSIVE |
                         VERSO__OS_OPEN_NOFOLLOW;
    struct verso__copy_target *target = &copy->target;
    int r;

    verso__os_close(target->fd);
    target->fd = -1;
    r = verso__os_remove_at(target->directory, target->temporary);
    return r < 0 ? r : verso__os_open_at(target->directory, target->temporary, how, mode, &target->fd);
}

static int begin_anew(struct verso__copy *copy, const struct header *header)
{
    size_t done;
    int r = verso__os_truncate(copy->journal.fd, 0);

    if (r == 0)
        r = renew_part(copy, (unsigned)header->mode);
    if (r == 0)
        r = verso__os_write_at(copy->journal.fd, 0, header, sizeof(*header), &done);
    copy->journal.end = sizeof(*header);
    return r < 0 ? fail(copy, r, "journal", NULL) : 0;
}

static int take_up(struct verso__copy *copy, unsigned mode)
{
    const struct header header = header_for(copy, mode);
    struct verso__os_file_info info, part;
    int r = verso__os_file_info(copy->journal.fd, &info);

    copy->journal.window_bytes = header.window_bytes;
    copy->journal.header_check = header.check;
    if (r == 0)
        r = verso__os_file_info(copy->target.fd, &part);
    if (r < 0)
        return fail(copy, r, "stat", NULL);
    if (info.bytes < sizeof(header) || info.bytes > JOURNAL_BYTES_MAX || !has_header(&copy->journal, &header))
        return begin_anew(copy, &header);
    copy->target.old_bytes = part.bytes;
    r = read_records(&copy->journal, info.bytes);
    if (r == 0)
        r = verso__os_truncate(copy->journal.fd, copy->journal.end);
    return r < 0 ? fail(copy, r, "journal", NULL) : 0;
}

int verso__copy_journal_open(struct verso__copy *copy, unsigned mode)
{
    struct verso__copy_journal *journal = &copy->journal;
    int r = verso__copy_name_beside(&copy->target, ".verso-journal", journal->path, sizeof(journal->path));

    if (r == 0)
        r = verso__copy_name_beside(&copy->target, ".verso-part", copy->target.temporary,
                                    sizeof(copy->target.temporary));
    if (r < 0) {
        *copy->target.temporary = '\0';
        return fail(copy, r, "target", NULL);
    }
    r = open_locked(copy);
    if (r < 0) {
        *copy->target.temporary = '\0'; /* not ours to take away */
        return r;
    }
    r = open_own(copy, copy->target.temporary, mode, &copy->target.fd);
    if (r == VERSO_E_SAME_FILE)
        *copy->target.temporary = '\0'; /* it is the source */
    if (r == 0)
        r = take_up(copy, mode);
    if (r == 0)
        r = verso_digest_open(VERSO_DIGEST_XXH3_64, &journal->window);
    return r == 0 || copy->failure.code == r ? r : fail(copy, r, "malloc", NULL);
}

void verso__copy_journal_close(struct verso__copy *copy, bool is_over)
{
    struct verso__copy_journal *journal = &copy->journal;

    if (journal->fd < 0)
        return;
    if (is_over)
        (void)verso__os_remove_at(copy->target.directory, journal->path); /* left, it is a claim that nothing meets */
    verso__os_close(journal->fd);
    verso_digest_close(journal->window);
    free(journal->records);
    journal->fd = -1;
}

/* ---- Windows ---- */

static const struct verso__copy_record *record_at(struct verso__copy_journal *journal, uint64_t offset)
{
    while (journal->next < journal->count && journal->records[journal->next].offset < offset)
        journal->next++;
    if (journal->next == journal->count || journal->records[journal->next].offset != offset)
        return NULL;
    return &journal->records[journal->next];
}

/* Adds what the part holds of a window to both checksums. */
static int look(struct verso__copy *copy, uint64_t at, uint64_t end)
{
    const unsigned char *data;
    size_t done;
    int r = 0;

    verso_digest_reset(copy->journal.window);
    while (r == 0 && at < end) {
        r = verso__copy_view_at(&copy->old, at, (size_t)verso__min_u64(end - at, VERSO__COPY_PIECE_BYTES), &data,
                                &done);
        if (r < 0)
            return verso__copy_fail_target(copy, r, "read", at);
        if (done == 0)
            return 0; /* shorter than it says: then the checksum does not fit */
        verso_digest_update(copy->journal.window, data, done);
        if (copy->digest)
            verso_digest_update(copy->digest, data, done);
        at += done;
        r = verso__copy_tell(copy, VERSO_COPY_LOOKING, at, copy->end, false);
    }
    return r;
}

static uint64_t content_of(const struct verso__copy_journal *journal)
{
    struct verso_digest_value value;

    verso_digest_value(journal->window, &value);
    return number_of(&value);
}

/* 1: it is there. The whole file's checksum goes back to where it was if not. */
static int is_there(struct verso__copy *copy, uint64_t at, uint64_t end)
{
    const struct verso__copy_record *record = record_at(&copy->journal, at);
    struct verso_digest *before = NULL;
    int r = 0;

    if (!record || record->bytes != end - at)
        return 0;
    verso__copy_view_unmap(&copy->old);
    if (copy->digest) {
        struct verso_digest_value kind;

        verso_digest_value(copy->digest, &kind);
        r = verso_digest_open((enum verso_digest_kind)kind.kind, &before);
        if (r < 0)
            return verso__copy_fail_target(copy, r, "malloc", at);
        verso_digest_copy(before, copy->digest);
    }
    r = look(copy, at, end);
    if (r == 0)
        r = content_of(&copy->journal) == record->content;
    if (r == 0 && before)
        verso_digest_copy(copy->digest, before);
    verso_digest_close(before);
    return r;
}

static int append(struct verso__copy *copy, uint64_t at, uint64_t end)
{
    struct verso__copy_journal *journal = &copy->journal;
    struct verso__copy_record record = { at, end - at, content_of(journal), 0 };
    size_t done;
    int r;

    record.check = check_of_record(journal, &record);
    r = verso__os_write_at(journal->fd, journal->end, &record, sizeof(record), &done);
    if (r < 0)
        return fail(copy, r, "journal", NULL);
    journal->end += sizeof(record);
    return 0;
}

int verso__copy_windows(struct verso__copy *copy, uint64_t *at, uint64_t end)
{
    uint64_t window = copy->journal.window_bytes;
    int r = 0;

    while (r == 0 && *at < end) {
        uint64_t begin = *at, stop = verso__min_u64(end, verso__round_down(begin, window) + window);

        r = is_there(copy, begin, stop);
        if (r < 0)
            return r;
        if (r > 0) {
            copy->report.same_bytes += stop - begin;
            *at = stop;
            r = 0;
            continue;
        }
        verso_digest_reset(copy->journal.window);
        r = verso__copy_pieces(copy, at, stop);
        if (r == 0 && *at < stop)
            return 0; /* the source ends there */
        if (r == 0)
            r = append(copy, begin, stop);
    }
    return r;
}
