/* SPDX-License-Identifier: MIT */
/* hold - opens the region NAME, of kind "case" and 5000 bytes; with "keep" made to be kept. Stays until it is
 * killed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <verso/share.h>

int main(int count, char **arguments)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;
    char message[300];

    options.kind = "case";
    options.version = 2;
    options.most_bytes = 100000;
    if (count > 2 && strcmp(arguments[2], "keep") == 0)
        options.flags = VERSO_SHARE_KEEP;
    if (count < 2 || verso_share_open(arguments[1], 5000, &options, &share) < 0) {
        (void)verso_error_message(message, sizeof(message));
        (void)fprintf(stderr, "hold: %s\n", message);
        return 2;
    }
    (void)puts("ready");
    (void)fflush(stdout);
    for (;;)
        (void)pause();
}
