/* SPDX-License-Identifier: MIT */
/* space - address spaces, single mappings, counters, and who maps a file. */
#include "support.h"

#include "children.h"
#include "mounts.h"
#include "os/fake/fake.h"
#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <verso/inspect.h>

#define MIB ((uint64_t)1 << 20)

static int calm(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static const struct verso_inspect_mapping *mapping_at(const struct verso_inspect_space *space, const void *address)
{
    for (size_t i = 0; i < space->count; i++)
        if (space->mappings[i].start <= (uintptr_t)address && (uintptr_t)address < space->mappings[i].end)
            return &space->mappings[i];
    fail_msg("nothing at %p", address);
    return NULL;
}

static char *map_whole(const char *path, int mode, int protection, int flags)
{
    int fd = open(path, mode | O_CLOEXEC);
    struct stat status;
    char *pages;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    pages = mmap(NULL, (size_t)status.st_size, protection, flags, fd, 0);
    assert_true(pages != MAP_FAILED);
    close(fd);
    return pages;
}

/* ---- Spaces ---- */

static void test_a_list_by_address(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    const char *path = support_file("a name\nof two lines \xff", 3 * page_bytes);
    char *map = map_whole(path, O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED);
    const struct verso_inspect_mapping *mapping;
    struct verso_inspect_space *space;
    struct stat status;

    (void)state;
    assert_ok(verso_inspect_space(0, 0, &space));
    assert_string_equal(space->source, "/proc/PID/maps");
    for (size_t i = 1; i < space->count; i++)
        assert_true(space->mappings[i - 1].end <= space->mappings[i].start);
    mapping = mapping_at(space, map);
    assert_string_equal(mapping->name, path);
    assert_true(mapping->start == (uintptr_t)map && mapping->end == (uintptr_t)map + 3 * page_bytes);
    assert_int_equal(mapping->access, VERSO_INSPECT_READ | VERSO_INSPECT_WRITE | VERSO_INSPECT_SHARED);
    assert_true(mapping->offset_bytes == 0);
    assert_int_equal(stat(path, &status), 0);
    assert_true(mapping->inode == status.st_ino);
    assert_int_equal(mapping->memory_error, -ENODATA);
    assert_string_equal(mapping->flags, "");
    assert_true(mapping_at(space, &space)->access & VERSO_INSPECT_WRITE);
    verso_inspect_space_free(space);
    munmap(map, 3 * page_bytes);
}

static void test_memory_adds_up(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    char *map = map_whole(support_file("memory", 8 * page_bytes), O_RDWR, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    struct verso_inspect_memory sum = { 0 };
    const struct verso_inspect_mapping *mapping;
    struct verso_inspect_space *space;

    (void)state;
    map[0] = 1;
    map[4 * page_bytes] = 1;
    assert_ok(verso_inspect_space(0, VERSO_INSPECT_SPACE_MEMORY, &space));
    assert_string_equal(space->source, "/proc/PID/smaps");
    mapping = mapping_at(space, map);
    assert_int_equal(mapping->memory_error, 0);
    assert_true(mapping->memory.anonymous_bytes == 2 * page_bytes);
    assert_true(mapping->memory.private_dirty_bytes >= 2 * page_bytes);
    assert_true(mapping->memory.page_bytes == page_bytes);
    assert_non_null(strstr(mapping->flags, "rd wr"));
    for (size_t i = 0; i < space->count; i++) {
        const struct verso_inspect_memory *memory = &space->mappings[i].memory;

        assert_true(memory->resident_bytes == memory->shared_clean_bytes + memory->shared_dirty_bytes +
                                                  memory->private_clean_bytes + memory->private_dirty_bytes);
        sum.resident_bytes += memory->resident_bytes;
        sum.proportional_bytes += memory->proportional_bytes;
        sum.anonymous_bytes += memory->anonymous_bytes;
        sum.swapped_bytes += memory->swapped_bytes;
    }
    assert_true(sum.resident_bytes == space->total.resident_bytes && sum.resident_bytes > 0);
    assert_true(sum.proportional_bytes == space->total.proportional_bytes);
    assert_true(sum.anonymous_bytes == space->total.anonymous_bytes);
    assert_true(sum.swapped_bytes == space->total.swapped_bytes);
    verso_inspect_space_free(space);
    munmap(map, 8 * page_bytes);
}

static void test_when_only_the_memory_is_refused(void **state)
{
    struct verso_inspect_space *space;

    (void)state;
    fake_fail_call("mappings_memory", -EACCES, 1);
    assert_ok(verso_inspect_space(0, VERSO_INSPECT_SPACE_MEMORY, &space));
    assert_true(space->count > 0);
    assert_string_equal(space->source, "/proc/PID/maps");
    for (size_t i = 0; i < space->count; i++) {
        assert_int_equal(space->mappings[i].memory_error, -EACCES);
        assert_true(space->mappings[i].memory.resident_bytes == 0);
    }
    verso_inspect_space_free(space);
}

/* A program exchanged while it is read gives half a list, once; the process lives on, so it is read again. */
static void test_a_program_exchanged_meanwhile(void **state)
{
    struct verso_inspect_space *space = NULL;

    (void)state;
    fake_fail_call("mappings", -ESRCH, 2);
    assert_ok(verso_inspect_space(0, 0, &space));
    assert_true(space->count > 0);
    verso_inspect_space_free(space);
    space = (void *)1;
    fake_fail_call("mappings", -ESRCH, UINT_MAX); /* at every look another program: no answer is true */
    assert_fails(verso_inspect_space(0, 0, &space), -ESRCH);
    assert_true(space == (void *)1);
}

static int name_self(void *arg)
{
    return prctl(PR_SET_NAME, arg);
}

static void test_another_process(void **state)
{
    char name[] = "two words";
    pid_t child = support_child_start(name_self, name);
    struct verso_inspect_process process;
    struct verso_inspect_space *space;

    (void)state;
    assert_ok(verso_inspect_space(child, VERSO_INSPECT_SPACE_MEMORY, &space));
    assert_int_equal(space->pid, child);
    assert_string_equal(space->command, name);
    assert_true(space->count > 0 && space->total.resident_bytes > 0);
    assert_ok(verso_inspect_process(child, &process));
    assert_string_equal(process.command, name);
    assert_true(process.virtual_bytes > 0 && process.resident_bytes > 0);
    support_child_stop(child);
    verso_inspect_space_free(space);
}

static void test_a_process_that_is_gone(void **state)
{
    struct verso_inspect_space *space = (void *)1;
    struct verso_inspect_mapping mapping = { .start = 7 };
    struct verso_inspect_process process = { .minor_faults = 7 };
    pid_t child = support_child_start(NULL, NULL);

    (void)state;
    support_child_kill(child);
    assert_fails(verso_inspect_space(child, 0, &space), -ESRCH);
    assert_fails(verso_inspect_space(child, VERSO_INSPECT_SPACE_MEMORY, &space), -ESRCH);
    support_child_stop(child);
    assert_fails_in(verso_inspect_space(child, 0, &space), -ESRCH, "read mappings");
    assert_non_null(strstr(verso_error_last()->hint, "process"));
    assert_fails(verso_inspect_find(child, 0, &mapping, NULL, 0), -ESRCH);
    assert_fails(verso_inspect_process(child, &process), -ESRCH);
    assert_fails(verso_inspect_space(-5, 0, &space), -ESRCH);
    assert_true(space == (void *)1 && mapping.start == 7 && process.minor_faults == 7);
}

static void *hold_still(void *arg)
{
    for (;;)
        (void)pause();
    return arg;
}

/* A process whose first thread has ended, as after pthread_exit() in main, while another one goes on. */
static pid_t start_headless(void)
{
    struct verso__os_process_info info = { .state = 0 };
    pid_t child = fork();
    pthread_t thread;

    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pthread_create(&thread, NULL, hold_still, NULL) != 0)
            _exit(1);
        pthread_exit(NULL);
    }
    for (int i = 0; i < 1000 && info.state != 'Z'; i++) {
        (void)poll(NULL, 0, 10);
        assert_int_equal(verso__os_process_info(child, &info), 0);
    }
    assert_int_equal(info.state, 'Z');
    return child;
}

