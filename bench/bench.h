/* SPDX-License-Identifier: MIT */
/*
 * bench.h - verso and a peer, side by side, in one run.
 *
 * A machine's speed wanders; so the two sides take turns, several rounds, and what counts is the ratio of their
 * medians. Both sides return their answer, and a comparison whose answers differ is a failure, not a row: a fast wrong
 * answer is worth nothing. A row where the peer wins is printed like any other.
 *
 *     bench_start(count, arguments, "guard");
 *     bench_compare(&(struct bench_case){ .name = "copy 4 KiB", .peer = "memcpy", .operations = 1000, ... });
 *     return bench_finish();
 *
 * Whatever ends a bench, Ctrl-C too, what it made is removed: see keeper.h.
 *
 * Programs take [--json FILE] (one object per row is appended), [--rounds N], and words: only cases whose name holds
 * one of them.
 */
#ifndef VERSO_BENCH_H
#define VERSO_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One side of a comparison: does the work once, returns its answer (a sum, a count) for the check. */
typedef uint64_t bench_function(void *arg);

struct bench_case {
    const char *name;
    const char *peer;  /* "memcpy", "vmtouch 1.3.1" */
    const char *unit;  /* "ns" (per operation; smaller is better) or "GB/s" (of @bytes; larger is better) */
    double operations; /* one call of a side does this many; for "ns" */
    double bytes;      /* one call of a side moves this many; for "GB/s" */
    bench_function *verso;
    bench_function *peer_side;
    void *arg; /* handed to both */
    void (*before)(
        void *arg); /* before each call, untimed; NULL: none, and calls are repeated until a sample is long enough */
    uint64_t (*answer)(void *arg); /* untimed, after each call: what it left behind, in place of what it returned */
    int rounds;                    /* where --rounds does not say: 0: 11; at least 5 */
    double limit;                  /* the machine's own limit in the same unit, measured in this run; 0: none known */
    const char *limit_name;
};

void bench_start(int count, char **arguments, const char *name);

/* Runs one comparison and prints its row. */
void bench_compare(const struct bench_case *one);

/* The same for the usual one: ns for each of @operations, as both sides answer. */
void bench_compare_ns(const char *name, const char *peer, double operations, bench_function *verso,
                      bench_function *peer_side, void *arg);

/* A row measured elsewhere (a size, a share): printed and written like the others. @smaller_is_better decides the
 * ratio. */
void bench_row(const char *name, const char *peer, const char *unit, double verso, double peer_value,
               bool smaller_is_better, double limit);

/* A line of explanation between rows: the machine, what was left out and why. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether a case of this name was asked for: to spare its preparation. */
bool bench_wanted(const char *name);

/* 0 when every comparison agreed, else 1. */
int bench_finish(void);

/* The machine's own limits, measured once per run, GB/s: copying and reading memory far larger than the caches, on one
 * thread. */
double bench_limit_copy(void);
double bench_limit_read(void);

/* Makes a file of @bytes (deterministic content) under the bench directory (BENCH_DIRECTORY, else TMPDIR, else
 * /var/tmp), which goes when the bench ends. Returns its path, which lives as long. */
const char *bench_file(const char *name, uint64_t bytes);
const char *bench_directory(void);

/*
 * Runs a command, waits for it, gives its standard output's first @room_bytes (may be NULL). Aborts the bench with a
 * message when it can't be run; answers its exit code.
 */
int bench_command(const char *const *arguments, char *out_text, size_t room_bytes);

/* Ends the bench: @what failed, for the reason in errno. */
void bench_die(const char *what) __attribute__((noreturn));

/* Goes on when a call of verso's worked; else ends the bench with what the library has to say. */
void bench_die_of_verso(void) __attribute__((noreturn));
static inline void bench_check(int answer)
{
    if (answer < 0)
        bench_die_of_verso();
}

/* Goes on when a call of pthread's answered 0. */
void bench_must(int error);

/* Prints into memory, which the caller frees; there being none ends the bench. */
char *bench_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether a program is on PATH: peers that are not installed are told of, not silently left out. */
bool bench_has(const char *program);

/* Keeps the compiler from dropping a computation whose result nobody reads. */
static inline void bench_use(const void *data)
{
    __asm__ volatile("" : : "r"(data) : "memory");
}

#endif
