/* SPDX-License-Identifier: MIT */
/*
 * stability - each rung under attack: another process overwrites, stores through a map, and cuts the file while the map
 * is read. What the rung promised must hold, and what it does not promise must not be claimed.
 */
#include "support.h"

#include "child.h"
#include "map/map.h"
#include "mapping.h"
#include "maps.h"
#include "mounts.h"

#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define PAGES 16

static struct verso_map_options rung(enum verso_map_stability asked, unsigned flags)
{
    struct verso_map_options options = options_with(flags);

    options.stability = asked;
    return options;
}

static const char *pattern_file(void)
{
    return support_file("stable", PAGES * verso_page_bytes());
}

static struct verso_map *open_at(const char *path, enum verso_map_stability asked, unsigned flags)
{
    struct verso_map_options options = rung(asked, flags);
    struct verso_map *map;

    assert_ok(verso_map_open(path, &options, &map));
    return map;
}

static bool is_pattern(const struct verso_map *map)
{
    return support_matches(verso_map_data(map), info_of(map).offset_bytes, verso_map_bytes(map));
}

static void assert_rung(const struct verso_map *map, enum verso_map_stability got, const char *why)
{
    assert_int_equal(info_of(map).stability, got);
    if (*why)
        assert_non_null(strstr(info_of(map).stability_why, why));
    else
        assert_string_equal(info_of(map).stability_why, "");
}

static void assert_sealed(int fd)
{
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

    assert_int_equal(fcntl(fd, F_GET_SEALS) & all, all);
}

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* ---- Attacks: in another process, through an open file of its own ---------------------------------------------- */

static int overwrite(void *path)
{
    size_t page = verso_page_bytes();
    unsigned char *zeros = calloc(PAGES, page);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    child_assert(zeros && fd >= 0);
    child_assert(pwrite(fd, zeros, PAGES * page, 0) == (ssize_t)(PAGES * page));
    free(zeros);
    return close(fd);
}

static int store(void *path)
{
    size_t bytes = PAGES * verso_page_bytes();
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *data;

    child_assert(fd >= 0);
    data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    child_assert(data != MAP_FAILED);
    memset(data, 0, bytes);
    child_assert(munmap(data, bytes) == 0);
    return close(fd);
}

static int cut(void *path)
{
    return truncate(path, 1);
}

static int punch(void *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r;

    child_assert(fd >= 0);
    r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)(PAGES * verso_page_bytes()));
    child_assert(r == 0 || errno == EOPNOTSUPP);
    return close(fd);
}

static int (*const attacks[])(void *path) = { overwrite, store, punch, cut };
#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static pid_t begin_attack(int (*attack)(void *path), const char *path)
{
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(attack((void *)(uintptr_t)path));
    return child;
}

static void end_attack(pid_t child)
{
    int status = -1;

    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_int_equal(status, 0);
}

static bool is_running(pid_t child)
{
    siginfo_t info = { 0 };

    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid == 0;
}

static void suffer(const char *path)
{
    for (size_t i = 0; i < ATTACKS; i++)
        end_attack(begin_attack(attacks[i], path));
}

/* ---- What this file system can do ------------------------------------------------------------------------------ */

static bool can_reflink(const char *path)
{
    const char *other = support_path("reflink-try");
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool can;

    assert_true(from >= 0 && to >= 0);
    can = ioctl(to, FICLONE, from) == 0;
    assert_int_equal(close(from) | close(to) | unlink(other), 0);
    return can;
}

static bool can_lease(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool can = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;

    assert_int_equal(close(fd), 0);
    return can;
}

/* ---- RAW and GUARDED ------------------------------------------------------------------------------------------- */

static void test_raw_promises_nothing(void **state)
{
    const char *path = pattern_file();
    struct verso_map *map = open_at(path, VERSO_MAP_RAW, 0);

    (void)state;
    assert_rung(map, VERSO_MAP_RAW, "");
    end_attack(begin_attack(overwrite, path));
    assert_false(is_pattern(map)); /* the attacks do attack */
    assert_ok(verso_map_check(map));
    end_attack(begin_attack(cut, path));
    assert_fails(verso_map_check(map), VERSO_E_CHANGED);
    verso_map_close(map);
}

