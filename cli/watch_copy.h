/* SPDX-License-Identifier: MIT */
/* watch_copy.h - a private copy to watch, where the file itself would tell nothing. */
#ifndef VERSO_CLI_WATCH_COPY_H
#define VERSO_CLI_WATCH_COPY_H

#include <stdbool.h>

/* Whether we are told which pages of the file are cached. */
bool copy_is_needed(int fd);

/*
 * A copy of the file without a name, on a disk, gone with its last descriptor; none of it cached. -1 when there is no
 * place for it (errno says why), or after Ctrl-C.
 */
int copy_make(int fd);

#endif
