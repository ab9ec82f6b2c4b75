/* SPDX-License-Identifier: MIT */
/* pass - a region through a Unix socket. */
#include "share/region.h"

#include <errno.h>

int verso_share_send(struct verso_share *share, int socket_fd)
{
    int r;

    if (!share)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = verso__os_send_descriptor(socket_fd, share->fd);
    return r < 0 ? verso__fail(r, "sendmsg", share->path) : 0;
}

/* What comes is another's open file, or one that others have as well; attaching opens it anew. */
int verso_share_receive(int socket_fd, const struct verso_share_options *options, struct verso_share **out_share)
{
    int fd, r;

    if (!out_share)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = verso__os_receive_descriptor(socket_fd, &fd);
    if (r < 0)
        return verso__fail(r, "recvmsg", NULL);
    r = verso_share_attach_descriptor(fd, options, out_share);
    verso__os_close(fd);
    return r;
}
