/* SPDX-License-Identifier: MIT */
/*
 * without_unnamed - linked into a test, puts it on a kernel whose file systems can't make files without a name
 * (O_TMPFILE), as NFS or FUSE: the whole contract has to hold there as well.
 */
#include "child.h"

#include <fcntl.h>
#include <unistd.h>

static __attribute__((constructor)) void without_unnamed_files(void)
{
    if (old_kernel_without(SYS_openat, 2, __O_TMPFILE, UINT32_MAX, EOPNOTSUPP)) /* the highest of open's flags */
        return;
    print_message("1..0 # SKIP no seccomp filter can be had\n");
    (void)fflush(stdout);
    _exit(0);
}
