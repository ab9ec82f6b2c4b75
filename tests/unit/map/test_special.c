/* SPDX-License-Identifier: MIT */
/* What the kernel can't map is read in: pipes, sockets, terminals, devices, /proc, /sys. Nothing hangs, nothing grows
 * without end. */
#include "maps.h"
#include "mounts.h"

#include <limits.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define MIB ((size_t)1 << 20)

/* A thread that writes the pattern into a descriptor and closes it. */
struct writer {
    pthread_t thread;
    int fd;
    size_t bytes;
    size_t piece_bytes;
    unsigned pause_us;
};

static void *write_pieces(void *arg)
{
    struct writer *writer = arg;

    for (size_t done = 0; done < writer->bytes;) {
        unsigned char piece[8192];
        size_t want = writer->bytes - done < writer->piece_bytes ? writer->bytes - done : writer->piece_bytes;
        ssize_t n;

        for (size_t i = 0; i < want; i++)
            piece[i] = support_byte(done + i);
        n = write(writer->fd, piece, want);
        if (n < 0)
            break; /* nobody reads any more */
        done += (size_t)n;
        if (writer->pause_us)
            usleep(writer->pause_us);
    }
    close(writer->fd);
    return NULL;
}

static void writer_start(struct writer *writer, int fd, size_t bytes, size_t piece_bytes, unsigned pause_us)
{
    *writer = (struct writer){ .fd = fd, .bytes = bytes, .piece_bytes = piece_bytes, .pause_us = pause_us };
    assert_int_equal(pthread_create(&writer->thread, NULL, write_pieces, writer), 0);
}

static void check_buffer(const struct verso_map *map, uint64_t offset, size_t bytes)
{
    struct verso_map_info info = info_of(map);

    assert_int_equal(info.kind, VERSO_MAP_KIND_BUFFER);
    assert_int_equal(info.offset_bytes, offset);
    assert_int_equal(info.fd, -1);
    assert_int_equal(verso_map_bytes(map), bytes);
    assert_true(support_matches(verso_map_data(map), offset, bytes));
}

static void test_pipes(void **state)
{
    const size_t sizes[] = { 1, 4095, 4096, 4097, 65536, 65537, 300000 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct writer writer;
        struct verso_map *map;
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        writer_start(&writer, ends[1], sizes[i], i % 2 ? 1000 : 8192, 0);
        assert_ok(verso_map_open_fd(ends[0], NULL, &map));
        check_buffer(map, 0, sizes[i]);
        assert_non_null(strstr(info_of(map).path, "pipe:"));
        verso_map_close(map);
        pthread_join(writer.thread, NULL);
        close(ends[0]);
    }
}

/* A range of a stream counts from where it stands; what comes after the range stays in it. */
static void test_range_of_a_pipe(void **state)
{
    struct verso_map_options options = options_of(0, 5000, 3000);
    struct verso_map *map;
    unsigned char next;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (unsigned i = 0; i < 10000; i++) {
        next = support_byte(i);
        assert_int_equal(write(ends[1], &next, 1), 1);
    }
    assert_ok(verso_map_open_fd(ends[0], &options, &map));
    check_buffer(map, 5000, 3000);
    verso_map_close(map);
    assert_int_equal(read(ends[0], &next, 1), 1);
    assert_int_equal(next, support_byte(8000));
    close(ends[1]);
    options = options_of(0, 1999, 0); /* to the very end */
    assert_ok(verso_map_open_fd(ends[0], &options, &map));
    assert_int_equal(verso_map_bytes(map), 0);
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_EMPTY);
    verso_map_close(map);
    options = options_of(0, 1, 0);
    assert_open_fd_fails(ends[0], &options, VERSO_E_RANGE, "range");
    options = options_of(0, 0, 1);
    assert_open_fd_fails(ends[0], &options, VERSO_E_RANGE, "range");
    assert_int_equal(verso_error_last()->offset_bytes, 0);
    close(ends[0]);
}

