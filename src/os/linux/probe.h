/* SPDX-License-Identifier: MIT */
/* probe.h - the tables of probes; probe.c looks a feature up in them, by its name in features/table.h. */
#ifndef VERSO_SRC_OS_LINUX_PROBE_H
#define VERSO_SRC_OS_LINUX_PROBE_H

#include <stddef.h>

/*
 * As verso__os_probe(). Each tries on things of its own and leaves nothing behind: no mapping, no descriptor, no file,
 * no setting. *out_note may be set to a constant string.
 */
typedef int probe_function(const char **out_note);

struct probe {
    const char *name; /* NULL ends a table */
    probe_function *run;
};

extern const struct probe verso__probes_of_maps[];
extern const struct probe verso__probes_of_advice[];
extern const struct probe verso__probes_of_files[];
extern const struct probe verso__probes_of_faults[];
extern const struct probe verso__probes_of_seeing[];
extern const struct probe verso__probes_of_lives[];

/* Anonymous private memory, readable and writable, nothing in it yet. Give it back with verso__os_unmap(). */
int verso__probe_memory(size_t bytes, char **out_memory);

/*
 * A file without a name, for features that depend on the file system: in the current directory where that can be
 * written, else in TMPDIR, else in /tmp. *out_note says where. -EAGAIN when there is no such place.
 */
int verso__probe_file(int *out_fd, const char **out_note);

/* The directory it was made in. */
const char *verso__probe_directory(void);

/* What a probe that could not make its own things answers: the feature was not tried. */
int verso__probe_untried(const char **out_note, const char *note);

#endif