static void test_guarded_a_cut_becomes_zeros(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = pattern_file();
    struct verso_map *map;

    (void)state;
    assert_ok(verso_guard_install());
    map = open_at(path, VERSO_MAP_GUARDED, 0);
    assert_rung(map, VERSO_MAP_GUARDED, "");
    assert_int_equal(info_of(map).flags, VERSO_MAP_SUBSTITUTE | VERSO_MAP_KEEP_FD);
    end_attack(begin_attack(cut, path));
    assert_int_equal(((unsigned char *)verso_map_data(map))[3 * page + 1], 0);
    assert_fails(verso_map_check(map), VERSO_E_TORN);
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

static void test_guarded_for_writing(void **state)
{
    struct verso_map_options options = rung(VERSO_MAP_GUARDED, VERSO_MAP_WRITE);
    struct verso_map *map;

    (void)state;
    assert_open_fails(pattern_file(), &options, VERSO_E_GUARD, "guard");
    assert_hint("verso_guard_install()");
    assert_ok(verso_guard_install());
    assert_ok(verso_map_open(support_path("stable"), &options, &map));
    assert_rung(map, VERSO_MAP_GUARDED, "");
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

static void test_without_the_guard_it_climbs(void **state)
{
    struct verso_map *map = open_at(pattern_file(), VERSO_MAP_GUARDED, 0);

    (void)state;
    assert_true(info_of(map).stability > VERSO_MAP_GUARDED);
    assert_non_null(strstr(info_of(map).stability_why, "guard is not installed"));
    assert_true(is_pattern(map));
    verso_map_close(map);
}

/* ---- LEASED ---------------------------------------------------------------------------------------------------- */

static struct verso_map *open_leased(const char *path, unsigned flags)
{
    if (!can_lease(path))
        skip_because("this file system gives no leases");
    return open_at(path, VERSO_MAP_LEASED, flags);
}

/* Until somebody waits for the file. */
static void await_break(struct verso_map *map)
{
    for (int i = 0; i < 20000; i++) {
        int r = verso_map_check(map);

        if (r == VERSO_E_LEASE)
            return;
        assert_int_equal(r, 0);
        nap();
    }
    fail_msg("nobody waited for the lease within 20 s");
}

static void test_writers_wait_until_it_is_settled(void **state)
{
    (void)state;
    for (size_t i = 0; i < ATTACKS; i++) {
        const char *path = pattern_file();
        struct verso_map *map = open_leased(path, 0);
        void *data = verso_map_data(map);
        pid_t child;

        assert_rung(map, VERSO_MAP_LEASED, "");
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_FILE);
        assert_ok(verso_map_check(map));
        child = begin_attack(attacks[i], path);
        await_break(map);
        assert_true(is_running(child));
        assert_true(is_pattern(map));
        assert_ok(verso_map_settle(map));
        assert_ptr_equal(verso_map_data(map), data);
        end_attack(child);
        assert_true(is_pattern(map));
        assert_ok(verso_map_check(map));
        assert_rung(map, VERSO_MAP_COPY, "settled");
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_MEMORY);
        assert_fails_in(verso_map_settle(map), VERSO_E_NOT_MAPPED, "settle");
        suffer(path);
        assert_true(is_pattern(map));
        verso_map_close(map);
    }
}

struct reader {
    pthread_t thread;
    const unsigned char *data;
    atomic_bool stop;
    uint64_t rounds;
    bool was_well;
};

/* TSan takes an mmap over these pages for a store to them. It is one of the same bytes, which is what is tried here. */
__attribute__((no_sanitize("thread"))) static bool still_matches(const unsigned char *data)
{
    for (size_t i = 0; i < PAGES * verso_page_bytes(); i++)
        if (data[i] != support_byte(i))
            return false;
    return true;
}

static void *read_on(void *arg)
{
    struct reader *reader = arg;

    reader->was_well = true;
    do {
        reader->was_well = reader->was_well && still_matches(reader->data);
        reader->rounds++;
    } while (!atomic_load(&reader->stop));
    return NULL;
}

