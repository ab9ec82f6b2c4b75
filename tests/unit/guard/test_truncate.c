/* SPDX-License-Identifier: MIT */
/*
 * truncate - a file is cut and grown ten thousand times under four readers.
 *
 * No reader dies, and each answer is held against what was true of the file meanwhile. The cutter goes through four
 * phases a round and says so before and after each step:
 *
 *      WHOLE     every byte is there, with its pattern
 *      CUTTING   ftruncate() down to cuts[round] is under way
 *      CUT       it has returned
 *      GROWING   ftruncate() up, and the pattern is being written again
 *
 * A reader notes the phase before and after its call. The same phase at both ends leaves one right answer, to the byte:
 * in WHOLE all of it, in CUT everything up to the page behind the end. When the phase changed, the answer may lie
 * between, but never before the earliest cut there was. A byte that was read has its pattern, or is zero where the file
 * has been cut and not yet been written again.
 */
#include "support.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>

#include "ranges.h"

#define ROUNDS 10000U
#define READERS 4U
#define PAGES 12U
#define PAGES_KEPT 2U /* never cut */

enum phase {
    WHOLE,
    CUTTING,
    CUT,
    GROWING,
    PHASES
};

static struct watched file;
static size_t page;
static uint64_t cuts[ROUNDS];
static atomic_uint now; /* PHASES * round + phase */
static unsigned char pattern[PAGES * 65536];

struct reader {
    pthread_t thread;
    unsigned number;
    uint64_t seed;
    uint64_t calls;
    uint64_t shorts;   /* answers that were short */
    uint64_t exact;    /* short ones for which there was but one right answer */
    uint64_t crossed;  /* answers during which the phase changed */
    const char *wrong; /* what was wrong with an answer; NULL */
    uint64_t where[4];
};

static uint64_t random_below(uint64_t *seed, uint64_t limit)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed % limit;
}

static uint64_t page_up(uint64_t offset)
{
    return (offset + page - 1) / page * page;
}

/* ---- What is true ----------------------------------------------------------------------------------------------- */

/* Whether a call that began at @before and ended at @after may have met its end at @end. */
static bool end_is_right(unsigned before, unsigned after, uint64_t offset, uint64_t end, uint64_t full_end, bool *exact)
{
    uint64_t lowest = UINT64_MAX;

    *exact = false;
    if (before == after && before % PHASES == WHOLE)
        return end == full_end;
    for (unsigned round = before / PHASES; round <= after / PHASES && round < ROUNDS; round++)
        if (page_up(cuts[round]) < lowest)
            lowest = page_up(cuts[round]);
    if (before == after && before % PHASES == CUT) {
        uint64_t there = lowest < offset ? offset : lowest;

        *exact = there < full_end;
        return end == (there < full_end ? there : full_end);
    }
    return end == full_end || (end < full_end && (end >= lowest || end == offset));
}

static bool bytes_are_right(unsigned before, unsigned after, uint64_t offset, const unsigned char *data, size_t bytes)
{
    if (memcmp(data, pattern + offset, bytes) == 0)
        return true;
    for (size_t i = 0; i < bytes; i++) {
        bool zero_allowed = offset + i >= PAGES_KEPT * page && !(before == after && before % PHASES == WHOLE);

        if (data[i] != pattern[offset + i] && !(zero_allowed && data[i] == 0))
            return false;
    }
    return true;
}

/* ---- Four ways to read ------------------------------------------------------------------------------------------ */

struct reading {
    uint64_t offset;
    size_t bytes;
    size_t done;
    unsigned char target[PAGES * 65536];
};

static void read_by_copy(struct reading *reading)
{
    reading->done = verso_guard_copy(reading->target, file.data + reading->offset, reading->bytes);
}

static void read_by_compare(struct reading *reading)
{
    struct verso_guard_scan scan;

    memcpy(reading->target, pattern + reading->offset, reading->bytes);
    scan = verso_guard_compare(reading->target, file.data + reading->offset, reading->bytes);
    if (scan.found_bytes != SIZE_MAX) { /* a byte that is zero just now: nothing is known of what follows */
        reading->bytes = scan.done_bytes;
        reading->target[scan.found_bytes] = 0;
    }
    reading->done = scan.done_bytes;
}

static void read_by_count(struct reading *reading)
{
    struct verso_guard_scan scan = verso_guard_count(file.data + reading->offset, 0, reading->bytes);

    memcpy(reading->target, pattern + reading->offset, reading->bytes);
    reading->done = scan.done_bytes;
}

static int read_plainly(void *arg)
{
    struct reading *reading = arg;
    const volatile unsigned char *data = file.data + reading->offset;

    for (size_t i = 0; i < reading->bytes; i++) {
        reading->target[i] = data[i];
        *(volatile size_t *)&reading->done = i + 1;
    }
    return 0;
}

static void read_by_run(struct reading *reading)
{
    uint64_t offset = reading->offset + reading->bytes;

    reading->done = 0;
    if (verso__guard_run(&file.range, read_plainly, reading, &offset) == VERSO_E_TORN &&
        offset != reading->offset + reading->done)
        reading->done = SIZE_MAX; /* the fault was told at another place than where the loop stood */
}

