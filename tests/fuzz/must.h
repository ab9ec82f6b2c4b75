/* SPDX-License-Identifier: MIT */
/* must.h - what a fuzz target demands, whatever the input. */
#ifndef VERSO_TESTS_MUST_H
#define VERSO_TESTS_MUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <verso/error.h>

/* Says what did not hold, and with which error behind it, then ends the program the way fuzzers and tests notice. */
#define must(holds) ((holds) ? (void)0 : must_failed(__FILE__, __LINE__, #holds))

static inline void must_failed(const char *file, int line, const char *what)
{
    char text[512];

    (void)verso_error_message(text, sizeof(text));
    (void)dprintf(STDERR_FILENO, "%s:%d: does not hold: %s\nlast error: %s\n", file, line, what, text);
    abort();
}

/* A call that answers one of the codes that are documented, whatever it met with. */
static inline void must_be_one_of(int r, const int *codes, size_t count)
{
    bool is_documented = false;

    for (size_t i = 0; i < count; i++)
        is_documented |= r == codes[i];
    if (!is_documented)
        (void)dprintf(STDERR_FILENO, "answered %d (%s)\n", r, verso_error_name(r));
    must(is_documented);
}

#define answers(call, ...)                                                  \
    do {                                                                    \
        const int codes_[] = { __VA_ARGS__ };                               \
        must_be_one_of((call), codes_, sizeof(codes_) / sizeof(codes_[0])); \
    } while (0)

#endif
