/* SPDX-License-Identifier: MIT */
/* ledger.h - what verso holds: descriptors, memory, allocations. Kept by fake.c; asked through fake.h. */
#ifndef VERSO_SRC_LEDGER_H
#define VERSO_SRC_LEDGER_H

#include <stdbool.h>
#include <stddef.h>

void ledger_descriptor_add(int fd);
void ledger_descriptor_remove(int fd);

void ledger_memory_add(const void *address, size_t bytes);
void ledger_memory_remove(const char *call, const void *address, size_t bytes);

/* @call names memory that has to be ours; else there is a complaint. */
void ledger_memory_use(const char *call, const void *address, size_t bytes);

/* Not ours to give back any more. */
void ledger_memory_seal(const void *address, size_t bytes);

/* NULL is ignored by both. False: it was not noted. */
void ledger_allocation_add(const void *memory);
bool ledger_allocation_remove(const void *memory);

#endif
