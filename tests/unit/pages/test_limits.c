/* SPDX-License-Identifier: MIT */
/* limits - no memory, no addresses, no mappings: an answer that says which, and everything as before. */
#include "spans.h"

#include "child.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define GIB ((uint64_t)1 << 30)
#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"

static bool hint_holds(const char *part)
{
    return strstr(verso_error_last()->hint, part) != NULL;
}

/* A kilobyte figure of /proc/meminfo. */
static int64_t meminfo(const char *name)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    int64_t value = -1;

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtoll(line + strlen(name) + 1, NULL, 10);
    if (file)
        fclose(file);
    return value;
}

/* ---- Limits of the process ---- */

static int out_of_addresses(void *arg)
{
    struct rlimit limit = { 2 * GIB, 2 * GIB };
    struct verso_pages *pages = (void *)1;

    (void)arg;
    child_assert(setrlimit(RLIMIT_AS, &limit) == 0);
    child_assert(verso_pages_open(4 * GIB, NULL, &pages) == -ENOMEM);
    child_assert(hint_holds("RLIMIT_AS"));
    child_assert(pages == (void *)1);
    child_assert(verso_pages_open(GIB, NULL, &pages) == 0);
    child_assert(verso_pages_resize(pages, 3 * GIB, 1) == -ENOMEM);
    child_assert(hint_holds("RLIMIT_AS"));
    child_assert(verso_pages_bytes(pages) == GIB);
    verso_pages_close(pages);
    return 0;
}

static int out_of_data(void *arg)
{
    struct rlimit limit = { 64 << 20, 64 << 20 };
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened((size_t)(GIB / page), VERSO_PAGES_PRIVATE, 0);
    unsigned char *data = data_of(pages);

    (void)arg;
    child_assert(verso_pages_commit(pages, page, page) == 0);
    child_assert(verso_pages_commit(pages, 3 * page, page) == 0);
    child_assert(verso_pages_guard(pages, 4 * page, page) == 0);
    child_assert(verso_pages_protect(pages, 3 * page, page, VERSO_PAGES_ACCESS_READ) == 0);
    data[page] = 5;
    child_assert(setrlimit(RLIMIT_DATA, &limit) == 0);
    child_assert(verso_pages_commit(pages, 0, GIB) == -ENOMEM);
    child_assert(hint_holds("RLIMIT_DATA"));
    child_assert(data[page] == 5);
    child_assert(support_child(poke, data) == 42 << 8); /* all is as before: nothing committed, ... */
    child_assert(support_child(poke, data + 2 * page) == 42 << 8);
    child_assert(support_child(poke, data + 3 * page) == 42 << 8); /* ... the protected page protected, ... */
    child_assert(data[3 * page] == 0);
    child_assert(verso_pages_commit(pages, 0, 8 * page) == 0);
    child_assert(support_child(poke, data + 4 * page) == 42 << 8); /* ... the guard a guard */
    data[7 * page] = 1;
    verso_pages_close(pages);
    return 0;
}

static void test_limits_of_the_process(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers need more than the limits");
    assert_child_ok(out_of_addresses, NULL);
    assert_child_ok(out_of_data, NULL);
}

/* ---- Mappings ---- */

static int out_of_mappings(void *arg)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(200000, VERSO_PAGES_PRIVATE, 0);
    size_t i;
    int r = 0;

    (void)arg;
    for (i = 0; r == 0 && i < 100000; i++)
        r = verso_pages_commit(pages, 2 * i * page, page);
    child_assert(r == -ENOMEM);
    child_assert(hint_holds("vm.max_map_count"));
    data_of(pages)[2 * (i - 2) * page] = 1;
    child_assert(verso_pages_decommit(pages, 0, 1000 * page) == 0);
    child_assert(verso_pages_commit(pages, 2 * (i - 1) * page, page) == 0);
    data_of(pages)[2 * (i - 1) * page] = 1;
    verso_pages_close(pages);
    return 0;
}

static void test_out_of_mappings(void **state)
{
    uint64_t most = 0;

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("the sanitizers would run out of mappings themselves");
    assert_int_equal(verso__os_setting("vm/max_map_count", &most, NULL, 0), 0);
    if (most > 100000)
        skip_because("vm.max_map_count is %llu here", (unsigned long long)most);
    assert_child_ok(out_of_mappings, NULL);
}

/* ---- What the kernel promises ---- */

static int promise_comes_and_goes(void *arg)
{
    struct verso_pages *pages = opened((size_t)(16 * GIB / verso_page_bytes()), VERSO_PAGES_PRIVATE, 0);
    const int64_t slack = 96 << 10; /* KiB: what other processes do meanwhile */
    int64_t before = meminfo("Committed_AS"), now;

    (void)arg;
    child_assert(verso_pages_commit(pages, 0, GIB) == 0);
    now = meminfo("Committed_AS");
    child_assert(now - before > (1 << 20) - slack && now - before < (1 << 20) + slack);
    child_assert(verso_pages_decommit(pages, 0, GIB) == 0);
    now = meminfo("Committed_AS");
    child_assert(now - before < slack);
    child_assert(verso_pages_commit(pages, 0, GIB) == 0);
    child_assert(verso_pages_advise(pages, 0, GIB, VERSO_PAGES_ADVICE_DISCARD) == 0);
    now = meminfo("Committed_AS");
    child_assert(now - before > (1 << 20) - slack); /* still committed */
    verso_pages_close(pages);
    now = meminfo("Committed_AS");
    child_assert(now - before < slack);
    return 0;
}