static void test_readers_go_on_while_it_settles(void **state)
{
    const char *path = pattern_file();
    struct verso_map *map = open_leased(path, 0);
    struct reader readers[3];
    pid_t child = begin_attack(overwrite, path);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        readers[i] = (struct reader){ .data = verso_map_data(map) };
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    await_break(map);
    assert_ok(verso_map_settle(map));
    end_attack(child);
    for (size_t i = 0; i < 3; i++) {
        atomic_store(&readers[i].stop, true);
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_true(readers[i].was_well);
    }
    verso_map_close(map);
}

static void test_close_lets_writers_in(void **state)
{
    const char *path = pattern_file();
    struct verso_map *map = open_leased(path, 0);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    (void)state;
    assert_true(fd < 0 && errno == EWOULDBLOCK);
    verso_map_close(map);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void test_settled_keeps_private_stores_flags_and_access(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_leased(pattern_file(), VERSO_MAP_PRIVATE | VERSO_MAP_NO_CORE | VERSO_MAP_KEEP_FD);
    unsigned char *data = verso_map_data(map);
    int kept = info_of(map).fd;

    (void)state;
    data[2 * page] = 42;
    assert_ok(verso_map_settle(map));
    assert_int_equal(data[2 * page], 42);
    data[2 * page] = support_byte(2 * page);
    assert_true(is_pattern(map));
    assert_true(mapping_has_flag(data, "dd"));
    assert_true(info_of(map).fd >= 0);
    assert_sealed(info_of(map).fd);
    if (kept != info_of(map).fd)
        assert_true(fcntl(kept, F_GETFD) < 0); /* the file is let go of */
    verso_map_close(map);
}

static void test_any_range_is_settled(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(0, page + 3, 2 * page);
    const char *path = pattern_file();
    struct verso_map *map;

    (void)state;
    if (!can_lease(path))
        skip_because("this file system gives no leases");
    options.stability = VERSO_MAP_LEASED;
    assert_ok(verso_map_open(path, &options, &map));
    assert_ok(verso_map_settle(map));
    suffer(path);
    assert_true(is_pattern(map));
    verso_map_close(map);
}

/* The kernel takes the lease away after fs.lease-break-time; from here that looks as if it were dropped. */
static void test_when_the_time_runs_out(void **state)
{
    const char *path = pattern_file();
    struct verso_map *map = open_leased(path, 0);

    (void)state;
    verso__os_lease_drop(map->lease_fd);
    assert_fails_in(verso_map_check(map), VERSO_E_LEASE, "lease"); /* nobody has written yet */
    assert_hint("settle() now");
    end_attack(begin_attack(overwrite, path));
    assert_fails_in(verso_map_check(map), VERSO_E_CHANGED, "lease");
    assert_hint("lease-break-time");
    assert_fails_in(verso_map_settle(map), VERSO_E_CHANGED, "lease");
    assert_rung(map, VERSO_MAP_LEASED, "");
    verso_map_close(map);

    map = open_leased(pattern_file(), 0);
    verso__os_lease_drop(map->lease_fd);
    assert_ok(verso_map_settle(map)); /* just in time */
    assert_true(is_pattern(map));
    verso_map_close(map);
}

static void test_a_cut_that_was_not_waited_for_is_torn(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = pattern_file();
    struct verso_map *map = open_leased(path, 0);

    (void)state;
    verso__os_lease_drop(map->lease_fd);
    assert_int_equal(truncate(path, (off_t)(2 * page)), 0);
    assert_fails_in(verso_map_settle(map), VERSO_E_TORN, "copy");
    assert_int_equal(verso_error_last()->offset_bytes, 2 * page);
    assert_fails(verso_map_check(map), VERSO_E_TORN);
    verso_map_close(map);

    path = pattern_file();
    map = open_leased(path, VERSO_MAP_PRIVATE);
    verso__os_lease_drop(map->lease_fd);
    assert_int_equal(truncate(path, (off_t)(3 * page)), 0);
    assert_fails_in(verso_map_settle(map), VERSO_E_TORN, "copy");
    assert_int_equal(verso_error_last()->offset_bytes, 3 * page);
    verso_map_close(map);
}

static void test_a_file_open_for_writing_gives_no_lease(void **state)
{
    const char *path = pattern_file();
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct verso_map_options options = rung(VERSO_MAP_LEASED, 0);
    struct verso_map *map;

    (void)state;
    assert_true(fd >= 0);
    assert_ok(verso_map_open(path, &options, &map));
    assert_rung(map, can_reflink(path) ? VERSO_MAP_SNAPSHOT : VERSO_MAP_COPY, "open for writing");
    verso_map_close(map);
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_true(info_of(map).stability > VERSO_MAP_LEASED);
    assert_true(is_pattern(map));
    verso_map_close(map);
    assert_int_equal(close(fd), 0);
}

/* ---- SNAPSHOT --------------------------------------------------------------------------------------------------- */

static void snapshot_holds(const char *path)
{
    size_t page = verso_page_bytes();
    struct verso_map_options part = options_of(VERSO_MAP_KEEP_FD, page + 5, 3 * page);
    struct verso_map *whole, *range;
    int fd;

    whole = open_at(path, VERSO_MAP_SNAPSHOT, 0);
    assert_rung(whole, VERSO_MAP_SNAPSHOT, "");
    assert_int_equal(info_of(whole).kind, VERSO_MAP_KIND_FILE);
    assert_int_equal(info_of(whole).fd, -1);
    assert_string_equal(info_of(whole).path, path);
    part.stability = VERSO_MAP_SNAPSHOT;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_ok(verso_map_open_fd(fd, &part, &range));
    assert_int_equal(close(fd), 0);
    assert_string_equal(info_of(range).path, path);
    assert_true(ftruncate(info_of(range).fd, 0) < 0); /* read-only, even for us */
    suffer(path);
    assert_true(is_pattern(whole));
    assert_true(is_pattern(range));
    assert_ok(verso_map_check(whole));
    assert_ok(verso_map_remap(range, 0, 0)); /* the snapshot's other pages are there as well */
    assert_true(is_pattern(range));
    assert_fails(verso_map_remap(whole, 0, 1), VERSO_E_NO_DESCRIPTOR); /* never the file of that name */
    verso_map_close(whole);
    verso_map_close(range);
}

static void test_a_snapshot_holds_here(void **state)
{
    const char *path = pattern_file();

    (void)state;
    if (!can_reflink(path))
        skip_because("this file system can't share blocks; xfs and btrfs are mounted for it below");
    snapshot_holds(path);
}

static void snapshot_on(enum support_file_system system)
{
    const char *reason, *directory = support_mount(system, 0, &reason);
    char path[4200];
    int fd;

    if (!directory)
        skip_because("%s", reason);
    assert_true(snprintf(path, sizeof(path), "%s/stable", directory) > 0);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t at = 0; at < PAGES * verso_page_bytes(); at++) {
        unsigned char byte = support_byte(at);

        assert_int_equal(write(fd, &byte, 1), 1);
    }
    assert_int_equal(close(fd), 0);
    snapshot_holds(path);
    support_unmount(directory);
}

