/* SPDX-License-Identifier: MIT */
/* copy_report - what was done: a line for each file when wanted, and the sums at the end. Threads report one by one. */
#include "copy.h"
#include "hash_list.h"
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
#define LINE_BYTES 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct copy_totals totals;
static json_t *rows; /* NULL: not wanted */
static struct timespec started;

/* ---- Words ---- */

static const char *const methods[] = { "auto", "reflink", "copy_file_range", "splice", "mapped", "read" };
static const char *const verdicts[] = { "no", "disk", "memory" };

static const char *word(const char *const *words, size_t count, unsigned index)
{
    return index < count ? words[index] : "unknown";
}
#define WORD(words, index) word(words, sizeof(words) / sizeof(*(words)), index)

/* A line put together from parts. */
struct line {
    char text[LINE_BYTES];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line->text + line->length, sizeof(line->text) - line->length, format, arguments);
    va_end(arguments);
    line->length += length > 0 ? (size_t)length : 0;
    if (line->length >= sizeof(line->text))
        line->length = sizeof(line->text) - 1;
}

static void add_bytes(struct line *line, const char *kind, uint64_t bytes)
{
    char text[16];

    if (bytes)
        add(line, "%s%s %s", line->length ? ", " : "", kind, bytes_shown(bytes, text));
}

static void add_count(struct line *line, uint64_t count, const char *one, const char *many)
{
    char text[32];

    if (count)
        add(line, "%s%s %s", line->length ? ", " : "", count_shown(count, text), count == 1 ? one : many);
}

/* The kinds of bytes; they add up to what was dealt with. */
static void add_kinds(struct line *line, const struct verso_copy_report *report)
{
    add_bytes(line, "reflinked", report->reflinked_bytes);
    add_bytes(line, "copied by the kernel", report->offloaded_bytes);
    add_bytes(line, "copied", report->copied_bytes);
    add_bytes(line, "holes", report->hole_bytes);
    add_bytes(line, "there already", report->same_bytes);
}

static void add_rate(struct line *line, uint64_t bytes, uint64_t duration_ns)
{
    char text[16];
    double seconds = (double)duration_ns / (double)SECOND_NS;

    if (seconds < 0.1)
        add(line, " in %.1f ms", seconds * 1000);
    else
        add(line, " in %.2f s", seconds);
    if (bytes && duration_ns)
        add(line, ", %s/s", bytes_shown((uint64_t)((double)bytes / seconds), text));
}

/* ---- One file ---- */

static json_t *kinds_json(const struct verso_copy_report *report)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "bytes", (json_int_t)report->bytes, "reflinked_bytes",
                     (json_int_t)report->reflinked_bytes, "offloaded_bytes", (json_int_t)report->offloaded_bytes,
                     "copied_bytes", (json_int_t)report->copied_bytes, "hole_bytes", (json_int_t)report->hole_bytes,
                     "same_bytes", (json_int_t)report->same_bytes);
}

static void add_row(const char *source, const char *target, const struct verso_copy_report *report)
{
    json_t *row = json_object(), *kinds = kinds_json(report);
    char digest[VERSO_DIGEST_TEXT_BYTES];

    json_set_name(row, "source", source);
    json_set_name(row, "target", target);
    json_object_update(row, kinds);
    json_decref(kinds);
    json_object_set_new(row, "duration_ns", json_integer((json_int_t)report->duration_ns));
    json_object_set_new(row, "method", json_string(WORD(methods, report->method)));
    json_object_set_new(row, "why", json_string(report->why ? report->why : ""));
    json_object_set_new(row, "verified", json_string(WORD(verdicts, report->verified)));
    json_object_set_new(row, "durable", json_boolean(report->durable));
    json_object_set_new(row, "changed", json_boolean(report->changed));
    if (copy_request.options.digest)
        json_object_set_new(row, "digest", json_string(verso_digest_text(&report->digest, digest)));
    json_array_append_new(rows, row);
}

