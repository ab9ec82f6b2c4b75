/* SPDX-License-Identifier: MIT */
/* map open - every way of opening a map, with every call beneath it failing in turn. */
#include "map_steps.h"

#include "guard/guard.h"

#include <sys/mman.h>
#include <sys/socket.h>

static void open_and_read(unsigned flags, uint64_t offset, uint64_t length, uint64_t bytes)
{
    struct verso_map_options options = with(flags);
    struct verso_map *map;

    options.offset_bytes = offset;
    options.length_bytes = length;
    map = opened(support_file("file", bytes), &options);
    assert_pattern(map, offset, (size_t)(length ? length : bytes - offset));
    assert_int_equal(file_bytes(support_path("file")), bytes);
    verso_map_close(map);
}

static void read_only(void)
{
    open_and_read(0, 0, 0, FILE_BYTES);
}
TORTURE(read_only)

static void a_part_with_its_descriptor(void)
{
    open_and_read(VERSO_MAP_KEEP_FD, 5000, 6000, FILE_BYTES);
}
TORTURE(a_part_with_its_descriptor)

static void an_empty_file(void)
{
    open_and_read(VERSO_MAP_KEEP_FD, 0, 0, 0);
}
TORTURE(an_empty_file)

static void private(void)
{
    open_and_read(VERSO_MAP_PRIVATE, 1, 0, FILE_BYTES);
}
TORTURE(private)

static void executable(void)
{
    open_and_read(VERSO_MAP_EXEC, 0, 0, FILE_BYTES);
}
TORTURE(executable)

static void dressed(void)
{
    open_and_read(VERSO_MAP_POPULATE | VERSO_MAP_LOCK | VERSO_MAP_NO_CORE | VERSO_MAP_NO_FORK, 0, 0, FILE_BYTES);
}
TORTURE(dressed)

static void huge(void)
{
    open_and_read(VERSO_MAP_HUGE, 0, 0, FILE_BYTES);
}
TORTURE(huge)

static void with_room_to_grow(void)
{
    open_and_read(VERSO_MAP_WRITE | VERSO_MAP_GROW, 100, 0, FILE_BYTES);
}
TORTURE(with_room_to_grow)

static void substituting(void)
{
    attempt(verso_guard_install()) continue;
    open_and_read(VERSO_MAP_SUBSTITUTE, 0, 0, FILE_BYTES);
    /* Refused, it is removed all the same as far as it can be: there is nothing to try again. */
    if (verso_guard_remove() < 0)
        assert_true(torture_refusals() > 0 && verso_error_last()->code == VERSO_E_GUARD);
}
TORTURE(substituting)

static void by_descriptor(void)
{
    struct verso_map_options options = with(VERSO_MAP_WRITE | VERSO_MAP_KEEP_FD);
    struct verso_map *map = UNTOUCHED;
    int fd = open(support_file("file", FILE_BYTES), O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    attempt(verso_map_open_fd(fd, &options, &map)) assert_ptr_equal(map, UNTOUCHED);
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    assert_int_equal(close(fd), 0); /* it stayed the caller's */
}
TORTURE(by_descriptor)

/* ---- Files that are made or filled on the way ---- */

static void created(void)
{
    struct verso_map_options options = with(VERSO_MAP_WRITE | VERSO_MAP_CREATE);
    const char *path = support_path("made");
    struct verso_map *map = UNTOUCHED;

    options.length_bytes = FILE_BYTES;
    attempt(verso_map_open(path, &options, &map))
    {
        assert_ptr_equal(map, UNTOUCHED);
        if (torture_refusals() == 1) /* removing it may have been refused as well */
            assert_false(exists(path));
    }
    assert_int_equal(file_bytes(path), FILE_BYTES);
    assert_int_equal(verso_map_bytes(map), FILE_BYTES);
    verso_map_close(map);
    assert_int_equal(unlink(path), 0);
}
TORTURE(created)

static void grown_by_open(void)
{
    struct verso_map_options options = with(VERSO_MAP_WRITE | VERSO_MAP_CREATE);
    const char *path = support_file("file", 100);
    struct verso_map *map = UNTOUCHED;

    options.length_bytes = FILE_BYTES;
    attempt(verso_map_open(path, &options, &map))
    {
        assert_ptr_equal(map, UNTOUCHED);
        if (torture_refusals() == 1)
            assert_int_equal(file_bytes(path), 100);
    }
    assert_true(support_matches(verso_map_data(map), 0, 100));
    verso_map_close(map);
}
TORTURE(grown_by_open)

/* Data, hole, data, hole: open gives the holes disk space. */
static void with_holes(void)
{
    struct verso_map_options options = with(VERSO_MAP_WRITE);
    const char *path = support_file("file", FILE_BYTES);
    struct verso_map *map;
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_int_equal(ftruncate(fd, 0) + ftruncate(fd, 1 << 20), 0);
    assert_int_equal(pwrite(fd, "x", 1, 1 << 18), 1);
    map = opened(path, &options);
    assert_int_equal(verso_map_bytes(map), 1 << 20);
    assert_int_equal(((char *)verso_map_data(map))[1 << 18], 'x');
    assert_int_equal(fstat(fd, &status), 0);
    if (!torture_refusals())
        assert_true(status.st_blocks * 512 >= 1 << 20);
    verso_map_close(map);
    assert_int_equal(close(fd), 0);
}
TORTURE(with_holes)

/* ---- What is read in ---- */

static void proc_file(void)
{
    struct verso_map *map = opened("/proc/self/status", NULL);

    assert_memory_equal(verso_map_data(map), "Name:", 5);
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_BUFFER);
    verso_map_close(map);
}
TORTURE(proc_file)