static void test_a_process_whose_first_thread_has_ended(void **state)
{
    size_t page_bytes = verso__os_page_bytes(), count = 0, seen = 0;
    const char *path = support_file("mapped by threads", page_bytes);
    char *map = map_whole(path, O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED);
    struct verso_inspect_mapper *mappers;
    struct verso_inspect_mapping mapping;
    struct verso_inspect_space *space;
    struct verso_inspect_run *runs;
    struct verso_inspect_page page;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    pid_t child;

    (void)state;
    assert_true(fd >= 0);
    map[0] = 1;
    child = start_headless();
    assert_ok(verso_inspect_space(child, VERSO_INSPECT_SPACE_MEMORY, &space));
    assert_int_equal(space->pid, child);
    assert_true(mapping_at(space, map)->access & VERSO_INSPECT_SHARED);
    assert_true(space->total.resident_bytes > 0);
    verso_inspect_space_free(space);
    assert_ok(verso_inspect_find(child, (uintptr_t)map, &mapping, NULL, 0));
    assert_true(mapping.start == (uintptr_t)map);
    assert_ok(verso_inspect_pages(child, (uintptr_t)map, 1, &page, NULL));
    assert_ok(verso_inspect_runs(child, (uintptr_t)map, (uintptr_t)map + page_bytes, &runs, &count));
    free(runs);
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, NULL));
    for (size_t i = 0; i < count; i++)
        seen += mappers[i].pid == child;
    assert_int_equal(seen, 1);
    free(mappers);
    support_child_stop(child);
    close(fd);
    assert_int_equal(munmap(map, page_bytes), 0);
}

