/* SPDX-License-Identifier: MIT */
/* stat - /proc/PID/stat, whose command may hold anything: it must come out as it stands there. */
#include "os/linux/parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct verso__os_process_info info;
    const char *text = (const char *)data;

    if (verso__parse_stat(text, bytes, &info)) {
        const char *open = memchr(text, '(', bytes);
        size_t length = strnlen(info.command, sizeof(info.command));

        if (length == sizeof(info.command) || !open || memcmp(open + 1, info.command, length) != 0 ||
            open[1 + length] != ')')
            abort();
    }
    return 0;
}
