/* SPDX-License-Identifier: MIT */
/*
 * bench_copy - `verso copy` beside cp, dd, rsync and xxhsum.
 *
 * What a copy costs is decided by what is there before it: no target, a cached one, one that is nearly the same, a file
 * system that shares blocks. Each is brought about before each turn; what came out is held against the source after
 * it, untimed.
 */
#include "commands.h"
#include "files.h"
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <verso/base.h>
#include <verso/inspect.h>

#define MIB ((uint64_t)1 << 20)
#define LARGE_BYTES (1024 * MIB)
#define REFLINK_BYTES (512 * MIB)
#define ROUNDS 7
#define ROUNDS_OF_SLOW 5
#define ROUNDS_OF_TREES 11
#define SMALL_COUNT 10000
#define SMALL_BYTES 4096
#define DIFFERING_EVERY 100 /* pages */
#define PEAK_KIB (64 * 1024)

/* What both sides copy, and whereto. */
struct subject {
    char *source;
    char *other; /* differs from it in every page; takes its name by turns */
    char *target;
};

static uint64_t large_bytes;

/* ---- Before ---- */

static void no_target(void *arg)
{
    const struct subject *subject = arg;

    if (unlink(subject->target) < 0 && errno != ENOENT)
        bench_die(subject->target);
}

/*
 * The trees made so far stay until the end, and all of it is on the disk: writing back, and removing, must not be
 * somebody else's time. And ext4 without a journal looks at every inode that was deleted within the last minutes before
 * it takes one: after `rm -r` of such a tree, making it anew cost either side ten times as much, for a while.
 */
static void no_target_tree(void *arg)
{
    const struct subject *subject = arg;
    static unsigned count;
    char *aside = bench_text("%s.%u", subject->target, ++count);

    if (rename(subject->target, aside) < 0 && errno != ENOENT)
        bench_die(subject->target);
    free(aside);
    sync();
}

/* Waits until nothing of the target is still on its way to the disk. */
static int settled(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        bench_die(path);
    return fd;
}

/* The target is cached and clean, and all of it is about to change. */
static void cached_target(void *arg)
{
    struct subject *subject = arg;
    char *aside = bench_text("%s/aside", bench_directory());

    if (rename(subject->source, aside) < 0 || rename(subject->other, subject->source) < 0 ||
        rename(aside, subject->other) < 0)
        bench_die(subject->source);
    free(aside);
    close(settled(subject->target));
    if (files_look(subject->target).cached_share < 0.999)
        files_cache_large(subject->target);
}

/* One page in a hundred differs, by one byte. */
static void nearly_same_target(void *arg)
{
    const struct subject *subject = arg;
    uint64_t page = verso_page_bytes();
    int fd = settled(subject->target);

    for (uint64_t offset = page / 2; offset < large_bytes; offset += DIFFERING_EVERY * page)
        if (pwrite(fd, "\x01", 1, (off_t)offset) != 1)
            bench_die(subject->target);
    if (fsync(fd) < 0)
        bench_die(subject->target);
    close(fd);
}

/* ---- After ---- */

static uint64_t dirty_pages(const char *path)
{
    struct verso_inspect_cache cache;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || verso_inspect_cache(fd, 0, 0, &cache) < 0)
        bench_die(path);
    close(fd);
    return cache.dirty.value + cache.writeback.value;
}

/* 1, and no other answer: a wrong copy ends the bench. */
static uint64_t is_copy(void *arg)
{
    const struct subject *subject = arg;

    if (files_digest(subject->source) != files_digest(subject->target)) {
        fprintf(stderr, "bench copy: %s is no copy of %s\n", subject->target, subject->source);
        exit(1);
    }
    return 1;
}

static uint64_t is_copy_of_tree(void *arg)
{
    const struct subject *subject = arg;

    if (files_tree_digest(subject->source) != files_tree_digest(subject->target)) {
        fprintf(stderr, "bench copy: %s is no copy of %s\n", subject->target, subject->source);
        exit(1);
    }
    return 1;
}

/* ---- One large file ---- */

static void new_file(struct subject *subject)
{
    struct command_row row = {
        .name = "new file",
        .verso = COMMAND(NULL, "verso", "copy", "--quiet", subject->source, subject->target),
        .peer = COMMAND(NULL, "cp", subject->source, subject->target),
        .before = no_target,
        .check = is_copy,
        .subject = subject,
        .bytes = (double)large_bytes,
        .rounds = ROUNDS,
        .limit = bench_limit_copy(),
        .limit_name = "copying memory",
    };
    char *both;

    commands_compare(&row);
    both = bench_text("cp '%s' '%s' && xxhsum -q -H3 '%s'", subject->source, subject->target, subject->source);
    row.name = "new file, and its checksum";
    row.peer_name = "cp && xxhsum -H3";
    row.verso = COMMAND(answer_digest, "verso", "copy", "--quiet", "--hash", subject->source, subject->target);
    row.peer = COMMAND(answer_digest, "sh", "-c", both);
    row.check = NULL;
    if (bench_has("xxhsum"))
        commands_compare(&row);
    free(both);
}

