/* SPDX-License-Identifier: MIT */
/*
 * commands.h - commands beside each other: whole processes, from fork to wait, as people meet them.
 *
 * Each is run as it is, without a shell, in the C locale, where peers are fastest. Its standard output is a file: to
 * /dev/null, grep -c and ugrep -c would stop at the first match.
 */
#ifndef VERSO_BENCH_COMMANDS_H
#define VERSO_BENCH_COMMANDS_H

#include "bench.h"

/* Finds the answer in all that a command printed. */
typedef uint64_t command_answer_function(const char *text);

struct command {
    const char *const *arguments;    /* ends with NULL */
    command_answer_function *answer; /* NULL: 0 */
};

#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A command in place: COMMAND(answer_first_number, "wc", "-l", path). "verso" is the one that was built. */
#define COMMAND(answer, ...) ((struct command){ ARGUMENTS(__VA_ARGS__), answer })

/* A row: both sides run a command. */
struct command_row {
    const char *name;
    const char *peer_name; /* in the table; NULL: the peer's program */
    struct command verso;
    struct command peer;              /* or, without arguments: */
    bench_function *peer_function;    /* is handed @subject; then peer_name must be given */
    void (*before)(void *subject);    /* untimed, before each; NULL: none */
    uint64_t (*check)(void *subject); /* untimed, after each: the answer in place of what was printed; NULL: none */
    void *subject;
    double bytes; /* GB/s of these; 0: milliseconds */
    int rounds;   /* 0: as bench_compare() has it */
    double limit;
    const char *limit_name;
};

/* Runs both sides by turns. Left out, with a note, when one of them is not there. */
void commands_compare(const struct command_row *row);

/* The path of verso's command: beside the folder of this program, or what VERSO names. NULL when it is not there. */
const char *commands_verso(void);

/* Whether it has this subcommand. */
bool commands_verso_has(const char *subcommand);

/* Runs a command once and answers its answer; ends the bench when it fails. */
uint64_t commands_run(struct command command);

/* The same, and answers its peak resident memory, KiB. */
double commands_peak_kib(struct command command);

/* The first number. The first number of the last line. The sum of the numbers that end lines. The last word of 16 or
 * more hexadecimal digits: its low 64 bits. */
uint64_t answer_first(const char *text);
uint64_t answer_last_line(const char *text);
uint64_t answer_sum_of_ends(const char *text);
uint64_t answer_digest(const char *text);

/* From now on commands run inside a control group with this much memory; 0: no longer. False, and a note says why, when
 * there is none to be had. */
bool commands_limit_memory(uint64_t bytes);

#endif
