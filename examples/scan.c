/* SPDX-License-Identifier: MIT */
/*
 * scan - lines, words, and a checksum of a file in one pass.
 *
 *     $ scan /var/log/huge.log
 */
#include <stdio.h>
#include <verso.h>

static int fail(struct verso_scan *scan)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "scan: %s\n", line);
    verso_scan_close(scan);
    return 2;
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : arguments[0]; /* without a file: this program's own */
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    struct verso_scan *scan = NULL;
    struct verso_digest_value digest;
    char text[VERSO_DIGEST_TEXT_BYTES];

    if (verso_scan_open(NULL, &scan) < 0 || verso_scan_want_counts(scan, VERSO_SCAN_LINES | VERSO_SCAN_WORDS) < 0 ||
        verso_scan_want_digest(scan, VERSO_DIGEST_XXH3_64) < 0)
        return fail(scan);
    if (verso_scan_file(scan, path) < 0 || verso_scan_result(scan, &result) < 0 ||
        verso_scan_result_digest(scan, VERSO_DIGEST_XXH3_64, &digest) < 0)
        return fail(scan);
    printf("%llu lines, %llu words, %llu bytes, XXH3 %s\n", (unsigned long long)result.lines,
           (unsigned long long)result.words, (unsigned long long)result.bytes, verso_digest_text(&digest, text));
    printf("%u threads, %.3f ms: %s\n", result.thread_count, (double)result.duration_ns / 1e6, result.why);
    verso_scan_close(scan);
    return 0;
}
