/* SPDX-License-Identifier: MIT */
/* poison - what test_poison builds with AddressSanitizer and runs, a case at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <verso/arena.h>

static struct verso_arena *arena;
static volatile size_t far = 24; /* beyond what compilers see */

static char *block_of(size_t bytes)
{
    char *block = verso_arena_alloc(arena, bytes, 1);

    if (!block)
        exit(3);
    memset(block, 1, bytes);
    return block;
}

static int good(void)
{
    struct verso_arena_info info = VERSO_ARENA_INFO_INIT;

    for (size_t bytes = 1; bytes < 3000; bytes++) {
        struct verso_arena_mark mark = verso_arena_mark(arena);
        char *text = verso_arena_printf(arena, "%*d", (int)bytes, 7);
        char *block = block_of(bytes);

        block = verso_arena_realloc(arena, block, bytes, 2 * bytes, 1);
        if (!text || strlen(text) != bytes || !block)
            return 1;
        memset(block, 2, 2 * bytes);
        if (bytes % 2 && verso_arena_release(arena, mark) < 0)
            return 1;
        if (bytes % 500 == 0 && verso_arena_reset(arena, 0, VERSO_ARENA_DECOMMIT) < 0)
            return 1;
    }
    return verso_arena_info(arena, &info) < 0 || !info.poisons;
}

static int overrun(void)
{
    char *block = block_of(24);

    (void)block_of(24);
    block[far] = 1;
    return 0;
}

static int underrun(void)
{
    (void)block_of(24);
    block_of(24)[-(long)far / 24] = 1;
    return 0;
}

static int released(void)
{
    struct verso_arena_mark mark = verso_arena_mark(arena);
    char *block = block_of(100);

    if (verso_arena_release(arena, mark) < 0)
        return 3;
    block[far] = 1;
    return 0;
}

static int shrunk(void)
{
    char *block = block_of(100);

    (void)block_of(1);
    block = verso_arena_realloc(arena, block, 100, 20, 1);
    if (!block)
        return 3;
    block[far] = 1;
    return 0;
}

static int moved(void)
{
    char *block = block_of(100);

    (void)block_of(1);
    if (!verso_arena_realloc(arena, block, 100, 200, 1))
        return 3;
    block[far] = 1;
    return 0;
}

static int leak(void)
{
    void **block = verso_arena_new(arena, void *, 10);

    if (!block)
        return 3;
    block[5] = malloc(100);
    return block[5] == NULL;
}

static int closed(void)
{
    char *block = block_of(100000), *again;

    verso_arena_close(arena);
    arena = NULL;
    again = mmap(block, 100000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (again == MAP_FAILED)
        return 3;
    memset(again, 1, 100000);
    return 0;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {
        { "good", good },     { "overrun", overrun }, { "underrun", underrun }, { "released", released },
        { "shrunk", shrunk }, { "moved", moved },     { "leak", leak },         { "closed", closed },
    };

    if (count != 2 || verso_arena_open(NULL, &arena) < 0)
        return 3;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (strcmp(arguments[1], cases[i].name) == 0)
            return cases[i].run();
    return 3;
}
