/* SPDX-License-Identifier: MIT */
/*
 * poison - telling AddressSanitizer which bytes are of a block.
 *
 * Its functions are looked for in the running program, as weak symbols: so the installed library, built without it,
 * serves a program built with it. Its picture of memory has one byte for eight, so blocks then begin at multiples of
 * eight.
 */
#include "arena/arena.h"

void __asan_poison_memory_region(const volatile void *address, size_t bytes) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *address, size_t bytes) __attribute__((weak));
void __lsan_register_root_region(const void *address, size_t bytes) __attribute__((weak));
void __lsan_unregister_root_region(const void *address, size_t bytes) __attribute__((weak));

bool verso__arena_poisons(void)
{
    return __asan_poison_memory_region && __asan_unpoison_memory_region;
}

void verso__arena_poison(const struct verso__arena *arena, unsigned char *start, const unsigned char *end)
{
    if (arena->poisoned && start < end)
        __asan_poison_memory_region(start, (size_t)(end - start));
}

void verso__arena_unpoison(const struct verso__arena *arena, unsigned char *start, const unsigned char *end)
{
    if (arena->poisoned && start < end)
        __asan_unpoison_memory_region(start, (size_t)(end - start));
}

void verso__arena_is_root(const struct verso__arena *arena, bool is_root)
{
    size_t bytes = (size_t)(arena->limit - arena->data);

    if (!__lsan_register_root_region || !__lsan_unregister_root_region)
        return;
    if (is_root)
        __lsan_register_root_region(arena->data, bytes);
    else
        __lsan_unregister_root_region(arena->data, bytes);
}

size_t verso__arena_red_zone(const struct verso__arena *arena)
{
    return arena->poisoned ? 16 : 0;
}
