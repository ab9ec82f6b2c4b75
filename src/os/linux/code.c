/* SPDX-License-Identifier: MIT */
/* code - making new instructions seen: by this CPU, and by those that the other threads run on. */
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <unistd.h>

void verso__os_code_flush(void *address, size_t bytes)
{
    __builtin___clear_cache(address, (char *)address + bytes);
}

static int membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0U, 0) < 0 ? -errno : 0;
}

int verso__os_code_barrier_announce(void)
{
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
}

int verso__os_code_barrier(void)
{
    return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
}
