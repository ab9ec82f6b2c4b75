/* SPDX-License-Identifier: MIT */
/* lease - maps that make writers wait, and are settled before those go on. rungs.h says who attacks. */
#include "rungs.h"

#include "map/map.h"
#include "mapping.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static bool is_running(pid_t child)
{
    siginfo_t info = { 0 };

    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid == 0;
}

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

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_writers_wait_until_it_is_settled),
        cmocka_unit_test(test_readers_go_on_while_it_settles),
        cmocka_unit_test(test_close_lets_writers_in),
        cmocka_unit_test(test_settled_keeps_private_stores_flags_and_access),
        cmocka_unit_test(test_any_range_is_settled),
        cmocka_unit_test(test_when_the_time_runs_out),
        cmocka_unit_test(test_a_cut_that_was_not_waited_for_is_torn),
        cmocka_unit_test(test_a_file_open_for_writing_gives_no_lease),
    };

    return run_test_list(list);
}
