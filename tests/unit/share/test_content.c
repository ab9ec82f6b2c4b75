/* SPDX-License-Identifier: MIT */
/* content - sizes, growing, pointers inside, flags. */
#include "regions.h"

#include <pthread.h>
#include <sys/mount.h>

static void test_sizes(void **state)
{
    const size_t page = verso_page_bytes();
    const uint64_t sizes[] = { 1, page - 1, page, page + 1, 3 * page };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct verso_share *share = made(support_path("s"), sizes[i]);
        unsigned char *data = verso_share_data(share);

        assert_int_equal(verso_share_bytes(share), sizes[i]);
        assert_int_equal((uintptr_t)data % page, 0);
        for (uint64_t at = 0; at < sizes[i]; at++)
            assert_int_equal(data[at], 0);
        memset(data, 'x', sizes[i]);
        verso_share_close(share);
    }
    assert_null(verso_share_data(NULL));
    assert_int_equal(verso_share_bytes(NULL), 0);
}

static void test_grow(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    struct verso_share *share, *other;
    uint64_t before;

    (void)state;
    options.most_bytes = 1000003;
    assert_ok(verso_share_create(support_path("g"), 10, &options, &share));
    assert_ok(verso_share_attach(support_path("g"), NULL, &other));
    assert_ok(verso_share_info(share, &info));
    assert_int_equal(info.most_bytes, 1000003);
    before = info.allocated_bytes;
    assert_true(before < 1000003); /* room to grow is no memory */
    assert_ok(verso_share_grow(share, 5));
    assert_int_equal(verso_share_bytes(share), 10);
    assert_ok(verso_share_grow(share, 500000));
    assert_int_equal(verso_share_bytes(other), 500000);
    ((char *)verso_share_data(share))[499999] = 'g';
    assert_int_equal(((char *)verso_share_data(other))[499999], 'g');
    assert_ok(verso_share_info(other, &info));
    assert_true(info.allocated_bytes >= before + 480000);
    assert_ok(verso_share_grow(other, 1000003));
    assert_int_equal(verso_share_bytes(share), 1000003);
    assert_fails(verso_share_grow(other, 1000004), VERSO_E_RANGE);
    assert_fails(verso_share_grow(NULL, 1), -EINVAL);
    verso_share_close(share);
    verso_share_close(other);
}

/* All threads and processes at once: the largest wins, and nothing ever shrinks. */
static void *grow_step_by_step(void *arg)
{
    struct verso_share *share = arg;
    uint64_t last = 0;

    for (uint64_t bytes = 1000; bytes <= 100000; bytes += 1000) {
        if (verso_share_grow(share, bytes) != 0 || verso_share_bytes(share) < bytes || verso_share_bytes(share) < last)
            return arg;
        last = verso_share_bytes(share);
    }
    return NULL;
}

static void test_grow_at_once(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share, *other;
    pthread_t threads[4];

    (void)state;
    options.most_bytes = 100000;
    assert_ok(verso_share_create(support_path("g"), 10, &options, &share));
    assert_ok(verso_share_attach(support_path("g"), NULL, &other));
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, grow_step_by_step, i % 2 ? share : other), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(verso_share_bytes(share), 100000);
    verso_share_close(share);
    verso_share_close(other);
}

/* What another scribbles into the count can't lead out of the region. */
static void test_count_of_a_liar(void **state)
{
    struct verso_share *share = made(support_path("l"), 100);

    (void)state;
    atomic_store(&verso__share_header(share)->bytes, UINT64_MAX);
    assert_int_equal(verso_share_bytes(share), 100);
    verso_share_close(share);
}

static void test_full(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    char place[PATH_MAX], name[PATH_MAX + 8];
    struct verso_share *share = NULL;

    (void)state;
    (void)snprintf(place, sizeof(place), "%s", support_path("full"));
    assert_int_equal(mkdir(place, 0700), 0);
    if (mount("tmpfs", place, "tmpfs", 0, "size=1m") < 0) {
        (void)rmdir(place);
        skip_because("needs root, to mount a small tmpfs");
    }
    (void)snprintf(name, sizeof(name), "%s/r", place);
    assert_fails_in(verso_share_create(name, 2 << 20, NULL, &share), -ENOSPC, "fallocate");
    assert_int_equal(access(name, F_OK), -1);
    options.most_bytes = 2 << 20;
    assert_ok(verso_share_create(name, 100000, &options, &share));
    assert_fails_in(verso_share_grow(share, 2 << 20), -ENOSPC, "fallocate");
    assert_int_equal(verso_share_bytes(share), 100000);
    memset(verso_share_data(share), 'f', 100000);
    assert_ok(verso_share_grow(share, 200000));
    verso_share_close(share);
    assert_int_equal(umount(place), 0);
    assert_int_equal(rmdir(place), 0);
}

/* ---- Pointers inside ---- */

struct tree {
    struct verso_rel left;
    struct verso_rel right;
    char name[16];
};

