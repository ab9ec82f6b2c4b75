/* SPDX-License-Identifier: MIT */
/* parse - the texts of /proc: what the kernel writes, and what it never would. */
#include "support.h"

#include "os/linux/parse.h"

/* A copy without a byte behind its end, so that a sanitizer sees a parser that looks there. */
static char *exactly(const char *text, size_t bytes)
{
    char *copy = malloc(bytes ? bytes : 1);

    assert_non_null(copy);
    memcpy(copy, text, bytes);
    return copy;
}

static bool parse(const char *text, struct verso__os_mapping *out_mapping, char *out_name, size_t room_bytes)
{
    size_t bytes = strlen(text), start;
    char *line = exactly(text, bytes);
    bool parsed = verso__parse_mapping(line, bytes, out_mapping, &start);

    if (parsed) {
        assert_true(start <= bytes);
        assert_true(bytes - start < room_bytes);
        memcpy(out_name, line + start, bytes - start);
        out_name[bytes - start] = '\0';
    }
    free(line);
    return parsed;
}

static void test_a_mapping_with_everything(void **state)
{
    struct verso__os_mapping mapping;
    char name[256];

    (void)state;
    assert_true(parse("7f12a000-7f12c000 r-xp 0001f000 fe:1a 131081                     /usr/lib/a b.so (deleted)",
                      &mapping, name, sizeof(name)));
    assert_true(mapping.start == 0x7f12a000 && mapping.end == 0x7f12c000);
    assert_true(mapping.offset == 0x1f000);
    assert_true(mapping.device_major == 0xfe && mapping.device_minor == 0x1a && mapping.inode == 131081);
    assert_int_equal(mapping.access, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC);
    assert_false(mapping.shared);
    assert_string_equal(name, "/usr/lib/a b.so (deleted)");
}

static void test_a_mapping_without_a_name(void **state)
{
    static const char *const lines[] = {
        "ffffffffff600000-ffffffffff601000 -w-s 00000000 00:00 0 ",
        "ffffffffff600000-ffffffffff601000 -w-s 00000000 00:00 0",
        "ffffffffff600000-ffffffffff601000 -w-s 00000000 00:00 0                  ",
    };
    struct verso__os_mapping mapping;
    char name[256];

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_true(parse(lines[i], &mapping, name, sizeof(name)));
        assert_true(mapping.start == 0xffffffffff600000 && mapping.end == 0xffffffffff601000);
        assert_int_equal(mapping.access, VERSO__OS_ACCESS_WRITE);
        assert_true(mapping.shared);
        assert_string_equal(name, "");
    }
}

static void test_names_keep_their_bytes(void **state)
{
    static const char *const names[] = { "[heap]",    "[anon:my pool]", "/a  b ",
                                         "/\xff\xfe", "//deleted",      "anon_inode:[x]" };
    struct verso__os_mapping mapping;
    char line[256], name[256];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(line, sizeof(line), "1000-2000 rwxp 00000000 00:01 7   %s", names[i]);
        assert_true(parse(line, &mapping, name, sizeof(name)));
        assert_string_equal(name, names[i]);
    }
}

static void test_what_is_no_mapping(void **state)
{
    static const char *const lines[] = {
        "",
        "1000",
        "1000-",
        "1000-2000",
        "1000-2000 ",
        "1000-2000 rwx",
        "1000-2000 rwxq 0 0:0 0",
        "1000-2000 rwzp 0 0:0 0",
        "1000-2000 wrxp 0 0:0 0",
        "1000-2000 rwxp  0 0:0 0",
        "1000-2000 rwxp 0 0:0",
        "1000-2000 rwxp 0 00 0",
        "1000-2000 rwxp 0 0:0 x",
        "1000-2000 rwxp 0 0:0 0/a", /* no blank before the name */
        "2000-1000 rwxp 0 0:0 0",
        "-2000 rwxp 0 0:0 0",
        "10000000000000000-20000000000000000 rwxp 0 0:0 0", /* 2^64 */
        "1000-2000 rwxp 0 0:0 99999999999999999999",
        "0x1000-0x2000 rwxp 0 0:0 0",
        "FF00-FFFF rwxp 0 0:0 0",
        " 1000-2000 rwxp 0 0:0 0",
        "Rss:                   4 kB",
    };
    struct verso__os_mapping mapping = { .start = 7, .name = "untouched" };
    char name[256];

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_false(parse(lines[i], &mapping, name, sizeof(name)));
        assert_true(mapping.start == 7);
        assert_string_equal(mapping.name, "untouched");
    }
}

