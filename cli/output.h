/* SPDX-License-Identifier: MIT */
/*
 * output.h - how every command speaks: data on stdout, messages on stderr, names that can't break a line.
 */
#ifndef VERSO_CLI_OUTPUT_H
#define VERSO_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One line on stderr: "verso cache: <text>"; answers EXIT_TROUBLE, so that commands may `return trouble(...)`. */
int trouble(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for the library's last error: what, where, what to do. */
int trouble_error(void);

/* A note on stderr, unless --quiet. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The name of the running command, for messages ("cache"); set by main. */
void output_command_set(const char *name);

/* A file name as one printable line: bytes that are not printable UTF-8 come as \xNN. Caller frees; never NULL. */
char *name_shown(const char *name);

/* A file name for JSON: UTF-8 as it is; with other bytes in it, these and backslashes as \xNN, and beside it
 * "<key>_escaped": true. */
void json_set_name(json_t *object, const char *key, const char *name);

/* 1536 -> "1.5 KiB" in @text (at least 16 bytes), rounded down; returns @text. */
char *bytes_shown(uint64_t bytes, char *text);

/* 1234567 -> "1,234,567" in @text (at least 27 bytes); returns @text. */
char *count_shown(uint64_t count, char *text);

/* Whether colours may be used on @stream: a terminal, NO_COLOR unset, TERM not dumb, --color. */
bool color_wanted(FILE *stream);

/* Columns of the terminal behind @stream: COLUMNS, the terminal's own answer, else 80. */
int terminal_columns(FILE *stream);

/* Prints @root as JSON on stdout with "schema" first, frees it; answers EXIT_YES, or trouble when stdout can't take it.
 */
int json_print(json_t *root, int schema);

/* The same on one line, for streams of objects. */
int json_print_line(json_t *root, int schema);

/* Flushes and closes stdout; trouble when what was printed did not get there (full disk, closed pipe). main ends every
 * command with this. */
int output_finish(int exit_code);

/* A progress line on stderr for work over a second; nothing when stderr is not a terminal or --quiet. */
struct progress {
    const char *what;
    uint64_t total; /* 0: not known */
    bool is_bytes;
    uint64_t start_ns;
    uint64_t shown_ns;
};
void progress_start(struct progress *progress, const char *what, uint64_t total, bool is_bytes);
void progress_step(struct progress *progress, uint64_t done); /* cheap: looks at the clock, seldom prints */
void progress_end(struct progress *progress);                 /* clears the line */
void progress_line(const char *line);                         /* shows another line, cut where the terminal ends */
void progress_hide(void);                                     /* clears it until the next step; messages do */

/* True after Ctrl-C or SIGTERM: loops look at it and end cleanly. main installs the handler. */
bool interrupted(void);

#endif