static void tell_file(const char *source, const char *target, const struct verso_copy_report *report)
{
    char *from = name_shown(source), *to = name_shown(target);
    struct line line = { { 0 }, 0 };

    add_kinds(&line, report);
    if (!line.length)
        add(&line, "empty");
    if (copy_request.explain) {
        add_rate(&line, report->done_bytes, report->duration_ns);
        add(&line, "; by %s: %s", WORD(methods, report->method), report->why ? report->why : "");
    }
    note("%s -> %s: %s", from, to, line.text);
    free(from);
    free(to);
}

static void print_hash(const struct verso_digest_value *digest, const char *target)
{
    char *line = hash_line_shown(digest, target, false);

    fputs(line, stdout);
    free(line);
}

static void add_sums(const struct verso_copy_report *report)
{
    struct verso_copy_report *sum = &totals.sum;

    totals.files++;
    sum->bytes += report->done_bytes;
    sum->reflinked_bytes += report->reflinked_bytes;
    sum->offloaded_bytes += report->offloaded_bytes;
    sum->hole_bytes += report->hole_bytes;
    sum->copied_bytes += report->copied_bytes;
    sum->same_bytes += report->same_bytes;
    totals.changed += report->changed != 0;
    totals.unverified += report->verified == VERSO_COPY_VERIFIED_MEMORY;
}

void copy_report_file(const struct copy_directory *directory, const char *source, const char *target,
                      const struct verso_copy_report *report)
{
    const bool hashed = copy_request.options.digest && !common.json;
    const bool told = (copy_request.verbose || copy_request.explain) && !common.quiet && !common.json;
    char *from = NULL, *to = NULL;

    if (hashed || told || rows) {
        from = copy_source_path(directory, source);
        to = copy_target_path(directory, target, true);
    }
    pthread_mutex_lock(&lock);
    add_sums(report);
    if (rows)
        add_row(from, to, report);
    if (hashed)
        print_hash(&report->digest, to);
    if (told)
        tell_file(from, to, report);
    pthread_mutex_unlock(&lock);
    free(from);
    free(to);
    if (report->lost)
        copy_report_lost(directory, target, report->lost);
    if (report->changed) {
        char *shown = copy_source_shown(directory, source);

        note("%s: changed while it was copied (--accept-changed)", shown);
        free(shown);
    }
}

/* ---- Counts and troubles ---- */

void copy_report_add(size_t offset)
{
    pthread_mutex_lock(&lock);
    ++*(uint64_t *)(void *)((char *)&totals + offset);
    pthread_mutex_unlock(&lock);
}

void copy_report_lost(const struct copy_directory *directory, const char *target, unsigned lost)
{
    struct line line = { { 0 }, 0 };
    char *shown;

    if (!lost)
        return;
    pthread_mutex_lock(&lock);
    totals.lost_modes += (lost & VERSO_COPY_MODE) != 0;
    totals.lost_times += (lost & VERSO_COPY_TIMES) != 0;
    totals.lost_owners += (lost & VERSO_COPY_OWNER) != 0;
    totals.lost_xattrs += (lost & VERSO_COPY_XATTRS) != 0;
    pthread_mutex_unlock(&lock);
    if (!copy_request.verbose)
        return;
    add(&line, "%s%s%s%s", lost & VERSO_COPY_MODE ? " permissions" : "", lost & VERSO_COPY_TIMES ? " times" : "",
        lost & VERSO_COPY_OWNER ? " owner" : "", lost & VERSO_COPY_XATTRS ? " extended-attributes" : "");
    shown = copy_target_shown(directory, target);
    note("%s: not all could be kept of:%s", shown, line.text);
    free(shown);
}

/* "source -> target", or one of them where the other says no more. Caller frees. */
static char *both_shown(const struct copy_directory *directory, const char *source, const char *target)
{
    char *from = source ? copy_source_shown(directory, source) : NULL;
    char *to = copy_target_shown(directory, target), *both;
    size_t bytes;

    if (!from)
        return to;
    bytes = strlen(from) + strlen(to) + sizeof(" -> ");
    both = allocate(NULL, bytes, 1);
    (void)snprintf(both, bytes, "%s -> %s", from, to);
    free(from);
    free(to);
    return both;
}

