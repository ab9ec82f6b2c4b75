/* SPDX-License-Identifier: MIT */
/* What can't be opened: each says what, where and why, touches no output and leaves nothing behind. */
#include "children.h"
#include "maps.h"
#include "mounts.h"

#include <limits.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static void test_names_that_lead_nowhere(void **state)
{
    char *file = strdup(support_file("file", 100));
    char too_long[PATH_MAX + 10];
    char below[PATH_MAX];

    (void)state;
    memset(too_long, 'a', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    assert_true(snprintf(below, sizeof(below), "%s/below", file) < (int)sizeof(below));
    assert_open_fails(support_path("missing"), NULL, -ENOENT, "open");
    assert_open_fails("", NULL, -ENOENT, "open");
    assert_open_fails(below, NULL, -ENOTDIR, "open");
    assert_open_fails(too_long, NULL, -ENAMETOOLONG, "open");
    assert_open_fails(NULL, NULL, -EINVAL, "open");
    free(file);
}

static void test_directories(void **state)
{
    const unsigned flags[] = { 0, VERSO_MAP_WRITE, VERSO_MAP_PRIVATE, VERSO_MAP_WRITE | VERSO_MAP_CREATE };
    int fd = open(support_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct verso_map_options options = options_with(flags[i]);

        assert_open_fails(support_directory(), &options, -EISDIR, "open");
        assert_hint("directory");
    }
    assert_open_fd_fails(fd, NULL, -EISDIR, "open");
    assert_string_equal(verso_error_last()->path, support_directory());
    assert_int_equal(close(fd), 0);
}

static void test_symbolic_links(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_NOFOLLOW);
    char *file = strdup(support_file("file", 100));
    char *link = strdup(support_path("link"));
    char *loop = strdup(support_path("loop"));
    struct verso_map *map;

    (void)state;
    assert_int_equal(symlink(file, link), 0);
    assert_int_equal(symlink(loop, loop), 0);
    assert_ok(verso_map_open(link, NULL, &map));
    verso_map_close(map);
    assert_ok(verso_map_open(file, &options, &map));
    verso_map_close(map);
    assert_open_fails(link, &options, -ELOOP, "open");
    assert_open_fails(loop, NULL, -ELOOP, "open");
    assert_int_equal(unlink(link) | unlink(loop), 0);
    free(file);
    free(link);
    free(loop);
}

/* In a child without privileges. */
static int open_forbidden(void *arg)
{
    struct verso_map_options writing = options_with(VERSO_MAP_WRITE);
    struct verso_map *map = UNTOUCHED;
    char *const *paths = arg;

    if (geteuid() == 0 && support_drop_privileges() != 0)
        return 2;
    if (verso_map_open(paths[0], NULL, &map) != -EACCES || map != UNTOUCHED)
        return 3;
    if (strcmp(verso_error_last()->step, "open") != 0 || strcmp(verso_error_last()->path, paths[0]) != 0)
        return 4;
    if (verso_map_open(paths[1], &writing, &map) != -EACCES)
        return 5;
    if (verso_map_open(paths[1], NULL, &map) != 0)
        return 6;
    verso_map_close(map);
    return verso_map_open(paths[2], NULL, &map) == -EACCES ? 0 : 7;
}