static void test_the_promise_is_counted_and_given_back(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers commit on their own");
    assert_child_ok(promise_comes_and_goes, NULL);
}

/* More at once than there is: no kernel in mode 0 or 2 promises that. */
static int far_too_much(void *arg)
{
    uint64_t bytes = ((uint64_t)(meminfo("MemTotal") + meminfo("SwapTotal")) << 10) + GIB;
    struct verso_pages *pages = opened((size_t)(bytes / verso_page_bytes()), VERSO_PAGES_PRIVATE, 0);
    const char *word = arg;

    child_assert(verso_pages_commit(pages, 0, verso_page_bytes()) == 0);
    child_assert(verso_pages_commit(pages, 0, verso_pages_bytes(pages)) == -ENOMEM);
    child_assert(hint_holds(word));
    child_assert(verso_pages_commit(pages, 0, (uint64_t)1 << 20) == 0);
    memset(verso_pages_data(pages), 1, (size_t)1 << 20);
    verso_pages_close(pages);
    return 0;
}

/* Less than the machine has, but more than is left to promise. */
static int more_than_is_left(void *arg)
{
    uint64_t left = (uint64_t)(meminfo("CommitLimit") - meminfo("Committed_AS")) << 10;
    struct verso_pages *pages = opened((size_t)((left + GIB) / verso_page_bytes()), VERSO_PAGES_PRIVATE, 0);

    (void)arg;
    child_assert(verso_pages_commit(pages, 0, verso_pages_bytes(pages)) == -ENOMEM);
    child_assert(hint_holds("vm.overcommit_memory is 2"));
    for (int i = 0; i < 1000; i++) { /* each promise is given back, or they would add up to more than there is */
        child_assert(verso_pages_commit(pages, 0, (uint64_t)64 << 20) == 0);
        child_assert(verso_pages_decommit(pages, 0, (uint64_t)64 << 20) == 0);
    }
    child_assert(verso_pages_commit(pages, 0, (uint64_t)1 << 20) == 0);
    memset(verso_pages_data(pages), 1, (size_t)1 << 20);
    verso_pages_close(pages);
    return 0;
}

static bool set_overcommit(char mode)
{
    int fd = open(OVERCOMMIT, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, &mode, 1) == 1;

    if (fd >= 0)
        (void)close(fd);
    return done;
}

/*
 * The machine's setting is changed for as long as a child needs to be refused: some milliseconds, in which signals
 * wait. Whatever becomes of the child, it is put back. Other processes may see allocations refused meanwhile, so this
 * is tried only where there is much to promise.
 */
static void in_mode(char mode, int (*function)(void *arg), void *arg)
{
    int fd = open(OVERCOMMIT, O_RDONLY | O_CLOEXEC), status;
    sigset_t all, signals_before;
    char before;

    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(read(fd, &before, 1), 1);
    assert_int_equal(sigfillset(&all), 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, &all, &signals_before), 0);
    if (before != mode && !set_overcommit(mode)) {
        assert_int_equal(sigprocmask(SIG_SETMASK, &signals_before, NULL), 0);
        assert_int_equal(close(fd), 0);
        skip_because("only root can set vm.overcommit_memory");
    }
    status = support_child(function, arg);
    if (before != mode)
        assert_true(set_overcommit(before));
    assert_int_equal(sigprocmask(SIG_SETMASK, &signals_before, NULL), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(status, 0);
}

static int as_much_as_you_like(void *arg)
{
    struct verso_pages *pages = opened((size_t)(1024 * GIB / verso_page_bytes()), VERSO_PAGES_PRIVATE, 0);

    (void)arg;
    child_assert(verso_pages_commit(pages, 0, 1024 * GIB) == 0);
    *data_of(pages) = 1;
    child_assert(verso_pages_decommit(pages, 0, 1024 * GIB) == 0);
    verso_pages_close(pages);
    return 0;
}

static void test_modes_of_overcommit(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers need what the kernel would not promise");
    in_mode('0', far_too_much, (void *)(uintptr_t) "more at once than this machine has");
    in_mode('1', as_much_as_you_like, NULL);
    if (meminfo("CommitLimit") - meminfo("Committed_AS") < 2 << 20)
        skip_because("the kernel has less than 2 GiB left to promise: vm.overcommit_memory stays what it is");
    in_mode('2', far_too_much, (void *)(uintptr_t) "vm.overcommit_memory is 2");
    in_mode('2', more_than_is_left, NULL);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_limits_of_the_process),
        cmocka_unit_test(test_out_of_mappings),
        cmocka_unit_test(test_the_promise_is_counted_and_given_back),
        cmocka_unit_test(test_modes_of_overcommit),
    };

    return run_test_list(list);
}
