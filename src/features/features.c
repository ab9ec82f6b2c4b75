/* SPDX-License-Identifier: MIT */
/*
 * features - every kernel feature verso knows of, tried once.
 *
 * Trying is the only honest test: kernels are patched, file systems differ, and seccomp filters answer for calls that
 * the kernel has. This table says what each feature is for and what happens without it; os/linux/probe.c tries it.
 */
#include "features/table.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <verso/features.h>

static const struct row {
    const char *name;
    const char *since;
    const char *purpose;
    const char *without;
    int needed;
} rows[] = {
#define FEATURE(name, since, purpose, without) { name, since, purpose, without, 0 },
#define NEEDED(name, since, purpose, without) { name, since, purpose, without, 1 },
    FEATURE_TABLE(FEATURE, NEEDED)
#undef FEATURE
#undef NEEDED
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static struct verso_feature features[ROW_COUNT];

/* A refusal for want of room says nothing about the feature. */
static enum verso_feature_state state_of(int error)
{
    switch (error) {
    case 0:
        return VERSO_FEATURE_PRESENT;
    case -EPERM:
    case -EACCES:
        return VERSO_FEATURE_FORBIDDEN;
    case -EAGAIN:
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
    case -ENOSPC:
    case -EDQUOT:
    case -EINTR:
        return VERSO_FEATURE_UNTRIED;
    default:
        return VERSO_FEATURE_ABSENT;
    }
}

static void try_all(void)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const char *note = "";
        int error = verso__os_probe(rows[i].name, &note);

        features[i] = (struct verso_feature){
            .name = rows[i].name,
            .since = rows[i].since,
            .purpose = rows[i].purpose,
            .without = rows[i].without,
            .state = state_of(error),
            .error = error,
            .note = note,
            .needed = rows[i].needed,
        };
    }
}

int verso_features_get(const struct verso_feature **out_features, size_t *out_count)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, try_all); /* fails only for a control that is not initialised */
    *out_features = features;
    *out_count = ROW_COUNT;
    return 0;
}
