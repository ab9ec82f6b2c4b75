/* SPDX-License-Identifier: MIT */
/*
 * mappings - address spaces as the kernel tells them, against another reading of the same text: lines by getline,
 * numbers by sscanf.
 */
#include "support.h"

#include "children.h"
#include "os/linux/proc.h"
#include "os/os.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The other reading ---- */

struct line {
    uint64_t start, end, offset, inode;
    unsigned major, minor;
    char access[5];
    char *name; /* as written */
};

struct list {
    struct line *lines;
    size_t count;
    size_t room;
};

static struct list read_maps(pid_t pid)
{
    struct list list = { 0 };
    char path[64], *text = NULL;
    size_t room = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (getline(&text, &room, file) > 0) {
        struct line *line;
        int name = 0;

        if (list.count == list.room) {
            list.room = list.room ? list.room * 2 : 64;
            list.lines = realloc(list.lines, list.room * sizeof(*list.lines));
            assert_non_null(list.lines);
        }
        line = &list.lines[list.count++];
        text[strcspn(text, "\n")] = '\0';
        assert_int_equal(sscanf(text, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &line->start,
                                &line->end, line->access, &line->offset, &line->major, &line->minor, &line->inode,
                                &name),
                         7);
        line->name = strdup(text + name);
    }
    free(text);
    fclose(file);
    return list;
}

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->lines[i].name);
    free(list->lines);
}

struct comparison {
    const struct list *list;
    size_t seen;
    bool by_name;
};

static void compare_one(const struct verso__os_mapping *mapping, const struct line *line, bool by_name)
{
    assert_true(mapping->start == line->start && mapping->end == line->end);
    assert_true(mapping->offset == line->offset && mapping->inode == line->inode);
    assert_true(mapping->device_major == line->major && mapping->device_minor == line->minor);
    assert_int_equal(!!(mapping->access & VERSO__OS_ACCESS_READ), line->access[0] == 'r');
    assert_int_equal(!!(mapping->access & VERSO__OS_ACCESS_WRITE), line->access[1] == 'w');
    assert_int_equal(!!(mapping->access & VERSO__OS_ACCESS_EXEC), line->access[2] == 'x');
    assert_int_equal(mapping->shared, line->access[3] == 's');
    if (by_name)
        assert_string_equal(mapping->name, line->name);
}

static int compare(const struct verso__os_mapping *mapping, void *arg)
{
    struct comparison *comparison = arg;

    assert_true(comparison->seen < comparison->list->count);
    compare_one(mapping, &comparison->list->lines[comparison->seen], comparison->by_name);
    comparison->seen++;
    return 0;
}

/* ---- Lists ---- */

static void test_the_list_is_the_kernels(void **state)
{
    pid_t child = support_child_start(NULL, NULL);
    struct list list = read_maps(child);
    struct comparison comparison = { &list, 0, true };

    (void)state;
    assert_int_equal(verso__os_mappings(child, compare, &comparison), 0);
    assert_int_equal(comparison.seen, list.count);
    support_child_stop(child);
    list_free(&list);
}

#define MANY 20000

static int map_many(void *arg)
{
    size_t page_bytes = verso__os_page_bytes();
    char *span = mmap(NULL, MANY * 2 * page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)arg;
    if (span == MAP_FAILED)
        return -1;
    for (size_t i = 0; i < MANY; i++)
        if (mprotect(span + 2 * i * page_bytes, page_bytes, PROT_READ) != 0)
            return -1;
    return 0;
}

static void test_a_list_longer_than_any_buffer(void **state)
{
    pid_t child = support_child_start(map_many, NULL);
    struct list list = read_maps(child);
    struct comparison comparison = { &list, 0, true };

    (void)state;
    assert_true(list.count >= 2 * MANY);
    assert_int_equal(verso__os_mappings(child, compare, &comparison), 0);
    assert_int_equal(comparison.seen, list.count);
    support_child_stop(child);
    list_free(&list);
}

