/* SPDX-License-Identifier: MIT */
/* window - every byte of a file through a small mapping: forwards, backwards, at random, growing, and cut meanwhile. */
#include "support.h"

#include "leases.h"
#include "mounts.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso/guard.h>
#include <verso/window.h>

static struct verso_window *open_window(const char *path, uint64_t budget_bytes, unsigned flags)
{
    struct verso_window_options options = VERSO_WINDOW_OPTIONS_INIT;
    struct verso_window *window;

    options.budget_bytes = budget_bytes;
    options.flags = flags;
    assert_ok(verso_window_open(path, &options, &window));
    return window;
}

static uint64_t file_bytes(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

static void test_next_gives_every_byte_once(void **state)
{
    const size_t page = verso_page_bytes();
    const uint64_t sizes[] = { 1, page - 1, page, page + 1, 7 * page + 13, 100 * page };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct verso_window *window = open_window(support_file("next", sizes[i]), 3 * page, 0);
        uint64_t seen = 0;
        size_t bytes;
        void *data;

        for (;;) {
            assert_ok(verso_window_next(window, &data, &bytes));
            assert_non_null(data);
            if (bytes == 0)
                break;
            assert_true(support_matches(data, seen, bytes));
            seen += bytes;
        }
        assert_true(seen == sizes[i]);
        assert_ok(verso_window_next(window, &data, &bytes)); /* the end stays the end */
        assert_int_equal(bytes, 0);
        verso_window_close(window);
    }
}

static void test_views_at_any_place(void **state)
{
    const size_t page = verso_page_bytes();
    const uint64_t bytes = 64 * page + 5;
    struct verso_window *window = open_window(support_file("views", bytes), 4 * page, 0);
    uint64_t place = 12345;
    void *data;

    (void)state;
    assert_int_equal(verso_window_view_bytes_max(window), 3 * page);
    for (int i = 0; i < 2000; i++) {
        uint64_t offset, length;

        place = place * 6364136223846793005U + 1442695040888963407U;
        offset = (place >> 20) % bytes;
        length = (place >> 50) % (3 * page) + 1;
        if (length > bytes - offset)
            length = bytes - offset;
        assert_ok(verso_window_view(window, offset, (size_t)length, &data));
        assert_true(support_matches(data, offset, (size_t)length));
    }
    for (uint64_t offset = bytes - page; offset >= page; offset -= page) { /* backwards */
        assert_ok(verso_window_view(window, offset, page, &data));
        assert_true(support_matches(data, offset, page));
    }
    verso_window_close(window);
}

static void test_never_more_than_the_budget_is_mapped(void **state)
{
    const size_t page = verso_page_bytes();
    struct verso_window *window = open_window(support_file("budget", 200 * page), 8 * page, 0);
    size_t before, bytes;
    void *data;

    (void)state;
    assert_ok(verso_window_next(window, &data, &bytes));
    before = support_mapping_count();
    for (int i = 0; i < 100; i++) {
        assert_ok(verso_window_view(window, (uint64_t)(i * 37 % 190) * page, page, &data));
        assert_int_equal(support_mapping_count(), before);
    }
    verso_window_close(window);
    verso_window_close(NULL);
}

static void test_limits_of_a_view(void **state)
{
    const size_t page = verso_page_bytes();
    struct verso_window *window = open_window(support_file("limits", 10 * page), 4 * page, 0);
    void *data = NULL, *kept;

    (void)state;
    assert_ok(verso_window_view(window, 5, 3 * page, &kept));
    data = kept;
    assert_fails(verso_window_view(window, 0, 3 * page + 1, &data), VERSO_E_SPAN);
    assert_fails(verso_window_view(window, 10 * page, 1, &data), VERSO_E_RANGE);
    assert_fails(verso_window_view(window, 10 * page - 1, 2, &data), VERSO_E_RANGE);
    assert_fails(verso_window_view(window, UINT64_MAX, 2, &data), VERSO_E_OVERFLOW);
    assert_fails(verso_window_view(window, (uint64_t)INT64_MAX, 1, &data), VERSO_E_OVERFLOW);
    assert_ptr_equal(data, kept);
    assert_true(support_matches(kept, 5, 3 * page)); /* the last view stays */
    assert_ok(verso_window_view(window, 10 * page, 0, &data));
    assert_ok(verso_window_view(window, 10 * page - 1, 1, &data));
    assert_true(support_matches(data, 10 * page - 1, 1));
    verso_window_close(window);
}

