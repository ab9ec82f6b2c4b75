/* SPDX-License-Identifier: MIT */
/* watch_history - a ring of seconds. Pure. */
#include "watch_history.h"

#include <string.h>

/* Empty seconds between the newest bucket and @second keep what stood, not what happened. */
static void advance(struct history *history, uint64_t second)
{
    struct history_bucket quiet = history->buckets[history->second % HISTORY_SECONDS];

    quiet.minor = quiet.major = quiet.came = quiet.went = 0;
    if (second - history->second > HISTORY_SECONDS) /* longer than the ring: all of it is quiet */
        history->second = second - HISTORY_SECONDS;
    while (history->second < second)
        history->buckets[++history->second % HISTORY_SECONDS] = quiet;
}

void history_add(struct history *history, uint64_t second, const struct history_bucket *seen)
{
    struct history_bucket *bucket;

    if (!history->started) {
        memset(history, 0, sizeof(*history));
        history->started = true;
        history->second = second;
    }
    if (second > history->second)
        advance(history, second);
    bucket = &history->buckets[history->second % HISTORY_SECONDS];
    bucket->minor += seen->minor;
    bucket->major += seen->major;
    bucket->came += seen->came;
    bucket->went += seen->went;
    bucket->cached = seen->cached;
    bucket->present = seen->present;
}

const struct history_bucket *history_back(const struct history *history, uint64_t back)
{
    if (!history->started || back >= HISTORY_SECONDS || back > history->second)
        return NULL;
    return &history->buckets[(history->second - back) % HISTORY_SECONDS];
}

uint64_t sparkline(const uint64_t *values, size_t count, uint8_t *out_heights)
{
    uint64_t largest = 0;

    for (size_t i = 0; i < count; i++)
        if (values[i] > largest)
            largest = values[i];
    for (size_t i = 0; i < count; i++) {
        double height = largest ? (double)values[i] / (double)largest * 8.0 : 0.0;

        out_heights[i] = (uint8_t)(values[i] && height < 1.0 ? 1.0 : height);
    }
    return largest;
}