static int stop_at_third(const struct verso__os_mapping *mapping, void *arg)
{
    (void)mapping;
    return ++*(int *)arg == 3 ? 42 : 0;
}

static void test_the_callback_can_stop(void **state)
{
    size_t descriptors = support_descriptor_count();
    int calls = 0;

    (void)state;
    assert_int_equal(verso__os_mappings(0, stop_at_third, &calls), 42);
    assert_int_equal(calls, 3);
    assert_int_equal(support_descriptor_count(), descriptors);
}

/* Lines around the size of the reader's first buffer, and far beyond; the last one without a newline. */
static void test_lines_of_any_length(void **state)
{
    static const size_t lengths[] = { 0, 1, 16382, 16383, 16384, 0, 16385, 100000, 3 };
    const size_t count = sizeof(lengths) / sizeof(lengths[0]);
    const char *path = support_path("lines");
    FILE *file = fopen(path, "we");
    struct verso__proc_lines lines = { 0 };
    size_t bytes;
    char *line;

    (void)state;
    assert_non_null(file);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < lengths[i]; j++)
            putc('a' + (int)(j % 26), file);
        if (i + 1 < count)
            putc('\n', file);
    }
    fclose(file);
    assert_int_equal(verso__os_open(path, VERSO__OS_OPEN_READ, 0, &lines.fd), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(verso__proc_lines_next(&lines, &line, &bytes), 1);
        assert_int_equal(bytes, lengths[i]);
        assert_int_equal(strlen(line), bytes);
        for (size_t j = 0; j < bytes; j++)
            assert_int_equal(line[j], 'a' + (int)(j % 26));
    }
    assert_int_equal(verso__proc_lines_next(&lines, &line, &bytes), 0);
    assert_int_equal(verso__proc_lines_next(&lines, &line, &bytes), 0);
    verso__proc_lines_end(&lines);
    verso__os_close(lines.fd);
}

/* ---- Names ---- */

struct naming {
    uint64_t address;
    char *name;
};

static int take_name(const struct verso__os_mapping *mapping, void *arg)
{
    struct naming *naming = arg;

    if (naming->address < mapping->start || naming->address >= mapping->end)
        return 0;
    naming->name = strdup(mapping->name);
    return 1;
}

static int take_name_with_memory(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory,
                                 void *arg)
{
    assert_true(memory->page_bytes >= verso__os_page_bytes());
    return take_name(mapping, arg);
}

static void *map_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *address;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)verso__os_page_bytes()), 0);
    address = mmap(NULL, verso__os_page_bytes(), PROT_READ, MAP_SHARED, fd, 0);
    assert_true(address != MAP_FAILED);
    close(fd);
    return address;
}

/* What both lists and a look at the address say of the mapping there. */
static void expect_name(const void *address, const char *wanted)
{
    struct naming naming = { (uintptr_t)address, NULL };
    struct verso__os_mapping mapping;
    char name[PATH_MAX];

    assert_int_equal(verso__os_mappings(0, take_name, &naming), 1);
    assert_string_equal(naming.name, wanted);
    free(naming.name);
    assert_int_equal(verso__os_mappings_memory(0, take_name_with_memory, &naming), 1);
    assert_string_equal(naming.name, wanted);
    free(naming.name);
    assert_int_equal(verso__os_mapping_at(0, (uintptr_t)address, &mapping, name, sizeof(name)), 0);
    assert_string_equal(name, wanted);
    assert_ptr_equal(mapping.name, name);
}

static void test_names_of_files(void **state)
{
    static const char *const names[] = {
        "plain",       "two  blanks ", "new\nline", "\nfirst and last\n",  "\xff\xfe not UTF-8",
        "back\\slash", "x (deleted)",  "[heap]",    "tab\tand\033[31mred",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *path = support_path(names[i]);
        void *address = map_file(path);
        char gone[PATH_MAX + 16];

        expect_name(address, path);
        assert_int_equal(unlink(path), 0);
        snprintf(gone, sizeof(gone), "%s (deleted)", path);
        expect_name(address, gone);
        munmap(address, verso__os_page_bytes());
    }
}

