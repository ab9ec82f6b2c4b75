/* SPDX-License-Identifier: MIT */
/*
 * error - one table, one record per thread.
 *
 * The record's path is kept up to the longest that the kernel accepts (PATH_MAX). A longer one can't name a file, so it
 * can only be somebody's wrong argument; it is cut at the limit and ends in "..." so that nobody takes it for whole.
 *
 * Few paths are long, and memory of each thread is dear: all of a library's must fit into some 1600 bytes, or nothing
 * that is already running can load it (dlopen, Python's ctypes), since guard and share need theirs at a fixed place. So
 * a thread has room for short paths, and gets more with its first long one; without memory for that, it is cut, too.
 */
#include "base/fail.h"
#include "base/sums.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_BYTES 512

static _Thread_local char short_path[SHORT_BYTES];
static _Thread_local char *long_path; /* PATH_MAX bytes, or NULL */
static _Thread_local struct verso_error record = { 0, 0, VERSO_OFFSET_NONE, "", "", "" };

struct remedy {
    int code;
    const char *text;
};

/* What to do about the system's failures; -errno on the left. */
static const struct remedy remedies[] = {
    { -ENOENT, "check the name, or ask for the file to be created" },
    { -EACCES, "check the permissions of the file and of the directories above it" },
    { -EPERM, "this needs more privilege; `verso doctor` says which" },
    { -EISDIR, "a directory cannot be mapped; name a file in it" },
    { -ENOTDIR, "part of the path is a file, not a directory" },
    { -ELOOP, "follow the symbolic links by hand: they form a loop, or links were not allowed" },
    { -ENAMETOOLONG, "use a shorter path" },
    { -EROFS, "the file system is mounted read-only; open the file for reading" },
    { -ENOSPC, "free some space, or open the file as sparse and accept faults later" },
    { -EDQUOT, "the user's disk quota is used up" },
    { -EFBIG, "the file system or the limit RLIMIT_FSIZE (ulimit -f) allows no larger file" },
    { -ENOMEM, "out of memory or of mappings; see vm.max_map_count and ulimit -v" },
    { -EMFILE, "this process has too many open files; see ulimit -n" },
    { -ENFILE, "the system has too many open files; see fs.file-max" },
    { -EAGAIN, "over the limit of locked memory, or busy; see ulimit -l" },
    { -EUSERS, "all places are taken by the living; wait until one leaves, or make it with room for more" },
    { -EBADF, "the descriptor is closed, or not open for this access" },
    { -EEXIST, "something stands there already" },
    { -ENODEV, "this kind of file cannot be mapped" },
    { -ETXTBSY, "the file is running as a program; write to a copy and rename it" },
    { -EINVAL, "an argument is outside what the kernel accepts" },
    { -EIO, "the storage failed; see the kernel's log (dmesg)" },
    { -ESTALE, "the file server lost the file; open it again" },
    { -EFAULT, "the memory is not there, or the file behind it ends before it" },
#define VERSO_ERROR_REMEDY(name, code, sentence, remedy) { (code), (remedy) },
    VERSO_ERROR_TABLE(VERSO_ERROR_REMEDY)
#undef VERSO_ERROR_REMEDY
};