static void test_every_cut_of_a_mapping_is_safe(void **state)
{
    static const char whole[] = "7f12a000-7f12c000 r-xp 0001f000 fe:1a 131081    /usr/lib/a.so";
    struct verso__os_mapping mapping;
    size_t start;

    (void)state;
    for (size_t bytes = 0; bytes < sizeof(whole) - 1; bytes++) {
        char *line = exactly(whole, bytes);
        bool parsed = verso__parse_mapping(line, bytes, &mapping, &start);

        assert_true(parsed == (bytes > strlen("7f12a000-7f12c000 r-xp 0001f000 fe:1a ")));
        free(line);
    }
}

static size_t unescaped(const char *text, char *out_text)
{
    size_t bytes = strlen(text), kept;
    char *copy = exactly(text, bytes);

    kept = verso__parse_name_unescape(copy, bytes);
    assert_true(kept <= bytes);
    memcpy(out_text, copy, kept);
    out_text[kept] = '\0';
    free(copy);
    return kept;
}

static void test_newlines_come_back(void **state)
{
    char text[64];

    (void)state;
    assert_int_equal(unescaped("", text), 0);
    unescaped("/a\\012b", text);
    assert_string_equal(text, "/a\nb");
    unescaped("\\012\\012", text);
    assert_string_equal(text, "\n\n");
    unescaped("/a\\01", text); /* cut: not an escape */
    assert_string_equal(text, "/a\\01");
    unescaped("/a\\040\\\\012", text); /* the kernel escapes nothing else here */
    assert_string_equal(text, "/a\\040\\\n");
    assert_true(verso__parse_name_is_ambiguous("/a\\012", 6));
    assert_false(verso__parse_name_is_ambiguous("/a\\012", 5));
    assert_false(verso__parse_name_is_ambiguous("/a", 2));
}

static bool field(struct verso__os_mapping_memory *memory, const char *text)
{
    char *line = exactly(text, strlen(text));
    bool parsed = verso__parse_memory_field(line, strlen(text), memory);

    free(line);
    return parsed;
}

static void test_memory_fields(void **state)
{
    struct verso__os_mapping_memory memory = { 0 };

    (void)state;
    assert_true(field(&memory, "Rss:                  12 kB"));
    assert_true(field(&memory, "Pss:                   5 kB"));
    assert_true(field(&memory, "Pss_Dirty:             9 kB")); /* not Pss */
    assert_true(field(&memory, "Shared_Hugetlb:     2048 kB"));
    assert_true(field(&memory, "Private_Hugetlb:    4096 kB"));
    assert_true(field(&memory, "ShmemPmdMapped:        1 kB"));
    assert_true(field(&memory, "FilePmdMapped:         2 kB"));
    assert_true(field(&memory, "THPeligible:           1"));
    assert_true(field(&memory, "SomethingNew: whatever it says"));
    assert_true(field(&memory, "VmFlags: rd ex mr mw me sd "));
    assert_true(memory.resident == 12 * 1024 && memory.proportional == 5 * 1024);
    assert_true(memory.hugetlb == 6144 * 1024 && memory.file_huge == 3 * 1024);
    assert_true(memory.swapped == 0);
    assert_string_equal(memory.flags, "rd ex mr mw me sd");
    assert_true(field(&memory, "VmFlags:"));
    assert_string_equal(memory.flags, "");
}