static bool has_procmap_query(void)
{
    char name[VERSO__PROCMAP_NAME_BYTES];
    struct verso__os_mapping mapping;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), r;

    assert_true(fd >= 0);
    r = verso__procmap_query(fd, (uintptr_t)&r, &mapping, name);
    close(fd);
    return r == 0;
}

static void test_an_escape_in_the_name_itself(void **state)
{
    const char *path = support_path("a\\012b");
    void *address;

    (void)state;
    if (!has_procmap_query())
        skip_because("without PROCMAP_QUERY (Linux 6.11) this name can't be told from one with a newline");
    address = map_file(path);
    expect_name(address, path);
    munmap(address, verso__os_page_bytes());
    unlink(path);
}

/* Makes @depth directories inside each other, each name 200 bytes, and goes there; the way back is "..". */
static void go_deep(int depth)
{
    char name[201];

    memset(name, 'd', 200);
    name[200] = '\0';
    assert_int_equal(chdir(support_directory()), 0);
    for (int i = 0; i < depth; i++) {
        assert_int_equal(mkdir(name, 0700), 0);
        assert_int_equal(chdir(name), 0);
    }
}

static void come_back(int depth)
{
    char name[201];

    memset(name, 'd', 200);
    name[200] = '\0';
    for (int i = 0; i < depth; i++) {
        assert_int_equal(chdir(".."), 0);
        assert_int_equal(rmdir(name), 0);
    }
    assert_int_equal(chdir("/"), 0);
}

static void test_a_name_longer_than_any_path(void **state)
{
    const int depth = 30; /* 6,030 bytes: beyond PATH_MAX, which limits what is asked for, not what there is */
    struct verso__os_mapping mapping;
    struct naming naming;
    char name[PATH_MAX * 2];
    void *address;

    (void)state;
    go_deep(depth);
    address = map_file("leaf");
    naming = (struct naming){ (uintptr_t)address, NULL };
    assert_int_equal(verso__os_mappings(0, take_name, &naming), 1);
    assert_true(strlen(naming.name) > (size_t)depth * 201);
    assert_string_equal(naming.name + strlen(naming.name) - 5, "/leaf");
    assert_int_equal(verso__os_mapping_at(0, (uintptr_t)address, &mapping, name, sizeof(name)), 0);
    assert_string_equal(name, naming.name);
    assert_int_equal(verso__os_mapping_at(0, (uintptr_t)address, &mapping, name, 100), 0);
    assert_int_equal(strlen(name), 99);
    assert_memory_equal(name, naming.name, 96);
    assert_string_equal(name + 96, "...");
    free(naming.name);
    munmap(address, verso__os_page_bytes());
    unlink("leaf");
    come_back(depth);
}

/* ---- One mapping ---- */

static void compare_at(const struct line *line, uint64_t address, pid_t child)
{
    struct verso__os_mapping by_query, by_text;
    char query_name[PATH_MAX], text_name[PATH_MAX];

    assert_int_equal(verso__os_mapping_at(child, address, &by_query, query_name, sizeof(query_name)), 0);
    assert_int_equal(verso__mapping_at_by_text(child, address, &by_text, text_name, sizeof(text_name)), 0);
    compare_one(&by_query, line, true);
    compare_one(&by_text, line, true);
}

static void test_each_mapping_at_its_addresses(void **state)
{
    pid_t child = support_child_start(NULL, NULL);
    struct list list = read_maps(child);

    (void)state;
    for (size_t i = 0; i < list.count; i++) {
        compare_at(&list.lines[i], list.lines[i].start, child);
        compare_at(&list.lines[i], list.lines[i].end - 1, child);
    }
    support_child_stop(child);
    list_free(&list);
}