/* Information more than a race: cmp shows the same only when the pages really come from the disk. */
static void verified(struct subject *subject)
{
    char *line = bench_text(
        "cp '%s' '%s' && sync '%s' && dd if='%s' iflag=nocache count=0 status=none && cmp '%s' '%s'", subject->source,
        subject->target, subject->target, subject->target, subject->source, subject->target);

    commands_compare(&(struct command_row){
        .name = "new file, verified from disk",
        .peer_name = "cp, sync, drop, cmp",
        .verso = COMMAND(NULL, "verso", "copy", "--quiet", "--verify", subject->source, subject->target),
        .peer = COMMAND(NULL, "sh", "-c", line),
        .before = no_target,
        .check = is_copy,
        .subject = subject,
        .bytes = (double)large_bytes,
        .rounds = ROUNDS_OF_SLOW,
    });
    free(line);
}

/* cp cuts the old file to nothing first; dd without that is what is fastest among the peers. */
static void onto_cached(struct subject *subject)
{
    struct command_row row = {
        .name = "onto a cached file",
        .verso = COMMAND(NULL, "verso", "copy", "--quiet", "--in-place", subject->source, subject->target),
        .peer = COMMAND(NULL, "cp", subject->source, subject->target),
        .before = cached_target,
        .check = is_copy,
        .subject = subject,
        .bytes = (double)large_bytes,
        .rounds = ROUNDS_OF_SLOW,
    };
    char *in, *out;

    if (!bench_wanted(row.name))
        return;
    in = bench_text("if=%s", subject->source);
    out = bench_text("of=%s", subject->target);
    (void)commands_run(COMMAND(NULL, "cp", subject->source, subject->target));
    commands_compare(&row);
    row.peer = COMMAND(NULL, "dd", in, out, "bs=128K", "conv=notrunc", "status=none");
    row.peer_name = "dd conv=notrunc";
    commands_compare(&row);
    free(in);
    free(out);
}

/* A folio is dirty as a whole; so base pages hold the target where they are counted. */
static uint64_t dirtied_by(struct subject *subject, struct command command)
{
    nearly_same_target(subject);
    files_cache_base(subject->target);
    (void)commands_run(command);
    return dirty_pages(subject->target);
}

static void by_delta(struct subject *subject)
{
    const char *name = "1 % of the pages differ";
    struct command verso = COMMAND(NULL, "verso", "copy", "--quiet", "--delta", subject->source, subject->target);
    struct command rsync =
        COMMAND(NULL, "rsync", "-I", "--inplace", "--no-whole-file", subject->source, subject->target);
    uint64_t pages = large_bytes / verso_page_bytes(), ours;

    if (!bench_wanted(name))
        return;
    (void)commands_run(COMMAND(NULL, "cp", subject->source, subject->target));
    commands_compare(&(struct command_row){
        .name = name,
        .peer_name = "rsync --inplace",
        .verso = verso,
        .peer = rsync,
        .before = nearly_same_target,
        .check = is_copy,
        .subject = subject,
        .bytes = (double)large_bytes,
        .rounds = ROUNDS_OF_SLOW,
    });
    if (!commands_verso_has("copy") || !bench_has("rsync"))
        return;
    ours = dirtied_by(subject, verso);
    bench_row("1 % of the pages differ: dirtied", "rsync --inplace", "pages", (double)ours,
              (double)dirtied_by(subject, rsync), true, (double)pages / DIFFERING_EVERY);
}

/* ---- Many small files ---- */

static void trees(void)
{
    const char *name = "tree of 10,000 files of 4 KiB";
    struct subject subject = { NULL, NULL, bench_text("%s/tree-copy", bench_directory()) };

    if (!bench_wanted(name))
        return;
    subject.source = files_tree("tree", SMALL_COUNT, SMALL_BYTES);
    commands_compare(&(struct command_row){
        .name = name,
        .peer_name = "cp -a",
        .verso = COMMAND(NULL, "verso", "copy", "--quiet", "-r", "--archive", subject.source, subject.target),
        .peer = COMMAND(NULL, "cp", "-a", subject.source, subject.target),
        .before = no_target_tree,
        .check = is_copy_of_tree,
        .subject = &subject,
        .rounds = ROUNDS_OF_TREES,
    });
}

static void tiny(void)
{
    struct subject subject = { files_text("tiny", 100, 0), NULL, bench_text("%s/tiny-copy", bench_directory()) };

    commands_compare(&(struct command_row){
        .name = "one file of 100 bytes",
        .verso = COMMAND(NULL, "verso", "copy", "--quiet", subject.source, subject.target),
        .peer = COMMAND(NULL, "cp", subject.source, subject.target),
        .before = no_target,
        .check = is_copy,
        .subject = &subject,
        .rounds = 101, /* a millisecond each */
    });
}

/* ---- File systems that share blocks ---- */

/* Mounts a new file system of a kind where only this process and its children see it: it goes with them. Answers the
 * directory, or NULL with a note. */
