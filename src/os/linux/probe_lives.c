/* SPDX-License-Identifier: MIT */
/* probe_lives - trying what tells the living from the dead: locks of open files, life words, sleeping at several words.
 */
#include "os/linux/probe.h"
#include "os/os.h"

#include <errno.h>
#include <stdatomic.h>

/* Two open files of one file of memory: what one locks, the other must be told of. */
static int try_locks(const char **out_note)
{
    int fd, other, r = verso__os_memory_file("verso-probe", 0, &fd);

    (void)out_note;
    if (r < 0)
        return r;
    r = verso__os_reopen(fd, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, &other);
    if (r == 0) {
        r = verso__os_byte_lock(fd, 0, VERSO__OS_BYTE_EXCLUSIVE);
        if (r == 0)
            r = verso__os_bytes_are_locked(other, 0, 1) == 1 ? 0 : -ENOLCK;
        verso__os_close(other);
    }
    verso__os_close(fd);
    return r;
}

static int with_page(int try(void *page, const char **out_note), const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    void *page;
    int fd, r = verso__os_memory_file("verso-probe", 0, &fd);

    if (r < 0)
        return r;
    r = verso__os_truncate(fd, bytes);
    if (r == 0)
        r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE, VERSO__OS_MAP_SHARED, fd, 0,
                          &page);
    verso__os_close(fd);
    if (r < 0)
        return r;
    r = try(page, out_note);
    (void)verso__os_unmap(page, bytes);
    return r;
}

static int live(void *page, const char **out_note)
{
    void *life;
    int r = verso__os_life_begin(page, &life);

    if (r == -EOPNOTSUPP)
        *out_note = "the mutexes of this C library are laid out in another way";
    return r < 0 ? r : verso__os_life_end(life);
}

static int try_life(const char **out_note)
{
    return with_page(live, out_note);
}

/* A word that is another already ends the sleep before it begins. */
static int try_wait_any(const char **out_note)
{
    static const _Atomic uint32_t word;
    const struct verso__os_futex_word words[2] = { { &word, 1 }, { &word, 0 } };

    (void)out_note;
    return verso__os_futex_wait_any(words, 2, verso__os_clock_ns());
}

const struct probe verso__probes_of_lives[] = {
    { "F_OFD_SETLK", try_locks },
    { "life words", try_life },
    { "futex_waitv", try_wait_any },
    { NULL, NULL },
};
