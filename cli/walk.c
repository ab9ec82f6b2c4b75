/* SPDX-License-Identifier: MIT */
/*
 * walk - directories and files, by threads that share a stack of work.
 *
 * Whoever reads a directory puts its subdirectories on the stack, and works on its files at once; only when somebody is
 * idle are files put on the stack as well, by the handful. Taking the latest work first keeps few directories open:
 * those on the way to where the threads are.
 *
 *     stack:  [usr/: share/]  [usr/lib/: gcc/]  [usr/lib/: python3/]  [usr/lib/: 64 files]  <- taken next
 */
#include "walk.h"
#include "file_set.h"
#include "output.h"
#include "walk_names.h"
#include "walk_stack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define HANDFUL_NAMES 64
#define HANDFUL_BYTES 4096

/* An open directory, kept while there is work in it. */
struct directory {
    DIR *stream;
    char *path;
    size_t root;
    dev_t root_device;
    atomic_size_t users;
};

struct walk {
    const struct walk_options *options;
    walk_function *each;
    void *context;
    bool know_all; /* files may come by several ways, so every one is remembered, not only those with links */
    struct file_set files;
    struct file_set directories;
    struct walk_stack stack;
};

struct worker {
    struct walk *walk;
    pthread_t thread;
    unsigned index;
    struct walk_counts counts;
};

static atomic_bool stopped;

void walk_stop(void)
{
    atomic_store(&stopped, true);
}

static bool is_stopped(void)
{
    return atomic_load_explicit(&stopped, memory_order_relaxed) || interrupted();
}

/* ---- Directories ---- */

char *walk_path(const struct walk_file *file)
{
    return walk_joined(file->directory, file->name);
}

static int directory_fd(const struct directory *directory)
{
    return directory ? dirfd(directory->stream) : AT_FDCWD;
}

static const char *directory_path(const struct directory *directory)
{
    return directory ? directory->path : NULL;
}

static void directory_use(struct directory *directory)
{
    if (directory)
        atomic_fetch_add(&directory->users, 1);
}

static void directory_leave(struct directory *directory)
{
    if (!directory || atomic_fetch_sub(&directory->users, 1) > 1)
        return;
    closedir(directory->stream);
    free(directory->path);
    free(directory);
}

/* Says what failed, by errno. */
static void complain(struct worker *worker, const char *step, const struct directory *directory, const char *name)
{
    const char *reason = strerrordesc_np(errno);
    char *path, *shown;

    worker->counts.troubles++;
    if (worker->walk->options->silent)
        return;
    path = walk_joined(directory_path(directory), name);
    shown = name_shown(path);
    trouble("%s: %s: %s", step, shown, reason ? reason : "unknown error");
    free(shown);
    free(path);
}

/* ---- Work ---- */

static void put(struct walk *walk, struct directory *directory, const char *names, size_t names_bytes, size_t root)
{
    struct walk_work work = { directory, allocate(NULL, names_bytes, 1), names_bytes, root };

    memcpy(work.names, names, names_bytes);
    directory_use(directory);
    walk_stack_put(&walk->stack, &work);
}

static void done(struct walk *walk, struct walk_work *work)
{
    free(work->names);
    directory_leave(work->directory);
    walk_stack_done(&walk->stack);
}

/* ---- Files ---- */

static bool is_met_again(struct walk *walk, struct file_set *set, const struct stat *status, bool know)
{
    return know && !walk->options->count_links && !file_set_add(set, status->st_dev, status->st_ino);
}

static void meet(struct worker *worker, const struct walk_work *work, const char *name, int fd,
                 const struct stat *status)
{
    struct walk *walk = worker->walk;
    const struct walk_file file = {
        fd, status, directory_path(work->directory), name, work->root, worker->index,
    };

    if (is_met_again(walk, &walk->files, status, walk->know_all || status->st_nlink > 1)) {
        worker->counts.repeats++;
        return;
    }
    if ((uint64_t)status->st_size > walk->options->bytes_max) {
        worker->counts.too_large++;
        return;
    }
    worker->counts.files++;
    walk->each(&file, walk->context);
}

static void meet_name(struct worker *worker, const struct walk_work *work, const char *name)
{
    const struct walk_file file = {
        -1, NULL, directory_path(work->directory), name, work->root, worker->index,
    };

    worker->counts.files++;
    worker->walk->each(&file, worker->walk->context);
}

