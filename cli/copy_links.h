/* SPDX-License-Identifier: MIT */
/* copy_links.h - which files this run has made: of those with several names where, and all where sources merge. */
#ifndef VERSO_CLI_COPY_LINKS_H
#define VERSO_CLI_COPY_LINKS_H

#include "copy.h"

/* A source with several names, and its copy. Only the walk makes and asks for these. */
struct copy_link {
    dev_t source_device;
    ino_t source_inode;
    dev_t device; /* of the copy */
    ino_t inode;
    int top_fd;
    char *path; /* of the copy, below the top */
};

void copy_link_add(const struct stat *source, const struct copy_directory *directory, const char *target);

/* NULL: not copied yet. */
const struct copy_link *copy_link_find(const struct stat *source);

/* Another name for it: 0, or -1 with errno. ESTALE: what has its path now is another file. */
int copy_link_make(const struct copy_link *link, int directory_fd, const char *name);

void copy_links_clear(void);

/* Whether this run made what is called @target there. Known only where directories of two sources become one. */
bool copy_made_has(const struct copy_directory *directory, const char *target);
void copy_made_add(const struct copy_directory *directory, const char *target);

#endif
