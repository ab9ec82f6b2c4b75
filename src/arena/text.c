/* SPDX-License-Identifier: MIT */
/*
 * text - copies of texts, and texts made by printf.
 *
 * Formatting goes straight to where the next block may begin: if the text fits, the block is there already; if not, its
 * length is known, and it is made once more into a block of that size.
 */
#include "arena/arena.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

char *verso_arena_strndup(struct verso_arena *arena, const char *text, size_t bytes_max)
{
    size_t bytes = strnlen(text, bytes_max);
    char *copy = verso_arena_alloc(arena, bytes + 1, 1);

    if (!copy)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *verso_arena_strdup(struct verso_arena *arena, const char *text)
{
    return verso_arena_strndup(arena, text, SIZE_MAX);
}

/* Bytes of a text that did not fit stand where nothing was handed out: no zeros any more. */
static void spoil(struct verso_arena *head, size_t bytes)
{
    if (bytes > 0 && head->fresh < head->next + bytes)
        head->fresh = head->next + bytes;
}

static int format_failed(const struct verso_arena *head)
{
    int error = errno ? -errno : -EINVAL;

    return verso__arena_fail(verso__arena_of(head), error, "vsnprintf",
                             "the text is too long for printf, or not valid");
}

char *verso_arena_vprintf(struct verso_arena *head, const char *format, va_list arguments)
{
    size_t room = (size_t)(head->end - head->next);
    char *text = (char *)head->next;
    va_list again;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(room ? text : NULL, room, format, arguments);
    if (length < 0) {
        spoil(head, room);
        (void)format_failed(head);
        text = NULL;
    } else if ((size_t)length < room) {
        head->next += (size_t)length + 1;
        head->blocks++;
    } else {
        spoil(head, room);
        text = verso_arena_alloc(head, (size_t)length + 1, 1);
        if (text && vsnprintf(text, (size_t)length + 1, format, again) != length) {
            (void)format_failed(head);
            text = NULL;
        }
    }
    va_end(again);
    return text;
}

char *verso_arena_printf(struct verso_arena *arena, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = verso_arena_vprintf(arena, format, arguments);
    va_end(arguments);
    return text;
}
