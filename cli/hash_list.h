/* SPDX-License-Identifier: MIT */
/*
 * hash_list.h - lines of checksums, as xxhsum writes and reads them.
 *
 *     e4c191d091bd8853  name                plain; the length tells the kind
 *     XXH3_99fc819aaba2462a  name           plain, of XXH3: its 64 bits would pass for XXH64
 *     XXH3 (name) = 99fc819aaba2462a        with a tag, as BSD writes them
 *     \e4c191d091bd8853  with\nnewline      a name with \n, \r, \\ in it
 */
#ifndef VERSO_CLI_HASH_LIST_H
#define VERSO_CLI_HASH_LIST_H

#include "command.h"

#include <stdio.h>
#include <verso/digest.h>

struct hash_line {
    char *name;
    struct verso_digest_value value;
};

/* Every line of @file that is one. */
struct hash_list {
    struct hash_line *lines;
    size_t count;
    size_t room;
    uint64_t improper; /* lines that are none; empty ones, and those that begin with # are comments */
};

/* Adds the lines of one file; @name is for warnings about improper ones. Answers how many lines it added. */
size_t hash_list_read(struct hash_list *list, FILE *file, const char *name, bool warns);
void hash_list_clear(struct hash_list *list);

/* The line of a checksum, with its newline. Caller frees. */
char *hash_line_shown(const struct verso_digest_value *value, const char *name, bool tagged);

#endif
