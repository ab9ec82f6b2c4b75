/* SPDX-License-Identifier: MIT */
/*
 * share-steps - a process dies before and after each system call, and at each of our instructions, of making, finding,
 * growing, leaving and removing regions. Those who live must find either what was there before or what was to be there
 * after; count themselves rightly; come in, and make anew; and be able to take away all that is left.
 */
#include "../unit/share/regions.h"

#include "child.h"
#include "steps.h"

#define BYTES 5000
#define GROWN 200000
#define MOST 300000

static struct verso_share *survivor; /* the test's own, where there is one */

/* What came out at the kills so far. */
static struct {
    unsigned before;
    unsigned after;
} seen;

/* ---- Regions that say whether they are whole ---- */

static int fill(void *data, uint64_t bytes, void *arg)
{
    (void)arg;
    memset(data, 'w', bytes);
    return 0;
}

static struct verso_share_options whole_ones(void)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;

    options.kind = "whole";
    options.most_bytes = MOST;
    options.member_count = 4;
    options.seat_count = 4;
    options.prepare = fill;
    return options;
}

static bool is_all(const void *data, size_t from, size_t to, char byte)
{
    const char *at = data;

    while (from < to && at[from] == byte)
        from++;
    return from == to;
}

static struct verso_share *make(const char *name)
{
    struct verso_share_options options = whole_ones();
    struct verso_share *share = NULL;

    if (verso_share_create(name, BYTES, &options, &share) != 0)
        return NULL;
    return share;
}

static bool is_whole(struct verso_share *share, uint64_t bytes)
{
    return verso_share_bytes(share) == bytes && is_all(verso_share_data(share), 0, BYTES, 'w') &&
           is_all(verso_share_data(share), BYTES, bytes, 0);
}

/* ---- Looking around ---- */

struct found {
    unsigned regions;
    unsigned errors;
    unsigned members;
    unsigned abandoned;
};

static int find(const struct verso_share_entry *entry, void *arg)
{
    struct found *found = arg;

    found->regions++;
    found->errors += entry->error != 0;
    found->members += entry->info.members;
    found->abandoned += entry->is_abandoned != 0;
    return 0;
}

static struct found look(void)
{
    struct found found = { 0 };

    assert_ok(verso_share_list(find, &found));
    assert_int_equal(found.errors, 0);
    return found;
}

/* What the dead left can all be collected; then everything works as if they had never been. */
static void start_anew(void)
{
    struct verso_share *share;

    (void)files_left();
    assert_int_equal(verso_share_collect(NULL, NULL), 0);
    assert_int_equal(files_left(), 0);
    share = make("r");
    assert_non_null(share);
    assert_true(is_whole(share, BYTES));
    assert_int_equal(look().members, 1);
    verso_share_close(share);
    assert_int_equal(files_left(), 0);
}

/* Whether the region is there; if so it is whole, can be entered, and has @members besides who enters. */
static bool is_there(unsigned members, uint64_t bytes)
{
    struct verso_share *share;
    struct found found = look();
    int r;

    assert_int_equal(found.members, members * found.regions);
    r = verso_share_attach("r", NULL, &share);
    if (r == -ENOENT) {
        assert_int_equal(found.regions, 0);
        seen.before++;
        return false;
    }
    assert_ok(r);
    assert_int_equal(found.regions, 1);
    assert_int_equal(found.abandoned, members == 0);
    assert_true(is_whole(share, bytes));
    assert_int_equal(members_of(share), members + 1);
    verso_share_close(share);
    seen.after++;
    return true;
}

/* ---- In the child ---- */

static struct verso_share *own;

static void must(int r, int line)
{
    if (r != 0) {
        print_error("test_share_steps.c:%d: %d: %s\n", line, r, verso_error_last()->step);
        _exit(3);
    }
}
#define MUST(call) must((call), __LINE__)

/* Libraries bind what they call, allocators begin, once. */
static void rehearse(void *arg)
{
    struct verso_share_options options = whole_ones();
    const struct verso__share_seat *seat;
    struct verso_share *share;

    (void)arg;
    MUST(verso_share_open("rehearsal", BYTES, &options, &share));
    MUST(verso_share_grow(share, GROWN));
    MUST(verso__share_seat_of(verso_share_data(share), &seat));
    MUST(verso_share_remove("rehearsal"));
    verso_share_close(share);
}

static void rehearse_and_attach(void *arg)
{
    rehearse(arg);
    MUST(verso_share_attach("r", NULL, &own));
}

static void rehearse_and_create(void *arg)
{
    rehearse(arg);
    own = make("r");
    MUST(own ? 0 : -1);
}

/* ---- In the test ---- */

static void be_member(void *arg)
{
    (void)arg;
    survivor = make("r");
    assert_non_null(survivor);
}

