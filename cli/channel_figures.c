/* SPDX-License-Identifier: MIT */
/* channel_figures - `verso channel bench`: what is measured, in which order, and how it is shown. */
#include "channel_bench.h"
#include "command.h"
#include "output.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 6
#define SECONDS_DEFAULT 2.0
#define BYTES_DEFAULT 64

struct figures {
    struct bench_rate one, many, copying;
    struct bench_times spinning, sleeping, line;
    bool has_two; /* processors: else who asks again and again only keeps the other from answering */
};

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

void bench_times_of(uint32_t *trips_ns, size_t count, struct bench_times *out_times)
{
    size_t half = count / 2, hundredth = (count - 1) / 100, thousandth = (count - 1) / 1000;

    qsort(trips_ns, count, sizeof(*trips_ns), compare);
    *out_times = (struct bench_times){ .trips = count };
    if (count == 0)
        return;
    out_times->p50_ns = trips_ns[half];
    out_times->p99_ns = trips_ns[count - 1 - hundredth];
    out_times->p999_ns = trips_ns[count - 1 - thousandth];
    out_times->most_ns = trips_ns[count - 1];
}

/* ---- For people ---- */

static const char *time_shown(double ns, char text[16])
{
    if (ns < 1e3)
        (void)snprintf(text, 16, "%.0f ns", ns);
    else if (ns < 1e6)
        (void)snprintf(text, 16, "%.1f us", ns / 1e3);
    else
        (void)snprintf(text, 16, "%.1f ms", ns / 1e6);
    return text;
}

static void print_rate(const char *what, const struct bench_rate *rate)
{
    char messages[32];

    printf("%-22s %14s %8.2f\n", what, count_shown((uint64_t)rate->messages, messages), rate->gigabytes);
}

static void print_times(const char *what, const struct bench_times *times)
{
    char p50[16], p99[16], p999[16], most[16];

    printf("%-22s %9s %9s %9s %9s\n", what, time_shown(times->p50_ns, p50), time_shown(times->p99_ns, p99),
           time_shown(times->p999_ns, p999), time_shown(times->most_ns, most));
}

static void print_text(const struct bench *bench, const struct figures *figures, const char *kind)
{
    char ring[16];

    printf("%s, messages of %zu bytes, a ring of %s\n\n", kind, bench->bytes, bytes_shown(bench->capacity_bytes, ring));
    printf("%-22s %14s %8s\n", "ONE WAY", "MESSAGES/S", "GB/S");
    print_rate("one by one", &figures->one);
    print_rate("64 at once", &figures->many);
    print_rate("floor: copying alone", &figures->copying);
    printf("\n%-22s %9s %9s %9s %9s\n", "THERE AND BACK", "P50", "P99", "P99.9", "MAX");
    if (figures->has_two)
        print_times("without sleeping", &figures->spinning);
    print_times("as by default", &figures->sleeping);
    if (figures->has_two)
        print_times("floor: a cache line", &figures->line);
}

/* ---- For programs ---- */

static json_t *rate_json(const char *how, const struct bench_rate *rate)
{
    return json_pack("{ss sf sf}", "how", how, "messages_per_second", rate->messages, "gigabytes_per_second",
                     rate->gigabytes);
}

static json_t *times_json(const char *how, const struct bench_times *times)
{
    return json_pack("{ss sI sf sf sf sf}", "how", how, "trips", (json_int_t)times->trips, "p50_ns", times->p50_ns,
                     "p99_ns", times->p99_ns, "p999_ns", times->p999_ns, "max_ns", times->most_ns);
}