static void test_what_is_no_memory_field(void **state)
{
    static const char *const lines[] = {
        "",
        ":",
        "Rss",
        "Rss:",
        "Rss: 12",
        "Rss: 12 MB",
        "Rss: 12 kB ",
        "Rss: -1 kB",
        "Rss: 18446744073709551615 kB", /* times 1024 does not fit */
        "Rss: 99999999999999999999999 kB",
        "rss: 12 kB",
        "7f12a000-7f12c000 r-xp 0001f000 fe:1a 131081",
    };
    struct verso__os_mapping_memory memory = { .resident = 7 };
    char flags[400] = "VmFlags:";

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_false(field(&memory, lines[i]));
    assert_true(memory.resident == 7);
    for (size_t i = 0; i < 64; i++)
        memcpy(flags + strlen("VmFlags:") + 3 * i, " rd", 4);
    assert_true(field(&memory, flags)); /* as many as the kernel has bits */
    assert_int_equal(strlen(memory.flags), 64 * 3 - 1);
    memcpy(flags + strlen(flags), " rd rd rd rd", 13);
    assert_false(field(&memory, flags)); /* refused, not cut */
}

#define STAT_TAIL                                                                                             \
    " S 1 22 22 0 -1 4194560 101 202 303 404 5 6 7 8 20 0 1 0 12345 1048576 25 18446744073709551615 1 1 1 0 " \
    "0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"

static bool parse_stat(const char *text, struct verso__os_process_info *out_info)
{
    char *copy = exactly(text, strlen(text));
    bool parsed = verso__parse_stat(copy, strlen(text), out_info);

    free(copy);
    return parsed;
}

static void test_stat(void **state)
{
    static const char *const commands[] = { "bash", "", "a b", ") R 1 2 3", "((x))", "new\nline", "\xff" };
    struct verso__os_process_info info;
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        snprintf(text, sizeof(text), "22 (%s)" STAT_TAIL, commands[i]);
        assert_true(parse_stat(text, &info));
        assert_string_equal(info.command, commands[i]);
        assert_int_equal(info.state, 'S');
        assert_false(info.is_kernel_thread);
        assert_true(info.minor_faults == 101 && info.major_faults == 303);
        assert_true(info.start_ticks == 12345 && info.virtual_bytes == 1048576);
        assert_true(info.resident_bytes == 25 * verso__os_page_bytes());
    }
    assert_true(parse_stat("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0", &info));
    assert_true(info.is_kernel_thread);
}

static void test_what_is_no_stat(void **state)
{
    static const char too_long[] =
        "22 (a name far longer than the kernel allows for a command, sixty-four bytes or more) S 1 22 22 0 -1 4194560 "
        "101 202 303 404 5 6 7 8 20 0 1 0 12345 1048576 25";
    static const char *const texts[] = {
        "",
        "22",
        "22 (bash",
        "22 bash) S 1",
        ")(",
        "22 (bash)",
        "22 (bash) ",
        "22 (bash) S",
        "22 (bash) S 1 22 22 0 -1 4194560 101 202 303 404 5 6 7 8 20 0 1 0 12345 1048576",
        "22 (bash) S 1 22 22 0 - 4194560 101 202 303 404 5 6 7 8 20 0 1 0 12345 1048576 25",
        "22 (bash) S 1 22 22 0 -1 4194560 101 202 303 404 5 6 7 8 20 0 1 0 12345 1048576 18446744073709551615",
        too_long,
    };
    struct verso__os_process_info info = { .start_ticks = 7 };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(parse_stat(texts[i], &info));
    assert_true(info.start_ticks == 7);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_mapping_with_everything),
        cmocka_unit_test(test_a_mapping_without_a_name),
        cmocka_unit_test(test_names_keep_their_bytes),
        cmocka_unit_test(test_what_is_no_mapping),
        cmocka_unit_test(test_every_cut_of_a_mapping_is_safe),
        cmocka_unit_test(test_newlines_come_back),
        cmocka_unit_test(test_memory_fields),
        cmocka_unit_test(test_what_is_no_memory_field),
        cmocka_unit_test(test_stat),
        cmocka_unit_test(test_what_is_no_stat),
    };

    return run_test_list(list);
}