static void test_limit(void **state)
{
    struct verso_map_options options = options_with(0);
    struct verso_map *map;

    (void)state;
    options.copy_bytes_max = 100000;
    for (size_t bytes = 99999; bytes <= 100001; bytes++) {
        struct writer writer;
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        writer_start(&writer, ends[1], bytes, 8192, 0);
        if (bytes <= 100000) {
            assert_ok(verso_map_open_fd(ends[0], &options, &map));
            check_buffer(map, 0, bytes);
            verso_map_close(map);
        } else {
            assert_open_fd_fails(ends[0], &options, VERSO_E_TOO_LARGE, "read");
            assert_hint("copy_bytes_max");
        }
        pthread_join(writer.thread, NULL);
        close(ends[0]);
    }
    options.length_bytes = 100001;
    assert_open_fails("/dev/zero", &options, VERSO_E_TOO_LARGE, "read");
}

static void test_endless(void **state)
{
    struct verso_map_options options = options_with(0);
    size_t mappings = support_mapping_count();
    struct verso_map *map;

    (void)state;
    options.copy_bytes_max = MIB;
    assert_open_fails("/dev/zero", &options, VERSO_E_TOO_LARGE, "read");
    assert_int_equal(support_mapping_count(), mappings);
    options.length_bytes = MIB;
    assert_ok(verso_map_open("/dev/zero", &options, &map));
    assert_int_equal(verso_map_bytes(map), MIB);
    assert_int_equal(((unsigned char *)verso_map_data(map))[MIB - 1], 0);
    verso_map_close(map);
}

static void test_dev_null(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_GROW | VERSO_MAP_KEEP_FD);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open("/dev/null", &options, &map));
    assert_int_equal(verso_map_bytes(map), 0);
    assert_non_null(verso_map_data(map));
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_EMPTY);
    verso_map_close(map);
    options = options_of(0, 5, 0);
    assert_open_fails("/dev/null", &options, VERSO_E_RANGE, "range");
}

/* ---- /proc and /sys --------------------------------------------------------------------------------------------- */

/* What plain reading gives. */
static size_t read_whole(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t done = 0;
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = read(fd, out + done, room - done)) > 0)
        done += (size_t)n;
    assert_int_equal(n, 0);
    close(fd);
    return done;
}

static void check_same_as_read(const char *path)
{
    static char text[1 << 20];
    size_t bytes = read_whole(path, text, sizeof(text));
    struct verso_map_options options = options_with(0);
    struct verso_map *map;

    assert_ok(verso_map_open(path, NULL, &map));
    assert_int_equal(verso_map_bytes(map), bytes);
    assert_memory_equal(verso_map_data(map), text, bytes);
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_BUFFER);
    assert_string_equal(info_of(map).path, path);
    verso_map_close(map);
    options = options_of(0, 1, bytes - 1);
    assert_ok(verso_map_open(path, &options, &map));
    assert_memory_equal(verso_map_data(map), text + 1, bytes - 1);
    verso_map_close(map);
    options = options_of(0, bytes, 0);
    assert_ok(verso_map_open(path, &options, &map));
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_EMPTY);
    verso_map_close(map);
    options = options_of(0, bytes + 1, 0);
    assert_open_fails(path, &options, VERSO_E_RANGE, "range");
    options = options_of(0, 0, bytes + 1);
    assert_open_fails(path, &options, VERSO_E_RANGE, "range");
    assert_int_equal(verso_error_last()->offset_bytes, bytes);
}

static void test_proc(void **state)
{
    (void)state;
    check_same_as_read("/proc/self/cmdline");
    check_same_as_read("/proc/filesystems");
    check_same_as_read("/proc/sys/kernel/ostype");
    if (access("/proc/config.gz", R_OK) == 0) /* it has a size, and refuses mmap with EIO */
        check_same_as_read("/proc/config.gz");
}

