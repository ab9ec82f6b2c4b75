/* SPDX-License-Identifier: MIT */
/*
 * stability - each rung under attack: another process overwrites, stores through a map, and cuts the file while the map
 * is read. What the rung promised must hold, and what it does not promise must not be claimed. Here the lowest rungs,
 * and what holds of all; test_lease.c, test_snapshot.c and test_copy.c have the others.
 */
#include "rungs.h"

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