static int find_kernel_thread(pid_t pid, void *arg)
{
    struct verso__os_process_info info;

    if (verso__os_process_info(pid, &info) < 0 || !info.is_kernel_thread)
        return 0;
    *(pid_t *)arg = pid;
    return 1;
}

static void test_a_kernel_thread_has_no_memory(void **state)
{
    struct verso_inspect_space *space;
    pid_t thread = 0;

    (void)state;
    if (verso__os_processes(find_kernel_thread, &thread) != 1)
        skip_because("no kernel thread is in sight (a container?)");
    if (!support_is_root())
        skip_because("only root may look into kernel threads");
    assert_ok(verso_inspect_space(thread, 0, &space));
    assert_int_equal(space->count, 0);
    verso_inspect_space_free(space);
    verso_inspect_space_free(NULL);
}

static void test_unknown_flags(void **state)
{
    struct verso_inspect_space *space = (void *)1;

    (void)state;
    assert_fails(verso_inspect_space(0, 1U << 31, &space), VERSO_E_OPTIONS);
    assert_true(space == (void *)1);
}

/* ---- One mapping ---- */

static void test_find(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    const char *path = support_file("find", 4 * page_bytes);
    char *map = map_whole(path, O_RDONLY, PROT_READ, MAP_PRIVATE);
    struct verso_inspect_mapping mapping;
    char name[PATH_MAX];

    (void)state;
    assert_ok(verso_inspect_find(0, (uintptr_t)map + 2 * page_bytes, &mapping, name, sizeof(name)));
    assert_string_equal(name, path);
    assert_ptr_equal(mapping.name, name);
    assert_true(mapping.start == (uintptr_t)map && mapping.end == (uintptr_t)map + 4 * page_bytes);
    assert_int_equal(mapping.access, VERSO_INSPECT_READ);
    assert_int_equal(mapping.memory_error, -ENODATA);
    assert_ok(verso_inspect_find(0, (uintptr_t)map, &mapping, name, 10));
    assert_int_equal(strlen(name), 9);
    assert_string_equal(name + 6, "...");
    munmap(map, 4 * page_bytes);
    mapping.start = 7;
    assert_fails_in(verso_inspect_find(0, 0, &mapping, name, sizeof(name)), -ENOENT, "find a mapping");
    assert_true(mapping.start == 7);
}