static void test_seek_and_an_end_that_moves(void **state)
{
    const size_t page = verso_page_bytes();
    const char *path = support_file("moving", 4 * page);
    struct verso_window *window = open_window(path, 16 * page, 0);
    size_t bytes;
    void *data;

    (void)state;
    verso_window_seek(window, 4 * page - 3);
    assert_ok(verso_window_next(window, &data, &bytes));
    assert_int_equal(bytes, 3);
    verso_window_seek(window, UINT64_MAX);
    assert_ok(verso_window_next(window, &data, &bytes));
    assert_int_equal(bytes, 0);
    assert_int_equal(truncate(path, (off_t)(2 * page)), 0);
    verso_window_seek(window, page);
    assert_ok(verso_window_next(window, &data, &bytes)); /* what is left, not what was */
    assert_int_equal(bytes, page);
    assert_true(verso_window_file_bytes(window) == 2 * page);
    assert_int_equal(truncate(path, (off_t)(3 * page)), 0);
    assert_ok(verso_window_view(window, 3 * page - 1, 1, &data)); /* and what has come */
    assert_int_equal(*(char *)data, 0);
    verso_window_close(window);
}

static void test_writing_through(void **state)
{
    const size_t page = verso_page_bytes();
    const char *path = support_path("written");
    struct verso_window *window =
        open_window(path, 4 * page, VERSO_WINDOW_WRITE | VERSO_WINDOW_CREATE | VERSO_WINDOW_EXTEND);
    const uint64_t total = 50 * page + 7;
    struct stat status;
    void *data;

    (void)state;
    for (uint64_t at = 0; at < total;) {
        size_t bytes = total - at < page + 11 ? (size_t)(total - at) : page + 11;

        assert_ok(verso_window_view(window, at, bytes, &data));
        for (size_t i = 0; i < bytes; i++)
            ((unsigned char *)data)[i] = support_byte(at + i);
        at += bytes;
    }
    assert_ok(verso_window_sync(window));
    verso_window_close(window);
    assert_int_equal(stat(path, &status), 0);
    assert_true((uint64_t)status.st_size == total);
    assert_int_equal(status.st_mode & 07777, 0600);
    window = open_window(path, 8 * page, 0);
    for (uint64_t at = 0; at < total; at += page)
        if (total - at >= page) {
            assert_ok(verso_window_view(window, at, page, &data));
            assert_true(support_matches(data, at, page));
        }
    assert_fails(verso_window_sync(window), VERSO_E_READ_ONLY);
    verso_window_close(window);
}

static void test_what_is_skipped_stays_a_hole_and_views_get_space(void **state)
{
    const size_t page = verso_page_bytes();
    const char *path = support_path("sparse");
    struct verso_window *window =
        open_window(path, 4 * page, VERSO_WINDOW_WRITE | VERSO_WINDOW_CREATE | VERSO_WINDOW_EXTEND);
    const uint64_t far = (uint64_t)1 << 40;
    struct stat status;
    void *data;

    (void)state;
    if (verso_window_view(window, far, page, &data) == -EFBIG) {
        verso_window_close(window);
        skip_because("this file system has no files of 1 TiB");
    }
    assert_ok(verso_window_view(window, far, page, &data));
    memset(data, 1, page);
    assert_int_equal(stat(path, &status), 0);
    assert_true((uint64_t)status.st_size == far + page);
    assert_true((uint64_t)status.st_blocks * 512 >= page);
    assert_true((uint64_t)status.st_blocks * 512 < (uint64_t)64 << 20);
    verso_window_close(window);
}

static void test_what_can_not_be_seen_through_a_window(void **state)
{
    struct verso_window_options options = VERSO_WINDOW_OPTIONS_INIT;
    const char *fifo = support_path("fifo"), *file = support_file("file", 10), *link = support_path("link");
    struct verso_window *window = (void *)1;
    int fd;

    (void)state;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink(file, link), 0);
    assert_fails_in(verso_window_open(support_path("none"), NULL, &window), -ENOENT, "open");
    assert_fails(verso_window_open(support_directory(), NULL, &window), -EISDIR);
    assert_fails(verso_window_open(fifo, NULL, &window), VERSO_E_NOT_MAPPED);
    assert_fails(verso_window_open("/dev/zero", NULL, &window), VERSO_E_NOT_MAPPED);
    assert_fails(verso_window_open("/proc/self/maps", NULL, &window), VERSO_E_NOT_MAPPED);
    assert_fails(verso_window_open(NULL, NULL, &window), -EINVAL);
    assert_fails(verso_window_open(file, NULL, NULL), -EINVAL);
    options.budget_bytes = 2 * verso_page_bytes() - 1;
    assert_fails(verso_window_open(file, &options, &window), VERSO_E_OPTIONS);
    options.budget_bytes = 0;
    options.flags = VERSO_WINDOW_EXTEND;
    assert_fails(verso_window_open(file, &options, &window), VERSO_E_OPTIONS);
    options.flags = VERSO_WINDOW_NOFOLLOW;
    assert_fails(verso_window_open(link, &options, &window), -ELOOP);
    options.flags = VERSO_WINDOW_WRITE;
    fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_fails(verso_window_open_fd(fd, &options, &window), -EBADF);
    close(fd);
    assert_fails(verso_window_open_fd(fd, NULL, &window), -EBADF);
    assert_ptr_equal(window, (void *)1);
}

