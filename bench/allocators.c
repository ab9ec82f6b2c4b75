/* SPDX-License-Identifier: MIT */
/* allocators - see allocators.h. */
#include "allocators.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void allocators_make_room(char **arguments)
{
    static const char setting[] = "glibc.rtld.optional_static_tls=65536";
    const char *before = getenv("GLIBC_TUNABLES");

    if (before && strcmp(before, setting) == 0)
        return;
    if (setenv("GLIBC_TUNABLES", setting, 1) == 0)
        (void)execv("/proc/self/exe", arguments);
    bench_note("this program could not be started again: some peers may be missing");
}

static void *symbol(void *library, const char *prefix, const char *name)
{
    char whole[64];

    (void)snprintf(whole, sizeof(whole), "%s%s", prefix, name);
    return dlsym(library, whole);
}

/* False, with a note, when it is not installed. */
static bool load(struct allocator *allocator, const char *name, const char *file, const char *prefix)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

    allocator->name = name;
    if (library) {
        *(void **)&allocator->allocate = symbol(library, prefix, "malloc");
        *(void **)&allocator->allocate_zero = symbol(library, prefix, "calloc");
        *(void **)&allocator->reallocate = symbol(library, prefix, "realloc");
        *(void **)&allocator->release = symbol(library, prefix, "free");
    }
    if (library && allocator->allocate && allocator->allocate_zero && allocator->reallocate && allocator->release)
        return true;
    bench_note("%s is left out: %s", name, library ? "it lacks what is called" : dlerror());
    return false;
}

size_t allocators_load(struct allocator out_allocators[ALLOCATORS_MAX])
{
    size_t count = 0;

    out_allocators[count++] = (struct allocator){ "glibc", malloc, calloc, realloc, free };
    count += load(&out_allocators[count], "mimalloc", "libmimalloc.so.2", "mi_");
    count += load(&out_allocators[count], "jemalloc", "libjemalloc.so.2", "");
    return count;
}
