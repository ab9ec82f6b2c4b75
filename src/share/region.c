/* SPDX-License-Identifier: MIT */
/* region - the public way in and out: creating, attaching, either, leaving. */
#include "share/region.h"

#include "base/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAKING_FLAGS (VERSO_SHARE_HUGE | VERSO_SHARE_LOCK | VERSO_SHARE_NO_CORE | VERSO_SHARE_KEEP)
#define ATTACHING_FLAGS \
    (VERSO_SHARE_HUGE | VERSO_SHARE_LOCK | VERSO_SHARE_NO_CORE | VERSO_SHARE_READ_ONLY | VERSO_SHARE_ANY_OWNER)
#define TURNS_MAX 100 /* of creating and attaching while others remove and create */

static int options_read(const struct verso_share_options *given, unsigned flags_known,
                        struct verso_share_options *out_options)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return VERSO_E_OPTIONS;
    if (options.flags & ~flags_known || options.mode & ~0777U)
        return VERSO_E_OPTIONS;
    *out_options = options;
    return 0;
}

static int fail(int code, const struct verso__share_trouble *trouble, const char *path)
{
    const struct verso__failure failure = { code, 0, trouble->step, path, VERSO_OFFSET_NONE, trouble->hint };

    return verso__fail_with(&failure);
}

/* ---- A struct for it, and giving up ---- */

static int share_new(const char *path, struct verso_share **out_share, struct verso__share_trouble *trouble)
{
    struct verso_share *share;
    int r;

    trouble->step = "threads";
    r = verso__share_begin();
    if (r < 0)
        return r;
    trouble->step = "malloc";
    share = calloc(1, sizeof(*share));
    if (!share)
        return -ENOMEM;
    share->fd = -1;
    share->path = path ? strdup(path) : NULL;
    if (path && !share->path) {
        free(share);
        return -ENOMEM;
    }
    *out_share = share;
    return 0;
}

static void share_free(struct verso_share *share)
{
    if (share->base)
        (void)verso__os_unmap(share->base, share->span_bytes);
    if (share->fd >= 0)
        verso__os_close(share->fd); /* and with it go our locks */
    free(share->path);
    free(share);
}

/* What could be done for @share ended with @r. */
static int finish(int r, struct verso_share *share, struct verso_share **out_share)
{
    if (r != 0) {
        share_free(share);
        return r;
    }
    verso__share_enlist(share);
    *out_share = share;
    return 0;
}

/* ---- Attaching ---- */

static unsigned open_flags(const struct verso_share_options *options)
{
    return VERSO__OS_OPEN_READ | (options->flags & VERSO_SHARE_READ_ONLY ? 0U : VERSO__OS_OPEN_WRITE);
}

typedef int enter_open(struct verso_share *share, const struct verso_share_options *options,
                       struct verso__share_trouble *trouble);

static int enter_path(const char *path, const struct verso_share_options *options, enter_open *enter,
                      struct verso_share **out_share, struct verso__share_trouble *trouble)
{
    struct verso_share *share;
    int r = share_new(path, &share, trouble);

    if (r < 0)
        return r;
    trouble->step = "open";
    r = verso__os_open(path, open_flags(options) | VERSO__OS_OPEN_NOFOLLOW | VERSO__OS_OPEN_NONBLOCK, 0, &share->fd);
    if (r == 0)
        r = enter(share, options, trouble);
    return finish(r, share, out_share);
}

static int attach_path(const char *path, const struct verso_share_options *options, struct verso_share **out_share,
                       struct verso__share_trouble *trouble)
{
    return enter_path(path, options, verso__share_attach, out_share, trouble);
}

int verso__share_peek(const char *name, const char *kind, uint32_t version, struct verso_share **out_share)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso__share_trouble trouble = { 0 };
    char path[PATH_MAX];
    int r = verso__share_path(name, false, path, &trouble);

    if (r < 0)
        return fail(r, &trouble, name);
    options.flags = VERSO_SHARE_READ_ONLY;
    options.kind = kind;
    options.version = version;
    r = enter_path(path, &options, verso__share_see, out_share, &trouble);
    return r == 0 ? 0 : fail(r, &trouble, path);
}

/* ---- Creating ---- */

/* 1: a region that nobody needs any more stood under this name, and does not now. */
static int clear_away(const char *path)
{
    const struct verso_share_options any = VERSO_SHARE_OPTIONS_INIT;
    struct verso__share_trouble trouble = { 0 };
    struct verso__os_file_info info;
    struct verso__share_header made;
    int fd, r;

    r = verso__os_open(
        path, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_NOFOLLOW | VERSO__OS_OPEN_NONBLOCK, 0, &fd);
    if (r < 0)
        return r;
    r = verso__share_read(fd, &any, &made, &info, &trouble);
    if (r == 0 && !(made.flags & VERSO_SHARE_KEEP))
        r = verso__share_remove_if_abandoned(fd, &made, path);
    verso__os_close(fd);
    return r;
}

static int create_path(const char *path, uint64_t bytes, const struct verso_share_options *options,
                       struct verso_share **out_share, struct verso__share_trouble *trouble)
{
    struct verso_share *share;
    int r = share_new(path, &share, trouble);