static void test_sys(void **state)
{
    (void)state;
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0)
        check_same_as_read("/sys/kernel/mm/transparent_hugepage/enabled");
    else if (access("/sys/devices/system/cpu/online", R_OK) == 0)
        check_same_as_read("/sys/devices/system/cpu/online");
    else
        skip_because("no /sys here");
}

static void test_writing_is_explained(void **state)
{
    const unsigned flags[] = { VERSO_MAP_WRITE, VERSO_MAP_EXEC };
    const char *const paths[] = { "/proc/self/comm", "/dev/zero", "/dev/null" };

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 3; j++) {
            struct verso_map_options options = options_with(flags[i]);

            assert_open_fails(paths[j], &options, VERSO_E_NOT_MAPPED, "mmap");
            assert_hint("PRIVATE");
        }
}

static void test_access(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_PRIVATE);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open("/proc/self/comm", NULL, &map));
    assert_int_equal(signal_of_touch(verso_map_data(map), true), SIGSEGV);
    assert_fails(verso_map_resize(map, 1), VERSO_E_NOT_MAPPED);
    assert_fails(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA), VERSO_E_NOT_MAPPED);
    verso_map_close(map);
    assert_ok(verso_map_open("/proc/self/comm", &options, &map));
    ((char *)verso_map_data(map))[0] = 'X';
    assert_int_equal(*(char *)verso_map_data(map), 'X');
    verso_map_close(map);
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------- */

static void test_fifo(void **state)
{
    struct verso_map_options options = options_with(0);
    const char *path = support_path("fifo");
    struct writer writer;
    struct verso_map *map;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    options.timeout_ms = 20;
    assert_open_fails(path, &options, -ETIMEDOUT, "read"); /* nobody has it open */
    assert_hint("timeout_ms");
    writer_start(&writer, open(path, O_RDWR | O_CLOEXEC), 0, 1, 0);
    pthread_join(writer.thread, NULL);
    assert_open_fails(path, &options, -ETIMEDOUT, "read");
    options.flags = VERSO_MAP_WRITE;
    assert_open_fails(path, &options, VERSO_E_NOT_MAPPED, "mmap");
    (void)map;
}

static void *write_to_fifo(void *path)
{
    struct writer writer = { .fd = open(path, O_WRONLY | O_CLOEXEC), .bytes = 100000, .piece_bytes = 777 };

    return write_pieces(&writer);
}

static void test_fifo_with_a_late_writer(void **state)
{
    char *path = strdup(support_path("late-fifo"));
    struct verso_map *map;
    pthread_t thread;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_to_fifo, path), 0);
    assert_ok(verso_map_open(path, NULL, &map));
    check_buffer(map, 0, 100000);
    verso_map_close(map);
    pthread_join(thread, NULL);
    free(path);
}

static void test_stalled_pipe(void **state)
{
    struct verso_map_options options = options_with(0);
    int ends[2];

    (void)state;
    options.timeout_ms = 20;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "some", 4), 4);
    assert_open_fd_fails(ends[0], &options, -ETIMEDOUT, "read");
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_open_fd_fails(ends[0], &options, -ETIMEDOUT, "read");
    close(ends[0]);
    close(ends[1]);
}

static void test_slow_nonblocking_pipe(void **state)
{
    struct verso_map_options options = options_with(0);
    struct writer writer;
    struct verso_map *map;
    int ends[2];

    (void)state;
    options.timeout_ms = 60000;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    writer_start(&writer, ends[1], 5000, 500, 1000);
    assert_ok(verso_map_open_fd(ends[0], &options, &map));
    check_buffer(map, 0, 5000);
    verso_map_close(map);
    pthread_join(writer.thread, NULL);
    close(ends[0]);
}

static void ignore(int signal)
{
    (void)signal;
}

static void *interrupt(void *thread)
{
    for (int i = 0; i < 20; i++) {
        usleep(2000);
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
    }
    return NULL;
}