void copy_trouble(const struct copy_directory *directory, const char *source, const char *target, const char *step)
{
    const char *reason = strerrordesc_np(errno);
    char *both = both_shown(directory, source, target);

    trouble("%s: %s: %s", both, step, reason ? reason : "unknown error");
    free(both);
    copy_count(troubles);
}

/* What the library advises is for who calls it; here is what can be done on a command line. */
static const struct advice {
    int code;
    const char *step; /* NULL: any other */
    const char *text;
} advices[] = {
    { VERSO_E_CHANGED, NULL, "copy it again when its writer has finished, or keep what was copied (--accept-changed)" },
    { VERSO_E_TORN, NULL, "it became shorter meanwhile, or its storage fails: copy it again when its writer is done" },
    { -EACCES, "create", "nothing may be made in that directory; what is there already, --in-place writes into" },
    { -EPERM, "create", "nothing may be made in that directory; what is there already, --in-place writes into" },
    { -EROFS, NULL, "the target's file system is mounted read-only" },
    { -EISDIR, "target", "a directory has that name: take it away, or name another target" },
    { -EISDIR, NULL, "--recursive copies directories" },
    { -EINVAL, "source", "it is no regular file any more: copy it again" },
    { -ENOENT, NULL, "check the name, and that its directory is there" },
    { -ENOSPC, NULL, "free some space on the target's file system" },
    { -EOPNOTSUPP, "reflink", "blocks cannot be shared here; without --reflink=always they are copied" },
    { -EXDEV, "reflink", "blocks are shared within one file system only; without --reflink=always they are copied" },
    { -EINVAL, "reflink", "blocks of these two files cannot be shared; without --reflink=always they are copied" },
};

static const char *advice_for(const struct verso_error *error)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(*advices); i++)
        if (advices[i].code == error->code && (!advices[i].step || strcmp(advices[i].step, error->step) == 0))
            return advices[i].text;
    return error->hint;
}

/* All that is left of contradictions: nobody could know before the target was looked at. */
static void tell_special_target(const char *both)
{
    trouble("%s: a device, a FIFO or a socket has that name%s", both,
            copy_request.options.flags & (VERSO_COPY_IN_PLACE | VERSO_COPY_DELTA)
                ? ", and what is written there cannot be compared (--delta, --verify)"
                : "; --in-place writes into it");
}

static void tell_error(const char *both, const struct verso_error *error)
{
    const char *advice = advice_for(error);
    char at[48] = "";

    if (error->offset_bytes != VERSO_OFFSET_NONE)
        (void)snprintf(at, sizeof(at), " at byte %llu", (unsigned long long)error->offset_bytes);
    trouble("%s: %s%s: %s (%s)%s%s", both, error->step, at, verso_error_text(error->code),
            verso_error_name(error->code), *advice ? "; " : "", advice);
}

void copy_trouble_library(const struct copy_directory *directory, const char *source, const char *target)
{
    const struct verso_error *error = verso_error_last();
    char *both = both_shown(directory, source, target);

    if (error->code == VERSO_E_OPTIONS)
        tell_special_target(both);
    else
        tell_error(both, error);
    free(both);
    copy_count(troubles);
}

/* ---- The end ---- */

void copy_report_start(void)
{
    clock_gettime(CLOCK_MONOTONIC, &started);
    if (common.json && (copy_request.verbose || copy_request.explain || copy_request.options.digest))
        rows = json_array();
}

static uint64_t duration_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)(now.tv_sec - started.tv_sec) * SECOND_NS + (uint64_t)now.tv_nsec - (uint64_t)started.tv_nsec;
}

