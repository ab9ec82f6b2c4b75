/* SPDX-License-Identifier: MIT */
/* scope.h - leaving a function that met a fault, and putting zeros where it was. */
#ifndef VERSO_SRC_GUARD_SCOPE_H
#define VERSO_SRC_GUARD_SCOPE_H

#include "guard/registry.h"
#include "os/os.h"

/*
 * Leaves the innermost verso__guard_run() of this thread that covers @place; then it does not return. Returns when none
 * does. In signal context.
 */
void verso__guard_scope_leave(const struct verso__guard_place *place, const struct verso__os_fault *fault);

/*
 * Zeros in place of what @place can't have: from the file's end to the end of the range when it lies past that, else
 * its page. False when the kernel would not. In signal context.
 */
bool verso__guard_substitute(const struct verso__guard_place *place);

#endif
