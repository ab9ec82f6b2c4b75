/* SPDX-License-Identifier: MIT */
/*
 * output - messages, names, numbers, JSON, and the last look at stdout.
 *
 * Printing can fail long after printf() (buffers, full disks, closed pipes), so nobody looks at each call: the stream
 * remembers, and output_finish() asks it once.
 */
#include "output.h"
#include "command.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <verso/error.h>

static const char *command_name;

void output_command_set(const char *name)
{
    command_name = name;
}

/* ---- Messages ---- */

__attribute__((format(printf, 1, 0))) static void message(const char *format, va_list arguments)
{
    fflush(stdout);    /* so that data and messages come in order where both go to one place */
    flockfile(stderr); /* threads complain one after the other */
    progress_hide();
    fprintf(stderr, command_name ? "verso %s: " : "verso: ", command_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
}

int trouble(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    message(format, arguments);
    va_end(arguments);
    return EXIT_TROUBLE;
}

int trouble_error(void)
{
    size_t bytes = verso_error_message(NULL, 0) + 1;
    char *text = allocate(NULL, bytes, 1);
    int answer;

    verso_error_message(text, bytes);
    answer = trouble("%s", text);
    free(text);
    return answer;
}

void note(const char *format, ...)
{
    va_list arguments;

    if (common.quiet)
        return;
    va_start(arguments, format);
    message(format, arguments);
    va_end(arguments);
}

void *allocate(void *old, size_t count, size_t bytes)
{
    int error = errno;
    void *memory = reallocarray(old, count ? count : 1, bytes);

    if (!memory) {
        trouble("out of memory");
        exit(EXIT_TROUBLE);
    }
    errno = error;
    return memory;
}

char *copy_of(const char *text)
{
    size_t bytes = strlen(text) + 1;

    return memcpy(allocate(NULL, bytes, 1), text, bytes);
}

/* ---- Names and numbers ---- */

char *name_shown(const char *name)
{
    size_t bytes = verso_name_escape(name, NULL, 0) + 1;
    char *text = allocate(NULL, bytes, 1);

    verso_name_escape(name, text, bytes);
    return text;
}

char *bytes_shown(uint64_t bytes, char *text)
{
    static const char letters[] = "KMGTPE";
    uint64_t unit = 1024;
    int letter = 0;

    if (bytes < 1024) {
        (void)snprintf(text, 16, "%u B", (unsigned)bytes);
        return text;
    }
    while (letter < 5 && bytes / unit >= 1024) {
        unit *= 1024;
        letter++;
    }
    /* Tenths, rounded down: "1024.0 KiB" and a full bar that is not full would both be wrong. */
    (void)snprintf(text, 16, "%u.%u %ciB", (unsigned)(bytes / unit), (unsigned)(bytes % unit * 10 / unit),
                   letters[letter]);
    return text;
}

char *count_shown(uint64_t count, char *text)
{
    char digits[21];
    size_t length = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    char *at = text;

    for (size_t i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return text;
}

/* ---- The terminal ---- */

bool color_wanted(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    if (common.color != COLOR_AUTO)
        return common.color == COLOR_ALWAYS;
    return !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0 && isatty(fileno(stream));
}

int terminal_columns(FILE *stream)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    long number = columns ? strtol(columns, NULL, 10) : 0;

    if (number >= 20 && number <= 10000)
        return (int)number;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}

/* ---- JSON ---- */

static json_t *must(json_t *value)
{
    if (!value) {
        trouble("out of memory");
        exit(EXIT_TROUBLE);
    }
    return value;
}

void json_set_name(json_t *object, const char *key, const char *name)
{
    json_t *text = json_string(name); /* NULL when it is not UTF-8 */
    char *escaped, *mark;
    size_t mark_bytes = strlen(key) + sizeof("_escaped");

    if (text) {
        json_object_set_new(object, key, text);
        return;
    }
    escaped = name_shown(name);
    json_object_set_new(object, key, must(json_string(escaped)));
    free(escaped);
    mark = allocate(NULL, mark_bytes, 1);
    (void)snprintf(mark, mark_bytes, "%s_escaped", key);
    json_object_set_new(object, mark, json_true());
    free(mark);
}

static int json_write(json_t *root, int schema, size_t layout)
{
    json_t *whole = must(json_object());
    int failed;

    failed = json_object_set_new(whole, "schema", json_integer(schema));
    failed |= json_object_update(whole, must(root));
    failed |= json_dumpf(whole, stdout, layout | JSON_PRESERVE_ORDER);
    json_decref(whole);
    json_decref(root);
    putchar('\n');
    if (failed && !ferror(stdout))
        return trouble("out of memory for JSON");
    return ferror(stdout) ? EXIT_TROUBLE : EXIT_YES; /* output_finish() says why */
}

int json_print(json_t *root, int schema)
{
    return json_write(root, schema, JSON_INDENT(2));
}

int json_print_line(json_t *root, int schema)
{
    return json_write(root, schema, JSON_COMPACT);
}

/* ---- The end ---- */

/* Whether stdout is a pipe whose reader has gone: `verso ... | head` is no accident and deserves no message. */
static bool reader_gone(void)
{
    struct pollfd stdout_end = { STDOUT_FILENO, POLLOUT, 0 };

    return poll(&stdout_end, 1, 0) == 1 && (stdout_end.revents & POLLERR);
}

int output_finish(int exit_code)
{
    bool failed;

    errno = 0;
    failed = fflush(stdout) != 0;
    failed |= ferror(stdout) != 0;
    if (!failed)
        failed = close(STDOUT_FILENO) < 0; /* quotas and file servers speak up this late */
    if (!failed || errno == EPIPE || reader_gone())
        return failed ? EXIT_TROUBLE : exit_code;
    return trouble("stdout does not take the output: %s; what was printed is not whole",
                   errno ? strerror(errno) : "write error");
}
