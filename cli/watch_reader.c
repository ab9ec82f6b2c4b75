/* SPDX-License-Identifier: MIT */
/* watch_reader - the child: map, touch, rest, let go, begin again. See watch_reader.h for its manners. */
#include "watch_reader.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/guard.h>
#include <verso/inspect.h>
#include <verso/map.h>

#define TICK_MS 20
#define PASS_TICKS 1000u                                 /* 20 s for a pass */
#define TICK_BYTES_MAX (UINT64_C(64) * 1024 * 1024 / 50) /* 64 MiB a second */
#define REST_MS 2000
#define START_MS 5000
#define STOP_MS 3000

/* ---- The child ---- */

struct reading {
    int fd;
    int leash_fd;
    struct verso_map *map;
    struct verso_inspect_cached_run *before; /* what was cached when we came */
    size_t before_count;
    uint64_t bytes;   /* of the map */
    uint64_t at_byte; /* the next to touch */
    uint64_t until_byte;
};

/* Sleeps; true when it is time to end: Ctrl-C, or the parent let go of the leash. */
static bool must_end(const struct reading *reading, int timeout_ms)
{
    struct pollfd leash = { .fd = reading->leash_fd, .events = POLLIN };

    return poll(&leash, 1, timeout_ms) != 0 || interrupted();
}

static int touch_some(void *arg)
{
    struct reading *reading = arg;
    const volatile char *data = verso_map_data(reading->map);

    for (; reading->at_byte < reading->until_byte; reading->at_byte += verso_page_bytes())
        (void)data[reading->at_byte];
    return 0;
}

static uint64_t tick_bytes(uint64_t bytes)
{
    uint64_t step = bytes / PASS_TICKS, page = verso_page_bytes();

    if (step > TICK_BYTES_MAX)
        step = TICK_BYTES_MAX;
    return step < page ? page : step - step % page;
}

/* Reads the file once. True when it is time to end. */
static bool pass(struct reading *reading)
{
    uint64_t step = tick_bytes(reading->bytes);

    for (reading->at_byte = 0; reading->at_byte < reading->bytes;) {
        reading->until_byte = reading->at_byte + step < reading->bytes ? reading->at_byte + step : reading->bytes;
        if (verso_guard_run(reading->map, touch_some, reading) < 0)
            break; /* the file was cut: this pass ends here, the next one maps it anew */
        if (must_end(reading, TICK_MS))
            return true;
    }
    return must_end(reading, REST_MS);
}

/* Drops the pages of [first, end) from the cache: ours, or nobody's. What others map stays by the kernel's rule. */
static void give_back_range(const struct reading *reading, uint64_t first_page, uint64_t end_page)
{
    uint64_t page = verso_page_bytes();

    if (first_page < end_page)
        (void)posix_fadvise(reading->fd, (off_t)(first_page * page), (off_t)((end_page - first_page) * page),
                            POSIX_FADV_DONTNEED); /* advice: nothing hangs on it */
}

/* Drops what was not cached before we came. */
static void give_back(const struct reading *reading)
{
    uint64_t next = 0, end = reading->bytes / verso_page_bytes() + 1;

    for (size_t i = 0; i < reading->before_count; i++) {
        const struct verso_inspect_cached_run *run = &reading->before[i];

        if (!run->cached)
            continue;
        give_back_range(reading, next, run->first_page);
        next = run->first_page + run->page_count;
    }
    give_back_range(reading, next, end);
}

/* Maps the file if it is not mapped, or has another size by now. False when it can't be. */
static bool map_anew(struct reading *reading)
{
    struct stat status;

    if (fstat(reading->fd, &status) < 0)
        return false;
    if (reading->map && (uint64_t)status.st_size == reading->bytes)
        return true;
    verso_map_close(reading->map);
    reading->map = NULL;
    if (verso_map_open_fd(reading->fd, NULL, &reading->map) < 0)
        return false;
    reading->bytes = verso_map_bytes(reading->map);
    return true;
}

