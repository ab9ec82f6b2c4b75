/* SPDX-License-Identifier: MIT */
/*
 * slab - a family of objects that refer to each other by handles, and one that is freed too soon.
 *
 *     $ slab
 *
 * Who follows a handle finds that its object is gone; who follows a pointer reads whatever stands there now. And a
 * second free, or the free of an address that is none, is an error code.
 */
#include <stdio.h>
#include <verso.h>

struct animal {
    char name[16];
    struct verso_slab_handle mother;
};

static int fail(const char *what)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "slab: %s: %s\n", what, line);
    return 2;
}

static struct animal *born(struct verso_slab *slab, const char *name, struct verso_slab_handle mother)
{
    struct animal *animal = verso_slab_alloc(slab);

    if (!animal)
        return NULL;
    (void)snprintf(animal->name, sizeof(animal->name), "%s", name);
    animal->mother = mother;
    return animal;
}

static const char *name_of(struct verso_slab *slab, struct verso_slab_handle handle)
{
    const struct animal *animal = verso_slab_get(slab, handle);

    return animal ? animal->name : "nobody any more";
}

static int live_and_die(struct verso_slab *slab)
{
    const struct verso_slab_handle unknown = { 0, 0 };
    struct verso_slab_handle handle;
    struct animal *hen = born(slab, "Berta", unknown), *chick;

    if (!hen || verso_slab_handle(slab, hen, &handle) < 0)
        return fail("Berta");
    chick = born(slab, "Frieda", handle);
    if (!chick)
        return fail("Frieda");
    printf("%s is the child of %s\n", chick->name, name_of(slab, chick->mother));
    if (verso_slab_free(slab, hen) < 0)
        return fail("free");
    if (!born(slab, "Emma", unknown)) /* stands where Berta stood */
        return fail("Emma");
    printf("%s is the child of %s\n", chick->name, name_of(slab, chick->mother));
    if (verso_slab_free(slab, chick->name + 1) != VERSO_E_FOREIGN || verso_slab_free(slab, chick) < 0)
        return fail("free");
    if (verso_slab_free(slab, chick) != VERSO_E_STALE)
        return fail("free");
    (void)fail("as it should be");
    for (struct animal *left = verso_slab_next(slab, NULL); left; left = verso_slab_next(slab, left))
        printf("left: %s\n", left->name);
    return 0;
}

int main(void)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct verso_slab *slab;
    int r;

    options.flags = VERSO_SLAB_HANDLES;
    if (verso_slab_open(sizeof(struct animal), &options, &slab) < 0)
        return fail("open");
    r = live_and_die(slab);
    verso_slab_close(slab);
    return r;
}
