/* SPDX-License-Identifier: MIT */
/* kernels.h - the inner loops of a scan: what a stretch of bytes holds, so that neighbours can be joined. */
#ifndef VERSO_SRC_SCAN_KERNELS_H
#define VERSO_SRC_SCAN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <verso/scan.h>

const char *verso__scan_kernel_name(void);

struct verso__scan_text {
    uint64_t bytes;
    uint64_t lines, words, characters;
    uint64_t first_bytes;
    uint64_t last_bytes;
    uint64_t longest_bytes;
    bool begins_in_word, ends_in_word;
};

void verso__scan_text(const void *data, size_t bytes, unsigned counts, struct verso__scan_text *out);
void verso__scan_text_join(struct verso__scan_text *left, const struct verso__scan_text *right);
void verso__scan_histogram(const void *data, size_t bytes, uint64_t counts[256]);

#endif
