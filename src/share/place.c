/* SPDX-License-Identifier: MIT */
/*
 * place - where a name leads.
 *
 * Names are files in a directory that only this user can look into, so nobody can put something in their way, and
 * nobody's old files can. /dev/shm is sticky: who has made the directory there, keeps it.
 */
#include "share/region.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 200

static const char own_directory[] = "VERSO_SHARE_DIRECTORY";

int verso__share_directory(char out_path[PATH_MAX], struct verso__share_trouble *trouble)
{
    const char *wanted = secure_getenv(own_directory);
    int bytes;

    trouble->step = "name";
    if (wanted && *wanted)
        bytes = snprintf(out_path, PATH_MAX, "%s", wanted);
    else
        bytes = snprintf(out_path, PATH_MAX, "/dev/shm/verso-%u", (unsigned)verso__os_user());
    return bytes < 0 || bytes >= PATH_MAX - NAME_BYTES_MAX - 2 ? -ENAMETOOLONG : 0;
}

/* Whoever could write to the directory could exchange regions under their users, or the directory itself under whoever
 * removes a name. */
int verso__share_check_directory(const char *path, struct verso__share_trouble *trouble)
{
    struct verso__os_file_info info;
    int r = verso__os_path_info(path, false, &info);

    trouble->step = "directory";
    if (r == -ENOENT)
        trouble->hint = "nothing has a name yet: the directory of names is made with the first";
    if (r < 0)
        return r;
    if (info.kind != VERSO__OS_FILE_DIRECTORY)
        return -ENOTDIR;
    if (info.user == verso__os_user() && !(info.mode & 077))
        return 0;
    trouble->hint = "the directory of names must be this user's, with permissions 0700";
    return VERSO_E_OWNER;
}

int verso__share_open_directory(bool make, int *out_fd)
{
    struct verso__share_trouble trouble;
    struct verso__os_file_info info;
    char path[PATH_MAX];
    int fd, r = verso__share_directory(path, &trouble);

    if (r == 0 && make)
        r = verso__os_make_directory(path);
    if (r == 0 || r == -EEXIST)
        r = verso__os_open(path, VERSO__OS_OPEN_PLACE | VERSO__OS_OPEN_DIRECTORY | VERSO__OS_OPEN_NOFOLLOW, 0, &fd);
    if (r < 0)
        return r;
    r = verso__os_file_info(fd, &info);
    if (r == 0 && (info.user != verso__os_user() || info.mode & 077))
        r = VERSO_E_OWNER;
    if (r < 0)
        verso__os_close(fd);
    else
        *out_fd = fd;
    return r;
}

static int no_name(struct verso__share_trouble *trouble, int code)
{
    trouble->hint = "a name has 1 to 200 bytes and begins with no dot; one with a slash is the path of a file";
    return code;
}

int verso__share_path(const char *name, bool make, char out_path[PATH_MAX], struct verso__share_trouble *trouble)
{
    size_t bytes;
    int r;

    trouble->step = "name";
    if (!name || !*name)
        return no_name(trouble, -EINVAL);
    bytes = strlen(name);
    if (strchr(name, '/')) {
        if (bytes >= PATH_MAX)
            return -ENAMETOOLONG;
        memcpy(out_path, name, bytes + 1);
        return name[bytes - 1] == '/' ? no_name(trouble, -EINVAL) : 0;
    }
    if (bytes > NAME_BYTES_MAX)
        return no_name(trouble, -ENAMETOOLONG);
    if (*name == '.')
        return no_name(trouble, -EINVAL);
    r = verso__share_directory(out_path, trouble);
    if (r < 0)
        return r;
    if (make) {
        trouble->step = "mkdir";
        r = verso__os_make_directory(out_path);
        if (r < 0 && r != -EEXIST) {
            trouble->hint = "the directory of names can't be made; see $VERSO_SHARE_DIRECTORY";
            return r;
        }
    }
    r = verso__share_check_directory(out_path, trouble);
    if (r == 0) { /* room for both was seen to */
        size_t end = strlen(out_path);

        out_path[end] = '/';
        memcpy(out_path + end + 1, name, bytes + 1);
    }
    return r;
}