static void run(const struct support_steps *steps, const char *name)
{
    struct support_stations stations;
    size_t descriptors, mappings;

    if (support_is_asan() || support_is_tsan())
        skip_because("the sanitizer's own instructions would be stepped through");
    if (!support_can_survey())
        skip_because("no child can be traced here, or not on this processor");
    names_here();
    verso_share_close(make("warm"));
    descriptors = support_descriptor_count();
    mappings = support_mapping_count();
    memset(&seen, 0, sizeof(seen));
    stations = support_kill_between_calls(steps, 30);
    print_message("# %s: %u system calls, %u instructions of ours; %u kills: %u times as before, %u times as after\n",
                  name, stations.calls, stations.instructions, stations.kills, seen.before, seen.after);
    assert_true(stations.calls > 1 && stations.kills > 10);
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_int_equal(support_mapping_count(), mappings);
}

/* ---- Create ---- */

static void create(void *arg)
{
    (void)arg;
    MUST(make("r") ? 0 : -1);
}

static void judge_creation(void *arg, bool was_done)
{
    bool is_made = is_there(0, BYTES);

    (void)arg;
    assert_true(is_made || !was_done);
    start_anew();
}

static void test_create(void **state)
{
    const struct support_steps steps = { NULL, rehearse, NULL, create, judge_creation, NULL };

    (void)state;
    run(&steps, "create");
    assert_true(seen.before > 5 && seen.after > 1);
}

/* Where files can't be without a name. O_TMPFILE is the only flag of its height. */
static void rehearse_without_unnamed(void *arg)
{
    MUST(old_kernel_without(SYS_openat, 2, __O_TMPFILE, UINT32_MAX, EOPNOTSUPP) ? 0 : -1);
    rehearse(arg);
}

static int try_filter(void *arg)
{
    (void)arg;
    return old_kernel_without(SYS_openat, 2, __O_TMPFILE, UINT32_MAX, EOPNOTSUPP) ? 0 : CHILD_SKIPS;
}

static unsigned left_unfinished;

static void judge_unfinished(void *arg, bool was_done)
{
    left_unfinished += !look().regions && files_left() == 1;
    judge_creation(arg, was_done);
}

static void test_create_without_unnamed_files(void **state)
{
    const struct support_steps steps = { NULL, rehearse_without_unnamed, NULL, create, judge_unfinished, NULL };

    (void)state;
    assert_child_ok(try_filter, NULL);
    left_unfinished = 0;
    run(&steps, "create, without O_TMPFILE");
    assert_true(seen.before > 5 && seen.after > 1 && left_unfinished > 5);
}

/* ---- Open ---- */

/* A region of another kind, whose members are dead, in the way. */
static int die_as_member(void *arg)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;

    (void)arg;
    options.member_count = 4;
    (void)kill(verso_share_create("r", 10, &options, &own) == 0 ? getpid() : 0, SIGKILL);
    return 1;
}

static void put_in_the_way(void *arg)
{
    assert_true(WIFSIGNALED(support_child(die_as_member, arg)));
    assert_int_equal(look().abandoned, 1);
}

static void open_it(void *arg)
{
    struct verso_share_options options = whole_ones();

    (void)arg;
    MUST(verso_share_open("r", BYTES, &options, &own));
}

/* Nothing, the old one, or the new one: who opens next gets the new one. */
static void judge_opening(void *arg, bool was_done)
{
    struct verso_share_options options = whole_ones();
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    struct verso_share *share;
    struct found found = look();

    (void)arg;
    assert_true(found.members == 0 && found.regions <= 1 && (found.regions == 1 || !was_done));
    assert_ok(verso_share_open("r", BYTES, &options, &share));
    assert_true(is_whole(share, BYTES));
    assert_ok(verso_share_info(share, &info));
    assert_int_equal(info.members, 1);
    assert_true(info.was_abandoned || !was_done);
    seen.after += info.was_abandoned != 0;
    seen.before += info.was_abandoned == 0;
    verso_share_close(share);
    start_anew();
}

static void test_open(void **state)
{
    const struct support_steps steps = { put_in_the_way, rehearse, NULL, open_it, judge_opening, NULL };

    (void)state;
    run(&steps, "open, one of another kind in the way");
    assert_true(seen.before > 5 && seen.after > 1);
}

/* ---- Attach, and leave, beside one who stays ---- */

static void attach(void *arg)
{
    (void)arg;
    MUST(verso_share_attach("r", NULL, &own));
}

static void judge_beside(void *arg, bool was_done)
{
    (void)arg;
    (void)was_done;
    assert_int_equal(members_of(survivor), 1);
    assert_true(is_there(1, BYTES));
    verso_share_close(survivor);
    assert_int_equal(files_left(), 0); /* the last one takes the name along */
    start_anew();
}