static void visit_file(struct worker *worker, const struct walk_work *work, const char *name)
{
    bool is_root = !work->directory;
    int how = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    struct stat status;
    int fd;

    if (!walk_is_wanted(worker->walk->options, directory_path(work->directory), name, false))
        return;
    if (worker->walk->options->names_only) {
        meet_name(worker, work, name);
        return;
    }
    if (!is_root && !worker->walk->options->follow)
        how |= O_NOFOLLOW;
    fd = openat(directory_fd(work->directory), name, how);
    if (fd < 0) {
        if (is_root || (errno != ENOENT && errno != ELOOP)) /* else gone, or a link now: not ours to see */
            complain(worker, "open", work->directory, name);
        return;
    }
    if (fstat(fd, &status) < 0)
        complain(worker, "fstat", work->directory, name);
    else if (S_ISREG(status.st_mode) || (is_root && S_ISBLK(status.st_mode)))
        meet(worker, work, name, fd, &status);
    else
        worker->counts.special++;
    close(fd);
}

/* ---- Directories ---- */

/* NULL when it is not to be gone into: refused, met already, on another file system. */
static struct directory *directory_open(struct worker *worker, const struct walk_work *work, const char *name)
{
    struct walk *walk = worker->walk;
    bool follow = walk->options->follow || !work->directory;
    int fd =
        openat(directory_fd(work->directory), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    struct directory *directory;
    struct stat status;

    if (!stream || fstat(fd, &status) < 0) {
        if (errno != ENOENT || !work->directory)
            complain(worker, "open directory", work->directory, name);
    } else if ((!walk->options->one_file_system || !work->directory || status.st_dev == work->directory->root_device) &&
               !is_met_again(walk, &walk->directories, &status, walk->know_all)) {
        directory = allocate(NULL, 1, sizeof(*directory));
        directory->stream = stream;
        directory->path = walk_joined(directory_path(work->directory), name);
        directory->root = work->root;
        directory->root_device = work->directory ? work->directory->root_device : status.st_dev;
        atomic_init(&directory->users, 1);
        return directory;
    }
    if (stream)
        closedir(stream);
    else if (fd >= 0)
        close(fd);
    return NULL;
}

/* What an entry is, asking the file itself where the directory does not say: DT_REG, DT_DIR, DT_LNK, or DT_UNKNOWN for
 * all that has no page cache. */
static unsigned char kind_of(const struct directory *directory, const struct dirent *entry, bool follow)
{
    struct stat status;

    if (entry->d_type == DT_REG || entry->d_type == DT_DIR || (entry->d_type == DT_LNK && !follow))
        return entry->d_type;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return DT_UNKNOWN;
    if (fstatat(directory_fd(directory), entry->d_name, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return DT_LNK; /* gone, or a link to nothing */
    return S_ISREG(status.st_mode)   ? DT_REG
           : S_ISDIR(status.st_mode) ? DT_DIR
           : S_ISLNK(status.st_mode) ? DT_LNK
                                     : DT_UNKNOWN;
}

/* Files of a directory that are put on the stack together. */
struct handful {
    char names[HANDFUL_BYTES];
    size_t bytes;
    size_t count;
};

static void handful_put(struct walk *walk, struct directory *directory, struct handful *handful)
{
    if (handful->count)
        put(walk, directory, handful->names, handful->bytes, directory->root);
    handful->bytes = handful->count = 0;
}

static void handful_add(struct walk *walk, struct directory *directory, struct handful *handful, const char *name)
{
    size_t bytes = strlen(name) + 1; /* at most NAME_MAX + 1 */

    if (handful->count == HANDFUL_NAMES || handful->bytes + bytes > sizeof(handful->names))
        handful_put(walk, directory, handful);
    memcpy(handful->names + handful->bytes, name, bytes);
    handful->bytes += bytes;
    handful->count++;
}

static void enter(struct worker *worker, struct directory *directory, const struct dirent *entry,
                  struct handful *handful)
{
    struct walk *walk = worker->walk;
    const struct walk_work here = { directory, NULL, 0, directory->root };

    switch (kind_of(directory, entry, walk->options->follow)) {
    case DT_REG:
        if (walk_stack_is_wanted(&walk->stack))
            handful_add(walk, directory, handful, entry->d_name);
        else
            visit_file(worker, &here, entry->d_name);
        break;
    case DT_DIR:
        if (walk_is_wanted(walk->options, directory->path, entry->d_name, true)) {
            char *name = walk_joined(entry->d_name, ""); /* the slash at its end says that it is a directory */

            put(walk, directory, name, strlen(name) + 1, directory->root);
            free(name);
        }
        break;
    case DT_LNK:
        worker->counts.links++;
        break;
    default:
        worker->counts.special++;
    }
}

static void read_entries(struct worker *worker, struct directory *directory)
{
    struct handful handful;
    const struct dirent *entry;

    handful.bytes = handful.count = 0;
    worker->counts.directories++;
    for (;;) {
        errno = 0;
        entry = is_stopped() ? NULL : readdir(directory->stream);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            enter(worker, directory, entry, &handful);
    }
    if (errno && !is_stopped())
        complain(worker, "read directory", directory, "");
    handful_put(worker->walk, directory, &handful);
}

static void visit_directory(struct worker *worker, const struct walk_work *work, const char *name)
{
    struct directory *directory = directory_open(worker, work, name);

    if (!directory)
        return;
    read_entries(worker, directory);
    directory_leave(directory);
}

/* ---- The names given ---- */

/* A name that was typed is followed where it is a link, and nothing about it is passed over in silence. */
static void visit_root(struct worker *worker, const struct walk_work *work, const char *name)
{
    struct stat status;

    if (stat(name, &status) < 0) {
        complain(worker, "open", NULL, name);
    } else if (S_ISDIR(status.st_mode)) {
        if (walk_is_wanted(worker->walk->options, NULL, name, true))
            visit_directory(worker, work, name);
    } else if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)) {
        visit_file(worker, work, name);
    } else {
        errno = ENODEV;
        complain(worker, "not a file, a directory or a block device", NULL, name);
    }
}

/* An entry of a directory; a slash at its end says that it is one itself. */
static void visit_entry(struct worker *worker, const struct walk_work *work, char *name)
{
    size_t length = strlen(name);

    if (name[length - 1] != '/') {
        visit_file(worker, work, name);
        return;
    }
    name[length - 1] = '\0';
    visit_directory(worker, work, name);
    name[length - 1] = '/';
}

static void visit(struct worker *worker, const struct walk_work *work)
{
    for (size_t at = 0; at < work->names_bytes && !is_stopped(); at += strlen(work->names + at) + 1) {
        if (work->directory)
            visit_entry(worker, work, work->names + at);
        else
            visit_root(worker, work, work->names + at);
    }
}

static void *work_on(void *arg)
{
    struct worker *worker = arg;
    struct walk_work work;

    while (walk_stack_take(&worker->walk->stack, &work)) {
        if (!is_stopped())
            visit(worker, &work);
        done(worker->walk, &work);
    }
    return NULL;
}

/* One by one where they are directories, so that a file below two of them belongs to the first. */
static void put_given(struct walk *walk, const struct text_list *names)
{
    struct stat status;

    for (size_t i = 0; i < names->count && !is_stopped(); i++) {
        bool is_directory = stat(names->texts[i], &status) == 0 && S_ISDIR(status.st_mode);

        if (is_directory)
            walk_stack_drain(&walk->stack);
        put(walk, NULL, names->texts[i], strlen(names->texts[i]) + 1, i);
        if (is_directory)
            walk_stack_drain(&walk->stack);
    }
}

static void put_listed(struct walk *walk, const struct text_list *names, size_t root)
{
    for (size_t from = 0, to; from < names->count && !is_stopped(); from = to) {
        size_t bytes = 0;
        char *joint, *at;

        for (to = from; to < names->count && to - from < HANDFUL_NAMES; to++)
            bytes += strlen(names->texts[to]) + 1;
        joint = at = allocate(NULL, bytes, 1);
        for (size_t i = from; i < to; i++)
            at = stpcpy(at, names->texts[i]) + 1;
        put(walk, NULL, joint, bytes, root);
        free(joint);
    }
}

/* Deep trees keep a directory open for each level. */
static void allow_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void counts_add(struct walk_counts *sum, const struct walk_counts *counts)
{
    sum->files += counts->files;
    sum->directories += counts->directories;
    sum->repeats += counts->repeats;
    sum->too_large += counts->too_large;
    sum->special += counts->special;
    sum->links += counts->links;
    sum->troubles += counts->troubles;
}

void walk_run(const struct walk_options *options, const struct walk_names *names, walk_function *each, void *context,
              struct walk_counts *out_counts)
{
    struct walk walk = {
        .options = options,
        .each = each,
        .context = context,
        .know_all = options->follow || names->given.count + names->listed.count > 1,
        .files = FILE_SET_INIT,
        .directories = FILE_SET_INIT,
        .stack = WALK_STACK_INIT,
    };
    struct worker *workers = allocate(NULL, options->thread_count, sizeof(*workers));
    unsigned started = 0;
    int error = 0;

    allow_many_files();
    for (; started < options->thread_count && !error; started += !error) {
        workers[started] = (struct worker){ .walk = &walk, .index = started };
        error = pthread_create(&workers[started].thread, NULL, work_on, &workers[started]);
    }
    if (started == 0)
        exit(trouble("no thread could be started: %s", strerror(error)));
    put_given(&walk, &names->given);
    put_listed(&walk, &names->listed, names->given.count);
    walk_stack_drain(&walk.stack);
    walk_stack_end(&walk.stack);
    *out_counts = (struct walk_counts){ 0 };
    for (unsigned i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        counts_add(out_counts, &workers[i].counts);
    }
    free(workers);
    walk_stack_clear(&walk.stack);
    file_set_clear(&walk.files);
    file_set_clear(&walk.directories);
}