static void test_a_snapshot_holds_on_xfs(void **state)
{
    (void)state;
    snapshot_on(SUPPORT_XFS);
}

static void test_a_snapshot_holds_on_btrfs(void **state)
{
    (void)state;
    snapshot_on(SUPPORT_BTRFS);
}

static void test_where_blocks_cannot_be_shared_it_copies(void **state)
{
    const char *path = pattern_file();
    struct verso_map *map;

    (void)state;
    if (can_reflink(path))
        skip_because("this file system can share blocks");
    map = open_at(path, VERSO_MAP_SNAPSHOT, 0);
    assert_rung(map, VERSO_MAP_COPY, "reflink");
    suffer(path);
    assert_true(is_pattern(map));
    verso_map_close(map);
}

/* ---- COPY -------------------------------------------------------------------------------------------------------- */

static void test_a_copy_holds(void **state)
{
    size_t page = verso_page_bytes();
    const struct {
        uint64_t offset, length;
    } ranges[] = {
        { 0, 0 }, { 0, 1 }, { 1, page - 1 }, { page, page }, { page - 1, 2 }, { 3 * page + 7, 0 }, { 16 * page - 1, 1 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        struct verso_map_options options = options_of(0, ranges[i].offset, ranges[i].length);
        const char *path = pattern_file();
        struct verso_map *map;

        options.stability = VERSO_MAP_COPY;
        assert_ok(verso_map_open(path, &options, &map));
        assert_rung(map, VERSO_MAP_COPY, "");
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_MEMORY);
        assert_string_equal(info_of(map).path, path);
        assert_int_equal(verso_map_bytes(map), ranges[i].length ? ranges[i].length : 16 * page - ranges[i].offset);
        suffer(path);
        assert_true(is_pattern(map));
        assert_ok(verso_map_check(map));
        verso_map_close(map);
    }
}

