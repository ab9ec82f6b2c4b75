/* SPDX-License-Identifier: MIT */
/*
 * stream - what has no size, or no offsets: pipes, devices, terminals, files of /proc. Until it ends.
 *
 * A pipe's pages go on as they are (splice), a file's are handed out (sendfile), if both ends can; else the bytes are
 * read and written.
 */
#include "copy/copy.h"

#include <errno.h>
#include <stdlib.h>

#define CALL_BYTES ((size_t)1 << 20)
#define WAIT_MS 500

static int told(struct verso__copy *copy, uint64_t *at, size_t done)
{
    *at += done;
    copy->target.stored_bytes = *at;
    return verso__copy_passed(copy, *at);
}

/*
 * A pipe may have nothing for a long time. Whoever wants to be told is told meanwhile, so that he can end it; a signal
 * that comes is no error, but what he may want to know of at once.
 */
static int wait(struct verso__copy *copy, uint64_t at)
{
    int r = -EINTR;

    if (!copy->options.progress || copy->source.info.kind == VERSO__OS_FILE_REGULAR)
        return 0;
    while (r == -EINTR || r == -ETIMEDOUT) {
        r = verso__os_wait_readable(copy->source.fd, WAIT_MS);
        if (r == -EINTR || r == -ETIMEDOUT) {
            int told = verso__copy_tell(copy, VERSO_COPY_COPYING, at, 0, true);

            if (told < 0)
                return told;
        }
    }
    return 0; /* what can't be waited for is read, and that tells what is wrong */
}

/* The target's place for the kernel's calls: of its own for files, which a pipe has not. */
static int pass_on(struct verso__copy *copy, uint64_t from, size_t *out_done)
{
    bool is_pipe = copy->source.info.kind == VERSO__OS_FILE_FIFO;
    uint64_t to = from;

    if (is_pipe)
        return verso__os_splice(copy->source.fd, copy->target.fd, copy->target.has_offsets ? &to : NULL, CALL_BYTES,
                                out_done);
    if (copy->target.has_offsets)
        return -EINVAL; /* sendfile stores at the descriptor's position: for what has no other */
    return verso__os_send_file(copy->source.fd, copy->source.is_stream ? NULL : &from, copy->target.fd, CALL_BYTES,
                               out_done);
}

/* 1: to its end. 0: the kernel would not; nothing of what *at says was lost. */
static int pass_all(struct verso__copy *copy, uint64_t *at)
{
    size_t done;
    int r = 0;

    while (r == 0) {
        r = wait(copy, *at);
        if (r < 0)
            return r;
        r = pass_on(copy, *at, &done);
        if (r < 0 && (r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP))
            return 0;
        if (r < 0)
            return verso__copy_fail_target(copy, r, "splice", *at);
        if (done == 0)
            return 1;
        copy->report.offloaded_bytes += done;
        r = told(copy, at, done);
    }
    return r;
}

static int read_more(struct verso__copy *copy, uint64_t at, unsigned char *buffer, size_t *out_done)
{
    if (!copy->source.is_stream)
        return verso__os_read_at(copy->source.fd, at, buffer, VERSO__COPY_PIECE_BYTES, out_done);
    return verso__os_read(copy->source.fd, buffer, VERSO__COPY_PIECE_BYTES, out_done);
}

/* Holes are dug and pages compared where the target has offsets; a pipe gets every byte. */
static int store(struct verso__copy *copy, const unsigned char *buffer, uint64_t at, size_t bytes)
{
    int r;

    if (copy->target.has_offsets)
        return verso__copy_put(copy, buffer, at, bytes);
    r = verso__os_write(copy->target.fd, buffer, bytes);
    if (r < 0)
        return verso__copy_fail_target(copy, r, "write", at);
    copy->report.copied_bytes += bytes;
    return 0;
}

static int copy_all(struct verso__copy *copy, uint64_t *at)
{
    unsigned char *buffer = malloc(VERSO__COPY_PIECE_BYTES);
    size_t done = 1;
    int r = 0;

    if (!buffer)
        return verso__copy_fail_source(copy, -ENOMEM, "malloc", VERSO_OFFSET_NONE);
    copy->method = VERSO_COPY_METHOD_READ;
    while (r == 0 && done > 0) {
        r = wait(copy, *at);
        if (r < 0)
            break;
        r = read_more(copy, *at, buffer, &done);
        if (r < 0)
            (void)verso__copy_fail_source(copy, r, "read", *at);
        if (r == 0)
            r = verso__copy_digest(copy, buffer, done);
        if (r == 0)
            r = store(copy, buffer, *at, done);
        if (r == 0)
            r = told(copy, at, done);
    }
    free(buffer);
    return r;
}

/* A file or device that is written in place and was longer, or ends in a hole that was dug. */
static int set_end(struct verso__copy *copy, uint64_t end)
{
    int r;

    copy->end = end;
    if (!copy->target.has_offsets || copy->target.info.kind == VERSO__OS_FILE_BLOCK)
        return 0;
    r = verso__os_truncate(copy->target.fd, end);
    return r < 0 ? verso__copy_fail_target(copy, r, "ftruncate", end) : 0;
}

int verso__copy_stream(struct verso__copy *copy)
{
    uint64_t at = 0;
    int r = 0;

    if (copy->options.reflink == VERSO_COPY_REFLINK_ALWAYS)
        return verso__copy_fail_target(copy, -EOPNOTSUPP, "reflink", VERSO_OFFSET_NONE);
    if (copy->method == VERSO_COPY_METHOD_SPLICE)
        r = pass_all(copy, &at);
    if (r == 0)
        r = copy_all(copy, &at);
    return r < 0 ? r : set_end(copy, at);
}
