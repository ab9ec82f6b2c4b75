/* SPDX-License-Identifier: MIT */
/*
 * scan_files.h - what the commands that pass through files share: names in, a scan for each thread, answers out in the
 * order of the names.
 *
 *     names   1 2 3 | 4 5 6 | 7 8 9 | ...      a thread takes a handful, passes each file, keeps what there is to print
 *             ^ turn                           whose turn it is prints; who is early leaves it to those before
 *
 * Small files are passed by one thread each, many at once. Large files, and all that has no size (pipes, terminals),
 * wait for their turn, and are passed by a scan with all threads that prints as it goes.
 */
#ifndef VERSO_CLI_SCAN_FILES_H
#define VERSO_CLI_SCAN_FILES_H

#include "command.h"
#include "output.h"

#include <sys/stat.h>
#include <verso/scan.h>

/* ---- Options that all of them have ---- */

struct scan_request {
    bool recursive;
    bool explain;
    const char *names_file; /* NUL-terminated names */
    unsigned method;        /* enum verso_scan_method: the words of --method are in its order */
    unsigned cache;         /* enum verso_scan_cache, as well */
    uint64_t thread_count;  /* 0: one for each processor */
    bool ignores_missing;   /* files that are not there are passed by: is_missing */
    bool is_silent;         /* troubles with files are not told; the exit code has them */
};
extern struct scan_request scan_request;

#define SCAN_THREADS_MAX 256

/* clang-format off */
#define SCAN_OPTION_ROWS                                                                                               \
    { 'r', "recursive", OPTION_FLAG, NULL, "go into directories, with all they hold", &scan_request.recursive },       \
    { 0, "files0-from", OPTION_TEXT, "FILE", "take names from FILE, each ended by NUL; - is standard input",           \
      &scan_request.names_file },                                                                                      \
    { 0, "method", OPTION_CHOICE, "auto|mapped|read", "how to get at the content; auto looks and chooses",             \
      &scan_request.method },                                                                                          \
    { 0, "threads", OPTION_COUNT, "COUNT", "how many threads at most; without it, one for each processor",             \
      &scan_request.thread_count },                                                                                    \
    { 0, "cache", OPTION_CHOICE, "keep|neutral|drop", "what stays in the page cache: all, what was there, nothing", \
      &scan_request.cache }, \
    { 0, "explain", OPTION_FLAG, NULL, "say how each file was passed, why so, and how near to the machine's limit",    \
      &scan_request.explain }
/* clang-format on */

/* ---- Names ---- */

struct scan_name {
    const char *path;
    bool is_found; /* in a directory: what is no regular file is passed by */
};

struct scan_names {
    struct scan_name *names;
    size_t count;
    bool own;      /* names are freed by scan_names_clear() */
    bool is_stdin; /* none was given */
    bool troubled; /* some directory could not be read; told */
};

/* From arguments or --files0-from; directories become the files they hold, sorted. Answers -1, or an exit code. */
int scan_names_read(int count, char **arguments, struct scan_names *out_names);
void scan_names_clear(struct scan_names *names);

/* ---- A file that was passed ---- */

/* What there is to print, until it may be printed. */
struct scan_text {
    char *data;
    size_t bytes;
    size_t room_bytes;
};

struct scan_file {
    const char *name; /* as it was given; "-": standard input */
    size_t index;     /* among the names */
    struct stat status;
    uint64_t start_bytes; /* where it is passed from: a file on standard input goes on where it stands */
    bool is_open;         /* false: it could not be looked at; why is in trouble */
    bool is_missing;      /* it is not there, and that does not matter */
    bool is_skipped;      /* a pipe or device in a directory: nothing to say */
    bool is_begun;        /* something of it has been printed */
    bool is_partial;      /* the numbers are of its first result.bytes bytes */
    bool has_trouble;
    char *trouble; /* what to say on stderr */
    struct verso_scan_result result;
    struct scan_text text;
    struct scan_batch *batch;
    void *answer; /* answer_bytes of the command's own */
};

/* Adds to what is printed for @file; when that is much, it waits for the file's turn and prints. */
void scan_print(struct scan_file *file, const void *data, size_t bytes);
void scan_printf(struct scan_file *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Lets out what is there, if it is the file's turn: for whoever waits at the other end of a pipe. */
void scan_print_now(struct scan_file *file);
/* Prints an object on one line and frees it. */
void scan_print_json(struct scan_file *file, json_t *object);

/* Keeps a message for stderr, for the file's turn; what is said first stays. Makes the exit code trouble. */
void scan_trouble(struct scan_file *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for the library's last error, with the offset. */
void scan_trouble_error(struct scan_file *file, int code);

/* Whether what is printed for @file goes out at once. */
bool scan_has_turn(const struct scan_file *file);
/* Waits until it does, and prints what was made before it. */
void scan_take_turn(struct scan_file *file);

/* The document of --json around the files' objects. The end adds @object as @key, and frees it; NULL: nothing. */
void scan_json_begin(int schema);
void scan_json_end(const char *key, json_t *object);

/* The object of a file for --json: path, bytes, partial, how it was passed. The command adds its own. */
json_t *scan_file_json(const struct scan_file *file);

/* ---- The work ---- */

struct scan_job {
    bool is_in_order;    /* one thread at a time is at work on a file, whatever their number */
    size_t state_bytes;  /* of the command's own, beside each scan; zeroed */
    size_t answer_bytes; /* of the command's own, for each file; zeroed */
    /* Says what a new scan is to find out. 0 or the library's failure. */
    int (*prepare)(struct verso_scan *scan, void *state);
    /* Passes a file and fills file->result; NULL: scan_run(). 0 or the library's failure. */
    int (*run)(struct verso_scan *scan, int fd, struct scan_file *file, void *state);
    /* In the same thread: takes out the results, prints with scan_print(). Not for files that gave nothing at all. */
    void (*finish)(struct verso_scan *scan, struct scan_file *file, void *state);
    /* Frees what prepare and run put into @state; may be NULL. */
    void (*clear)(void *state);
    /* In the order of the names, one at a time, for all but skipped ones; may be NULL. */
    void (*show)(struct scan_file *file);
    /* Behind all files, for scan_command(): the total of --json, or the rows that follow; may be NULL. */
    json_t *(*total_json)(void);
    void (*print_total)(const struct scan_names *names);
    int schema; /* of --json, for scan_command() */
};

/* verso_scan_fd(), with file->result filled. What it answers. */
int scan_run(struct verso_scan *scan, int fd, struct scan_file *file);

/* Passes all files, with the document of --json around them or totals behind; clears @names. EXIT_YES, or EXIT_TROUBLE
 * when anything went wrong with any, or all was interrupted (told). */
int scan_command(const struct scan_job *job, struct scan_names *names);

/* From anywhere: enough is known, no more files. */
void scan_stop(void);
/* Whether to go on: not stopped, not interrupted, and stdout takes what is printed. */
bool scan_is_stopped(void);

/* ---- --explain ---- */

/* One line about a file, in its turn. */
void scan_explain_file(const struct scan_file *file);
/* The same in a file's object. */
void scan_explain_json(json_t *object, const struct verso_scan_result *result);
/* How fast all went, beside how fast the same loops pass memory, tried now. @lanes: files passed at once. */
void scan_explain_limit(const struct scan_job *job, uint64_t bytes, uint64_t duration_ns, unsigned lanes);

#endif