/* ---- Who maps a file ---- */

static const struct verso_inspect_mapper *mapper_at(const struct verso_inspect_mapper *mappers, size_t count, pid_t pid,
                                                    const void *address)
{
    for (size_t i = 0; i < count; i++)
        if (mappers[i].pid == pid && mappers[i].start == (uintptr_t)address)
            return &mappers[i];
    return NULL;
}

/* A child and this process map @path, the second half of it twice; exactly these three are found. */
static void check_mappers(const char *path, int mode, const char *mapped_path)
{
    size_t page_bytes = verso__os_page_bytes(), count, hidden;
    char *map = map_whole(mapped_path, O_RDWR, PROT_READ, MAP_SHARED);
    pid_t child = support_child_start(NULL, NULL); /* has what this process has */
    const struct verso_inspect_mapper *found;
    struct verso_inspect_mapper *mappers;
    int fd = open(path, mode | O_CLOEXEC), second_fd = open(mapped_path, O_RDWR | O_CLOEXEC);
    char *second = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, second_fd, (off_t)(2 * page_bytes));

    assert_true(fd >= 0 && second != MAP_FAILED);
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, &hidden));
    assert_int_equal(count, 3);
    found = mapper_at(mappers, count, child, map);
    assert_non_null(found);
    assert_true(found->end == (uintptr_t)map + 4 * page_bytes && found->offset_bytes == 0);
    assert_int_equal(found->access, VERSO_INSPECT_READ | VERSO_INSPECT_SHARED);
    assert_true(strlen(found->command) > 0);
    assert_non_null(mapper_at(mappers, count, getpid(), map));
    found = mapper_at(mappers, count, getpid(), second);
    assert_non_null(found);
    assert_true(found->offset_bytes == 2 * page_bytes);
    assert_int_equal(found->access, VERSO_INSPECT_READ | VERSO_INSPECT_WRITE);
    free(mappers);
    support_child_stop(child);
    munmap(map, 4 * page_bytes);
    munmap(second, page_bytes);
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, NULL));
    assert_int_equal(count, 0);
    free(mappers);
    close(fd);
    close(second_fd);
}

static void test_mappers(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    const char *path = support_file("mapped", 4 * page_bytes), *link_path = support_path("another name");

    (void)state;
    check_mappers(path, O_RDONLY, path);
    check_mappers(path, O_WRONLY, path);
    assert_int_equal(link(path, link_path), 0);
    check_mappers(link_path, O_RDWR, path);
}

static char *write_file(const char *directory, const char *name, size_t bytes)
{
    static char path[PATH_MAX];
    char *zeros = calloc(1, bytes);
    int fd;

    assert_non_null(zeros);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, zeros, bytes), (ssize_t)bytes);
    close(fd);
    free(zeros);
    return path;
}

static void test_mappers_where_stat_names_another_device(void **state)
{
    const char *reason, *directory = support_mount(SUPPORT_BTRFS, 128 * MIB, &reason);
    struct verso_inspect_mapping mapping;
    struct stat status;
    const char *path;
    char *map;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    path = write_file(directory, "file", 4 * verso__os_page_bytes());
    map = map_whole(path, O_RDWR, PROT_READ, MAP_SHARED);
    assert_ok(verso_inspect_find(0, (uintptr_t)map, &mapping, NULL, 0));
    munmap(map, 4 * verso__os_page_bytes());
    assert_int_equal(stat(path, &status), 0);
    assert_true(mapping.inode == status.st_ino);
    if (mapping.device == status.st_dev)
        print_message("# this kernel tells maps and stat the same device: the hard case is not met\n");
    check_mappers(path, O_RDONLY, path);
}

