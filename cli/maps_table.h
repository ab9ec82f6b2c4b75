/* SPDX-License-Identifier: MIT */
/* maps_table.h - an address space as a table. */
#ifndef VERSO_CLI_MAPS_TABLE_H
#define VERSO_CLI_MAPS_TABLE_H

#include "maps_kinds.h"

/* X(order, its word for --sort); the first is the default. Sizes sort largest first. */
#define TABLE_ORDERS "address|size|resident|proportional|private|shared|dirty|huge|swapped|kind|name"

enum table_order {
    ORDER_ADDRESS,
    ORDER_SIZE,
    ORDER_RESIDENT,
    ORDER_PROPORTIONAL,
    ORDER_PRIVATE,
    ORDER_SHARED,
    ORDER_DIRTY,
    ORDER_HUGE,
    ORDER_SWAPPED,
    ORDER_KIND,
    ORDER_NAME,
    ORDER_COUNT /* of columns that nothing is sorted by */
};

/*
 * Prints a line for each mapping and one of totals. @columns: fit into as many, leaving out what is all zeros and then
 * what matters least, and saying so; 0: everything, however wide.
 */
void table_print(const struct verso_inspect_space *space, const struct space_facts *facts, unsigned order,
                 size_t columns);

/* "rw-p", as in /proc/PID/maps; @text has room for 5. */
char *access_shown(unsigned access, char *text);

#endif