static int print_json(const struct bench *bench, const struct figures *figures, const char *kind)
{
    json_t *rates = json_array(), *times = json_array();

    json_array_append_new(rates, rate_json("one by one", &figures->one));
    json_array_append_new(rates, rate_json("64 at once", &figures->many));
    json_array_append_new(rates, rate_json("copying alone", &figures->copying));
    if (figures->has_two)
        json_array_append_new(times, times_json("without sleeping", &figures->spinning));
    json_array_append_new(times, times_json("as by default", &figures->sleeping));
    if (figures->has_two)
        json_array_append_new(times, times_json("a cache line", &figures->line));
    return json_print(json_pack("{ss ss sI sI so so}", "action", "bench", "kind", kind, "message_bytes",
                                (json_int_t)bench->bytes, "capacity_bytes", (json_int_t)bench->capacity_bytes,
                                "one_way", rates, "there_and_back", times),
                      CHANNEL_SCHEMA);
}

/* ---- Measuring ---- */

static bool has_two_processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) > 1;
}

static int measure(struct bench *bench, struct figures *figures)
{
    struct progress progress;
    int answer;

    figures->has_two = has_two_processors();
    if (!figures->has_two)
        note("there is one processor: what needs two is left out");
    progress_start(&progress, "measurements", PARTS, false);
    answer = bench_one_way(bench, false, &figures->one);
    progress_step(&progress, 1);
    if (answer == EXIT_YES)
        answer = bench_one_way(bench, true, &figures->many);
    progress_step(&progress, 2);
    if (answer == EXIT_YES)
        answer = bench_copying(bench, &figures->copying);
    progress_step(&progress, 3);
    if (answer == EXIT_YES && figures->has_two)
        answer = bench_there_and_back(bench, true, &figures->spinning);
    progress_step(&progress, 4);
    if (answer == EXIT_YES)
        answer = bench_there_and_back(bench, false, &figures->sleeping);
    progress_step(&progress, 5);
    if (answer == EXIT_YES && figures->has_two)
        answer = bench_cache_line(bench, &figures->line);
    progress_end(&progress);
    return answer;
}

static int measure_and_print(struct bench *bench)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct figures figures = { 0 };
    int answer;

    if (verso_channel_info(bench->forth, &info) < 0)
        return trouble_error();
    if (bench->bytes > info.message_bytes_most)
        return trouble("--size: the longest message of this channel has %" PRIu64 " bytes; --capacity makes it larger",
                       info.message_bytes_most);
    bench->capacity_bytes = info.capacity_bytes;
    bench->buffer = allocate(NULL, bench->bytes + 1, 1);
    memset(bench->buffer, 7, bench->bytes + 1);
    bench->trips_ns = allocate(NULL, BENCH_TRIPS_MOST, sizeof(*bench->trips_ns));
    answer = measure(bench, &figures);
    free(bench->trips_ns);
    free(bench->buffer);
    if (answer != EXIT_YES)
        return answer;
    if (common.json)
        return print_json(bench, &figures, channel_kind_shown(info.kind));
    print_text(bench, &figures, channel_kind_shown(info.kind));
    return EXIT_YES;
}

int channel_bench(const char *name)
{
    double seconds = channel_request.seconds >= 0 ? channel_request.seconds : SECONDS_DEFAULT;
    struct bench bench = { .part_ns = (uint64_t)(seconds / PARTS * 1e9) };
    struct verso_channel_options made;
    struct verso_share *share = NULL;
    int answer = EXIT_TROUBLE;

    if (seconds < 0.01 || seconds > 3600)
        return trouble("--seconds: 0.01 to 3600");
    if (!channel_options(&made))
        return EXIT_TROUBLE;
    bench.bytes = channel_request.size_bytes == CHANNEL_NOT_GIVEN ? BYTES_DEFAULT : (size_t)channel_request.size_bytes;
    made.flags |= VERSO_CHANNEL_LASTING; /* between two measurements nobody sends, and that is no end */
    if (verso_channel_create(name, &made, &bench.forth) == 0 && verso_channel_create(NULL, &made, &bench.back) == 0 &&
        verso_share_create_anonymous(sizeof(*bench.control), NULL, &share) == 0) {
        bench.control = verso_share_data(share);
        answer = measure_and_print(&bench);
    } else {
        answer = trouble_error();
    }
    verso_share_close(share);
    verso_channel_close(bench.back);
    verso_channel_close(bench.forth);
    return answer;
}
