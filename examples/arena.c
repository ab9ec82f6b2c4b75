/* SPDX-License-Identifier: MIT */
/*
 * arena - the longest line of a text, its words the other way round; no block is ever freed by itself.
 *
 *     $ arena /etc/services
 *
 * What lasts lives in one arena; what a line needs while it is worked on, in this thread's scratch arena, of which each
 * line takes back all at once.
 */
#include <stdio.h>
#include <string.h>
#include <verso.h>

static int fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "arena: %s\n", line);
    return 2;
}

struct word {
    struct word *before;
    const char *text;
};

/* Words as a chain from the last to the first, in the scratch arena; then as one text, in @results. */
static char *turn_round(struct verso_arena *results, const char *line)
{
    struct verso_arena *scratch = verso_arena_scratch(results);
    struct verso_arena_mark mark;
    struct word *last = NULL;
    char *text = NULL;

    if (!scratch)
        return NULL;
    mark = verso_arena_mark(scratch);
    for (line += strspn(line, " \t\n"); *line; line += strspn(line, " \t\n")) {
        struct word *word = verso_arena_new(scratch, struct word, 1);
        size_t bytes = strcspn(line, " \t\n");

        if (!word || !(word->text = verso_arena_strndup(scratch, line, bytes)))
            goto done;
        word->before = last;
        last = word;
        line += bytes;
    }
    text = verso_arena_strdup(scratch, "");
    for (; text && last; last = last->before)
        text = verso_arena_printf(scratch, "%s%s%s", text, *text ? " " : "", last->text);
    if (text)
        text = verso_arena_strdup(results, text);
done:
    return verso_arena_release(scratch, mark) == 0 ? text : NULL;
}

int main(int count, char **arguments)
{
    struct verso_arena_info info = VERSO_ARENA_INFO_INIT;
    char line[4096], longest[4096] = "one two three";
    struct verso_arena *arena;
    size_t longest_bytes = 0;
    FILE *file = count > 1 ? fopen(arguments[1], "re") : NULL;
    const char *turned = NULL;

    if (count > 1 && !file) {
        perror(arguments[1]);
        return 2;
    }
    if (verso_arena_open(NULL, &arena) < 0)
        return fail();
    while (file && fgets(line, sizeof(line), file))
        if (strlen(line) > longest_bytes) {
            longest_bytes = strlen(line);
            memcpy(longest, line, longest_bytes + 1);
        }
    turned = turn_round(arena, longest);
    if (!turned || verso_arena_info(arena, &info) < 0)
        return fail();
    printf("%s\n%llu bytes in %llu block of an arena of %llu GiB\n", turned, (unsigned long long)info.used_bytes,
           (unsigned long long)info.blocks, (unsigned long long)info.reserved_bytes >> 30);
    verso_arena_close(arena);
    if (file)
        (void)fclose(file);
    return 0;
}
