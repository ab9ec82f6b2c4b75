/* SPDX-License-Identifier: MIT */
/* limits - settings and resource limits that programs which map memory run into, and how to change them. */
#include "base/fail.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <verso/features.h>

#define WORD_BYTES 32

/* Where a row's value is found. */
enum place {
    PLACE_SETTING, /* a number under /proc/sys or /sys */
    PLACE_WORD,    /* a word there */
    PLACE_LIMIT,   /* a resource limit of this process */
};

static bool below(uint64_t value, uint64_t wanted)
{
    return value < wanted;
}

static const struct row {
    const char *name;
    enum place place;
    const char *source;
    const char *unit;
    bool (*bites)(uint64_t value, uint64_t wanted); /* NULL: never */
    uint64_t wanted;
    const char *biting_word; /* bites when the word is this */
    const char *meaning;
    const char *mend;
} rows[] = {
    { "vm.max_map_count", PLACE_SETTING, "vm/max_map_count", "mappings", below, 262144, NULL,
      "mmap, mprotect and partial munmap answer ENOMEM at this many mappings per process",
      "sysctl vm.max_map_count=1048576" },
    { "RLIMIT_MEMLOCK", PLACE_LIMIT, "memlock", "bytes", below, UINT64_C(8) << 20, NULL,
      "locking more answers ENOMEM or EAGAIN; CAP_IPC_LOCK has no such limit", "ulimit -l unlimited" },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* One block, so that one free() gives back all of it; the limits come first. */
struct answer {
    struct verso_limit limits[ROW_COUNT];
    char words[ROW_COUNT][WORD_BYTES];
};

static int look(const struct row *row, uint64_t *out_value, char *out_word)
{
    uint64_t hard;

    switch (row->place) {
    case PLACE_SETTING:
        return verso__os_setting(row->source, out_value, NULL, 0);
    case PLACE_WORD:
        return verso__os_setting(row->source, NULL, out_word, WORD_BYTES);
    case PLACE_LIMIT:
        return verso__os_limit(row->source, out_value, &hard);
    }
    return -EINVAL;
}

static void fill(const struct row *row, struct verso_limit *limit, char *word)
{
    uint64_t value = VERSO_LIMIT_NONE;
    int error = look(row, &value, word);

    *limit = (struct verso_limit){
        .name = row->name,
        .value = error ? 0 : value,
        .unit = row->unit,
        .word = word,
        .error = error,
        .meaning = row->meaning,
        .mend = row->mend,
    };
    if (error == 0)
        limit->biting =
            (row->bites && row->bites(value, row->wanted)) || (row->biting_word && strcmp(word, row->biting_word) == 0);
}

int verso_limits_get(struct verso_limit **out_limits, size_t *out_count)
{
    struct answer *answer = calloc(1, sizeof(*answer));

    if (!answer)
        return verso__fail(-ENOMEM, "malloc", NULL);
    for (size_t i = 0; i < ROW_COUNT; i++)
        fill(&rows[i], &answer->limits[i], answer->words[i]);
    *out_limits = answer->limits;
    *out_count = ROW_COUNT;
    return 0;
}

void verso_limits_free(struct verso_limit *limits)
{
    free(limits);
}