static void test_attach(void **state)
{
    const struct support_steps steps = { be_member, rehearse, NULL, attach, judge_beside, NULL };

    (void)state;
    run(&steps, "attach");
}

static void leave(void *arg)
{
    (void)arg;
    verso_share_close(own);
}

static void test_leave(void **state)
{
    const struct support_steps steps = { be_member, rehearse_and_attach, NULL, leave, judge_beside, NULL };

    (void)state;
    run(&steps, "close, beside a member");
}

/* ---- The last one leaves ---- */

static void judge_last(void *arg, bool was_done)
{
    bool is_left = is_there(0, BYTES);

    (void)arg;
    assert_false(is_left && was_done);
    start_anew();
}

static void test_leave_last(void **state)
{
    const struct support_steps steps = { NULL, rehearse_and_create, NULL, leave, judge_last, NULL };

    (void)state;
    run(&steps, "close, the last one");
    assert_true(seen.before > 1 && seen.after > 5);
}

/* ---- Grow ---- */

static void grow(void *arg)
{
    (void)arg;
    MUST(verso_share_grow(own, GROWN));
}

static void judge_growth(void *arg, bool was_done)
{
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    uint64_t bytes = verso_share_bytes(survivor);

    (void)arg;
    assert_true(bytes == GROWN || (bytes == BYTES && !was_done));
    assert_ok(verso_share_info(survivor, &info));
    assert_int_equal(info.members, 1);
    assert_true(info.allocated_bytes >= bytes);
    assert_true(is_there(1, bytes));
    seen.after -= bytes == BYTES;
    seen.before += bytes == BYTES;
    assert_ok(verso_share_grow(survivor, MOST));
    assert_true(is_whole(survivor, MOST));
    memset(verso_share_data(survivor), 'x', MOST);
    verso_share_close(survivor);
    start_anew();
}

static void test_grow(void **state)
{
    const struct support_steps steps = { be_member, rehearse_and_attach, NULL, grow, judge_growth, NULL };

    (void)state;
    run(&steps, "grow");
    assert_true(seen.before > 5 && seen.after > 1);
}

/* ---- Sit down ---- */

static void sit(void *arg)
{
    const struct verso__share_seat *seat;

    (void)arg;
    MUST(verso__share_seat_of(verso_share_data(own), &seat));
}

static void judge_seat(void *arg, bool was_done)
{
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    const struct verso__share_seat *seat;

    (void)arg;
    (void)was_done;
    assert_ok(verso_share_info(survivor, &info));
    assert_true(info.members == 1 && info.seats == 0);
    assert_int_equal(verso__share_seat_of(verso_share_data(survivor), &seat), 0);
    assert_int_equal(seat->number, 0); /* the dead one's */
    assert_false(verso__share_seat_is_dead(seat));
    assert_ok(verso_share_info(survivor, &info));
    assert_int_equal(info.seats, 1);
    verso_share_close(survivor);
    start_anew();
}

static void test_sit_down(void **state)
{
    const struct support_steps steps = { be_member, rehearse_and_attach, NULL, sit, judge_seat, NULL };

    (void)state;
    run(&steps, "sit down");
}

/* ---- Remove, and collect ---- */

static void remove_it(void *arg)
{
    (void)arg;
    MUST(verso_share_remove("r"));
}

static void judge_removal(void *arg, bool was_done)
{
    (void)arg;
    assert_int_equal(members_of(survivor), 1);
    assert_true(is_whole(survivor, BYTES));
    assert_false(is_there(1, BYTES) && was_done);
    verso_share_close(survivor);
    start_anew();
}

static void test_remove(void **state)
{
    const struct support_steps steps = { be_member, rehearse, NULL, remove_it, judge_removal, NULL };

    (void)state;
    run(&steps, "remove");
    assert_true(seen.before > 1 && seen.after > 5);
}

static void collect(void *arg)
{
    (void)arg;
    MUST(verso_share_collect(NULL, NULL));
}

static void judge_collection(void *arg, bool was_done)
{
    struct found found = look();

    (void)arg;
    assert_true(found.regions == 0 || (found.abandoned == 1 && !was_done));
    seen.after += found.regions == 0;
    seen.before += found.regions;
    start_anew();
}

static void test_collect(void **state)
{
    const struct support_steps steps = { put_in_the_way, rehearse, NULL, collect, judge_collection, NULL };

    (void)state;
    run(&steps, "collect");
    assert_true(seen.before > 5 && seen.after > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create), cmocka_unit_test(test_create_without_unnamed_files),
        cmocka_unit_test(test_open),   cmocka_unit_test(test_attach),
        cmocka_unit_test(test_leave),  cmocka_unit_test(test_leave_last),
        cmocka_unit_test(test_grow),   cmocka_unit_test(test_sit_down),
        cmocka_unit_test(test_remove), cmocka_unit_test(test_collect),
    };

    return run_test_list(tests);
}
