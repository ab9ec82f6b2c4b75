/* SPDX-License-Identifier: MIT */
/*
 * watch_reader.h - a second process that reads the file through a map, so that there is something to see.
 *
 * It maps the whole file, touches its pages in order at a gentle pace, rests, lets go of the pages and begins again.
 * It leaves the page cache as it found it: what was cached before stays; only what was not is dropped, at the end
 * of each pass and at its own end, and never what another process maps. Its CPU and I/O are small: a pass takes about
 * twenty seconds, and at most 64 MiB are read in a second.
 */
#ifndef VERSO_CLI_WATCH_READER_H
#define VERSO_CLI_WATCH_READER_H

#include <stdbool.h>
#include <sys/types.h>

struct watch_reader {
    pid_t pid;    /* 0: none */
    int leash_fd; /* the child ends when this end is closed, by whatever death */
};

/* Starts it on the file behind @fd and waits until it has mapped it. False after telling why. */
bool reader_start(struct watch_reader *reader, int fd);

/* Whether it still runs; when it has ended, collects it. */
bool reader_runs(struct watch_reader *reader);

/* Ends it, and waits until it has given back what it brought in. */
void reader_stop(struct watch_reader *reader);

#endif
