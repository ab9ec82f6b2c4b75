/* SPDX-License-Identifier: MIT */
/* walk_names.h - paths put together, and which names are wanted. */
#ifndef VERSO_CLI_WALK_NAMES_H
#define VERSO_CLI_WALK_NAMES_H

#include "walk.h"

/* "directory/name"; @directory may be NULL. Caller frees. */
char *walk_joined(const char *directory, const char *name);

/* Whether --ignore and --only let a name pass; --only is about files alone. */
bool walk_is_wanted(const struct walk_options *options, const char *directory, const char *name, bool is_directory);

#endif