static void test_rel(void **state)
{
    struct verso_share *share = made(support_path("t"), 3 * sizeof(struct tree)), *other = attached(support_path("t"));
    struct tree *node = verso_share_data(share), *seen = verso_share_data(other), *left;

    (void)state;
    put(node[1].name, "left");
    put(node[2].name, "right");
    assert_null(verso_rel_get(&node[0].left));
    verso_rel_set(&node[0].left, &node[1]);
    verso_rel_set(&node[0].right, &node[2]);
    verso_rel_set(&node[2].left, &node[0]); /* backwards, too */
    left = verso_rel_get(&seen[0].left);
    assert_ptr_equal(left, &seen[1]);
    assert_string_equal(left->name, "left");
    assert_ptr_equal(verso_rel_get(&seen[2].left), &seen[0]);
    verso_rel_set(&node[0].left, NULL);
    assert_null(verso_rel_get(&seen[0].left));
    verso_share_close(share);
    verso_share_close(other);
}

static void test_rel_checked(void **state)
{
    struct verso_share *share = made(support_path("t"), 1000);
    char *data = verso_share_data(share);
    struct verso_rel *rel = (struct verso_rel *)(void *)(data + 504);

    (void)state;
    assert_null(verso_share_at(share, rel, 1, 1));
    verso_rel_set(rel, data);
    assert_ptr_equal(verso_share_at(share, rel, 1000, 4096), data);
    assert_null(verso_share_at(share, rel, 1001, 1));
    assert_null(verso_share_at(share, rel, UINT64_MAX, 1));
    verso_rel_set(rel, data + 999);
    assert_ptr_equal(verso_share_at(share, rel, 1, 1), data + 999);
    assert_null(verso_share_at(share, rel, 1, 2));
    assert_null(verso_share_at(share, rel, 2, 1));
    verso_rel_set(rel, data + 1000);
    assert_ptr_equal(verso_share_at(share, rel, 0, 1), data + 1000);
    assert_null(verso_share_at(share, rel, 1, 1));
    verso_rel_set(rel, data - 1);
    assert_null(verso_share_at(share, rel, 1, 1));
    rel->distance_bytes = INT64_MAX;
    assert_null(verso_share_at(share, rel, 1, 1));
    rel->distance_bytes = INT64_MIN;
    assert_null(verso_share_at(share, rel, 1, 1));
    assert_null(verso_share_at(NULL, rel, 1, 1));
    assert_null(verso_share_at(share, NULL, 1, 1));
    verso_share_close(share);
}

/* ---- Flags ---- */

static bool has_flag(const void *address, const char *flag)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    bool inside = false, found = false;
    unsigned long start, end;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && strchr(line, '-') < strchr(line, ' '))
            inside = (uintptr_t)address >= start && (uintptr_t)address < end;
        if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    (void)fclose(maps);
    return found;
}

static void test_no_core(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;

    (void)state;
    options.flags = VERSO_SHARE_NO_CORE;
    assert_ok(verso_share_create_anonymous(10, &options, &share));
    assert_true(has_flag(verso_share_data(share), " dd"));
    verso_share_close(share);
}

static void test_lock(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;

    (void)state;
    options.flags = VERSO_SHARE_LOCK;
    if (verso_share_create_anonymous(10, &options, &share) < 0)
        skip_because("locking is not allowed here: %s", verso_error_name(verso_error_last()->code));
    if (!support_is_asan() && !support_is_tsan())
        assert_true(has_flag(verso_share_data(share), " lo"));
    verso_share_close(share);
}

static void test_huge(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    struct verso_share *share;
    size_t huge = verso__os_huge_page_bytes();

    (void)state;
    if (!huge)
        skip_because("this machine has no huge pages");
    options.flags = VERSO_SHARE_HUGE;
    assert_ok(verso_share_create_anonymous(2 * huge, &options, &share));
    assert_int_equal((uintptr_t)verso_share_data(share) % huge, 0);
    assert_ok(verso_share_info(share, &info));
    assert_int_equal(info.content_offset_bytes % huge, 0);
    assert_non_null(info.pages_why);
    print_message("# huge: %s\n", *info.pages_why ? info.pages_why : "yes");
    memset(verso_share_data(share), 'h', 2 * huge);
    verso_share_close(share);
}

static void test_info(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share_info info = { 8 };
    struct verso_share *share;

    (void)state;
    options.kind = "ledger";
    options.version = 7;
    options.layout = 99;
    options.member_count = 3;
    options.seat_count = 5;
    options.most_bytes = 50000;
    assert_ok(verso_share_create(support_path("i"), 10, &options, &share));
    assert_fails(verso_share_info(share, &info), VERSO_E_OPTIONS);
    info.struct_bytes = sizeof(info);
    assert_ok(verso_share_info(share, &info));
    assert_string_equal(info.kind, "ledger");
    assert_true(info.version == 7 && info.layout == 99 && info.member_room == 3 && info.seat_room == 5);
    assert_true(info.bytes == 10 && info.most_bytes == 50000 && info.members == 1 && info.seats == 0);
    assert_true(info.creator == getpid() && info.owner == geteuid() && info.mode == 0600 && info.is_named == 1);
    assert_true(info.was_abandoned == 0 && info.has_readers == 0);
    assert_fails(verso_share_info(NULL, &info), -EINVAL);
    verso_share_close(share);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_grow_at_once), cmocka_unit_test(test_count_of_a_liar),
        cmocka_unit_test(test_full),         cmocka_unit_test(test_rel),
        cmocka_unit_test(test_rel_checked),  cmocka_unit_test(test_no_core),
        cmocka_unit_test(test_lock),         cmocka_unit_test(test_huge),
        cmocka_unit_test(test_info),
    };

    return run_test_list(list);
}
