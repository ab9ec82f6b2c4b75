/* SPDX-License-Identifier: MIT */
/* hash_list - lines of checksums: written, and read by somebody who trusts none. */
#include "hash_list.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *tag;
    unsigned kind; /* enum verso_digest_kind */
    unsigned bytes;
} kinds[] = {
    { "XXH32", VERSO_DIGEST_XXH32, 4 },
    { "XXH64", VERSO_DIGEST_XXH64, 8 },
    { "XXH128", VERSO_DIGEST_XXH3_128, 16 },
    { "XXH3", VERSO_DIGEST_XXH3_64, 8 },
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* ---- Writing ---- */

/* @name with \n, \r and \\ for what would break the line; answers whether any was there. Caller frees *out_text. */
static bool escape(const char *name, char **out_text)
{
    char *at = *out_text = allocate(NULL, strlen(name) * 2 + 1, 1);
    bool any = false;

    for (; *name; name++) {
        const char *special = strchr("\nn\rr\\\\", *name);

        if (special && (*name == '\n' || *name == '\r' || *name == '\\')) {
            *at++ = '\\';
            *at++ = special[1];
            any = true;
        } else {
            *at++ = *name;
        }
    }
    *at = '\0';
    return any;
}

static const char *tag_of(unsigned kind)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (kinds[i].kind == kind)
            return kinds[i].tag;
    return "";
}

char *hash_line_shown(const struct verso_digest_value *value, const char *name, bool tagged)
{
    char digits[VERSO_DIGEST_TEXT_BYTES], *escaped, *line;
    const char *mark = escape(name, &escaped) ? "\\" : "";
    int length;

    verso_digest_text(value, digits);
    if (tagged || value->kind == VERSO_DIGEST_XXH3_64) /* the form of XXH3 that every xxhsum reads */
        length = asprintf(&line, "%s%s (%s) = %s\n", mark, tag_of(value->kind), escaped, digits);
    else
        length = asprintf(&line, "%s%s  %s\n", mark, digits, escaped);
    if (length < 0)
        exit(trouble("out of memory"));
    free(escaped);
    return line;
}

/* ---- Reading ---- */

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = digit ? strchr(digits, digit) : NULL;

    return at ? (int)((at - digits) % 16) : -1;
}

/* Hexadecimal digits at the start of @text; answers how many bytes they make, or 0. */
static unsigned parse_digits(const char *text, struct verso_digest_value *value)
{
    unsigned count = 0;

    for (; digit_value(text[count]) >= 0; count++) {
        if (count == 2 * VERSO_DIGEST_BYTES_MAX)
            return 0;
        if (count % 2 == 0)
            value->value[count / 2] = (unsigned char)(digit_value(text[count]) << 4);
        else
            value->value[count / 2] |= (unsigned char)digit_value(text[count]);
    }
    return count % 2 ? 0 : count / 2;
}

/* "XXH64 (name) = digits": sets *out_name, and ends it in place. */
static bool parse_tagged(char *line, struct verso_digest_value *value, char **out_name)
{
    size_t tag_length = strcspn(line, " ");
    char *last = NULL;

    if (strncmp(line + tag_length, " (", 2) != 0)
        return false;
    for (char *at = line; (at = strstr(at, ") = ")); at++) /* the last: names may hold it as well */
        last = at;
    for (size_t i = 0; last && i < KIND_COUNT; i++) {
        if (strlen(kinds[i].tag) != tag_length || memcmp(kinds[i].tag, line, tag_length) != 0)
            continue;
        value->kind = kinds[i].kind;
        value->bytes = parse_digits(last + 4, value);
        *out_name = line + tag_length + 2;
        *last = '\0';
        return value->bytes == kinds[i].bytes && last[4 + 2 * value->bytes] == '\0';
    }
    return false;
}

/* "digits  name", "XXH3_digits  name". */
static bool parse_plain(char *line, struct verso_digest_value *value, char **out_name)
{
    bool is_xxh3 = strncmp(line, "XXH3_", 5) == 0;

    line += is_xxh3 ? 5 : 0;
    value->bytes = parse_digits(line, value);
    line += 2 * value->bytes;
    if (*line != ' ' || (line[1] != ' ' && line[1] != '*'))
        return false;
    *out_name = line + 2;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].bytes != value->bytes || (kinds[i].kind == VERSO_DIGEST_XXH3_64) != is_xxh3)
            continue;
        value->kind = kinds[i].kind;
        return true;
    }
    return false;
}

/* Takes back escape(), in place. */
static bool unescape(char *name)
{
    char *to = name;

    for (; *name; name++) {
        if (*name != '\\') {
            *to++ = *name;
            continue;
        }
        name++;
        if (*name != 'n' && *name != 'r' && *name != '\\')
            return false;
        *to++ = *name == 'n' ? '\n' : *name == 'r' ? '\r' : '\\';
    }
    *to = '\0';
    return true;
}

static bool parse(char *line, struct verso_digest_value *value, char **out_name)
{
    bool is_escaped = *line == '\\';

    line += is_escaped;
    if (!parse_tagged(line, value, out_name) && !parse_plain(line, value, out_name))
        return false;
    return **out_name && (!is_escaped || unescape(*out_name));
}

static void add(struct hash_list *list, const char *name, const struct verso_digest_value *value)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        list->lines = allocate(list->lines, list->room, sizeof(*list->lines));
    }
    list->lines[list->count++] = (struct hash_line){ copy_of(name), *value };
}

size_t hash_list_read(struct hash_list *list, FILE *file, const char *name, bool warns)
{
    char *line = NULL, *found;
    size_t room = 0, before = list->count;
    ssize_t length;

    for (uint64_t number = 1; (length = getline(&line, &room, file)) > 0; number++) {
        struct verso_digest_value value = { 0, 0, { 0 } };

        if (line[length - 1] == '\n')
            line[--length] = '\0';
        if (*line == '\0' || *line == '#')
            continue;
        if (strlen(line) == (size_t)length && parse(line, &value, &found)) {
            add(list, found, &value);
            continue;
        }
        list->improper++;
        if (warns)
            (void)trouble("%s:%llu: not a line of a checksum", name, (unsigned long long)number);
    }
    free(line);
    return list->count - before;
}

void hash_list_clear(struct hash_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->lines[i].name);
    free(list->lines);
}