static void test_empty_file(void **state)
{
    struct verso_window *window = open_window(support_file("empty", 0), 0, 0);
    size_t bytes = 7;
    void *data = NULL;

    (void)state;
    assert_ok(verso_window_next(window, &data, &bytes));
    assert_int_equal(bytes, 0);
    assert_non_null(data);
    assert_ok(verso_window_view(window, 0, 0, &data));
    assert_fails(verso_window_view(window, 0, 1, &data), VERSO_E_RANGE);
    verso_window_close(window);
}

static void test_descriptor_is_its_own(void **state)
{
    const char *path = support_file("owned", 100);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t descriptors = support_descriptor_count();
    struct verso_window *window;
    void *data;

    (void)state;
    assert_ok(verso_window_open_fd(fd, NULL, &window));
    assert_int_equal(close(fd), 0);
    assert_ok(verso_window_view(window, 0, 100, &data));
    assert_true(support_matches(data, 0, 100));
    assert_true(file_bytes(path) == 100);
    verso_window_close(window);
    assert_int_equal(support_descriptor_count(), descriptors - 1);
}

/* How many pages of a file are cached, asked of the kernel through a mapping that is not touched. */
static size_t cached_pages(const char *path)
{
    const size_t page = verso_page_bytes();
    size_t pages = (size_t)((file_bytes(path) + page - 1) / page), count = 0;
    unsigned char *states = malloc(pages);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *look = mmap(NULL, pages * page, PROT_READ, MAP_SHARED, fd, 0);

    assert_true(states && fd >= 0 && look != MAP_FAILED);
    assert_int_equal(mincore(look, pages * page, states), 0);
    for (size_t i = 0; i < pages; i++)
        count += states[i] & 1;
    munmap(look, pages * page);
    close(fd);
    free(states);
    return count;
}

static void read_to_the_end(struct verso_window *window)
{
    size_t bytes;
    void *data;

    do
        assert_ok(verso_window_next(window, &data, &bytes));
    while (bytes > 0);
}

static void test_only_what_it_brought_in_is_dropped(void **state)
{
    const size_t page = verso_page_bytes();
    const size_t pages = 1024;
    const char *path = support_file("dropped", pages * page);
    unsigned char *warm = malloc(64 * page);
    struct verso_window *window;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    (void)state;
    assert_true(warm && fd >= 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    if (cached_pages(path) != 0) {
        close(fd);
        free(warm);
        skip_because("this file system keeps its pages in memory");
    }
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0); /* no readahead: just these 64 pages */
    assert_int_equal(pread(fd, warm, 64 * page, (off_t)(512 * page)), (ssize_t)(64 * page));
    assert_int_equal(cached_pages(path), 64);
    window = open_window(path, 32 * page, VERSO_WINDOW_DROP);
    read_to_the_end(window);
    verso_window_close(window);
    assert_true(cached_pages(path) >= 64);  /* what others had brought in stays */
    assert_true(cached_pages(path) <= 128); /* all else has gone, but for large folios that straddle the border */
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    window = open_window(path, 32 * page, 0);
    read_to_the_end(window);
    verso_window_close(window);
    assert_int_equal(cached_pages(path), pages); /* unless asked, nothing is dropped */
    close(fd);
    free(warm);
}

