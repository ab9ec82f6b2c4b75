/* SPDX-License-Identifier: MIT */
/*
 * probe - trying features for real, on small things of our own that are gone afterwards.
 *
 * This file finds the probe of a feature and makes what probes try on; the probes themselves are in probe_*.c. None
 * touches memory that could fault, none waits, none leaves a trace.
 */
#include "os/linux/probe.h"
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

int verso__os_probe(const char *feature, const char **out_note)
{
    static const struct probe *const tables[] = {
        verso__probes_of_maps,   verso__probes_of_advice, verso__probes_of_files,
        verso__probes_of_faults, verso__probes_of_seeing, verso__probes_of_lives,
    };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct probe *probe = tables[i]; probe->name; probe++)
            if (strcmp(probe->name, feature) == 0)
                return probe->run(out_note);
    return -ENOKEY;
}

int verso__probe_untried(const char **out_note, const char *note)
{
    *out_note = note;
    return -EAGAIN;
}

int verso__probe_memory(size_t bytes, char **out_memory)
{
    void *memory;
    int r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE, 0, -1, 0, &memory);

    if (r == 0)
        *out_memory = memory;
    return r;
}

/* ---- Where files can be tried ---- */

static struct {
    char directory[256];
    char note[320];
} place;

/* A file that no directory names, even where the file system has no O_TMPFILE. */
static int unnamed_file(const char *directory, int *out_fd)
{
    char path[sizeof(place.directory) + sizeof("/.verso-XXXXXX")];
    int fd, r;

    r = verso__os_open(directory, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_UNNAMED, 0600, out_fd);
    if (r != -EOPNOTSUPP && r != -EISDIR && r != -EINVAL)
        return r;
    (void)snprintf(path, sizeof(path), "%s/.verso-XXXXXX", directory);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)unlink(path);
    *out_fd = fd;
    return 0;
}

static const char *file_system_name(int fd)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } known[] = {
        { 0xef53, "ext4" },          { 0x58465342, "xfs" },  { 0x9123683e, "btrfs" },    { 0x01021994, "tmpfs" },
        { 0x794c7630, "overlayfs" }, { 0x6969, "nfs" },      { 0x65735546, "fuse" },     { 0x01021997, "9p" },
        { 0x2fc12fc1, "zfs" },       { 0xf2f52010, "f2fs" }, { 0xca451a4e, "bcachefs" }, { 0xff534d42, "cifs" },
        { 0x858458f6, "ramfs" },     { 0x4d44, "vfat" },
    };
    struct statfs status;

    if (fstatfs(fd, &status) < 0)
        return "an unknown file system";
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].magic == (unsigned long)status.f_type)
            return known[i].name;
    return "another file system";
}

static void find_place(void)
{
    const char *temporary = getenv("TMPDIR");
    const struct {
        const char *directory;
        const char *called;
    } candidates[] = {
        { ".", "the current directory" },
        { temporary ? temporary : "/tmp", temporary ? "TMPDIR" : "/tmp" },
        { "/tmp", "/tmp" },
    };
    int fd;

    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        if (strlen(candidates[i].directory) >= sizeof(place.directory))
            continue;
        if (unnamed_file(candidates[i].directory, &fd) < 0)
            continue;
        (void)snprintf(place.directory, sizeof(place.directory), "%s", candidates[i].directory);
        (void)snprintf(place.note, sizeof(place.note), "on %s, in %s", file_system_name(fd), candidates[i].called);
        verso__os_close(fd);
        return;
    }
}

const char *verso__probe_directory(void)
{
    return place.directory;
}

int verso__probe_file(int *out_fd, const char **out_note)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, find_place);
    if (!*place.directory)
        return verso__probe_untried(out_note, "no file could be made in the current directory, TMPDIR or /tmp");
    *out_note = place.note;
    return unnamed_file(place.directory, out_fd);
}