static void test_nothing_at_an_address(void **state)
{
    struct verso__os_mapping mapping = { .start = 7 };
    char name[8] = "as was";

    (void)state;
    assert_int_equal(verso__os_mapping_at(0, 0, &mapping, name, sizeof(name)), -ENOENT);
    assert_int_equal(verso__mapping_at_by_text(0, 0, &mapping, name, sizeof(name)), -ENOENT);
    assert_int_equal(verso__os_mapping_at(0, UINT64_MAX, &mapping, name, sizeof(name)), -ENOENT);
    assert_true(mapping.start == 7);
    assert_string_equal(name, "as was");
}

static void test_room_for_the_name(void **state)
{
    struct verso__os_mapping mapping;
    const char *path = support_path("name");
    void *address = map_file(path);
    size_t bytes = strlen(path);
    char name[PATH_MAX];

    (void)state;
    for (size_t room = 1; room <= bytes + 2; room++) {
        memset(name, '#', sizeof(name));
        assert_int_equal(verso__os_mapping_at(0, (uintptr_t)address, &mapping, name, room), 0);
        assert_int_equal(name[room], '#');
        assert_int_equal(strlen(name), room - 1 < bytes ? room - 1 : bytes);
    }
    assert_int_equal(verso__os_mapping_at(0, (uintptr_t)address, &mapping, NULL, 0), 0);
    assert_string_equal(mapping.name, "");
    munmap(address, verso__os_page_bytes());
    unlink(path);
}

/* ---- Memory ---- */

#define TOUCHED 10

struct memory_wanted {
    uint64_t address;
    struct verso__os_mapping_memory memory;
};

static int take_memory(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory,
                       void *arg)
{
    struct memory_wanted *wanted = arg;

    if (mapping->start > wanted->address || mapping->end <= wanted->address)
        return 0;
    wanted->memory = *memory;
    return 1;
}

static void test_memory_of_a_mapping(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    struct memory_wanted wanted;
    char *pages = mmap(NULL, 64 * page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(pages != MAP_FAILED);
    (void)madvise(pages, 64 * page_bytes, MADV_NOHUGEPAGE); /* EINVAL where there are none */
    for (size_t i = 0; i < TOUCHED; i++)
        pages[i * 6 * page_bytes] = 1;
    wanted.address = (uintptr_t)pages;
    assert_int_equal(verso__os_mappings_memory(0, take_memory, &wanted), 1);
    assert_true(wanted.memory.resident == TOUCHED * page_bytes);
    assert_true(wanted.memory.proportional == TOUCHED * page_bytes);
    assert_true(wanted.memory.private_dirty == TOUCHED * page_bytes);
    assert_true(wanted.memory.page_bytes == page_bytes);
    assert_true(wanted.memory.swapped == 0 && wanted.memory.anonymous_huge == 0);
    assert_non_null(strstr(wanted.memory.flags, "rd wr sh"));
    munmap(pages, 64 * page_bytes);
}

static int count_both(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory, void *arg)
{
    (void)memory;
    return compare(mapping, arg);
}

static void test_both_lists_agree(void **state)
{
    pid_t child = support_child_start(NULL, NULL);
    struct list list = read_maps(child);
    struct comparison comparison = { &list, 0, true };

    (void)state;
    assert_int_equal(verso__os_mappings_memory(child, count_both, &comparison), 0);
    assert_int_equal(comparison.seen, list.count);
    support_child_stop(child);
    list_free(&list);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_the_list_is_the_kernels),
        cmocka_unit_test(test_a_list_longer_than_any_buffer),
        cmocka_unit_test(test_the_callback_can_stop),
        cmocka_unit_test(test_lines_of_any_length),
        cmocka_unit_test(test_names_of_files),
        cmocka_unit_test(test_an_escape_in_the_name_itself),
        cmocka_unit_test(test_a_name_longer_than_any_path),
        cmocka_unit_test(test_each_mapping_at_its_addresses),
        cmocka_unit_test(test_nothing_at_an_address),
        cmocka_unit_test(test_room_for_the_name),
        cmocka_unit_test(test_memory_of_a_mapping),
        cmocka_unit_test(test_both_lists_agree),
    };

    return run_test_list(list);
}