static void test_full_disk_is_an_error_of_the_view(void **state)
{
    const size_t page = verso_page_bytes();
    const char *reason, *directory = support_mount_tmpfs(16 * page, &reason);
    struct verso_window *window;
    char path[4096];
    void *data = NULL;
    uint64_t at = 0;
    int r = 0;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    snprintf(path, sizeof(path), "%s/file", directory);
    window = open_window(path, 4 * page, VERSO_WINDOW_WRITE | VERSO_WINDOW_CREATE | VERSO_WINDOW_EXTEND);
    while (r == 0 && at < 64 * page) {
        r = verso_window_view(window, at, page, &data);
        if (r == 0)
            memset(data, 1, page);
        at += page;
    }
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(verso_error_last()->code, -ENOSPC);
    verso_window_close(window);
    assert_int_equal(truncate(path, (off_t)(64 * page)), 0); /* a hole no disk can fill */
    window = open_window(path, 4 * page, VERSO_WINDOW_WRITE);
    assert_fails(verso_window_view(window, 40 * page, page, &data), -ENOSPC);
    verso_window_close(window);
    support_unmount(directory);
}

static void test_a_cut_file_is_a_short_count(void **state)
{
    const size_t page = verso_page_bytes();
    const char *path = support_file("cut", 4 * page);
    struct verso_window *window = open_window(path, 8 * page, 0);
    unsigned char *copy = malloc(4 * page);
    void *data;

    (void)state;
    assert_non_null(copy);
    assert_ok(verso_guard_install());
    assert_ok(verso_window_view(window, 0, 4 * page, &data));
    assert_int_equal(truncate(path, (off_t)(2 * page)), 0);
    assert_int_equal(verso_guard_copy(copy, data, 4 * page), 2 * page);
    assert_true(support_matches(copy, 0, 2 * page));
    verso_window_close(window);
    assert_ok(verso_guard_remove());
    free(copy);
}

/* Looking at what it is must not wait for somebody to open its other end. */
static int open_fifo_by_descriptor(void *arg)
{
    struct verso_window *window;
    int fd = open((const char *)arg, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    (void)alarm(20);
    return fd < 0 || verso_window_open_fd(fd, NULL, &window) != VERSO_E_NOT_MAPPED;
}

static void test_a_fifo_by_descriptor_is_refused_at_once(void **state)
{
    char fifo[4096];

    (void)state;
    snprintf(fifo, sizeof(fifo), "%s", support_path("lonely"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(support_child(open_fifo_by_descriptor, fifo), 0);
}

static void test_a_leased_file_is_waited_for(void **state)
{
    const char *path = support_file("leased", 100);
    pid_t child = support_lease_child(path, F_RDLCK);
    struct verso_window *window;

    (void)state;
    if (!child)
        skip_because("this file system gives no leases");
    window = open_window(path, 0, VERSO_WINDOW_WRITE);
    verso_window_close(window);
    support_child_stop(child);
}

/* ext4 keeps what it could allocate, and a file that is longer than anybody ever wrote. */
static void test_a_failed_growth_leaves_the_size_alone(void **state)
{
    const char *reason, *directory = support_mount(SUPPORT_EXT4, 4 << 20, &reason);
    const size_t page = verso_page_bytes();
    struct verso_window *window;
    char path[4096];
    void *data;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    snprintf(path, sizeof(path), "%s/file", directory);
    window = open_window(path, 64 << 20, VERSO_WINDOW_WRITE | VERSO_WINDOW_CREATE | VERSO_WINDOW_EXTEND);
    assert_ok(verso_window_view(window, 0, page, &data));
    assert_fails_in(verso_window_view(window, page, 32 << 20, &data), -ENOSPC, "allocate");
    assert_int_equal(file_bytes(path), page);
    assert_int_equal(verso_window_file_bytes(window), page);
    verso_window_close(window);
    support_unmount(directory);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_next_gives_every_byte_once),
        cmocka_unit_test(test_views_at_any_place),
        cmocka_unit_test(test_never_more_than_the_budget_is_mapped),
        cmocka_unit_test(test_limits_of_a_view),
        cmocka_unit_test(test_seek_and_an_end_that_moves),
        cmocka_unit_test(test_writing_through),
        cmocka_unit_test(test_what_is_skipped_stays_a_hole_and_views_get_space),
        cmocka_unit_test(test_what_can_not_be_seen_through_a_window),
        cmocka_unit_test(test_a_fifo_by_descriptor_is_refused_at_once),
        cmocka_unit_test(test_a_leased_file_is_waited_for),
        cmocka_unit_test(test_a_failed_growth_leaves_the_size_alone),
        cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_descriptor_is_its_own),
        cmocka_unit_test(test_only_what_it_brought_in_is_dropped),
        cmocka_unit_test(test_full_disk_is_an_error_of_the_view),
        cmocka_unit_test(test_a_cut_file_is_a_short_count),
    };

    return run_test_list(list);
}