static void test_signals_do_not_disturb(void **state)
{
    struct sigaction action = { .sa_handler = ignore }; /* without SA_RESTART */
    struct verso_map_options options = options_with(0);
    pthread_t self = pthread_self(), interrupter;
    struct writer writer;
    struct verso_map *map;
    int ends[2];

    (void)state;
    options.timeout_ms = 60000;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&interrupter, NULL, interrupt, &self), 0);
    writer_start(&writer, ends[1], 5000, 500, 5000);
    assert_ok(verso_map_open_fd(ends[0], &options, &map));
    check_buffer(map, 0, 5000);
    verso_map_close(map);
    pthread_join(interrupter, NULL);
    pthread_join(writer.thread, NULL);
    signal(SIGUSR1, SIG_DFL);
    close(ends[0]);
}

static void test_socket(void **state)
{
    struct writer writer;
    struct verso_map *map;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    writer_start(&writer, ends[1], 100000, 3000, 0);
    assert_ok(verso_map_open_fd(ends[0], NULL, &map));
    check_buffer(map, 0, 100000);
    verso_map_close(map);
    pthread_join(writer.thread, NULL);
    close(ends[0]);
}

static void test_terminal(void **state)
{
    struct verso_map_options options = options_of(0, 0, 6);
    struct verso_map *map;
    int master, slave;

    (void)state;
    if (openpty(&master, &slave, NULL, NULL, NULL) != 0)
        skip_because("no pseudo terminal: %s", strerror(errno));
    assert_int_equal(write(master, "hello\n", 6), 6);
    assert_ok(verso_map_open_fd(slave, &options, &map));
    assert_memory_equal(verso_map_data(map), "hello\n", 6);
    verso_map_close(map);
    close(slave);
    close(master);
}

/* ---- Block devices: the one kind of device that is mapped -------------------------------------------------------- */

/* The device below a mounted directory. */
static bool device_of(const char *directory, char *out_device, size_t room)
{
    FILE *mounts = fopen("/proc/self/mounts", "re");
    char line[2 * PATH_MAX], device[PATH_MAX], place[PATH_MAX];
    bool found = false;

    assert_non_null(mounts);
    while (!found && fgets(line, sizeof(line), mounts))
        found = sscanf(line, "%4095s %4095s", device, place) == 2 && strcmp(place, directory) == 0;
    fclose(mounts);
    return found && snprintf(out_device, room, "%s", device) < (int)room;
}

static void test_block_device(void **state)
{
    const char *reason, *directory = support_mount(SUPPORT_EXT4, 8 << 20, &reason);
    struct verso_map_options options = options_of(0, 1024 + 56, 2); /* the superblock's magic number */
    struct verso_map *map;
    char device[PATH_MAX];

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    assert_true(device_of(directory, device, sizeof(device)));
    assert_ok(verso_map_open(device, &options, &map));
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_FILE);
    assert_memory_equal(verso_map_data(map), "\x53\xef", 2);
    verso_map_close(map);
    assert_ok(verso_map_open(device, NULL, &map));
    assert_int_equal(verso_map_bytes(map), 8 << 20);
    verso_map_close(map);
    options = options_of(VERSO_MAP_WRITE, 0, 10);
    if (verso_map_open(device, &options, &map) == 0) { /* some kernels forbid writing below a mounted file system */
        assert_fails_in(verso_map_resize(map, 5), VERSO_E_UNSUPPORTED, "resize");
        verso_map_close(map);
    }
    options = options_of(0, 8 << 20, 1);
    assert_open_fails(device, &options, VERSO_E_RANGE, "range");
    support_unmount(directory);
}

/* ---- Where it lies ---------------------------------------------------------------------------------------------- */

