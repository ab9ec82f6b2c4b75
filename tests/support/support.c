/* SPDX-License-Identifier: MIT */
/* support - see support.h. */
#include "support.h"

#include "mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[PATH_MAX];

/*
 * Stands before cmocka's own: cmocka before 1.1.6 says "not ok 3 # SKIP name" of a skipped case, which TAP readers take
 * for a failure.
 */
void print_message(const char *const format, ...)
{
    static const char wrong[] = "not ok %u # SKIP";
    bool is_wrong = strncmp(format, wrong, sizeof(wrong) - 1) == 0;
    va_list arguments;

    va_start(arguments, format);
    vprint_message(is_wrong ? format + strlen("not ") : format, arguments);
    va_end(arguments);
}

static const int fatal_signals[] = { SIGBUS, SIGSEGV, SIGILL, SIGFPE };
static struct sigaction runner_action; /* cmocka's own, in force while anything of a test runs */

/* In a child the runner's handler would go on with the tests; there a signal shall kill, as in any program. Handlers
 * that the test itself has installed stay. */
static void leave_runner_handlers(void)
{
    struct sigaction now;

    for (size_t i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++)
        if (sigaction(fatal_signals[i], NULL, &now) == 0 && now.sa_handler == runner_action.sa_handler)
            (void)signal(fatal_signals[i], SIG_DFL);
}

int support_setup(void **state)
{
    const char *parent = getenv("TEST_DIRECTORY");

    (void)state;
    (void)sigaction(SIGBUS, NULL, &runner_action);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!parent)
        parent = getenv("TMPDIR");
    if (!parent)
        parent = "/tmp";
    if (snprintf(directory, sizeof(directory), "%s/verso-test-XXXXXX", parent) >= (int)sizeof(directory))
        return -1;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

int support_teardown(void **state)
{
    (void)state;
    support_unmount_all();
    return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void support_assert_code(int got, int wanted, const char *call, const char *file, int line)
{
    char text[512];

    if (got != wanted) {
        verso_error_message(text, sizeof(text));
        print_error("%s answered %d (%s), wanted %d (%s); record: %s\n", call, got, verso_error_name(got), wanted,
                    verso_error_name(wanted), text);
        _fail(file, line);
    }
    if (wanted != 0 && verso_error_last()->code != wanted) {
        print_error("%s answered %s, but the record says %s\n", call, verso_error_name(got),
                    verso_error_name(verso_error_last()->code));
        _fail(file, line);
    }
}

const char *support_directory(void)
{
    return directory;
}

const char *support_path(const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];

    assert_true(snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX);
    return path;
}

unsigned char support_byte(uint64_t offset)
{
    return (unsigned char)((offset * 0x9e3779b97f4a7c15U) >> 56);
}

const char *support_file(const char *name, uint64_t bytes)
{
    const char *path = support_path(name);
    unsigned char block[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    for (uint64_t done = 0; done < bytes;) {
        size_t want = bytes - done < sizeof(block) ? (size_t)(bytes - done) : sizeof(block);

        for (size_t i = 0; i < want; i++)
            block[i] = support_byte(done + i);
        assert_int_equal(write(fd, block, want), (ssize_t)want);
        done += want;
    }
    assert_int_equal(close(fd), 0);
    return path;
}

bool support_matches(const void *data, uint64_t offset, size_t bytes)
{
    const unsigned char *byte = data;

    for (size_t i = 0; i < bytes; i++)
        if (byte[i] != support_byte(offset + i))
            return false;
    return true;
}

/* The sanitizers map memory of their own whenever they like; under them, only what belongs to a file is counted. */
size_t support_mapping_count(void)
{
    bool files_only = support_is_asan() || support_is_tsan();
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t room = 0, count = 0;

    assert_non_null(maps);
    while (getline(&line, &room, maps) >= 0)
        count += !files_only || strchr(line, '/');
    free(line);
    fclose(maps);
    return count;
}

size_t support_descriptor_count(void)
{
    DIR *list = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count;
}

bool support_is_root(void)
{
    return geteuid() == 0;
}

bool support_is_asan(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return true;
#endif
#endif
    return false;
}

bool support_is_tsan(void)
{
#if defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

int support_child(int (*function)(void *arg), void *arg)
{
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        leave_runner_handlers();
        _exit(function(arg));
    }
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}