static int read_until_told(struct reading *reading)
{
    bool knows_before = verso_inspect_cached_runs(reading->fd, 0, 0, &reading->before, &reading->before_count) == 0;

    while (map_anew(reading)) {
        if (pass(reading))
            break;
        (void)verso_map_advise(reading->map, 0, 0, VERSO_MAP_ADVICE_DONTNEED);
        if (knows_before)
            give_back(reading);
    }
    verso_map_close(reading->map); /* before giving back: mapped pages stay */
    if (knows_before)
        give_back(reading);
    free(reading->before);
    return 0;
}

/* So that ps and the picture say what it is. Without it the process is just called verso. */
static void name_self(void)
{
    FILE *stream = fopen("/proc/self/comm", "w");

    if (stream) {
        fputs("verso-reader", stream);
        fclose(stream);
    }
}

/* A descriptor of its own: readahead state belongs to the open file, and the watcher's looking is random. */
static int reopen(int fd)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static int child(int fd, int leash_fd, int ready_fd)
{
    struct reading reading = { .fd = reopen(fd), .leash_fd = leash_fd };
    const char byte = 1;
    int r;

    if (reading.fd < 0)
        return EXIT_FAILURE;
    name_self();
    if (verso_guard_install() < 0 || !map_anew(&reading) || write(ready_fd, &byte, 1) != 1)
        return EXIT_FAILURE;
    close(ready_fd);
    r = read_until_told(&reading);
    close(reading.fd);
    return r;
}

/* ---- The parent ---- */

static bool wait_ready(int ready_fd)
{
    struct pollfd ready = { .fd = ready_fd, .events = POLLIN };
    char byte;

    return poll(&ready, 1, START_MS) == 1 && read(ready_fd, &byte, 1) == 1;
}

/* Forks with two pipes: on one the child says that it is ready, the other one's closing tells it to end. */
static bool spawn(struct watch_reader *reader, int fd, const int leash[2], const int ready[2])
{
    fflush(NULL);
    reader->pid = fork();
    if (reader->pid == 0) {
        close(leash[1]);
        close(ready[0]);
        _exit(child(fd, leash[0], ready[1]));
    }
    close(leash[0]);
    close(ready[1]);
    reader->leash_fd = leash[1];
    if (reader->pid > 0 && wait_ready(ready[0])) {
        close(ready[0]);
        return true;
    }
    close(ready[0]);
    if (reader->pid < 0) {
        reader->pid = 0;
        close(leash[1]);
    } else
        reader_stop(reader);
    return false;
}

bool reader_start(struct watch_reader *reader, int fd)
{
    int leash[2], ready[2];

    *reader = (struct watch_reader){ .leash_fd = -1 };
    if (pipe2(leash, O_CLOEXEC) < 0) {
        trouble("cannot start the reader: %s", strerror(errno));
        return false;
    }
    if (pipe2(ready, O_CLOEXEC) < 0) {
        trouble("cannot start the reader: %s", strerror(errno));
        close(leash[0]);
        close(leash[1]);
        return false;
    }
    if (!spawn(reader, fd, leash, ready)) {
        trouble("the reader could not map the file");
        return false;
    }
    return true;
}

static void forget(struct watch_reader *reader)
{
    if (reader->leash_fd >= 0)
        close(reader->leash_fd);
    *reader = (struct watch_reader){ .leash_fd = -1 };
}

bool reader_runs(struct watch_reader *reader)
{
    if (reader->pid > 0 && waitpid(reader->pid, NULL, WNOHANG) == reader->pid)
        forget(reader);
    return reader->pid > 0;
}

void reader_stop(struct watch_reader *reader)
{
    if (reader->pid <= 0)
        return;
    close(reader->leash_fd);
    reader->leash_fd = -1;
    for (int waited_ms = 0; waited_ms < STOP_MS && reader_runs(reader); waited_ms += 10)
        (void)poll(NULL, 0, 10);
    if (reader->pid > 0) { /* it hangs, in a dead disk perhaps */
        kill(reader->pid, SIGKILL);
        (void)waitpid(reader->pid, NULL, WNOHANG);
    }
    forget(reader);
}
