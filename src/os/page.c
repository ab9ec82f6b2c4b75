/* SPDX-License-Identifier: MIT */
/* page - what base.h promises about the machine; it stands here because only this folder asks the kernel. */
#include "os/os.h"

#include <verso/base.h>

size_t verso_page_bytes(void)
{
    return verso__os_page_bytes();
}
