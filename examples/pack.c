/* SPDX-License-Identifier: MIT */
/*
 * pack - many files in one call, as C strings.
 *
 *     $ pack /etc/hostname /etc/passwd /etc/no-such-file
 */
#include <stdio.h>
#include <string.h>
#include <verso.h>

int main(int count, char **arguments)
{
    struct verso_pack_totals totals = VERSO_PACK_TOTALS_INIT;
    struct verso_pack_entry entry;
    struct verso_pack *pack;
    char line[512];

    if (verso_pack_open((const char *const *)arguments + 1, (size_t)count - 1, NULL, &pack) < 0) {
        verso_error_message(line, sizeof(line));
        fprintf(stderr, "pack: %s\n", line);
        return 2;
    }
    for (size_t i = 0; i < verso_pack_count(pack); i++) {
        if (verso_pack_entry(pack, i, &entry) < 0)
            continue; /* the index is below the count: it can't */
        if (entry.error < 0)
            printf("%s: %s\n", arguments[i + 1], verso_error_text(entry.error));
        else
            printf("%s: %zu bytes, %zu up to the first NUL\n", arguments[i + 1], entry.bytes,
                   entry.terminated ? strlen(entry.data) : strnlen(entry.data, entry.bytes));
    }
    if (verso_pack_totals(pack, &totals) == 0)
        printf("%llu bytes read in, %zu mappings\n", (unsigned long long)totals.read_bytes, totals.mapping_count);
    verso_pack_close(pack);
    return 0;
}