static int exit_code(void)
{
    if (totals.troubles || totals.cancelled || interrupted())
        return EXIT_TROUBLE;
    return totals.left || totals.sockets || totals.changed || totals.lost_modes || totals.lost_times ||
                   totals.lost_owners || totals.lost_xattrs || totals.lost_links
               ? EXIT_NO
               : EXIT_YES;
}

/* What was asked for and could not be had. */
static void tell_lost(void)
{
    struct line line = { { 0 }, 0 };

    add_count(&line, totals.lost_modes, "time the permissions", "times the permissions");
    add_count(&line, totals.lost_times, "time the times", "times the times");
    add_count(&line, totals.lost_owners, "time the owner", "times the owner");
    add_count(&line, totals.lost_xattrs, "time the extended attributes", "times the extended attributes");
    add_count(&line, totals.lost_links, "hard link (a copy of its own instead)",
              "hard links (copies of their own instead)");
    if (line.length)
        note("not kept: %s%s", line.text, copy_request.verbose ? "" : " (--verbose tells of which)");
    if (totals.unverified)
        note("--verify could only compare with what is in memory: this file system keeps its files there");
}

static void tell(void)
{
    struct line line = { { 0 }, 0 }, kinds = { { 0 }, 0 };
    char bytes[16];

    add_count(&line, totals.files, "file", "files");
    add_count(&line, totals.directories, "directory", "directories");
    add_count(&line, totals.symbolic_links, "symbolic link", "symbolic links");
    add_count(&line, totals.hard_links, "further name", "further names");
    add_count(&line, totals.specials, "device or FIFO", "devices and FIFOs");
    add_count(&line, totals.up_to_date, "passed by as up to date", "passed by as up to date");
    add_kinds(&kinds, &totals.sum);
    if (!line.length && !totals.left && !totals.sockets)
        return; /* why, has been told */
    if (!line.length)
        add(&line, "nothing copied");
    if (totals.files) {
        add(&line, ": %s", bytes_shown(totals.sum.bytes, bytes));
        add_rate(&line, totals.sum.bytes, duration_ns());
    }
    note("%s%s%s", line.text, kinds.length ? "; " : "", kinds.text);
    tell_lost();
}

static int print_json(int code)
{
    const uint64_t duration = duration_ns();
    json_t *root = json_pack("{s:I, s:I, s:I, s:I, s:I}", "files", (json_int_t)totals.files, "directories",
                             (json_int_t)totals.directories, "symbolic_links", (json_int_t)totals.symbolic_links,
                             "hard_links", (json_int_t)totals.hard_links, "specials", (json_int_t)totals.specials);
    json_t *kinds = kinds_json(&totals.sum);
    int answer;

    json_object_update(root, kinds);
    json_decref(kinds);
    json_object_set_new(root, "duration_ns", json_integer((json_int_t)duration));
    json_object_set_new(root, "left_out",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "up_to_date", (json_int_t)totals.up_to_date,
                                  "there_already", (json_int_t)totals.left, "sockets", (json_int_t)totals.sockets,
                                  "cancelled", (json_int_t)totals.cancelled, "troubles", (json_int_t)totals.troubles));
    json_object_set_new(root, "lost",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "modes", (json_int_t)totals.lost_modes, "times",
                                  (json_int_t)totals.lost_times, "owners", (json_int_t)totals.lost_owners, "xattrs",
                                  (json_int_t)totals.lost_xattrs, "hard_links", (json_int_t)totals.lost_links));
    json_object_set_new(root, "changed", json_integer((json_int_t)totals.changed));
    json_object_set_new(root, "verified_in_memory_only", json_integer((json_int_t)totals.unverified));
    if (rows)
        json_object_set_new(root, "rows", rows);
    answer = json_print(root, 1);
    return answer == EXIT_YES ? code : answer;
}

int copy_report_end(void)
{
    const int code = exit_code();

    if (interrupted())
        trouble("interrupted; what was copied until then is whole%s",
                copy_request.options.flags & VERSO_COPY_RESUME ? ", and the same command again goes on from here" : "");
    if (common.json)
        return print_json(code);
    tell();
    return code;
}
