/* SPDX-License-Identifier: MIT */
/* features - the table, its states, and that trying leaves no trace. */
#include "support.h"

#include "features/table.h"
#include "os/os.h"

#include <dirent.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/features.h>

static const struct verso_feature *find(const char *name)
{
    const struct verso_feature *features;
    size_t count;

    assert_ok(verso_features_get(&features, &count));
    for (size_t i = 0; i < count; i++)
        if (strcmp(features[i].name, name) == 0)
            return &features[i];
    fail_msg("no feature is called %s", name);
    return NULL;
}

static void test_each_is_tried_and_explained(void **state)
{
    const struct verso_feature *features;
    size_t count;

    (void)state;
    assert_ok(verso_features_get(&features, &count));
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        assert_true(features[i].state >= VERSO_FEATURE_PRESENT && features[i].state <= VERSO_FEATURE_UNTRIED);
        assert_int_equal(features[i].error == 0, features[i].state == VERSO_FEATURE_PRESENT);
        assert_true(features[i].error <= 0 && features[i].error >= -4095);
        assert_true(*features[i].name && *features[i].purpose && *features[i].without);
        assert_int_equal(strncmp(features[i].since, "Linux ", 6), 0);
        assert_non_null(features[i].note);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(features[i].name, features[j].name);
    }
}

/* A row whose name no probe knows would say "absent" on every machine. */
static void test_each_has_a_probe(void **state)
{
    static const char *const names[] = {
#define NAME(name, since, purpose, without) name,
        FEATURE_TABLE(NAME, NAME)
#undef NAME
    };
    const char *note;

    (void)state;
    assert_int_equal(verso__os_probe("no such feature", &note), -ENOKEY);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (verso__os_probe(names[i], &note) == -ENOKEY)
            fail_msg("no probe is called %s", names[i]);
}

static void test_answers_stay(void **state)
{
    const struct verso_feature *first, *second;
    size_t count;

    (void)state;
    assert_ok(verso_features_get(&first, &count));
    assert_ok(verso_features_get(&second, &count));
    assert_ptr_equal(first, second);
}

/* Things that the tests' own calls can check in another way. */
static void test_states_are_true(void **state)
{
    struct verso__os_cache_counts counts;
    int fd;

    (void)state;
    assert_int_equal(verso__os_open(support_file("f", 1), VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, 0, &fd), 0);
    assert_int_equal(find("cachestat")->error, verso__os_cache_counts(fd, 0, 0, &counts));
    verso__os_close(fd);
    assert_int_equal(find("/proc/PID/smaps")->state == VERSO_FEATURE_PRESENT, access("/proc/self/smaps", R_OK) == 0);
    assert_int_equal(find("/proc/kpageflags")->state == VERSO_FEATURE_PRESENT, access("/proc/kpageflags", R_OK) == 0);
    assert_int_equal(find("MAP_SHARED")->needed, 1);
    assert_int_equal(find("MAP_SYNC")->needed, 0);
}

static size_t entries_here(void)
{
    DIR *list = opendir(".");
    size_t count = 0;

    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count;
}

static void try_all(void)
{
#define TRY(name, since, purpose, without) (void)verso__os_probe(name, &note);
    const char *note;

    FEATURE_TABLE(TRY, TRY)
#undef TRY
}

static void test_trying_leaves_nothing(void **state)
{
    size_t mappings, descriptors, entries;

    (void)state;
    assert_int_equal(chdir(support_directory()), 0);
    try_all(); /* what is only made once, is made now */
    mappings = support_mapping_count();
    descriptors = support_descriptor_count();
    entries = entries_here();
    for (int i = 0; i < 20; i++)
        try_all();
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_int_equal(entries_here(), entries);
    assert_int_equal(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
    if (!support_is_asan() && !support_is_tsan()) /* theirs grow as they like */
        assert_true(support_mapping_count() <= mappings + 1);
}

static void *get_in_a_thread(void *arg)
{
    const struct verso_feature **out_features = arg;
    size_t count;

    return verso_features_get(out_features, &count) == 0 ? arg : NULL;
}

static int get_in_threads(void *arg)
{
    const struct verso_feature *features[8] = { NULL };
    pthread_t threads[8];
    void *answer;

    (void)arg;
    for (size_t i = 0; i < 8; i++)
        if (pthread_create(&threads[i], NULL, get_in_a_thread, &features[i]) != 0)
            return 1;
    for (size_t i = 0; i < 8; i++)
        if (pthread_join(threads[i], &answer) != 0 || !answer || features[i] != features[0])
            return 2;
    return 0;
}

static void test_threads_that_ask_first_together_get_one_answer(void **state)
{
    (void)state;
    assert_int_equal(support_child(get_in_threads, NULL), 0);
}

/* From here on, system call @number answers @error. */
static int forbid(long number, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

enum {
    CHILD_GOOD,
    CHILD_WRONG,
    CHILD_UNABLE
};

static int probe_without_calls(void *arg)
{
    const char *note;

    (void)arg;
    if (forbid(SYS_userfaultfd, EPERM) < 0 || forbid(SYS_mlock2, ENOSYS) < 0 || forbid(SYS_pidfd_open, EMFILE) < 0)
        return CHILD_UNABLE;
    return find("userfaultfd")->state == VERSO_FEATURE_FORBIDDEN && find("userfaultfd")->error == -EPERM &&
                   find("MLOCK_ONFAULT")->state == VERSO_FEATURE_ABSENT && find("MLOCK_ONFAULT")->error == -ENOSYS &&
                   find("process_madvise")->state == VERSO_FEATURE_UNTRIED &&
                   verso__os_probe("userfaultfd minor", &note) == -EPERM
               ? CHILD_GOOD
               : CHILD_WRONG;
}

static void test_a_sandbox_is_told_from_an_old_kernel(void **state)
{
    int status;

    (void)state;
    status = support_child(probe_without_calls, NULL);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_UNABLE)
        skip_because("no seccomp filters here");
    assert_int_equal(WEXITSTATUS(status), CHILD_GOOD);
}

static int probe_without_a_place(void *arg)
{
    (void)arg;
    if (forbid(SYS_openat, EACCES) < 0)
        return CHILD_UNABLE;
    return find("fallocate")->state == VERSO_FEATURE_UNTRIED && *find("fallocate")->note &&
                   find("MADV_COLD")->state != VERSO_FEATURE_UNTRIED
               ? CHILD_GOOD
               : CHILD_WRONG;
}

static void test_no_place_for_files(void **state)
{
    int status;

    (void)state;
    status = support_child(probe_without_a_place, NULL);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_UNABLE)
        skip_because("no seccomp filters here");
    assert_int_equal(WEXITSTATUS(status), CHILD_GOOD);
}

int main(void)
{
    /* Those with children come first: they must be the first to ask. */
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_threads_that_ask_first_together_get_one_answer),
        cmocka_unit_test(test_a_sandbox_is_told_from_an_old_kernel),
        cmocka_unit_test(test_no_place_for_files),
        cmocka_unit_test(test_each_is_tried_and_explained),
        cmocka_unit_test(test_each_has_a_probe),
        cmocka_unit_test(test_answers_stay),
        cmocka_unit_test(test_states_are_true),
        cmocka_unit_test(test_trying_leaves_nothing),
    };

    return run_test_list(list);
}
