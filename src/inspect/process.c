/* SPDX-License-Identifier: MIT */
/* process - the counters of one process. */
#include "inspect/inspect.h"
#include "os/os.h"

#include <string.h>

int verso_inspect_process(pid_t pid, struct verso_inspect_process *out_process)
{
    struct verso__os_process_info info;
    int r = verso__os_process_info(pid, &info);

    if (r < 0)
        return verso__inspect_fail_pid(r, "read stat", pid);
    _Static_assert(sizeof(out_process->command) == sizeof(info.command), "copied whole");
    memcpy(out_process->command, info.command, sizeof(info.command));
    out_process->minor_faults = info.minor_faults;
    out_process->major_faults = info.major_faults;
    out_process->resident_bytes = info.resident_bytes;
    out_process->virtual_bytes = info.virtual_bytes;
    return 0;
}
