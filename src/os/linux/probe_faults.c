/* SPDX-License-Identifier: MIT */
/* probe_faults - trying userfaultfd and its kinds of faults. */
#include "os/linux/kernel.h"
#include "os/linux/probe.h"
#include "os/os.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <unistd.h>

/* Asks a userfaultfd of our own, for faults in user mode only: that is all an ordinary user may have. */
static int features_offered(uint64_t *out_features)
{
    struct uffdio_api api = { .api = UFFD_API };
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    int r = 0;

    if (fd < 0)
        return -errno;
    if (ioctl(fd, UFFDIO_API, &api) < 0)
        r = -errno;
    verso__os_close(fd);
    if (r == 0)
        *out_features = api.features;
    return r;
}

static int try_feature(uint64_t feature)
{
    uint64_t offered = 0;
    int r = features_offered(&offered);

    return r < 0 ? r : (offered & feature) == feature ? 0 : -EINVAL;
}

#define FEATURE_PROBE(name, feature)       \
    static int name(const char **out_note) \
    {                                      \
        (void)out_note;                    \
        return try_feature(feature);       \
    }
FEATURE_PROBE(try_userfaultfd, 0)
FEATURE_PROBE(try_write_protect, UFFD_FEATURE_PAGEFAULT_FLAG_WP)
FEATURE_PROBE(try_minor, UFFD_FEATURE_MINOR_SHMEM)
FEATURE_PROBE(try_poison, VERSO__UFFD_FEATURE_POISON)
FEATURE_PROBE(try_write_protect_async, VERSO__UFFD_FEATURE_WP_ASYNC)
FEATURE_PROBE(try_move, VERSO__UFFD_FEATURE_MOVE)
#undef FEATURE_PROBE

const struct probe verso__probes_of_faults[] = {
    { "userfaultfd", try_userfaultfd },
    { "userfaultfd write-protect", try_write_protect },
    { "userfaultfd minor", try_minor },
    { "userfaultfd poison", try_poison },
    { "userfaultfd async write-protect", try_write_protect_async },
    { "userfaultfd move", try_move },
    { NULL, NULL },
};