static char *mounted(const char *kind)
{
    char *image = bench_text("%s/%s", bench_directory(), kind);
    char *folder = bench_text("%s.mount", image), *maker = bench_text("mkfs.%s", kind);
    bool made;

    if (!bench_has(maker)) {
        bench_note("reflink, %s: left out: %s is not installed", kind, maker);
        return NULL;
    }
    if (mkdir(folder, 0700) < 0)
        bench_die(folder);
    made = bench_command(ARGUMENTS("truncate", "--size=4G", image), NULL, 0) == 0 &&
           bench_command(ARGUMENTS(maker, strcmp(kind, "xfs") == 0 ? "-q" : "-qf", image), NULL, 0) == 0 &&
           bench_command(ARGUMENTS("mount", "-o", "loop", image, folder), NULL, 0) == 0;
    (void)unlink(image);
    if (!made)
        bench_note("reflink, %s: left out: no such file system can be made and mounted here", kind);
    return made ? folder : NULL;
}

static void reflink_on(const char *kind, const char *name)
{
    uint64_t bytes = files_scaled_bytes(REFLINK_BYTES, 3);
    struct subject subject;
    char *folder;

    if (!bench_wanted(name) || !(folder = mounted(kind)))
        return;
    subject = (struct subject){ bench_text("%s/source", folder), NULL, bench_text("%s/target", folder) };
    (void)commands_run(COMMAND(NULL, "cp", files_text("reflink", bytes, 0), subject.source));
    (void)commands_run(COMMAND(NULL, "sync", subject.source));
    commands_compare(&(struct command_row){
        .name = name,
        .peer_name = "cp --reflink=always",
        .verso = COMMAND(NULL, "verso", "copy", "--quiet", "--reflink=always", subject.source, subject.target),
        .peer = COMMAND(NULL, "cp", "--reflink=always", subject.source, subject.target),
        .before = no_target,
        .check = is_copy,
        .subject = &subject,
    });
    if (umount(folder) < 0)
        bench_die(folder);
}

static void reflinks(void)
{
    char path[PATH_MAX + 32];

    if (!bench_wanted("reflink, xfs") && !bench_wanted("reflink, btrfs"))
        return;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        bench_note("reflink: left out: no file systems can be mounted here: %s", strerror(errno));
        return;
    }
    (void)snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    (void)setenv("PATH", path, 1);
    reflink_on("xfs", "reflink, xfs");
    reflink_on("btrfs", "reflink, btrfs");
}

/* ---- Memory ---- */

static void peak_beside(const char *name, struct command verso, struct command peer)
{
    if (bench_has(peer.arguments[0]))
        bench_row(name, peer.arguments[0], "KiB", commands_peak_kib(verso), commands_peak_kib(peer), true, PEAK_KIB);
}

static void peaks(struct subject *subject)
{
    const char *source = subject->source, *target = subject->target;

    if (!bench_wanted("peak RSS") || !commands_verso_has("copy"))
        return;
    bench_note("peak RSS: the limit is 64 MiB; a share of 100 %% or more is within it");
    no_target(subject);
    peak_beside("peak RSS, new file", COMMAND(NULL, "verso", "copy", "--quiet", source, target),
                COMMAND(NULL, "cp", source, target));
    peak_beside("peak RSS, checksum", COMMAND(NULL, "verso", "copy", "--quiet", "--hash", source, target),
                COMMAND(NULL, "cp", source, target));
    nearly_same_target(subject);
    peak_beside("peak RSS, delta", COMMAND(NULL, "verso", "copy", "--quiet", "--delta", source, target),
                COMMAND(NULL, "rsync", "-I", "--inplace", "--no-whole-file", source, target));
}

static void note_file_system(void)
{
    struct statfs status;
    char text[64] = "";

    if (statfs(bench_directory(), &status) < 0)
        bench_die(bench_directory());
    (void)bench_command(ARGUMENTS("stat", "-f", "-c", "%T", bench_directory()), text, sizeof(text));
    text[strcspn(text, "\n")] = '\0';
    bench_note("files of %llu MiB on %s, %llu GiB free", (unsigned long long)(large_bytes / MIB), text,
               (unsigned long long)((uint64_t)status.f_bavail * (uint64_t)status.f_bsize >> 30));
}

int main(int count, char **arguments)
{
    struct subject large;

    bench_start(count, arguments, "copy");
    (void)setenv("LC_ALL", "C", 1);
    machine_note();
    large_bytes = files_scaled_bytes(LARGE_BYTES, 5);
    note_file_system();
    large = (struct subject){ files_text("source", large_bytes, 0), files_text("other", large_bytes, 1),
                              bench_text("%s/target", bench_directory()) };
    files_cache_large(large.source);
    files_cache_large(large.other);
    new_file(&large);
    onto_cached(&large);
    by_delta(&large);
    verified(&large);
    peaks(&large);
    no_target(&large);
    trees();
    tiny();
    reflinks();
    return bench_finish();
}
