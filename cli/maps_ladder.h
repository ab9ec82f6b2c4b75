/* SPDX-License-Identifier: MIT */
/* maps_ladder.h - an address space as a picture, from the highest address down. */
#ifndef VERSO_CLI_MAPS_LADDER_H
#define VERSO_CLI_MAPS_LADDER_H

#include "maps_kinds.h"

/*
 * Prints a ladder of at most @rung_count rungs (0: as many as there are), @columns wide. @can_utf8: lines may be drawn
 * with line characters, else with ASCII.
 */
void ladder_print(const struct verso_inspect_space *space, const struct space_facts *facts, size_t rung_count,
                  size_t columns, bool can_utf8);

#endif