static void test_no_permission(void **state)
{
    char *paths[3] = { strdup(support_file("secret", 100)), strdup(support_file("readable", 100)), NULL };
    int status;

    (void)state;
    assert_int_equal(mkdir(support_path("closed"), 0700), 0);
    paths[2] = strdup(support_file("closed/file", 100));
    assert_int_equal(chmod(support_directory(), 0755), 0);
    assert_int_equal(chmod(paths[0], 0), 0);
    assert_int_equal(chmod(paths[1], 0444), 0);
    assert_int_equal(chmod(support_path("closed"), 0), 0);
    status = support_child(open_forbidden, paths);
    assert_int_equal(chmod(support_path("closed"), 0700), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (size_t i = 0; i < 3; i++)
        free(paths[i]);
}

static void test_descriptors_of_every_kind(void **state)
{
    const char *path = support_file("file", 100);
    struct verso_map_options writing = options_with(VERSO_MAP_WRITE);
    int closed = open(path, O_RDONLY | O_CLOEXEC);
    int path_only = open(path, O_PATH | O_CLOEXEC);
    int write_only = open(path, O_WRONLY | O_CLOEXEC);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    int write_only_empty = open(support_file("empty", 0), O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(close(closed), 0);
    assert_open_fd_fails(closed, NULL, -EBADF, "fstat");
    assert_open_fd_fails(-1, NULL, -EBADF, "fstat");
    assert_open_fd_fails(INT_MAX, NULL, -EBADF, "fstat");
    assert_open_fd_fails(path_only, NULL, -EBADF, "mmap");
    assert_open_fd_fails(path_only, &writing, -EBADF, "mmap");
    assert_open_fd_fails(write_only, NULL, -EACCES, "mmap");
    assert_hint("must also read");
    assert_open_fd_fails(write_only, &writing, -EACCES, "mmap");
    assert_hint("reading and writing");
    assert_open_fd_fails(write_only_empty, NULL, -EBADF, "read");
    assert_hint("writing only");
    assert_open_fd_fails(read_only, &writing, -EACCES, "mmap");
    assert_hint("reading and writing");
    close(path_only);
    close(write_only);
    close(write_only_empty);
    close(read_only);
}

static void test_socket_by_name(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_true(fd >= 0);
    if (strlen(support_path("socket")) >= sizeof(address.sun_path))
        skip_because("the test directory's name is too long for a socket");
    memcpy(address.sun_path, support_path("socket"), strlen(support_path("socket")) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_open_fails(address.sun_path, NULL, -ENXIO, "open");
    assert_hint("socket");
    assert_int_equal(close(fd), 0);
}

static void test_running_program(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);

    (void)state;
    if (access("/proc/self/exe", W_OK) != 0)
        skip_because("may not write to the test's own program");
    assert_open_fails("/proc/self/exe", &options, -ETXTBSY, "open");
}

static void test_read_only_file_system(void **state)
{
    struct verso_map_options writing = options_with(VERSO_MAP_WRITE);
    struct verso_map_options create = options_with(VERSO_MAP_WRITE | VERSO_MAP_CREATE);
    const char *reason, *directory = support_mount_tmpfs(1 << 20, &reason);
    char path[PATH_MAX], new_path[PATH_MAX];
    struct verso_map *map;
    int fd;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    assert_true(snprintf(path, sizeof(path), "%s/file", directory) < (int)sizeof(path));
    assert_true(snprintf(new_path, sizeof(new_path), "%s/new", directory) < (int)sizeof(new_path));
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "text", 4), 4);
    assert_int_equal(close(fd), 0);
    assert_int_equal(mount(NULL, directory, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_open_fails(path, &writing, -EROFS, "open");
    assert_hint("read-only");
    assert_open_fails(path, &create, -EROFS, "open");
    assert_open_fails(new_path, &create, -EROFS, "open");
    assert_ok(verso_map_open(path, NULL, &map));
    assert_memory_equal(verso_map_data(map), "text", 4);
    verso_map_close(map);
    support_unmount(directory);
}

static void test_nothing_is_left_behind(void **state)
{
    size_t descriptors = support_descriptor_count(), mappings = support_mapping_count();

    test_names_that_lead_nowhere(state);
    test_directories(state);
    test_descriptors_of_every_kind(state);
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_int_equal(support_mapping_count(), mappings);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_names_that_lead_nowhere),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_symbolic_links),
        cmocka_unit_test(test_no_permission),
        cmocka_unit_test(test_descriptors_of_every_kind),
        cmocka_unit_test(test_socket_by_name),
        cmocka_unit_test(test_running_program),
        cmocka_unit_test(test_nothing_is_left_behind),
        cmocka_unit_test(test_read_only_file_system),
    };

    return run_test_list(list);
}
