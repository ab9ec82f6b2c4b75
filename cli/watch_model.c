/* SPDX-License-Identifier: MIT */
/* watch_model - the file itself, its extents, and the order of an update. */
#include "watch_model.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include <verso/base.h>
#include <verso/guard.h>

#define SECOND_NS UINT64_C(1000000000)

/* ---- Time ---- */

static uint64_t clock_of(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) < 0)
        return 0; /* can't be: both clocks are in every Linux */
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

uint64_t watch_clock_ns(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

uint64_t watch_cpu_ns(void)
{
    return clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

uint32_t watch_tenths(const struct watch_model *model)
{
    return (uint32_t)((model->now_ns - model->start_ns) / (SECOND_NS / 10));
}

bool pace_due(const struct pace *pace, uint64_t now_ns)
{
    return now_ns >= pace->next_ns;
}

void pace_done(struct pace *pace, uint64_t now_ns, uint64_t cost_ns, unsigned divisor)
{
    uint64_t rest_ns = cost_ns * divisor;

    pace->next_ns = now_ns + (rest_ns > pace->interval_ns ? rest_ns : pace->interval_ns);
}

bool update_has_time(const struct update *update, uint64_t start_cpu_ns)
{
    return update->budget_ns == UINT64_MAX || watch_cpu_ns() - start_cpu_ns < update->budget_ns;
}

/* ---- The file ---- */

/* What can't be watched, in words; NULL when it can. */
static const char *refusal(int fd, const struct stat *status)
{
    char byte;

    switch (status->st_mode & S_IFMT) {
    case S_IFREG:
        if (status->st_size == 0 && pread(fd, &byte, 1, 0) > 0)
            return "the kernel makes it up as it is read; it has no pages to watch";
        return NULL;
    case S_IFBLK:
        return NULL;
    case S_IFDIR:
        return "it is a directory; name a file in it";
    default:
        return "only regular files and block devices have pages to watch";
    }
}

bool watch_open(struct watch_model *model, int fd, const char *path, pid_t pid_only)
{
    char *shown = name_shown(path);
    const char *why = NULL;
    struct statvfs file_system;
    struct stat status;

    memset(model, 0, sizeof(*model));
    model->fd = fd;
    model->path = strdup(path);
    if (!model->path || fstat(fd, &status) < 0)
        why = strerror(errno);
    else
        why = refusal(fd, &status);
    if (why) {
        trouble("%s: %s", shown, why);
        free(shown);
        watch_close(model);
        return false;
    }
    free(shown);
    model->device = status.st_dev;
    model->inode = status.st_ino;
    model->device_major = major(status.st_dev);
    model->device_minor = minor(status.st_dev);
    model->page_bytes = verso_page_bytes();
    model->block_bytes =
        fstatvfs(fd, &file_system) == 0 && file_system.f_bsize ? file_system.f_bsize : model->page_bytes;
    model->extents_why = model->pages_why = model->frames_why = model->processes_why = "";
    model->pid_only = pid_only;
    model->start_ns = model->now_ns = watch_clock_ns();
    model->extents_pace.interval_ns = SECOND_NS;
    model->name_pace.interval_ns = SECOND_NS;
    model->processes_pace.interval_ns = 2 * SECOND_NS;
    pages_init(&model->pages);
    return true;
}

void watch_close(struct watch_model *model)
{
    for (size_t i = 0; i < model->process_count; i++)
        process_clear(&model->processes[i]);
    if (model->is_guarded)
        (void)verso_guard_remove();
    free(model->processes);
    free(model->extents);
    free(model->path);
    pages_clear(&model->pages);
    if (model->fd >= 0)
        close(model->fd);
    memset(model, 0, sizeof(*model));
    model->fd = -1;
}

uint64_t watch_page_count(const struct watch_model *model)
{
    return model->file_bytes / model->page_bytes + (model->file_bytes % model->page_bytes != 0);
}

/* Whether the name still leads to this file. The file lives on while we hold it open. */
static void name_update(struct watch_model *model)
{
    struct stat status;

    if (model->is_copy || !pace_due(&model->name_pace, model->now_ns))
        return;
    model->is_gone = stat(model->path, &status) < 0 || status.st_dev != model->device || status.st_ino != model->inode;
    pace_done(&model->name_pace, model->now_ns, 0, 0);
}

/* ---- Extents ---- */

static void extents_take(struct watch_model *model, const struct verso_inspect_extent *found, size_t count)
{
    struct disk_extent *extents = calloc(count ? count : 1, sizeof(*extents));

    if (!extents) {
        model->extents_error = -ENOMEM;
        model->extents_why = verso_error_text(-ENOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++)
        extents[i].is = found[i];
    free(model->extents);
    model->extents = extents;
    model->extent_count = count;
    model->piece_count = disk_pieces(extents, count);
}

static const char *extents_reason(int error)
{
    return error == -EOPNOTSUPP ? "this file system has no disk blocks to tell of" : verso_error_text(error);
}

static void extents_update(struct watch_model *model)
{
    struct verso_inspect_extent *found = NULL;
    uint64_t start_ns = watch_cpu_ns();
    size_t count = 0;

    if (!pace_due(&model->extents_pace, model->now_ns))
        return;
    model->extents_error = verso_inspect_extents(model->fd, &found, &count);
    if (model->extents_error < 0) {
        model->extents_why = extents_reason(model->extents_error);
        extents_take(model, NULL, 0);
    } else
        extents_take(model, found, count);
    free(found);
    pace_done(&model->extents_pace, model->now_ns, watch_cpu_ns() - start_ns, 100);
}

/* ---- An update ---- */

void watch_update(struct watch_model *model, const struct update *update)
{
    model->now_ns = watch_clock_ns();
    if (!model->history.started)
        model->start_ns = model->now_ns; /* what the first look finds was there before */
    if (!model->is_guarded)              /* looking at frames touches pages of a file that may be cut under us */
        model->is_guarded = verso_guard_install() == 0;
    name_update(model);
    if (!update->frozen)
        extents_update(model);
    cache_update(model, update);
    processes_update(model, update);
    history_add(&model->history, watch_tenths(model) / 10, &model->seen);
    model->seen.minor = model->seen.major = model->seen.came = model->seen.went = 0;
}

static bool is_complete(const struct watch_model *model)
{
    if (model->pages.stale_count > 0 || (model->frames_error == 0 && model->pages.frames_stale_count > 0))
        return false;
    for (size_t i = 0; i < model->process_count; i++)
        if (process_is_sweeping(&model->processes[i]))
            return false;
    return true;
}

/* A file that never stops changing is never complete: after a few rounds, what is known is the answer. */
void watch_complete(struct watch_model *model)
{
    struct update update = { .window = { 0, UINT64_MAX }, .budget_ns = UINT64_MAX };

    for (int round = 0; round < 3 && !interrupted(); round++) {
        watch_update(model, &update);
        if (is_complete(model))
            break;
    }
}
