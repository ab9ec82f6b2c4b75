/* SPDX-License-Identifier: MIT */
/*
 * parse.h - the texts of /proc, taken apart.
 *
 * Pure functions on text with a length: no system calls, no memory of their own, no NUL needed behind the text. What
 * does not look as the kernel writes it answers false and leaves the outputs alone.
 */
#ifndef VERSO_SRC_OS_LINUX_PARSE_H
#define VERSO_SRC_OS_LINUX_PARSE_H

#include "os/os.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A line of /proc/PID/maps (or a heading of smaps), without its newline:
 *     7f12a000-7f12c000 r-xp 00001000 fe:00 131081      /usr/lib/a.so (deleted)
 * @out_mapping's name is not set: the line's rest from *out_name_start on is the name as the kernel wrote it, up to the
 * line's end.
 */
bool verso__parse_mapping(const char *line, size_t bytes, struct verso__os_mapping *out_mapping,
                          size_t *out_name_start);

/*
 * Undoes "\012", the one escape the kernel uses in names of mappings, in place; answers the new length. A file whose
 * name holds these four characters looks the same: see verso__parse_name_is_ambiguous().
 */
size_t verso__parse_name_unescape(char *name, size_t bytes);

/* Whether a name as the kernel wrote it holds "\012". */
bool verso__parse_name_is_ambiguous(const char *name, size_t bytes);

/*
 * A line of /proc/PID/smaps below its heading: "Rss:      4 kB", "VmFlags: rd ex mr". Adds what it says to @memory.
 * Fields unknown to this version are true too: the kernel grows new ones. False: not a field at all.
 */
bool verso__parse_memory_field(const char *line, size_t bytes, struct verso__os_mapping_memory *memory);

/* /proc/PID/stat, whole. The command may hold anything, also ")" and newlines. */
bool verso__parse_stat(const char *text, size_t bytes, struct verso__os_process_info *out_info);

#endif
