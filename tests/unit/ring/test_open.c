/* SPDX-License-Identifier: MIT */
/* open - sizes, options, what stands in the address space, and that nothing is left. */
#include "rings.h"

#include "os/os.h"
#include "ring/ring.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static void test_capacity_is_whole_pages(void **state)
{
    const size_t page = verso_page_bytes();
    const struct {
        uint64_t asked, got;
    } sizes[] = { { 1, page },
                  { page - 1, page },
                  { page, page },
                  { page + 1, 2 * page },
                  { 3 * page, 3 * page },
                  { 100 * page + 5, 101 * page } };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct verso_ring *ring = opened_ring(sizes[i].asked, 0);

        assert_true(verso_ring_capacity_bytes(ring) == sizes[i].got);
        assert_true(info_of(ring).capacity_bytes == sizes[i].got);
        assert_int_equal(info_of(ring).pages, VERSO_RING_PAGES_BASE);
        assert_string_equal(info_of(ring).pages_why, "");
        assert_false(info_of(ring).is_shut_down);
        verso_ring_close(ring);
    }
}

static void test_sizes_that_cannot_be(void **state)
{
    struct verso_ring *ring = (void *)state;

    assert_fails(verso_ring_open(0, NULL, &ring), VERSO_E_RANGE);
    assert_fails(verso_ring_open(UINT64_MAX, NULL, &ring), VERSO_E_OVERFLOW);
    assert_fails(verso_ring_open(UINT64_MAX - verso_page_bytes() + 1, NULL, &ring), VERSO_E_OVERFLOW);
    assert_fails(verso_ring_open((uint64_t)1 << 63, NULL, &ring), VERSO_E_OVERFLOW);
    assert_fails(verso_ring_open(verso__os_address_space_bytes() / 2, NULL, &ring), VERSO_E_OVERFLOW);
    /* It could be addressed; but taking it page by page would first take everybody else's. */
    assert_fails(verso_ring_open(verso__os_address_space_bytes() / 4, NULL, &ring), -ENOMEM);
    assert_non_null(strstr(verso_error_last()->hint, "this machine"));
    assert_ptr_equal(ring, state);
}

static void test_options(void **state)
{
    struct verso_ring_options options = VERSO_RING_OPTIONS_INIT;
    struct verso_ring *ring = (void *)state;

    options.flags = 1U << 20;
    assert_fails(verso_ring_open(1, &options, &ring), VERSO_E_OPTIONS);
    options.flags = 0;
    options.struct_bytes = 0;
    assert_fails(verso_ring_open(1, &options, &ring), VERSO_E_OPTIONS);
    assert_fails(verso_ring_open(1, NULL, NULL), -EINVAL);
    assert_ptr_equal(ring, state);
    assert_ok(verso_ring_open(1, NULL, &ring));
    verso_ring_close(ring);
}

static struct verso__os_mapping mapping_at(const unsigned char *address, char *out_name, size_t room_bytes)
{
    struct verso__os_mapping mapping = { 0 };

    assert_int_equal(verso__os_mapping_at(0, (uintptr_t)address, &mapping, out_name, room_bytes), 0);
    return mapping;
}

/* Control | no access | data | data | no access; each half by itself, both from offset 0 of one file. */
static void test_layout(void **state)
{
    struct verso_ring_options options = VERSO_RING_OPTIONS_INIT;
    struct verso__os_mapping first, second;
    struct verso_ring *ring;
    char name[128];
    size_t capacity;

    (void)state;
    options.name = "test-ring";
    assert_ok(verso_ring_open(3 * verso_page_bytes(), &options, &ring));
    capacity = verso_ring_capacity_bytes(ring);
    first = mapping_at(ring->data, name, sizeof(name));
    assert_non_null(strstr(name, "test-ring"));
    second = mapping_at(ring->data + capacity, NULL, 0);
    assert_true(first.start == (uintptr_t)ring->data && first.end == second.start);
    assert_true(second.end == first.end + capacity);
    assert_true(first.offset == 0 && second.offset == 0);
    assert_true(first.inode == second.inode && first.inode != 0);
    assert_true(first.shared && second.shared);
    assert_int_equal(mapping_at(ring->data - 1, NULL, 0).access, VERSO__OS_ACCESS_NONE);
    assert_int_equal(mapping_at(ring->data + 2 * capacity, NULL, 0).access, VERSO__OS_ACCESS_NONE);
    verso_ring_close(ring);
}

/* Through /proc the memory can be had again; its size can't be changed. */
static void test_the_memory_can_not_be_cut(void **state)
{
    struct verso_ring *ring = opened_ring(2 * verso_page_bytes(), 0);
    struct verso__os_mapping mapping = mapping_at(ring->data, NULL, 0);
    char path[96];
    unsigned seals;
    int fd;

    (void)state;
    (void)snprintf(path, sizeof(path), "/proc/self/map_files/%llx-%llx", (unsigned long long)mapping.start,
                   (unsigned long long)mapping.end);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        verso_ring_close(ring);
        skip_because("needs /proc/self/map_files (root)");
    }
    assert_int_equal(verso__os_seals_get(fd, &seals), 0);
    assert_true(seals & VERSO__OS_SEAL_SHRINK && seals & VERSO__OS_SEAL_GROW && seals & VERSO__OS_SEAL_SEAL);
    assert_int_equal(verso__os_truncate(fd, verso_page_bytes()), -EPERM);
    assert_int_equal(verso__os_truncate(fd, 3 * verso_page_bytes()), -EPERM);
    assert_int_equal(close(fd), 0);
    verso_ring_close(ring);
}