static void device(void)
{
    struct verso_map_options options = with(VERSO_MAP_PRIVATE);
    struct verso_map *map;

    options.length_bytes = FILE_BYTES;
    options.name = "zeros";
    map = opened("/dev/zero", &options);
    assert_int_equal(verso_map_bytes(map), FILE_BYTES);
    assert_int_equal(((char *)verso_map_data(map))[FILE_BYTES - 1], 0);
    verso_map_close(map);
}
TORTURE(device)

/* What a pipe gave to a failing call is gone: each attempt has one of its own. More than fits into a pipe's pages. */
static int open_stream(const struct verso_map_options *options, struct verso_map **out_map)
{
    static unsigned char data[30000];
    int ends[2], r;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = support_byte(i);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(write(ends[1], data, sizeof(data)), sizeof(data));
    assert_int_equal(close(ends[1]), 0);
    r = verso_map_open_fd(ends[0], options, out_map);
    assert_int_equal(close(ends[0]), 0);
    return r;
}

static void stream(void)
{
    struct verso_map_options options = with(0);
    struct verso_map *map = UNTOUCHED;

    options.offset_bytes = 5000;
    attempt(open_stream(&options, &map)) assert_ptr_equal(map, UNTOUCHED);
    assert_pattern(map, 5000, 25000);
    verso_map_close(map);
}
TORTURE(stream)

static void stream_at_an_address(void)
{
    struct verso_map_options options = with(0);
    struct verso_map *map = UNTOUCHED;

    options.address = mmap(NULL, FILE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(munmap(options.address, FILE_BYTES), 0); /* free, and fit for use under every sanitizer */
    attempt(open_stream(&options, &map)) assert_ptr_equal(map, UNTOUCHED);
    assert_ptr_equal(verso_map_data(map), options.address);
    assert_pattern(map, 0, 30000);
    verso_map_close(map);
}
TORTURE(stream_at_an_address)

static void stream_in_small_pieces(void)
{
    struct verso_map *map = UNTOUCHED;

    fake_short_transfers(7777);
    attempt(open_stream(NULL, &map)) assert_ptr_equal(map, UNTOUCHED);
    assert_pattern(map, 0, 30000);
    verso_map_close(map);
    fake_short_transfers(0);
}
TORTURE(stream_in_small_pieces)

/* ---- What is refused anyway ---- */

/* Nothing is refused but by the kernel: the record must say what went wrong, whatever fails while it is written. */
static void no_such_file(void)
{
    struct verso_map *map = UNTOUCHED;

    assert_true(verso_map_open(support_path("none"), NULL, &map) < 0);
    assert_true(verso_map_open(support_directory(), NULL, &map) < 0);
    assert_ptr_equal(map, UNTOUCHED);
    assert_true(verso_error_last()->code < 0);
}
TORTURE(no_such_file)

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_read_only),
        torture_test(test_a_part_with_its_descriptor),
        torture_test(test_an_empty_file),
        torture_test(test_private),
        torture_test(test_executable),
        torture_test(test_dressed),
        torture_test(test_huge),
        torture_test(test_with_room_to_grow),
        torture_test(test_substituting),
        torture_test(test_by_descriptor),
        torture_test(test_created),
        torture_test(test_grown_by_open),
        torture_test(test_with_holes),
        torture_test(test_proc_file),
        torture_test(test_device),
        torture_test(test_stream),
        torture_test(test_stream_at_an_address),
        torture_test(test_stream_in_small_pieces),
        torture_test(test_no_such_file),
    };

    return run_test_list(list);
}
