/* SPDX-License-Identifier: MIT */
/* watch_library.h - a large real file to watch when none is named. */
#ifndef VERSO_CLI_WATCH_LIBRARY_H
#define VERSO_CLI_WATCH_LIBRARY_H

#include <sys/types.h>

/* The largest shared library in the usual directories, found within a second; NULL when there is none. Caller frees. */
char *library_largest(void);

/* The file of which a process maps most; NULL after telling why. Caller frees. */
char *library_of_process(pid_t pid);

#endif
