/* SPDX-License-Identifier: MIT */
/*
 * kernels.h - the inner loops of a scan: what a stretch of bytes holds. Pure functions over memory that can be read.
 *
 * A stretch says what it holds by itself; what lies across two stretches is found when they are joined, so stretches
 * may be looked at in any order and by any thread:
 *
 *     | ...the qui | ck brown\nfo | x... |      one word each ends and begins there; join counts it once
 *
 * Each loop has a form for AVX-512, AVX2, NEON and a portable one, chosen once by what the processor has. None touches
 * a byte outside the stretch it was given.
 */
#ifndef VERSO_SRC_SCAN_KERNELS_H
#define VERSO_SRC_SCAN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <verso/scan.h>

/* "AVX-512", "AVX2", "NEON", "portable": what runs here. For tests: force one (false: this machine lacks it), NULL: the
 * best again; finders opened before keep working. */
const char *verso__scan_kernel_name(void);
bool verso__scan_kernel_force(const char *name);

/* ---- Text ---- */

struct verso__scan_text {
    uint64_t bytes;
    uint64_t lines, words, characters;
    uint64_t first_bytes;              /* LONGEST: before the first newline (all, when there is none) */
    uint64_t last_bytes;               /* LONGEST: after the last newline (all, when there is none) */
    uint64_t longest_bytes;            /* LONGEST: the longest line so far, first and last included */
    bool begins_in_word, ends_in_word; /* WORDS: whether the first and the last byte belong to words */
};

/* @counts: enum verso_scan_counts; the rest of *out stays 0. 0 bytes answer the neutral element of join. */
void verso__scan_text(const void *data, size_t bytes, unsigned counts, struct verso__scan_text *out);

/* @left becomes what the two hold together, @right directly after @left; both of the same counts. */
void verso__scan_text_join(struct verso__scan_text *left, const struct verso__scan_text *right);

/* Adds to 256 counts. */
void verso__scan_histogram(const void *data, size_t bytes, uint64_t counts[256]);

/* ---- Needles ---- */

struct verso__scan_finder;

/* Compiles needles (copied). @flags: enum verso_scan_needle_flags. -ENOMEM, VERSO_E_OPTIONS; fills no record. */
int verso__scan_finder_open(const struct verso_scan_needle *needles, size_t count, unsigned flags,
                            struct verso__scan_finder **out_finder);
void verso__scan_finder_close(struct verso__scan_finder *finder);

/* Bytes that must be seen before a stretch so that no place is missed: the longest needle less one. */
size_t verso__scan_finder_lead_bytes(const struct verso__scan_finder *finder);

/* All needles are of one length: then places are found in the order in which they begin. */
bool verso__scan_finder_has_one_length(const struct verso__scan_finder *finder);

/*
 * Lines that hold a needle, as a monoid like the text: stretches are joined in order; all 0 is neutral. A needle that
 * holds a newline is in no line.
 */
struct verso__scan_lines {
    bool has_newline;
    bool first_matched; /* of what lies before the first newline (or of all, when there is none) */
    bool last_matched;  /* of what lies after the last newline; equal to first_matched when there is none */
    uint64_t matched;   /* whole lines in between */
};

/* @left becomes what the two hold together, @right directly after @left. */
void verso__scan_lines_join(struct verso__scan_lines *left, const struct verso__scan_lines *right);

/* How many lines that is in all. */
uint64_t verso__scan_lines_total(const struct verso__scan_lines *lines);

/* What one look found; arrays belong to the caller. */
struct verso__scan_found {
    uint64_t matches;                /* added to */
    uint64_t *needle_counts;         /* as many as needles; added to; NULL: not wanted */
    struct verso__scan_lines *lines; /* filled with what lies in [lead, bytes); NULL: not wanted */
    bool only_lines; /* lines alone: nothing is counted, and after a match the rest of its line may be skipped */
    /* Where: offsets from @data, ascending, then by needle. NULL: only count. Returns false to stop. */
    bool (*each)(size_t offset, size_t needle, void *arg);
    void *arg;
};

/*
 * Finds every place where a needle ENDS inside [data + lead, data + bytes): so each is found by exactly one of two
 * neighbouring looks whose leads overlap. Offsets may lie in the lead. False: each() stopped it; what is filled then
 * covers what came before.
 */
bool verso__scan_find(const struct verso__scan_finder *finder, const void *data, size_t lead, size_t bytes,
                      struct verso__scan_found *found);

#endif
