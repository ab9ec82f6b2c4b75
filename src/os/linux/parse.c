/* SPDX-License-Identifier: MIT */
/* parse - see parse.h. A cursor walks each text once; it never looks behind the end it was given. */
#include "os/linux/parse.h"
#include "base/sums.h"

#include <string.h>

struct cursor {
    const char *at;
    const char *end;
};

static struct cursor cursor_over(const char *text, size_t bytes)
{
    return (struct cursor){ text, text + bytes };
}

static bool take(struct cursor *cursor, char wanted)
{
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

static void skip(struct cursor *cursor, char blank)
{
    while (take(cursor, blank))
        ;
}

/* 0-9, a-f: as the kernel's %x writes; 16 when it is no digit. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return 16;
}

/* At least one digit, and no overflow. */
static bool take_number(struct cursor *cursor, unsigned base, uint64_t *out_number)
{
    const char *start = cursor->at;
    uint64_t number = 0;

    for (; cursor->at < cursor->end && digit_value(*cursor->at) < base; cursor->at++)
        if (!verso__multiply_u64(number, base, &number) || !verso__add_u64(number, digit_value(*cursor->at), &number))
            return false;
    if (cursor->at == start)
        return false;
    *out_number = number;
    return true;
}

/* One letter of "rwxp": @yes sets the bit, '-' does not. */
static bool take_access(struct cursor *cursor, char yes, unsigned bit, unsigned *access)
{
    if (take(cursor, yes)) {
        *access |= bit;
        return true;
    }
    return take(cursor, '-');
}

static bool take_permissions(struct cursor *cursor, struct verso__os_mapping *mapping)
{
    if (!take_access(cursor, 'r', VERSO__OS_ACCESS_READ, &mapping->access) ||
        !take_access(cursor, 'w', VERSO__OS_ACCESS_WRITE, &mapping->access) ||
        !take_access(cursor, 'x', VERSO__OS_ACCESS_EXEC, &mapping->access))
        return false;
    mapping->shared = take(cursor, 's');
    return mapping->shared || take(cursor, 'p');
}

bool verso__parse_mapping(const char *line, size_t bytes, struct verso__os_mapping *out_mapping, size_t *out_name_start)
{
    struct cursor cursor = cursor_over(line, bytes);
    struct verso__os_mapping mapping = { .name = "" };

    if (!take_number(&cursor, 16, &mapping.start) || !take(&cursor, '-') || !take_number(&cursor, 16, &mapping.end) ||
        !take(&cursor, ' ') || !take_permissions(&cursor, &mapping) || !take(&cursor, ' ') ||
        !take_number(&cursor, 16, &mapping.offset) || !take(&cursor, ' ') ||
        !take_number(&cursor, 16, &mapping.device_major) || !take(&cursor, ':') ||
        !take_number(&cursor, 16, &mapping.device_minor) || !take(&cursor, ' ') ||
        !take_number(&cursor, 10, &mapping.inode))
        return false;
    if (mapping.end < mapping.start)
        return false;
    if (cursor.at != cursor.end && !take(&cursor, ' '))
        return false;
    skip(&cursor, ' '); /* names are paths or "[...]": none begins with a blank */
    *out_mapping = mapping;
    *out_name_start = (size_t)(cursor.at - line);
    return true;
}

#define NEWLINE_ESCAPE "\\012"
#define NEWLINE_ESCAPE_BYTES (sizeof(NEWLINE_ESCAPE) - 1)

size_t verso__parse_name_unescape(char *name, size_t bytes)
{
    size_t kept = 0;

    for (size_t i = 0; i < bytes; kept++) {
        bool escaped = bytes - i >= NEWLINE_ESCAPE_BYTES && memcmp(name + i, NEWLINE_ESCAPE, NEWLINE_ESCAPE_BYTES) == 0;

        name[kept] = escaped ? '\n' : name[i];
        i += escaped ? NEWLINE_ESCAPE_BYTES : 1;
    }
    return kept;
}

bool verso__parse_name_is_ambiguous(const char *name, size_t bytes)
{
    return memmem(name, bytes, NEWLINE_ESCAPE, NEWLINE_ESCAPE_BYTES) != NULL;
}

/* Where each field of smaps goes. Several rows may add up in one place. */
static const struct field {
    const char *name;
    size_t offset;
} fields[] = {
    { "Rss", offsetof(struct verso__os_mapping_memory, resident) },
    { "Pss", offsetof(struct verso__os_mapping_memory, proportional) },
    { "Shared_Clean", offsetof(struct verso__os_mapping_memory, shared_clean) },
    { "Shared_Dirty", offsetof(struct verso__os_mapping_memory, shared_dirty) },
    { "Private_Clean", offsetof(struct verso__os_mapping_memory, private_clean) },
    { "Private_Dirty", offsetof(struct verso__os_mapping_memory, private_dirty) },
    { "Referenced", offsetof(struct verso__os_mapping_memory, referenced) },
    { "Anonymous", offsetof(struct verso__os_mapping_memory, anonymous) },
    { "Swap", offsetof(struct verso__os_mapping_memory, swapped) },
    { "Locked", offsetof(struct verso__os_mapping_memory, locked) },
    { "AnonHugePages", offsetof(struct verso__os_mapping_memory, anonymous_huge) },
    { "ShmemPmdMapped", offsetof(struct verso__os_mapping_memory, file_huge) },
    { "FilePmdMapped", offsetof(struct verso__os_mapping_memory, file_huge) },
    { "Shared_Hugetlb", offsetof(struct verso__os_mapping_memory, hugetlb) },
    { "Private_Hugetlb", offsetof(struct verso__os_mapping_memory, hugetlb) },
    { "KernelPageSize", offsetof(struct verso__os_mapping_memory, page_bytes) },
};

static bool is_named(const char *line, size_t bytes, const char *name)
{
    return strlen(name) == bytes && memcmp(line, name, bytes) == 0;
}

static bool take_flags(struct cursor *cursor, struct verso__os_mapping_memory *memory)
{
    size_t bytes;

    skip(cursor, ' ');
    while (cursor->end > cursor->at && cursor->end[-1] == ' ')
        cursor->end--;
    bytes = (size_t)(cursor->end - cursor->at);
    if (bytes >= sizeof(memory->flags))
        return false;
    memcpy(memory->flags, cursor->at, bytes);
    memory->flags[bytes] = '\0';
    return true;
}

/* "      12 kB" */
static bool take_kib(struct cursor *cursor, uint64_t *out_bytes)
{
    uint64_t kib;

    skip(cursor, ' ');
    return take_number(cursor, 10, &kib) && take(cursor, ' ') && take(cursor, 'k') && take(cursor, 'B') &&
           cursor->at == cursor->end && verso__multiply_u64(kib, 1024, out_bytes);
}

static bool add_field(const struct field *field, struct cursor *cursor, struct verso__os_mapping_memory *memory)
{
    uint64_t bytes, sum;
    char *place = (char *)memory + field->offset;

    memcpy(&sum, place, sizeof(sum));
    if (!take_kib(cursor, &bytes) || !verso__add_u64(sum, bytes, &sum))
        return false;
    memcpy(place, &sum, sizeof(sum));
    return true;
}

bool verso__parse_memory_field(const char *line, size_t bytes, struct verso__os_mapping_memory *memory)
{
    const char *colon = memchr(line, ':', bytes);
    struct cursor cursor = cursor_over(line, bytes);
    size_t name_bytes;

    if (!colon || colon == line || *line < 'A' || *line > 'Z')
        return false;
    name_bytes = (size_t)(colon - line);
    cursor.at = colon + 1;
    if (is_named(line, name_bytes, "VmFlags"))
        return take_flags(&cursor, memory);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (is_named(line, name_bytes, fields[i].name))
            return add_field(&fields[i], &cursor, memory);
    return true;
}

/* The fields of stat behind the command, counted as proc(5) does: the state is the third. */
enum stat_field {
    STAT_STATE = 3,
    STAT_FLAGS = 9,
    STAT_MINOR_FAULTS = 10,
    STAT_MAJOR_FAULTS = 12,
    STAT_START_TICKS = 22,
    STAT_VIRTUAL_BYTES = 23,
    STAT_RESIDENT_PAGES = 24,
    STAT_FIELDS = 25,
};

/* Numbers may be negative (tty, priority): those are none of ours, and come as 0. */
static bool take_stat_numbers(struct cursor *cursor, uint64_t *out_numbers)
{
    for (unsigned i = STAT_STATE + 1; i < STAT_FIELDS; i++) {
        bool negative;

        if (!take(cursor, ' '))
            return false;
        negative = take(cursor, '-');
        if (!take_number(cursor, 10, &out_numbers[i]))
            return false;
        if (negative)
            out_numbers[i] = 0;
    }
    return true;
}

/* Bit of the kernel's task flags: include/linux/sched.h, PF_KTHREAD. */
#define KERNEL_THREAD_FLAG UINT64_C(0x00200000)

bool verso__parse_stat(const char *text, size_t bytes, struct verso__os_process_info *out_info)
{
    const char *open = memchr(text, '(', bytes);
    const char *close = memrchr(text, ')', bytes);
    struct verso__os_process_info info = { .is_kernel_thread = false };
    uint64_t numbers[STAT_FIELDS] = { 0 };
    struct cursor cursor = cursor_over(text, bytes);
    size_t command_bytes;

    if (!open || !close || close < open)
        return false;
    command_bytes = (size_t)(close - open) - 1;
    if (command_bytes >= sizeof(info.command) || memchr(open + 1, '\0', command_bytes))
        return false;
    memcpy(info.command, open + 1, command_bytes);
    cursor.at = close + 1;
    if (!take(&cursor, ' ') || cursor.at == cursor.end)
        return false;
    info.state = *cursor.at++;
    if (!take_stat_numbers(&cursor, numbers))
        return false;
    info.is_kernel_thread = (numbers[STAT_FLAGS] & KERNEL_THREAD_FLAG) != 0;
    info.minor_faults = numbers[STAT_MINOR_FAULTS];
    info.major_faults = numbers[STAT_MAJOR_FAULTS];
    info.start_ticks = numbers[STAT_START_TICKS];
    info.virtual_bytes = numbers[STAT_VIRTUAL_BYTES];
    if (!verso__multiply_u64(numbers[STAT_RESIDENT_PAGES], verso__os_page_bytes(), &info.resident_bytes))
        return false;
    *out_info = info;
    return true;
}
