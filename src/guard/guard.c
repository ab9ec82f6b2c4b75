/* SPDX-License-Identifier: MIT */
/*
 * guard - what becomes of a fault.
 *
 *      SIGBUS at an address in a range of ours?        no --> whoever handled it before
 *        | yes
 *        +- in a guarded loop (fixup.h)?              yes --> go on behind it: a short count
 *        +- in verso__guard_run() for this range?     yes --> leave it: VERSO_E_TORN
 *        +- the range takes zeros?                    yes --> zeros, and the access is made again
 *        |
 *        +--> whoever handled it before
 *
 * The nearest to the access decides: who asked for a count gets one, even on a map that would take zeros.
 */
#include "base/fail.h"
#include "guard/fixup.h"
#include "guard/scope.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>

static bool mend(const struct verso__os_fault *fault)
{
    struct verso__guard_place place;
    uintptr_t landing;
    unsigned kind;

    if (fault->cause == VERSO__OS_FAULT_OTHER || !verso__guard_place_find((uintptr_t)fault->address, &place))
        return false;
    landing = verso__guard_landing(*fault->pc, &kind);
    if (landing) {
        if (kind == VERSO__FIXUP_EXACT)
            verso__guard_place_mark(&place, verso__guard_place_offset(&place));
        if (kind == VERSO__FIXUP_TOLD)
            *fault->word = place.address;
        *fault->pc = landing;
        return true;
    }
    verso__guard_scope_leave(&place, fault);
    return atomic_load(&place.range->substitute) && verso__guard_substitute(&place);
}

/* ---- Installing ----------------------------------------------------------------------------------------------- */

int verso_guard_install(void)
{
    int error = verso__os_fault_install(VERSO__OS_FAULT_BUS, VERSO__OS_FAULT_ANSWERS, mend);

    return error < 0 ? verso__fail(error, "sigaction", NULL) : 0;
}

int verso_guard_remove(void)
{
    int error = verso__os_fault_remove(VERSO__OS_FAULT_BUS, VERSO__OS_FAULT_ANSWERS);

    if (error == -EBUSY || error == -EINVAL)
        error = VERSO_E_GUARD;
    return error < 0 ? verso__fail(error, "sigaction", NULL) : 0;
}

enum verso_guard_state verso_guard_state(void)
{
    if (!verso__guard_is_active())
        return VERSO_GUARD_ABSENT;
    return verso__os_fault_is_installed(VERSO__OS_FAULT_BUS, VERSO__OS_FAULT_ANSWERS) ? VERSO_GUARD_ACTIVE
                                                                                      : VERSO_GUARD_REPLACED;
}

bool verso__guard_meets_faults(void)
{
    sigset_t blocked;

    return pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0 && sigismember(&blocked, SIGBUS) == 0 &&
           verso_guard_state() == VERSO_GUARD_ACTIVE;
}

bool verso__guard_is_active(void)
{
    return verso__os_fault_is_wanted(VERSO__OS_FAULT_BUS, VERSO__OS_FAULT_ANSWERS);
}
