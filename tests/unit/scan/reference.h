/* SPDX-License-Identifier: MIT */
/* reference.h - what a scan should find, by the plainest loops there are. */
#ifndef VERSO_TESTS_SCAN_REFERENCE_H
#define VERSO_TESTS_SCAN_REFERENCE_H

#include "support.h"

#include <fcntl.h>
#include <unistd.h>
#include <verso/scan.h>

struct reference {
    uint64_t bytes, lines, words, characters, longest_bytes;
    uint64_t histogram[256];
};

static inline bool reference_is_space(unsigned char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static inline void reference_of(const unsigned char *data, size_t bytes, struct reference *out)
{
    uint64_t line = 0;

    *out = (struct reference){ .bytes = bytes };
    for (size_t i = 0; i < bytes; i++) {
        out->histogram[data[i]]++;
        out->lines += data[i] == '\n';
        out->characters += (data[i] & 0xc0) != 0x80;
        out->words += !reference_is_space(data[i]) && (i == 0 || reference_is_space(data[i - 1]));
        line = data[i] == '\n' ? 0 : line + 1;
        if (line > out->longest_bytes)
            out->longest_bytes = line;
    }
}

/* Text-like bytes: each depends on its offset, and all kinds of bytes are there, newlines and spaces often. */
static inline unsigned char reference_byte(uint64_t offset)
{
    unsigned char byte = support_byte(offset * 31 + offset / 977);

    return byte < 12 ? '\n' : byte < 50 ? ' ' : byte;
}

static inline unsigned char *reference_text(size_t bytes)
{
    unsigned char *text = malloc(bytes ? bytes : 1);

    assert_non_null(text);
    for (size_t i = 0; i < bytes; i++)
        text[i] = reference_byte(i);
    return text;
}

static inline const char *reference_file(const char *name, const unsigned char *data, size_t bytes)
{
    const char *path = support_path(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, data + done, bytes - done);

        assert_true(n > 0);
        done += (size_t)n;
    }
    assert_int_equal(close(fd), 0);
    return path;
}

#define ALL_COUNTS (VERSO_SCAN_LINES | VERSO_SCAN_WORDS | VERSO_SCAN_LONGEST | VERSO_SCAN_CHARACTERS)

static inline struct verso_scan *reference_open(unsigned thread_count)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan;

    options.thread_count = thread_count;
    assert_ok(verso_scan_open(&options, &scan));
    return scan;
}

/* Holds the last run of @scan, which wants all counts and the histogram, against @data. */
static inline void reference_check(const struct verso_scan *scan, const unsigned char *data, size_t bytes)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    uint64_t histogram[256];
    struct reference wanted;

    reference_of(data, bytes, &wanted);
    assert_ok(verso_scan_result(scan, &result));
    assert_ok(verso_scan_result_bytes(scan, histogram));
    assert_int_equal(result.bytes, wanted.bytes);
    assert_int_equal(result.lines, wanted.lines);
    assert_int_equal(result.words, wanted.words);
    assert_int_equal(result.characters, wanted.characters);
    assert_int_equal(result.longest_bytes, wanted.longest_bytes);
    assert_memory_equal(histogram, wanted.histogram, sizeof(histogram));
}

#endif