static void test_nobody_can_change_a_copy(void **state)
{
    struct verso_map *map = open_at(pattern_file(), VERSO_MAP_COPY, VERSO_MAP_KEEP_FD);
    int fd = info_of(map).fd;

    (void)state;
    assert_sealed(fd);
    assert_true(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
    assert_true(ftruncate(fd, 0) < 0 && errno == EPERM);
    assert_true(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)verso_page_bytes()) < 0);
    assert_true(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    assert_fails(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_WRITE), VERSO_E_READ_ONLY);
    if (mapping_at(verso_map_data(map)).mapping.shared)
        assert_true(mprotect(verso_map_data(map), 1, PROT_READ | PROT_WRITE) < 0);
    assert_fails(verso_map_remap(map, 0, 1), VERSO_E_NOT_MAPPED);
    assert_true(is_pattern(map));
    verso_map_close(map);
}

static void test_a_copy_has_a_name_in_maps(void **state)
{
    struct verso_map_options options = rung(VERSO_MAP_COPY, 0);
    struct verso_map *map;

    (void)state;
    options.name = "words";
    assert_ok(verso_map_open(pattern_file(), &options, &map));
    assert_non_null(strstr(mapping_at(verso_map_data(map)).name, "memfd:words"));
    verso_map_close(map);
}

static void test_private_stores_stay_private(void **state)
{
    struct verso_map *map = open_at(pattern_file(), VERSO_MAP_COPY, VERSO_MAP_PRIVATE | VERSO_MAP_KEEP_FD);
    unsigned char byte;

    (void)state;
    *(unsigned char *)verso_map_data(map) = 42;
    assert_int_equal(pread(info_of(map).fd, &byte, 1, 0), 1);
    assert_int_equal(byte, support_byte(0));
    verso_map_close(map);
}

static void test_an_executable_copy(void **state)
{
    struct verso_map *map = open_at(pattern_file(), VERSO_MAP_COPY, VERSO_MAP_EXEC);

    (void)state;
    assert_int_equal(mapping_at(verso_map_data(map)).mapping.access, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC);
    assert_true(is_pattern(map));
    verso_map_close(map);
}

static void test_holes_are_not_copied(void **state)
{
    struct verso_map_options options = options_of(VERSO_MAP_KEEP_FD, 10 << 20, 0);
    struct verso_map *map;
    struct stat status;

    (void)state;
    options.stability = VERSO_MAP_COPY;
    assert_ok(verso_map_open(sparse_file("sparse", 64 << 20), &options, &map));
    assert_int_equal(verso_map_bytes(map), 54 << 20);
    assert_int_equal(fstat(info_of(map).fd, &status), 0);
    assert_int_equal(status.st_blocks, 0);
    verso_map_close(map);
}

static void test_no_more_than_the_limit_is_copied(void **state)
{
    struct verso_map_options options = rung(VERSO_MAP_COPY, 0);
    struct verso_map *map;

    (void)state;
    options.copy_bytes_max = PAGES * verso_page_bytes() - 1;
    assert_open_fails(pattern_file(), &options, VERSO_E_TOO_LARGE, "copy");
    options.copy_bytes_max++;
    assert_ok(verso_map_open(support_path("stable"), &options, &map));
    verso_map_close(map);
}

/* Versions: a writer who counts up in the first page and then, the same number, in the last. */
struct writer {
    const char *path;
    uint64_t last_offset;
    atomic_bool stop;
    uint64_t versions;
};

static void *write_versions(void *arg)
{
    struct writer *writer = arg;
    int fd = open(writer->path, O_WRONLY | O_CLOEXEC);

    for (uint64_t version = 1; fd >= 0 && !atomic_load(&writer->stop); version++) {
        if (pwrite(fd, &version, sizeof(version), 0) != sizeof(version) ||
            pwrite(fd, &version, sizeof(version), (off_t)writer->last_offset) != sizeof(version))
            break;
        writer->versions = version;
    }
    return fd >= 0 && close(fd) == 0 ? writer : NULL;
}

