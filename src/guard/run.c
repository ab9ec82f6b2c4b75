/* SPDX-License-Identifier: MIT */
/*
 * run - a function under guard: each thread has a list of the places to go back to.
 *
 *      innermost --> scope (on the stack) --> scope --> NULL
 *
 * The list is read by a signal handler that may come between any two instructions here, so a scope is complete before
 * the one store that makes it the innermost. The list's head must be reachable without the dynamic linker's help, which
 * might allocate: hence the initial-exec model.
 *
 * The signal mask is not saved on the way in, which would cost ten times the rest: the fault brings the mask of the
 * code that it interrupted.
 */
#include "guard/scope.h"

#include <setjmp.h>

struct scope {
    sigjmp_buf back;
    const struct verso__guard_range *range; /* NULL: any */
    uint64_t offset_bytes;                  /* of the fault that left it */
    struct scope *outer;
};

static _Thread_local __attribute__((tls_model("initial-exec"))) struct scope *volatile innermost;

void verso__guard_scope_leave(const struct verso__guard_place *place, const struct verso__os_fault *fault)
{
    struct scope *scope = innermost;

    while (scope && scope->range && scope->range != place->range)
        scope = scope->outer;
    if (!scope)
        return;
    scope->offset_bytes = verso__guard_place_offset(place);
    verso__guard_place_mark(place, scope->offset_bytes);
    innermost = scope->outer;
    verso__os_fault_leave(fault);
    siglongjmp(scope->back, 1);
}

int verso__guard_run(struct verso__guard_range *range, verso_guard_function *function, void *arg, uint64_t *out_offset)
{
    struct scope scope;
    int answer;

    if (!verso__guard_is_active())
        return VERSO_E_GUARD;
    scope.range = range;
    scope.outer = innermost;
    if (sigsetjmp(scope.back, 0)) {
        if (out_offset)
            *out_offset = scope.offset_bytes;
        return VERSO_E_TORN;
    }
    innermost = &scope;
    answer = function(arg);
    innermost = scope.outer;
    return answer;
}