static void (*const ways[READERS])(struct reading *) = { read_by_copy, read_by_compare, read_by_count, read_by_run };

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

static void judge(struct reader *reader, const struct reading *reading, unsigned before, unsigned after)
{
    uint64_t end = reading->offset + reading->done;
    uint64_t full_end = reading->offset + reading->bytes;
    bool exact = false;

    if (reading->done > reading->bytes)
        reader->wrong = "more bytes than asked for, or a fault told of at another place";
    else if (!end_is_right(before, after, reading->offset, end, full_end, &exact))
        reader->wrong = "it ended where it may not";
    else if (!bytes_are_right(before, after, reading->offset, reading->target, reading->done))
        reader->wrong = "a byte that never was in the file";
    reader->shorts += end < full_end;
    reader->exact += exact;
    reader->calls++;
    reader->crossed += before != after;
    reader->where[0] = before;
    reader->where[1] = after;
    reader->where[2] = reading->offset;
    reader->where[3] = end;
}

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    struct reading *reading = malloc(sizeof(*reading));

    while (reading && !reader->wrong) {
        unsigned before, after;

        reading->offset = random_below(&reader->seed, PAGES * page);
        reading->bytes = random_below(&reader->seed, PAGES * page - reading->offset + 1);
        if (random_below(&reader->seed, 4) == 0)
            reading->bytes %= 600;
        before = atomic_load(&now);
        if (before >= PHASES * ROUNDS)
            break;
        ways[reader->number](reading);
        after = atomic_load(&now);
        judge(reader, reading, before, after);
    }
    free(reading);
    return NULL;
}

/* Other maps come and go meanwhile. */
static void *churn(void *arg)
{
    struct verso__guard_range ranges[50];

    while (atomic_load(&now) < PHASES * ROUNDS) {
        for (size_t i = 0; i < 50; i++) {
            verso__guard_range_init(&ranges[i]);
            ranges[i].start = (i + 1) << 20;
            ranges[i].end = ranges[i].start + page;
            if (verso__guard_range_add(&ranges[i]) < 0)
                return arg;
        }
        for (size_t i = 0; i < 50; i++)
            verso__guard_range_drop(&ranges[i]);
    }
    return NULL;
}

/* Lets the readers run for a moment. The scheduler then takes the processor back in the middle of somebody's call. */
static void dwell(void)
{
    const struct timespec moment = { 0, 1000 };

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static void cut_and_grow(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        atomic_store(&now, PHASES * round + CUTTING);
        cut(&file, cuts[round]);
        atomic_store(&now, PHASES * round + CUT);
        dwell();
        atomic_store(&now, PHASES * round + GROWING);
        cut(&file, PAGES * page);
        assert_int_equal(pwrite(file.fd, pattern + cuts[round], PAGES * page - cuts[round], (off_t)cuts[round]),
                         PAGES * page - cuts[round]);
        atomic_store(&now, PHASES * (round + 1) + WHOLE);
        if (round % 2)
            dwell();
    }
}

static void test_ten_thousand_cuts_under_four_readers(void **state)
{
    struct reader readers[READERS] = { 0 };
    uint64_t seed = 0x9e3779b97f4a7c15U, shorts = 0, exact = 0, crossed = 0, calls = 0;
    pthread_t churner;

    (void)state;
    page = verso__os_page_bytes();
    if (page > 65536)
        skip_because("pages of more than 64 KiB");
    for (size_t i = 0; i < PAGES * page; i++)
        pattern[i] = support_byte(i) | 1; /* never zero */
    for (unsigned round = 0; round < ROUNDS; round++)
        cuts[round] = PAGES_KEPT * page + random_below(&seed, (PAGES - PAGES_KEPT) * page);
    guard_on();
    watch_file(&file, "cut", PAGES * page);
    assert_int_equal(pwrite(file.fd, pattern, PAGES * page, 0), PAGES * page);
    assert_int_equal(pthread_create(&churner, NULL, churn, NULL), 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].number = i;
        readers[i].seed = seed + i;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    (void)prctl(PR_SET_TIMERSLACK, 1); /* a moment shall be short */
    cut_and_grow();
    assert_int_equal(pthread_join(churner, NULL), 0);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        shorts += readers[i].shorts;
        exact += readers[i].exact;
        calls += readers[i].calls;
        crossed += readers[i].crossed;
        if (readers[i].wrong)
            fail_msg("reader %u: %s: phases %u to %u, from byte %u to byte %u", i, readers[i].wrong,
                     (unsigned)readers[i].where[0], (unsigned)readers[i].where[1], (unsigned)readers[i].where[2],
                     (unsigned)readers[i].where[3]);
    }
    print_message("# %u calls, %u while the file changed; %u were short, %u of those with one right answer\n",
                  (unsigned)calls, (unsigned)crossed, (unsigned)shorts, (unsigned)exact);
    assert_true(shorts > 100 && exact > 100);        /* the test has seen what it is for */
    assert_int_equal(file.range.torn_count, shorts); /* each short answer is told of once */
    assert_true(file.range.torn_offset_bytes >= PAGES_KEPT * page);
    unwatch(&file);
    guard_off();
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_ten_thousand_cuts_under_four_readers),
    };

    return run_test_list(list);
}
