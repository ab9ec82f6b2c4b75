/* SPDX-License-Identifier: MIT */
/*
 * probe - trying features for real, on small things of our own that are gone afterwards.
 */
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

typedef int probe_function(const char **out_note);

static int try_fixed_noreplace(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    void *first, *second;
    int r;

    (void)out_note;
    r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_NONE, 0, -1, 0, &first);
    if (r < 0)
        return -EAGAIN;
    second = mmap(first, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    r = second == MAP_FAILED && errno == EEXIST ? 0 : -EOPNOTSUPP;
    if (second != MAP_FAILED)
        (void)verso__os_unmap(second, bytes);
    (void)verso__os_unmap(first, bytes);
    return r;
}

static int try_cachestat(const char **out_note)
{
    struct verso__os_cache_counts counts;
    int fd, r;

    (void)out_note;
    r = verso__os_memory_file("verso-probe", 0, &fd);
    if (r < 0)
        return -EAGAIN;
    r = verso__os_cache_counts(fd, 0, 0, &counts);
    verso__os_close(fd);
    return r;
}

static const struct probe {
    const char *name;
    probe_function *run;
} probes[] = {
    { "MAP_FIXED_NOREPLACE", try_fixed_noreplace },
    { "cachestat", try_cachestat },
};

int verso__os_probe(const char *feature, const char **out_note)
{
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
        if (strcmp(probes[i].name, feature) == 0)
            return probes[i].run(out_note);
    return -EINVAL;
}
