/* SPDX-License-Identifier: MIT */
/* names - what is a name, who has it, when it goes; lists and collection. */
#include "regions.h"

#include <pthread.h>

static void test_create_attach_close(void **state)
{
    size_t descriptors, mappings;
    struct verso_share *share, *other;

    (void)state;
    names_here();
    share = made("warm", 1); /* what is set up once */
    verso_share_close(share);
    descriptors = support_descriptor_count();
    mappings = support_mapping_count();
    share = made("a", 1);
    assert_true(exists("a"));
    assert_fails_in(verso_share_create("a", 1, NULL, &other), -EEXIST, "link");
    other = attached("a");
    assert_int_equal(members_of(other), 2);
    verso_share_close(share);
    assert_true(exists("a"));
    verso_share_close(other);
    assert_false(exists("a"));
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_int_equal(support_mapping_count(), mappings);
}

static void test_private(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;
    struct stat status;

    (void)state;
    names_here();
    share = made("p", 1);
    assert_int_equal(stat(path_of("p"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(support_path("names"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    verso_share_close(share);
    options.mode = 0660;
    assert_ok(verso_share_create("p", 1, &options, &share));
    assert_int_equal(stat(path_of("p"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660); /* as asked for, whatever the umask */
    verso_share_close(share);
}

static void test_no_names(void **state)
{
    char name[202];
    struct verso_share *share;

    (void)state;
    names_here();
    assert_fails(verso_share_create("", 1, NULL, &share), -EINVAL);
    assert_fails(verso_share_create(NULL, 1, NULL, &share), -EINVAL);
    assert_fails(verso_share_create(".hidden", 1, NULL, &share), -EINVAL);
    assert_fails(verso_share_create("..", 1, NULL, &share), -EINVAL);
    assert_fails(verso_share_create("/tmp/", 1, NULL, &share), -EINVAL);
    assert_fails(verso_share_remove(""), -EINVAL);
    assert_fails(verso_share_remove(NULL), -EINVAL);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_fails(verso_share_create(name, 1, NULL, &share), -ENAMETOOLONG);
    name[200] = '\0';
    share = made(name, 1);
    verso_share_close(share);
}

static void test_path(void **state)
{
    struct verso_share *share = made(support_path("file"), 1), *other = attached(support_path("file"));

    (void)state;
    verso_share_close(share);
    verso_share_close(other);
    assert_int_equal(access(support_path("file"), F_OK), -1);
    assert_fails_in(verso_share_create("/nonexistent/dir/x", 1, NULL, &share), -ENOENT, "open");
}

static void test_open_makes_then_attaches(void **state)
{
    struct verso_share *first, *second;

    (void)state;
    names_here();
    assert_ok(verso_share_open("o", 5, NULL, &first));
    assert_ok(verso_share_open("o", 5, NULL, &second));
    put(verso_share_data(first), "two");
    assert_string_equal(verso_share_data(second), "two");
    assert_int_equal(members_of(second), 2);
    verso_share_close(first);
    verso_share_close(second);
    assert_false(exists("o"));
}

/* Everybody at once, again and again: all meet in one region, and it is whole when they do. */
#define RACERS 8
#define RACES 20

struct race {
    _Atomic uint32_t come; /* how many are in this region */
    uint32_t whole;
};

static int fill_slowly(void *data, uint64_t bytes, void *arg)
{
    struct race *race = data;

    (void)bytes;
    (void)arg;
    (void)usleep(1000);
    race->whole = 0xabcdef;
    return 0;
}

static int race(void *arg)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;
    struct race *race;

    (void)arg;
    options.prepare = fill_slowly;
    if (verso_share_open("race", sizeof(*race), &options, &share) != 0)
        return 1;
    race = verso_share_data(share);
    if (race->whole != 0xabcdef)
        return 2;
    atomic_fetch_add(&race->come, 1);
    for (int i = 0; i < 20000 && atomic_load(&race->come) < RACERS; i++)
        (void)usleep(1000);
    if (atomic_load(&race->come) != RACERS)
        return 3;
    verso_share_close(share);
    return 0;
}

static void test_races_meet_in_one(void **state)
{
    (void)state;
    names_here();
    for (int i = 0; i < RACES; i++) {
        pid_t children[RACERS];

        for (int j = 0; j < RACERS; j++) {
            children[j] = fork();
            assert_true(children[j] >= 0);
            if (children[j] == 0)
                _exit(race(NULL));
        }
        for (int j = 0; j < RACERS; j++) {
            int status;

            assert_int_equal(waitpid(children[j], &status, 0), children[j]);
            assert_int_equal(status, 0);
        }
        assert_false(exists("race"));
    }
}

static int refuse(void *data, uint64_t bytes, void *arg)
{
    (void)data;
    (void)bytes;
    return *(int *)arg;
}

static void test_prepare_may_refuse(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share = NULL;
    int answer = 17;

    (void)state;
    names_here();
    options.prepare = refuse;
    options.prepare_arg = &answer;
    assert_fails_in(verso_share_create("no", 1, &options, &share), 17, "prepare");
    answer = -EDOM;
    assert_fails_in(verso_share_create_anonymous(1, &options, &share), -EDOM, "prepare");
    assert_null(share);
    assert_int_equal(files_left(), 0);
}

struct glance {
    unsigned listed;
    int attached;
    int second;
    struct verso_share *winner;
};

static int count_one(const struct verso_share_entry *entry, void *arg)
{
    (void)entry;
    ++*(unsigned *)arg;
    return 0;
}

static int glance_around(void *data, uint64_t bytes, void *arg)
{
    struct glance *glance = arg;
    struct verso_share *share;

    (void)data;
    (void)bytes;
    glance->attached = verso_share_attach("n", NULL, &share);
    (void)files_left();
    if (verso_share_list(count_one, &glance->listed) != 0 || verso_share_collect(count_one, &glance->listed) != 0)
        return -EIO;
    glance->second = verso_share_create("n", 20, NULL, &glance->winner);
    return 0;
}

/* While it is being made, it can't be found, nor collected; and its name is still free for another. */
static void test_not_there_before_it_is_whole(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct glance glance = { 0 };
    struct verso_share *share = NULL;

    (void)state;
    names_here();
    options.prepare = glance_around;
    options.prepare_arg = &glance;
    assert_fails_in(verso_share_create("n", 10, &options, &share), -EEXIST, "link");
    assert_null(share);
    assert_int_equal(glance.attached, -ENOENT);
    assert_int_equal(glance.listed, 0);
    assert_ok(glance.second);
    assert_int_equal(verso_share_bytes(glance.winner), 20);
    assert_int_equal(files_left(), 1);
    share = attached("n");
    assert_int_equal(verso_share_bytes(share), 20);
    verso_share_close(share);
    verso_share_close(glance.winner);
    assert_int_equal(files_left(), 0);
}

/* ---- Names that stay, names that are left ---- */

static void attach_for_good(void *arg)
{
    struct verso_share *share = attached(arg);

    put(verso_share_data(share), "left");
}

static void make_for_good(void *arg)
{
    put(verso_share_data(made(arg, 100)), "left");
}

/* The region of one who has been killed. */
static void abandon(const char *name)
{
    char copy[64];

    (void)snprintf(copy, sizeof(copy), "%s", name);
    child_kill(child_that(make_for_good, copy));
    assert_true(exists(name));
}

static void test_the_dead_stand_in_nobodys_way(void **state)
{
    struct verso_share_options other_kind = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    struct verso_share *share;

    (void)state;
    names_here();
    abandon("d");
    share = made("d", 10);
    assert_string_equal(verso_share_data(share), "");
    verso_share_close(share);
    abandon("d");
    other_kind.kind = "new";
    assert_ok(verso_share_open("d", 10, &other_kind, &share));
    assert_string_equal(verso_share_data(share), "");
    verso_share_close(share);
    /* What fits is taken over, and said to be. */
    abandon("d");
    assert_ok(verso_share_open("d", 10, NULL, &share));
    assert_string_equal(verso_share_data(share), "left");
    assert_ok(verso_share_info(share, &info));
    assert_int_equal(info.was_abandoned, 1);
    verso_share_close(share);
    assert_false(exists("d"));
}

/* ---- Somebody at the gate ---- */

struct keeper {
    int fd;
    enum verso__os_byte_lock how;
    atomic_bool is_there;
    pthread_t thread;
};

static void *keep_gate_a_while(void *arg)
{
    struct keeper *keeper = arg;
    int r = verso__os_byte_lock(keeper->fd, VERSO__SHARE_GATE_BYTE, keeper->how);

    atomic_store(&keeper->is_there, true);
    (void)usleep(100000);
    verso__os_byte_unlock(keeper->fd, VERSO__SHARE_GATE_BYTE);
    return r == 0 ? NULL : arg;
}

static void keeper_start(struct keeper *keeper, const char *name, enum verso__os_byte_lock how)
{
    *keeper = (struct keeper){ .fd = open(path_of(name), O_RDWR | O_CLOEXEC), .how = how };
    assert_true(keeper->fd >= 0);
    assert_int_equal(pthread_create(&keeper->thread, NULL, keep_gate_a_while, keeper), 0);
    while (!atomic_load(&keeper->is_there))
        (void)usleep(500);
}

static void keeper_join(struct keeper *keeper)
{
    void *failed;

    assert_int_equal(pthread_join(keeper->thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(close(keeper->fd), 0);
}

/* Two leave at once: the first has seen the second, and is at the gate yet. Or one came, and what it saw was not what
 * it wanted. The last member takes the name along all the same. */
static void test_who_leaves_last_waits_for_the_gate(void **state)
{
    const enum verso__os_byte_lock ways[] = { VERSO__OS_BYTE_EXCLUSIVE, VERSO__OS_BYTE_SHARED };
    struct keeper keeper;

    (void)state;
    names_here();
    for (size_t i = 0; i < 2; i++) {
        struct verso_share *share = made("gate", 10);

        keeper_start(&keeper, "gate", ways[i]);
        verso_share_close(share);
        assert_false(exists("gate"));
        keeper_join(&keeper);
    }
}

/* As when it is being collected. */
static void test_who_creates_waits_for_the_gate(void **state)
{
    struct keeper keeper;
    struct verso_share *share;

    (void)state;
    names_here();
    abandon("gate");
    keeper_start(&keeper, "gate", VERSO__OS_BYTE_EXCLUSIVE);
    share = made("gate", 10);
    assert_string_equal(verso_share_data(share), "");
    keeper_join(&keeper);
    verso_share_close(share);
}

static void test_keep(void **state)
{
    struct verso_share_options keep = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share, *other;

    (void)state;
    names_here();
    keep.flags = VERSO_SHARE_KEEP;
    assert_ok(verso_share_create("k", 10, &keep, &share));
    put(verso_share_data(share), "kept");
    verso_share_close(share);
    assert_true(exists("k"));
    assert_fails(verso_share_create("k", 10, &keep, &share), -EEXIST);
    assert_ok(verso_share_collect(NULL, NULL));
    assert_ok(verso_share_open("k", 10, NULL, &other));
    assert_string_equal(verso_share_data(other), "kept");
    verso_share_close(other);
    assert_ok(verso_share_remove("k"));
    assert_fails_in(verso_share_remove("k"), -ENOENT, "open");
}

static void test_remove_with_members(void **state)
{
    struct verso_share *share, *second;

    (void)state;
    names_here();
    share = made("r", 10);
    assert_ok(verso_share_remove("r"));
    put(verso_share_data(share), "goes on");
    second = made("r", 10); /* another one */
    assert_string_equal(verso_share_data(second), "");
    verso_share_close(share); /* must not take the new one's name away */
    assert_true(exists("r"));
    verso_share_close(second);
    assert_false(exists("r"));
}

static void test_remove_leaves_what_is_no_region(void **state)
{
    struct verso_share *share;
    int fd;

    (void)state;
    names_here();
    assert_fails(verso_share_remove(support_file("precious", 5000)), VERSO_E_FORMAT);
    assert_int_equal(access(support_path("precious"), F_OK), 0);
    /* Among the names everything is ours, also what is damaged. */
    share = made("x", 10);
    verso_share_close(share);
    fd = open(path_of("x"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(close(fd), 0);
    assert_ok(verso_share_remove("x"));
    assert_false(exists("x"));
}

/* ---- Lists ---- */

struct seen {
    unsigned count;
    unsigned errors;
    unsigned abandoned;
    unsigned removed;
    unsigned members;
    int32_t process;
    char name[64];
};

static int see(const struct verso_share_entry *entry, void *arg)
{
    struct seen *seen = arg;

    seen->count++;
    seen->errors += entry->error != 0;
    seen->abandoned += entry->is_abandoned != 0;
    seen->removed += entry->is_removed != 0;
    seen->members += entry->info.members;
    if (entry->info.members > 0)
        seen->process = entry->member[0].process;
    (void)snprintf(seen->name, sizeof(seen->name), "%s", entry->name);
    return 0;
}

static struct seen listed(void)
{
    struct seen seen = { 0 };

    assert_ok(verso_share_list(see, &seen));
    return seen;
}

static struct seen collected(void)
{
    struct seen seen = { 0 };

    assert_ok(verso_share_collect(see, &seen));
    return seen;
}

static void test_list(void **state)
{
    struct verso_share *share;
    struct child child;
    struct seen seen;
    int fd;

    (void)state;
    names_here();
    assert_int_equal(listed().count, 0); /* no directory yet */
    share = made("a", 10);
    seen = listed();
    assert_true(seen.count == 1 && seen.members == 1 && seen.process == getpid() && seen.abandoned == 0);
    child = child_that(attach_for_good, (char[]){ "a" });
    assert_int_equal(listed().members, 2);
    child_kill(child);
    assert_int_equal(listed().members, 1);
    abandon("b");
    seen = listed();
    assert_true(seen.count == 2 && seen.members == 1 && seen.abandoned == 1);
    fd = open(path_of("rubbish"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(close(fd), 0);
    seen = listed();
    assert_true(seen.count == 3 && seen.errors == 1);
    seen = collected();
    assert_true(seen.count == 1 && seen.removed == 1);
    assert_string_equal(seen.name, "b");
    assert_int_equal(listed().count, 2);
    assert_ok(verso_share_remove("rubbish"));
    verso_share_close(share);
    assert_int_equal(listed().count, 0);
}

/* Whoever owns it could have the names of others' files removed by who collects. */
static void test_directory_of_others(void **state)
{
    struct verso_share *share;
    struct seen seen = { 0 };

    (void)state;
    assert_int_equal(setenv("VERSO_SHARE_DIRECTORY", support_path("open"), 1), 0);
    assert_int_equal(mkdir(support_path("open"), 0700), 0);
    assert_int_equal(chmod(support_path("open"), 0711), 0);
    assert_fails_in(verso_share_create("x", 1, NULL, &share), VERSO_E_OWNER, "directory");
    assert_fails_in(verso_share_list(see, &seen), VERSO_E_OWNER, "directory");
    assert_fails_in(verso_share_collect(NULL, NULL), VERSO_E_OWNER, "directory");
    assert_int_equal(setenv("VERSO_SHARE_DIRECTORY", support_path("link"), 1), 0);
    assert_int_equal(symlink(support_path("names"), support_path("link")), 0);
    assert_fails_in(verso_share_create("x", 1, NULL, &share), -ENOTDIR, "directory");
    assert_fails_in(verso_share_list(see, &seen), -ENOTDIR, "directory");
    assert_fails_in(verso_share_collect(NULL, NULL), -ENOTDIR, "directory");
}

static int stop(const struct verso_share_entry *entry, void *arg)
{
    (void)entry;
    ++*(int *)arg;
    return 5;
}

static void test_walks_end_when_told(void **state)
{
    struct verso_share *share, *other;
    int calls = 0;

    (void)state;
    names_here();
    share = made("a", 10);
    other = made("b", 10);
    assert_int_equal(verso_share_list(stop, &calls), 5);
    assert_int_equal(calls, 1);
    assert_int_equal(verso_share_look("b", stop, &calls), 5);
    assert_fails(verso_share_look("c", stop, &calls), -ENOENT);
    verso_share_close(share);
    verso_share_close(other);
}

/* What a killed creation leaves where files can't be without names; a fresh one may still be somebody's work. */
static void test_unfinished(void **state)
{
    const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    struct verso_share *share;
    int fd;

    (void)state;
    names_here();
    share = made("a", 10);
    fd = open(support_path("names/.unfinished-1-abc"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)collected();
    assert_int_equal(access(support_path("names/.unfinished-1-abc"), F_OK), 0);
    assert_int_equal(futimens(fd, old), 0);
    assert_int_equal(verso__os_byte_lock(fd, VERSO__SHARE_GATE_BYTE, VERSO__OS_BYTE_EXCLUSIVE), 0);
    (void)collected();
    assert_int_equal(access(support_path("names/.unfinished-1-abc"), F_OK), 0);
    assert_int_equal(close(fd), 0);
    (void)collected();
    assert_int_equal(access(support_path("names/.unfinished-1-abc"), F_OK), -1);
    assert_int_equal(listed().count, 1);
    verso_share_close(share);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_create_attach_close),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_no_names),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_open_makes_then_attaches),
        cmocka_unit_test(test_races_meet_in_one),
        cmocka_unit_test(test_prepare_may_refuse),
        cmocka_unit_test(test_not_there_before_it_is_whole),
        cmocka_unit_test(test_the_dead_stand_in_nobodys_way),
        cmocka_unit_test(test_who_leaves_last_waits_for_the_gate),
        cmocka_unit_test(test_who_creates_waits_for_the_gate),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_remove_with_members),
        cmocka_unit_test(test_remove_leaves_what_is_no_region),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_walks_end_when_told),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_directory_of_others),
    };

    return run_test_list(list);
}
