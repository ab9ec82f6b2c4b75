/* SPDX-License-Identifier: MIT */
/* mounts - see mounts.h. */
#include "mounts.h"

#include "support.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOUNTS_MAX 16
#define MIB ((uint64_t)1 << 20)

static char directories[MOUNTS_MAX][PATH_MAX];
static bool mounted[MOUNTS_MAX];
static int images[MOUNTS_MAX]; /* open, without a name; 0: none */
static char reason[256];

static const struct {
    const char *name;
    uint64_t bytes_min;
    const char *make[8]; /* the command that makes one in an image, before the image's name */
} systems[] = {
    [SUPPORT_TMPFS] = { "tmpfs", 0, { NULL } },
    [SUPPORT_EXT4] = { "ext4", 4 * MIB, { "mkfs.ext4", "-q", "-F", "-E", "nodiscard", NULL } },
    [SUPPORT_EXT2] = { "ext4", 1 * MIB, { "mkfs.ext2", "-q", "-F", "-E", "nodiscard", NULL } },
    [SUPPORT_XFS] = { "xfs", 320 * MIB, { "mkfs.xfs", "-q", "-f", "-K", NULL } },
    [SUPPORT_EXT4_UNJOURNALED] = { "ext4",
                                   4 * MIB,
                                   { "mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "nodiscard", NULL } },
    [SUPPORT_BTRFS] = { "btrfs", 128 * MIB, { "mkfs.btrfs", "-q", "-f", "-K", NULL } },
};

static bool because(const char *what, int error)
{
    (void)snprintf(reason, sizeof(reason), "%s: %s", what, strerror(error));
    return false;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        (void)close(fd);
    return done;
}

/* An ordinary user may mount a tmpfs in a user namespace, where he stays who he is. */
static bool enter_user_namespace(void)
{
    char user[64], group[64];

    (void)snprintf(user, sizeof(user), "%u %u 1", geteuid(), geteuid());
    (void)snprintf(group, sizeof(group), "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return because("not root, and no user namespace to be had", errno);
    if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", user) ||
        !write_text("/proc/self/gid_map", group))
        return because("not root, and the user namespace can't be set up", errno);
    return true;
}

static bool enter_namespace(enum support_file_system kind)
{
    static bool entered;

    if (kind != SUPPORT_TMPFS && geteuid() != 0) {
        (void)snprintf(reason, sizeof(reason), "%s needs root and a loop device", systems[kind].name);
        return false;
    }
    if (entered)
        return true;
    if (geteuid() != 0 && !enter_user_namespace())
        return false;
    if (geteuid() == 0 && unshare(CLONE_NEWNS) < 0)
        return because("no mount namespace to be had", errno);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return because("the mount namespace can't be made private", errno);
    entered = true;
    return true;
}

/* Runs the mkfs of @kind on @image. */
static bool make_file_system(enum support_file_system kind, char *image)
{
    char *arguments[10] = { NULL };
    posix_spawn_file_actions_t actions;
    int status = 0;
    size_t n = 0;
    pid_t child;
    int error;

    for (; systems[kind].make[n]; n++)
        arguments[n] = (char *)(uintptr_t)systems[kind].make[n]; /* posix_spawn changes none of them */
    arguments[n] = image;
    error = posix_spawn_file_actions_init(&actions);
    if (error)
        return because("posix_spawn", error);
    error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (error)
        return because(arguments[0], error);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return because("waitpid", errno);
    if (status != 0)
        (void)snprintf(reason, sizeof(reason), "%s failed (status %#x)", arguments[0], (unsigned)status);
    return status == 0;
}

/* A free loop device over @file; it lets go of it by itself after the last unmount. Negative: -errno. */
static int loop_over(int file, char *out_device, size_t room_bytes)
{
    struct loop_config config = { .fd = (uint32_t)file, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int device = -1, error = control < 0 ? errno : EBUSY;

    for (int tries = 0; error == EBUSY && tries < 50; tries++) { /* EBUSY: another test took it first */
        (void)snprintf(out_device, room_bytes, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
        device = open(out_device, O_RDWR | O_CLOEXEC);
        error = device < 0 || ioctl(device, LOOP_CONFIGURE, &config) < 0 ? errno : 0;
        if (error && device >= 0)
            (void)close(device);
    }
    if (control >= 0)
        (void)close(control);
    return error ? -error : device;
}

static bool mount_looped(enum support_file_system kind, int file, const char *directory)
{
    char device[32];
    int loop = loop_over(file, device, sizeof(device));
    bool done;

    if (loop < 0)
        return because("no loop device to be had", -loop);
    done = mount(device, directory, systems[kind].name, 0, NULL) == 0 || because("mount", errno);
    (void)close(loop); /* from here on the mount holds it */
    return done;
}

/* @image: the image's name, which is gone again afterwards. Sets images[slot]. */
static bool mount_image(enum support_file_system kind, uint64_t bytes, size_t slot, char *image)
{
    bool done;
    int file;

    if (bytes < systems[kind].bytes_min)
        bytes = systems[kind].bytes_min;
    file = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return because("no image can be made", errno);
    done = (ftruncate(file, (off_t)bytes) == 0 || because("no image can be made", errno)) &&
           make_file_system(kind, image) && mount_looped(kind, file, directories[slot]);
    (void)unlink(image);
    images[slot] = file;
    return done;
}

/* As support_mount(), with the image in @image_directory. */
static const char *mount_on(enum support_file_system kind, uint64_t bytes, const char *image_directory)
{
    char image[PATH_MAX + 16];
    size_t slot = 0;
    char options[64];
    bool done;

    while (slot < MOUNTS_MAX && *directories[slot])
        slot++;
    assert_true(slot < MOUNTS_MAX);
    if (!enter_namespace(kind))
        return NULL;
    (void)snprintf(image, sizeof(image), "%s/image-%zu", image_directory, slot);
    (void)snprintf(directories[slot], PATH_MAX, "%s/%s-%zu", support_directory(), systems[kind].name, slot);
    assert_int_equal(mkdir(directories[slot], 0700), 0);
    (void)snprintf(options, sizeof(options), "size=%llu,mode=0700", (unsigned long long)bytes);
    if (kind == SUPPORT_TMPFS)
        done = mount("tmpfs", directories[slot], "tmpfs", 0, options) == 0 || because("mount", errno);
    else
        done = mount_image(kind, bytes, slot, image);
    mounted[slot] = done;
    return done ? directories[slot] : NULL;
}

const char *support_mount(enum support_file_system kind, uint64_t bytes, const char **out_reason)
{
    *out_reason = reason;
    return mount_on(kind, bytes, support_directory());
}

const char *support_mount_failing(uint64_t bytes, uint64_t real_bytes, const char **out_reason)
{
    const char *disk = support_mount_tmpfs(real_bytes, out_reason);

    return disk ? mount_on(SUPPORT_EXT4_UNJOURNALED, bytes, disk) : NULL;
}

const char *support_mount_tmpfs(uint64_t bytes, const char **out_reason)
{
    return support_mount(SUPPORT_TMPFS, bytes, out_reason);
}

const char *support_mount_reflink(const char **out_reason)
{
    const char *directory = support_mount(SUPPORT_XFS, 0, out_reason);

    return directory ? directory : support_mount(SUPPORT_BTRFS, 0, out_reason);
}

void support_disk_cut(const char *directory, uint64_t bytes)
{
    for (size_t slot = 0; slot < MOUNTS_MAX; slot++)
        if (mounted[slot] && images[slot] && strcmp(directories[slot], directory) == 0)
            assert_int_equal(ftruncate(images[slot], (off_t)bytes), 0);
}

void support_unmount(const char *directory)
{
    for (size_t slot = 0; slot < MOUNTS_MAX; slot++) {
        if (!mounted[slot] || strcmp(directories[slot], directory) != 0)
            continue;
        (void)umount2(directories[slot], MNT_DETACH);
        (void)rmdir(directories[slot]);
        if (images[slot])
            (void)close(images[slot]);
        images[slot] = 0;
        mounted[slot] = false;
    }
}

void support_unmount_all(void)
{
    for (size_t slot = 0; slot < MOUNTS_MAX; slot++)
        if (mounted[slot])
            support_unmount(directories[slot]);
}
