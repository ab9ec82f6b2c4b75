/* SPDX-License-Identifier: MIT */
/* dump - the names that perf reads: whether the file is what its specification says, and whose it is. */
#include "machine.h"

#include "os/os.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *dump_path(void)
{
    static char name[64];

    (void)snprintf(name, sizeof(name), "jit-%d.dump", (int)getpid());
    return support_path(name);
}

static int open_with_dump(const char *directory, struct verso_code **out_code)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;

    options.dump_directory = directory;
    return verso_code_open(&options, out_code);
}

static size_t read_dump(unsigned char *out, size_t room)
{
    int fd = open(dump_path(), O_RDONLY | O_CLOEXEC);
    ssize_t n;

    assert_true(fd >= 0);
    n = read(fd, out, room);
    assert_true(n >= 0);
    assert_int_equal(close(fd), 0);
    return (size_t)n;
}

static uint32_t word(const unsigned char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t long_word(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* Offsets as in the kernel's tools/perf/Documentation/jitdump-specification.txt. */
static void test_dump_is_as_specified(void **state)
{
    static unsigned char dump[4096];
    const unsigned char *record;
    struct verso_code *code;
    const void *first, *second;
    uint64_t began = verso__os_clock_ns();

    (void)state;
    assert_ok(open_with_dump(support_directory(), &code));
    first = block_of(code, 1);
    second = block_of(code, 2);
    assert_ok(verso_code_name(code, first, "first"));
    assert_ok(verso_code_name(code, second, ""));
    assert_int_equal(read_dump(dump, sizeof(dump)), 40 + (56 + 6 + 64) + (56 + 1 + 64));

    assert_int_equal(word(dump), 0x4a695444);
    assert_int_equal(word(dump + 4), 1);
    assert_int_equal(word(dump + 8), 40);
    assert_int_equal(word(dump + 20), getpid());
    assert_true(long_word(dump + 24) >= began);
    assert_int_equal(long_word(dump + 32), 0);

    record = dump + 40;
    assert_int_equal(word(record), 0);
    assert_int_equal(word(record + 4), 56 + 6 + 64);
    assert_true(long_word(record + 8) >= long_word(dump + 24));
    assert_int_equal(word(record + 16), getpid());
    assert_int_equal(word(record + 20), gettid());
    assert_int_equal(long_word(record + 24), (uintptr_t)first);
    assert_int_equal(long_word(record + 32), (uintptr_t)first);
    assert_int_equal(long_word(record + 40), 64);
    assert_int_equal(long_word(record + 48), 0);
    assert_string_equal((const char *)record + 56, "first");
    assert_memory_equal(record + 62, first, 64);

    record += 56 + 6 + 64;
    assert_int_equal(long_word(record + 24), (uintptr_t)second);
    assert_int_equal(long_word(record + 48), 1);
    assert_memory_equal(record + 57, second, 64);
    verso_code_close(code);
    assert_int_equal(unlink(dump_path()), 0); /* close leaves it: perf reads it afterwards */
}

struct markers {
    unsigned count;
    unsigned access;
    uint64_t offset;
};

static int look_for_marker(const struct verso__os_mapping *mapping, void *arg)
{
    struct markers *markers = arg;

    if (strstr(mapping->name, "/jit-") && strstr(mapping->name, ".dump")) {
        markers->count++;
        markers->access = mapping->access;
        markers->offset = mapping->offset;
    }
    return 0;
}

/* perf is told of mappings that may be executed; of this one nothing can be, for it lies far behind the file's end. */
static void test_marker_holds_nothing(void **state)
{
    struct verso_code *code;
    struct markers markers = { 0 };

    (void)state;
    assert_ok(open_with_dump(support_directory(), &code));
    assert_int_equal(verso__os_mappings(0, look_for_marker, &markers), 0);
    assert_int_equal(markers.count, 1);
    assert_int_equal(markers.access, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC);
    assert_true(markers.offset >= (uint64_t)1 << 40);
    verso_code_close(code);
    markers.count = 0;
    assert_int_equal(verso__os_mappings(0, look_for_marker, &markers), 0);
    assert_int_equal(markers.count, 0);
    assert_int_equal(unlink(dump_path()), 0);
}

static void test_dump_is_for_its_owner(void **state)
{
    struct verso_code *code, *second = NULL;
    struct stat status;

    (void)state;
    assert_ok(open_with_dump(support_directory(), &code));
    assert_int_equal(stat(dump_path(), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_fails(open_with_dump(support_directory(), &second), -EEXIST);
    verso_code_close(code);
    assert_int_equal(unlink(dump_path()), 0);

    assert_int_equal(symlink("/dev/null", dump_path()), 0); /* somebody knew our name before */
    assert_fails(open_with_dump(support_directory(), &second), -EEXIST);
    assert_int_equal(unlink(dump_path()), 0);
    assert_fails_in(open_with_dump("/no/such/place", &second), -ENOENT, "open");
    assert_string_equal(verso_error_last()->path, "/no/such/place");
    assert_null(second);
}

static void test_directory_of_any_length(void **state)
{
    static char directory[5000];
    struct verso_code *code;

    (void)state;
    memset(directory, 'd', sizeof(directory) - 1);
    assert_fails(open_with_dump(directory, &code), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_dump_is_as_specified),
        cmocka_unit_test(test_marker_holds_nothing),
        cmocka_unit_test(test_dump_is_for_its_owner),
        cmocka_unit_test(test_directory_of_any_length),
    };

    return run_test_list(list);
}
