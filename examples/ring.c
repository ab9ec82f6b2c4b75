/* SPDX-License-Identifier: MIT */
/*
 * ring - one thread reads a file straight into a ring, another counts the words of what comes out: no copy between.
 *
 *     $ ring /etc/services
 *     /etc/services: 12813 bytes, 1773 words, through a ring of 4096 bytes
 *
 * A word that lies across the end of the ring is still in one piece.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <verso.h>

struct job {
    struct verso_ring *ring;
    int fd;
    int error; /* of the reading side; looked at after it was joined */
};

static int fail(const char *what)
{
    char message[512];

    verso_error_message(message, sizeof(message));
    fprintf(stderr, "ring: %s: %s\n", what, message);
    return 2;
}

/* Reserve, read, commit: the kernel writes where the other thread will look. */
static void *read_file(void *arg)
{
    struct job *job = arg;
    ssize_t got = 0;
    size_t room;
    void *data;

    while (verso_ring_wait_room(job->ring, 1, -1) == 0 && verso_ring_reserve(job->ring, 1, &data, &room) == 0) {
        got = read(job->fd, data, room);
        if (got <= 0)
            break;
        verso_ring_commit(job->ring, (size_t)got);
    }
    job->error = got < 0 ? errno : 0;
    verso_ring_shutdown(job->ring); /* the end of data, and what wakes the other side */
    return NULL;
}

/* Whole words of what is there; the last may go on, unless this is the end. */
static size_t count_words(const char *data, size_t bytes, int is_end, unsigned long *words)
{
    size_t done = 0;

    for (size_t i = 0; i <= bytes; i++) {
        int is_word_end = i < bytes ? isspace((unsigned char)data[i]) : is_end;

        if (is_word_end && i > done)
            ++*words;
        if (is_word_end)
            done = i < bytes ? i + 1 : i;
    }
    return done;
}

/* A word longer than the ring is counted in pieces. 0 at the end of data, else the error. */
static int count_all(struct verso_ring *ring, unsigned long *words)
{
    size_t seen = 0, bytes; /* seen: of a word that may go on */
    void *data;
    int r;

    for (;;) {
        int is_end;

        r = verso_ring_wait_data(ring, seen + 1, -1);
        if (r < 0 && r != -EPIPE)
            return r;
        is_end = r == -EPIPE;
        r = verso_ring_peek(ring, 1, &data, &bytes);
        if (r < 0)
            return r == -EPIPE ? 0 : r;
        seen = bytes - count_words(data, bytes, is_end, words);
        if (seen == verso_ring_capacity_bytes(ring)) /* full of one word, which goes on */
            seen -= count_words(data, bytes, 1, words);
        verso_ring_consume(ring, bytes - seen);
    }
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : arguments[0]; /* without a file: this program's own */
    struct job job = { NULL, open(path, O_RDONLY | O_CLOEXEC), 0 };
    struct verso_ring_info info = VERSO_RING_INFO_INIT;
    unsigned long words = 0;
    pthread_t reader;
    int r;

    if (job.fd < 0 || verso_ring_open(4096, NULL, &job.ring) < 0)
        return job.fd < 0 ? (perror(path), 2) : fail(path);
    if (pthread_create(&reader, NULL, read_file, &job) != 0)
        return 2;
    r = count_all(job.ring, &words);
    if (r < 0)
        verso_ring_shutdown(job.ring); /* so that the reader does not wait for us */
    pthread_join(reader, NULL);
    if (job.error) {
        errno = job.error;
        perror(path);
        return 2;
    }
    if (r < 0 || verso_ring_info(job.ring, &info) < 0)
        return fail(path);
    printf("%s: %llu bytes, %lu words, through a ring of %llu bytes\n", path, (unsigned long long)info.read_bytes,
           words, (unsigned long long)info.capacity_bytes);
    verso_ring_close(job.ring);
    close(job.fd);
    return 0;
}