    if (r < 0)
        return r;
    trouble->step = "options";
    r = verso__share_plan(bytes, options, &share->made);
    if (r == 0)
        r = path ? verso__share_make_named(path, options, share, trouble)
                 : verso__share_make_anonymous(options, share, trouble);
    return finish(r, share, out_share);
}

int verso_share_create(const char *name, uint64_t bytes, const struct verso_share_options *given,
                       struct verso_share **out_share)
{
    struct verso__share_trouble trouble = { "options", NULL };
    struct verso_share_options options;
    char path[PATH_MAX];
    int r;

    if (!out_share)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, MAKING_FLAGS, &options);
    if (r == 0)
        r = verso__share_path(name, true, path, &trouble);
    if (r < 0)
        return fail(r, &trouble, name);
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        r = create_path(path, bytes, &options, out_share, &trouble);
        if (r != -EEXIST || clear_away(path) != 1)
            break;
    }
    return r == 0 ? 0 : fail(r, &trouble, path);
}

int verso_share_attach(const char *name, const struct verso_share_options *given, struct verso_share **out_share)
{
    struct verso__share_trouble trouble = { "options", NULL };
    struct verso_share_options options;
    char path[PATH_MAX];
    int r;

    if (!out_share)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, ATTACHING_FLAGS, &options);
    if (r == 0)
        r = verso__share_path(name, false, path, &trouble);
    if (r < 0)
        return fail(r, &trouble, name);
    r = attach_path(path, &options, out_share, &trouble);
    return r == 0 ? 0 : fail(r, &trouble, path);
}

int verso_share_open(const char *name, uint64_t bytes, const struct verso_share_options *given,
                     struct verso_share **out_share)
{
    struct verso__share_trouble trouble = { "options", NULL };
    struct verso_share_options options;
    char path[PATH_MAX];
    int r;

    if (!out_share)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, MAKING_FLAGS | VERSO_SHARE_ANY_OWNER, &options);
    if (r == 0)
        r = verso__share_path(name, true, path, &trouble);
    if (r < 0)
        return fail(r, &trouble, name);
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        r = attach_path(path, &options, out_share, &trouble);
        if (r == VERSO_E_KIND && clear_away(path) == 1)
            r = -ENOENT;
        if (r == -ENOENT)
            r = create_path(path, bytes, &options, out_share, &trouble);
        if (r != -EEXIST)
            break;
    }
    return r == 0 ? 0 : fail(r, &trouble, path);
}

/* ---- Without a name ---- */

int verso_share_create_anonymous(uint64_t bytes, const struct verso_share_options *given,
                                 struct verso_share **out_share)
{
    struct verso__share_trouble trouble = { "options", NULL };
    struct verso_share_options options;
    int r;

    if (!out_share)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, MAKING_FLAGS | VERSO_SHARE_ONE_WRITER, &options);
    if (r == 0)
        r = create_path(NULL, bytes, &options, out_share, &trouble);
    return r == 0 ? 0 : fail(r, &trouble, NULL);
}

int verso_share_descriptor(const struct verso_share *share)
{
    return share ? share->fd : verso__fail(-EINVAL, "arguments", NULL);
}

/* Locks belong to the open file, so it has to be one of our own. It may come from anybody: what is no file could keep
 * who opens it waiting, or do something by being opened. */
static int open_anew(int fd, const struct verso_share_options *options, int *out_fd,
                     struct verso__share_trouble *trouble)
{
    struct verso__os_file_info info;
    int r;

    trouble->step = "stat";
    r = verso__os_file_info(fd, &info);
    if (r < 0)
        return r;
    r = verso__share_check_is_file(&info, trouble);
    if (r < 0)
        return r;
    trouble->step = "reopen";
    return verso__os_reopen(fd, open_flags(options) | VERSO__OS_OPEN_NONBLOCK, out_fd);
}

int verso_share_attach_descriptor(int fd, const struct verso_share_options *given, struct verso_share **out_share)
{
    struct verso__share_trouble trouble = { "options", NULL };
    struct verso_share_options options;
    struct verso_share *share;
    int r;

    if (!out_share || fd < 0)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, ATTACHING_FLAGS, &options);
    if (r < 0)
        return fail(r, &trouble, NULL);
    r = share_new(NULL, &share, &trouble);
    if (r < 0)
        return fail(r, &trouble, NULL);
    r = open_anew(fd, &options, &share->fd, &trouble);
    if (r == 0)
        r = verso__share_attach(share, &options, &trouble);
    r = finish(r, share, out_share);
    return r == 0 ? 0 : fail(r, &trouble, NULL);
}

/* ---- Leaving ---- */

void verso_share_close(struct verso_share *share)
{
    bool is_ours;

    if (!share)
        return;
    is_ours = share->is_member && verso__share_is_own(share);
    verso__share_delist(share);
    verso__share_leave(share);
    if (is_ours && share->path && !(share->made.flags & VERSO_SHARE_KEEP))
        (void)verso__share_remove_if_abandoned(share->fd, &share->made, share->path);
    share_free(share);
}