static void test_at_an_address(void **state)
{
    struct verso_map_options options = options_with(0);
    struct verso_map *map;
    void *place;

    (void)state;
    options.length_bytes = 3 * MIB;
    assert_ok(verso_map_open("/dev/zero", &options, &map));
    place = verso_map_data(map);
    options.address = place;
    assert_open_fails("/dev/zero", &options, -EEXIST, "mmap");
    verso_map_close(map);
    assert_ok(verso_map_open("/dev/zero", &options, &map)); /* the room is free now */
    assert_ptr_equal(verso_map_data(map), place);
    assert_int_equal(verso_map_bytes(map), 3 * MIB);
    verso_map_close(map);
}

/* How much will come is not known; room for five pages is there. */
static void test_pipe_in_narrow_room(void **state)
{
    size_t page = verso_page_bytes();

    (void)state;
    for (size_t bytes = 5 * page - 1; bytes <= 5 * page + 1; bytes++) {
        struct verso_map_options options = options_with(0);
        struct writer writer = { .bytes = bytes, .piece_bytes = 1000 };
        struct verso_map *map;
        int ends[2];
        char *room;

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_true(fcntl(ends[1], F_SETPIPE_SZ, 8 * page) >= 0);
        writer.fd = ends[1];
        write_pieces(&writer); /* not by a thread: its stack might take the room */
        room = mmap(NULL, 6 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_int_equal(munmap(room, 5 * page), 0);
        options.address = room;
        if (bytes <= 5 * page) {
            assert_ok(verso_map_open_fd(ends[0], &options, &map));
            assert_ptr_equal(verso_map_data(map), room);
            check_buffer(map, 0, bytes);
            verso_map_close(map);
        } else {
            assert_open_fd_fails(ends[0], &options, -EEXIST, "mmap");
        }
        close(ends[0]);
        assert_int_equal(munmap(room + 5 * page, page), 0);
    }
}

/* The same bytes at the same place in sealed memory. */
static void test_sealed(void **state)
{
    const unsigned flags[] = { 0, VERSO_MAP_PRIVATE, VERSO_MAP_HUGE };
    struct verso_map_options options;
    struct verso_map *map;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct writer writer;
        int ends[2];

        options = options_of(flags[i], 5000, 30000);
        options.stability = VERSO_MAP_COPY;
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        writer_start(&writer, ends[1], 35000, 8192, 0);
        assert_ok(verso_map_open_fd(ends[0], &options, &map));
        pthread_join(writer.thread, NULL); /* all is read: no thread is left for a child to miss */
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_MEMORY);
        assert_int_equal(info_of(map).stability, VERSO_MAP_COPY);
        assert_true(support_matches(verso_map_data(map), 5000, 30000));
        assert_int_equal(signal_of_touch(verso_map_data(map), true), flags[i] & VERSO_MAP_PRIVATE ? 0 : SIGSEGV);
        verso_map_close(map);
        close(ends[0]);
    }
}

static void test_name_in_maps(void **state)
{
    struct verso_map_options options = options_with(0);
    static char text[1 << 20];
    struct verso_map *map;

    (void)state;
    options.name = "the answer";
    assert_ok(verso_map_open("/proc/self/comm", &options, &map));
    text[read_whole("/proc/self/maps", text, sizeof(text) - 1)] = '\0';
    verso_map_close(map);
    if (!strstr(text, "[anon:"))
        skip_because("this kernel has no names for anonymous memory (CONFIG_ANON_VMA_NAME)");
    assert_non_null(strstr(text, "[anon:the answer]"));
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_range_of_a_pipe),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_dev_null),
        cmocka_unit_test(test_proc),
        cmocka_unit_test(test_sys),
        cmocka_unit_test(test_writing_is_explained),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_fifo_with_a_late_writer),
        cmocka_unit_test(test_stalled_pipe),
        cmocka_unit_test(test_slow_nonblocking_pipe),
        cmocka_unit_test(test_signals_do_not_disturb),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_block_device),
        cmocka_unit_test(test_at_an_address),
        cmocka_unit_test(test_pipe_in_narrow_room),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_name_in_maps),
    };

    signal(SIGPIPE, SIG_IGN);
    return run_test_list(list);
}