static int same_start(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory, void *arg)
{
    struct verso__os_mapping_memory *wanted = arg;

    if (mapping->start != wanted->resident)
        return 0;
    *wanted = *memory;
    return 1;
}

/* What the kernel counts of the mapping that begins at @address. */
static struct verso__os_mapping_memory memory_at(const void *address)
{
    struct verso__os_mapping_memory memory = { .resident = (uintptr_t)address };

    assert_int_equal(verso__os_mappings_memory(0, same_start, &memory), 1);
    return memory;
}

/* All of it is there before the first store, in both halves' page tables. */
static void test_memory_is_taken_at_once(void **state)
{
    struct verso_ring *ring = opened_ring(64 * verso_page_bytes(), 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);

    (void)state;
    assert_true(memory_at(ring->data).resident == capacity);
    assert_true(memory_at(ring->data + capacity).resident == capacity);
    verso_ring_close(ring);
}

/* dd: not in a core dump; dc: not in a child; wf: wiped in a child. */
static bool has_flag(const void *address, const char *flag)
{
    return strstr(memory_at(address).flags, flag);
}

static void test_flags_reach_the_kernel(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    size_t capacity = verso_ring_capacity_bytes(ring);

    (void)state;
    assert_true(has_flag(ring, "wf"));
    assert_true(has_flag(ring->data, "dc") && has_flag(ring->data + capacity, "dc"));
    assert_false(has_flag(ring->data, "dd"));
    assert_true(has_flag(ring->data + capacity, "dd")); /* once is enough */
    assert_false(has_flag(ring->data, "lo"));
    verso_ring_close(ring);

    ring = opened_ring(1, VERSO_RING_NO_CORE);
    assert_true(has_flag(ring->data, "dd"));
    assert_int_equal(info_of(ring).flags, VERSO_RING_NO_CORE);
    verso_ring_close(ring);
}

static void test_lock(void **state)
{
    struct verso_ring_options options = VERSO_RING_OPTIONS_INIT;
    struct rlimit before, none;
    struct verso_ring *ring = NULL;
    int r;

    (void)state;
    options.flags = VERSO_RING_LOCK;
    r = verso_ring_open(16 * verso_page_bytes(), &options, &ring);
    if (r < 0)
        skip_because("locking is not allowed here: %s", verso_error_name(r));
    assert_true(has_flag(ring->data, "lo") && has_flag(ring, "lo"));
    assert_true(memory_at(ring->data).locked > 0);
    verso_ring_close(ring);
    if (support_is_root())
        return; /* whom no limit holds */
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
    none = (struct rlimit){ 0, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    r = verso_ring_open(16 * verso_page_bytes(), &options, &ring);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
    assert_true(r == -EPERM || r == -ENOMEM || r == -EAGAIN);
    assert_string_equal(verso_error_last()->step, "mlock");
}

/* Whatever pages came: it says which, why, and works. */
static void test_huge(void **state)
{
    struct verso_ring *ring = opened_ring(100, VERSO_RING_HUGE);
    struct verso_ring_info info = info_of(ring);
    size_t huge = verso__os_huge_page_bytes();

    (void)state;
    print_message("# huge pages asked for: got kind %d; \"%s\"\n", (int)info.pages, info.pages_why);
    if (huge) {
        assert_int_equal(info.capacity_bytes % huge, 0);
        assert_int_equal((uintptr_t)ring->data % huge, 0);
    }
    if (info.pages == VERSO_RING_PAGES_HUGETLB)
        assert_string_equal(info.pages_why, "");
    else
        assert_true(*info.pages_why);
    if (info.pages == VERSO_RING_PAGES_THP)
        assert_true(memory_at(ring->data).file_huge >= huge);
    for (uint64_t at = 0; at < 3 * info.capacity_bytes; at += 65536 - 24) {
        put(ring, at, 65536 - 24);
        take(ring, at, 65536 - 24);
    }
    verso_ring_close(ring);
}

static void test_nothing_is_left(void **state)
{
    const unsigned kinds[] = { 0, VERSO_RING_HUGE, VERSO_RING_NO_CORE };
    size_t mappings, descriptors;

    (void)state;
    verso_ring_close(opened_ring(1, VERSO_RING_HUGE)); /* what is kept for good is acquired now */
    mappings = support_mapping_count();
    descriptors = support_descriptor_count();
    for (size_t i = 0; i < 3; i++) {
        struct verso_ring *ring = opened_ring(5 * verso_page_bytes(), kinds[i]);

        assert_int_equal(support_descriptor_count(), descriptors); /* not even while it is open */
        verso_ring_close(ring);
        assert_int_equal(support_mapping_count(), mappings);
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_capacity_is_whole_pages),
        cmocka_unit_test(test_sizes_that_cannot_be),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_the_memory_can_not_be_cut),
        cmocka_unit_test(test_memory_is_taken_at_once),
        cmocka_unit_test(test_flags_reach_the_kernel),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_nothing_is_left),
    };

    return run_test_list(list);
}
