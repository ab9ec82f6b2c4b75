/* SPDX-License-Identifier: MIT */
/* must.h - what a fuzz target demands, whatever the input. */
#ifndef VERSO_TESTS_MUST_H
#define VERSO_TESTS_MUST_H

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

#endif