static void test_a_file_without_a_name(void **state)
{
    size_t page_bytes = verso__os_page_bytes(), count;
    struct verso_inspect_mapper *mappers;
    const char *path = support_file("unlinked", page_bytes);
    char *map = map_whole(path, O_RDONLY, PROT_READ, MAP_PRIVATE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(unlink(path), 0);
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, NULL));
    assert_int_equal(count, 1);
    assert_true(mappers[0].start == (uintptr_t)map);
    free(mappers);
    munmap(map, page_bytes);
    close(fd);
    fd = memfd_create("memory", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)page_bytes), 0);
    map = mmap(NULL, page_bytes, PROT_READ, MAP_SHARED, fd, 0);
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, NULL));
    assert_int_equal(count, 1);
    free(mappers);
    munmap(map, page_bytes);
    close(fd);
}

static void test_files_that_nobody_can_map(void **state)
{
    struct verso_inspect_mapper *mappers = NULL;
    size_t count = 7;
    int pipes[2], fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, NULL));
    assert_int_equal(count, 0);
    free(mappers);
    close(fd);
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < 2; i++) {
        mappers = NULL;
        assert_ok(verso_inspect_mappers(pipes[i], &mappers, &count, NULL));
        assert_int_equal(count, 0);
        free(mappers);
        close(pipes[i]);
    }
    fd = open(support_file("empty", 0), O_RDONLY | O_CLOEXEC);
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, NULL));
    assert_int_equal(count, 0);
    free(mappers);
    close(fd);
    mappers = (void *)1;
    count = 7;
    assert_fails(verso_inspect_mappers(fd, &mappers, &count, NULL), -EBADF);
    fd = open(support_directory(), O_RDONLY | O_CLOEXEC);
    assert_fails(verso_inspect_mappers(fd, &mappers, &count, NULL), -EISDIR);
    close(fd);
    assert_true(mappers == (void *)1 && count == 7);
}

static void test_what_is_hidden_is_counted(void **state)
{
    size_t page_bytes = verso__os_page_bytes(), count, hidden = 7;
    struct verso_inspect_mapper *mappers;
    const char *path = support_file("hidden", page_bytes);
    char *map = map_whole(path, O_RDONLY, PROT_READ, MAP_PRIVATE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    (void)state;
    fake_fail_call("mappings", -EACCES, UINT_MAX);
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, &hidden));
    fake_reset();
    assert_int_equal(count, 0);
    assert_true(hidden >= 1);
    free(mappers);
    fake_fail_call("mappings", -ESRCH, UINT_MAX); /* they ended: neither found nor hidden */
    assert_ok(verso_inspect_mappers(fd, &mappers, &count, &hidden));
    fake_reset();
    assert_true(count == 0 && hidden == 0);
    free(mappers);
    munmap(map, page_bytes);
    close(fd);
}

#define test(name) cmocka_unit_test_teardown(name, calm)

int main(void)
{
    const struct CMUnitTest list[] = {
        test(test_a_list_by_address),
        test(test_memory_adds_up),
        test(test_when_only_the_memory_is_refused),
        test(test_a_program_exchanged_meanwhile),
        test(test_another_process),
        test(test_a_process_that_is_gone),
        test(test_a_process_whose_first_thread_has_ended),
        test(test_a_kernel_thread_has_no_memory),
        test(test_unknown_flags),
        test(test_find),
        test(test_mappers),
        test(test_mappers_where_stat_names_another_device),
        test(test_a_file_without_a_name),
        test(test_files_that_nobody_can_map),
        test(test_what_is_hidden_is_counted),
    };

    return run_test_list(list);
}