static void test_a_file_that_will_not_hold_still(void **state)
{
    uint64_t bytes = 32 << 20, first, last;
    struct verso_map_options options = rung(VERSO_MAP_COPY, 0);
    struct writer writer = { .path = sparse_file("versions", bytes), .last_offset = bytes - sizeof(uint64_t) };
    struct verso_map *map;
    pthread_t thread;
    int r;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, write_versions, &writer), 0);
    for (int i = 0; i < 5; i++) {
        r = verso_map_open(writer.path, &options, &map);
        if (r < 0) {
            assert_int_equal(r, VERSO_E_CHANGED);
            assert_int_equal(verso_error_last()->code, VERSO_E_CHANGED);
            continue;
        }
        /* Then it is one version, or the moment between two writes. */
        memcpy(&first, verso_map_data(map), sizeof(first));
        memcpy(&last, (char *)verso_map_data(map) + writer.last_offset, sizeof(last));
        assert_true(first == last || first == last + 1);
        verso_map_close(map);
    }
    atomic_store(&writer.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(writer.versions > 0);
}

static int copy_without_memory_files(void *path)
{
    struct verso_map_options options = rung(VERSO_MAP_COPY, 0);
    struct verso_map *map = UNTOUCHED;

    if (!old_kernel_without(SYS_memfd_create, 0, 0, UINT32_MAX, ENOSYS))
        return CHILD_SKIPS;
    child_assert(verso_map_open(path, &options, &map) == VERSO_E_UNSUPPORTED);
    child_assert(map == UNTOUCHED);
    child_assert(verso_error_last()->cause == -ENOSYS);
    return 0;
}

static void test_no_rung_can_be_had(void **state)
{
    (void)state;
    assert_child_ok(copy_without_memory_files, (void *)(uintptr_t)pattern_file());
}

/* ---- All rungs -------------------------------------------------------------------------------------------------- */

static void test_memory_that_is_sealed_needs_no_copy(void **state)
{
    struct verso_map_options options = rung(VERSO_MAP_LEASED, 0);
    struct verso_map *map;
    int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    (void)state;
    assert_true(fd >= 0);
    for (size_t at = 0; at < 100; at++) {
        unsigned char byte = support_byte(at);

        assert_int_equal(write(fd, &byte, 1), 1);
    }
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_rung(map, VERSO_MAP_COPY, "sealed memory");
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_FILE);
    assert_true(is_pattern(map));
    assert_int_equal(close(fd), 0);
    verso_map_close(map);
}

static void test_stores_and_stability_exclude_each_other(void **state)
{
    const char *path = pattern_file();

    (void)state;
    for (unsigned asked = VERSO_MAP_LEASED; asked <= VERSO_MAP_COPY; asked++) {
        struct verso_map_options options = rung(asked, VERSO_MAP_WRITE);

        assert_open_fails(path, &options, VERSO_E_OPTIONS, "options");
    }
}

static void test_unknown_rungs(void **state)
{
    struct verso_map_options options = rung(VERSO_MAP_COPY + 1, 0);

    (void)state;
    assert_open_fails(pattern_file(), &options, VERSO_E_OPTIONS, "options");
}

static void test_empty_files_are_on_every_rung(void **state)
{
    const char *path = support_file("empty", 0);

    (void)state;
    for (unsigned asked = VERSO_MAP_RAW; asked <= VERSO_MAP_COPY; asked++) {
        struct verso_map *map = open_at(path, asked, 0);

        assert_rung(map, asked, "");
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_EMPTY);
        verso_map_close(map);
    }
}

/* Its size says a page, its content is shorter: no rung may go by the size. */
static void test_a_file_of_sysfs(void **state)
{
    const char *path = "/sys/kernel/mm/transparent_hugepage/enabled";

    (void)state;
    if (access(path, R_OK) < 0)
        skip_because("there is no %s", path);
    for (unsigned asked = VERSO_MAP_RAW; asked <= VERSO_MAP_COPY; asked++) {
        struct verso_map *map = open_at(path, asked, 0);

        assert_int_equal(info_of(map).stability, asked == VERSO_MAP_COPY ? VERSO_MAP_COPY : VERSO_MAP_SNAPSHOT);
        assert_int_equal(*info_of(map).stability_why == '\0', asked >= VERSO_MAP_SNAPSHOT);
        assert_true(verso_map_bytes(map) > 0 && verso_map_bytes(map) < 100);
        verso_map_close(map);
    }
}