static const char *remedy_of(int code)
{
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (remedies[i].code == code)
            return remedies[i].text;
    return "";
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its destructor ends a thread's long path */
static bool has_key;

static void long_path_free(void *path)
{
    free(path);
    long_path = NULL;
    record.path = "";
}

static void key_make(void)
{
    has_key = pthread_key_create(&key, long_path_free) == 0;
}

static char *long_path_make(void)
{
    char *path;

    (void)pthread_once(&once, key_make);
    path = has_key ? malloc(PATH_MAX) : NULL;
    if (path && pthread_setspecific(key, path) != 0) {
        free(path);
        return NULL;
    }
    return path;
}

static void record_path_set(const char *path)
{
    size_t bytes = strnlen(path, PATH_MAX), room_bytes = SHORT_BYTES;
    char *room = short_path;

    if (path == record.path)
        return; /* a caller passes on the path of the record it is about to replace */
    if (bytes >= SHORT_BYTES && !long_path)
        long_path = long_path_make();
    if (bytes >= SHORT_BYTES && long_path) {
        room = long_path;
        room_bytes = PATH_MAX;
    }
    if (bytes < room_bytes) {
        memmove(room, path, bytes + 1);
    } else {
        memmove(room, path, room_bytes - 4);
        memcpy(room + room_bytes - 4, "...", 4);
    }
    record.path = room;
}

int verso__fail_with(const struct verso__failure *failure)
{
    record_path_set(failure->path ? failure->path : "");
    record.code = failure->code;
    record.cause = failure->cause;
    record.offset_bytes = failure->offset_bytes;
    record.step = failure->step ? failure->step : "";
    record.hint = failure->hint ? failure->hint : remedy_of(failure->code);
    return failure->code;
}

const struct verso_error *verso_error_last(void)
{
    return &record;
}

const char *verso_error_name(int code)
{
    const char *name = NULL;

    switch (code) {
    case 0:
        return "OK";
#define VERSO_ERROR_NAME(name, code, sentence, remedy) \
    case code:                                         \
        return #name;
        VERSO_ERROR_TABLE(VERSO_ERROR_NAME)
#undef VERSO_ERROR_NAME
    default:
        if (code < 0 && code >= -4095)
            name = strerrorname_np(-code);
        return name ? name : "UNKNOWN";
    }
}

const char *verso_error_text(int code)
{
    const char *text = NULL;

    switch (code) {
    case 0:
        return "no error";
#define VERSO_ERROR_TEXT(name, code, sentence, remedy) \
    case code:                                         \
        return sentence;
        VERSO_ERROR_TABLE(VERSO_ERROR_TEXT)
#undef VERSO_ERROR_TEXT
    default:
        if (code < 0 && code >= -4095)
            text = strerrordesc_np(-code); /* never translated, thread-safe, a constant */
        return text ? text : "unknown error";
    }
}

/* Text that keeps counting when its buffer is full, as snprintf does. */
struct line {
    char *text;
    size_t room_bytes;
    size_t length_bytes;
};

static void line_add(struct line *line, const char *text)
{
    for (; *text; text++, line->length_bytes++)
        if (line->length_bytes + 1 < line->room_bytes)
            line->text[line->length_bytes] = *text;
}

/* Adds a file's name, in whatever room is left. */
static void line_add_path(struct line *line, const char *path)
{
    size_t room_bytes = line->length_bytes < line->room_bytes ? line->room_bytes - line->length_bytes : 0;

    line->length_bytes += verso_name_escape(path, room_bytes ? line->text + line->length_bytes : NULL, room_bytes);
}

size_t verso_error_message(char *out_text, size_t text_bytes)
{
    struct line line = { out_text, text_bytes, 0 };
    char offset_text[48];

    if (*record.step) {
        line_add(&line, record.step);
        line_add(&line, ": ");
    }
    if (*record.path) {
        line_add_path(&line, record.path);
        line_add(&line, ": ");
    }
    line_add(&line, verso_error_text(record.code));
    line_add(&line, " (");
    line_add(&line, verso_error_name(record.code));
    if (record.cause) {
        line_add(&line, " after ");
        line_add(&line, verso_error_name(record.cause));
    }
    line_add(&line, ")");
    if (record.offset_bytes != VERSO_OFFSET_NONE) {
        (void)snprintf(offset_text, sizeof(offset_text), " at byte %llu", (unsigned long long)record.offset_bytes);
        line_add(&line, offset_text);
    }
    if (*record.hint) {
        line_add(&line, "; ");
        line_add(&line, record.hint);
    }
    if (text_bytes)
        line.text[verso__min_u64(line.length_bytes, text_bytes - 1)] = '\0';
    return line.length_bytes;
}

const char *verso_version(void)
{
    return VERSO_VERSION;
}