static void test_what_is_read_in_is_ours(void **state)
{
    struct verso_map *map = open_at("/proc/self/status", VERSO_MAP_GUARDED, 0);

    (void)state;
    assert_rung(map, VERSO_MAP_SNAPSHOT, "private memory");
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_BUFFER);
    verso_map_close(map);
    map = open_at("/proc/self/status", VERSO_MAP_COPY, 0);
    assert_rung(map, VERSO_MAP_COPY, "");
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_MEMORY);
    assert_int_equal(mprotect(verso_map_data(map), 1, PROT_READ | PROT_WRITE), -1); /* not even by this process */
    verso_map_close(map);
}

/* Each rung once; what is counted is the second time, when libraries have what they keep. */
static void take_each_rung(const char *path)
{
    for (unsigned asked = VERSO_MAP_RAW; asked <= VERSO_MAP_COPY; asked++)
        for (unsigned flags = 0; flags <= VERSO_MAP_KEEP_FD; flags += VERSO_MAP_KEEP_FD) {
            struct verso_map *map = open_at(path, asked, flags);

            if (asked == VERSO_MAP_LEASED && info_of(map).stability == asked)
                assert_ok(verso_map_settle(map));
            verso_map_close(map);
        }
}

static void test_nothing_is_left_behind(void **state)
{
    const char *path = pattern_file();
    size_t mappings, descriptors;

    (void)state;
    take_each_rung(path);
    descriptors = support_descriptor_count(); /* first: it allocates */
    mappings = support_mapping_count();
    take_each_rung(path);
    assert_int_equal(support_mapping_count(), mappings);
    assert_int_equal(support_descriptor_count(), descriptors);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_raw_promises_nothing),
        cmocka_unit_test(test_guarded_a_cut_becomes_zeros),
        cmocka_unit_test(test_guarded_for_writing),
        cmocka_unit_test(test_without_the_guard_it_climbs),
        cmocka_unit_test(test_writers_wait_until_it_is_settled),
        cmocka_unit_test(test_readers_go_on_while_it_settles),
        cmocka_unit_test(test_close_lets_writers_in),
        cmocka_unit_test(test_settled_keeps_private_stores_flags_and_access),
        cmocka_unit_test(test_any_range_is_settled),
        cmocka_unit_test(test_when_the_time_runs_out),
        cmocka_unit_test(test_a_cut_that_was_not_waited_for_is_torn),
        cmocka_unit_test(test_a_file_open_for_writing_gives_no_lease),
        cmocka_unit_test(test_a_snapshot_holds_here),
        cmocka_unit_test(test_a_snapshot_holds_on_xfs),
        cmocka_unit_test(test_a_snapshot_holds_on_btrfs),
        cmocka_unit_test(test_where_blocks_cannot_be_shared_it_copies),
        cmocka_unit_test(test_a_copy_holds),
        cmocka_unit_test(test_nobody_can_change_a_copy),
        cmocka_unit_test(test_a_copy_has_a_name_in_maps),
        cmocka_unit_test(test_private_stores_stay_private),
        cmocka_unit_test(test_an_executable_copy),
        cmocka_unit_test(test_holes_are_not_copied),
        cmocka_unit_test(test_no_more_than_the_limit_is_copied),
        cmocka_unit_test(test_a_file_that_will_not_hold_still),
        cmocka_unit_test(test_no_rung_can_be_had),
        cmocka_unit_test(test_memory_that_is_sealed_needs_no_copy),
        cmocka_unit_test(test_stores_and_stability_exclude_each_other),
        cmocka_unit_test(test_unknown_rungs),
        cmocka_unit_test(test_empty_files_are_on_every_rung),
        cmocka_unit_test(test_a_file_of_sysfs),
        cmocka_unit_test(test_what_is_read_in_is_ours),
        cmocka_unit_test(test_nothing_is_left_behind),
    };

    return run_test_list(list);
}
