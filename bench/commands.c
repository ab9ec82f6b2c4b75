/* SPDX-License-Identifier: MIT */
/* commands - see commands.h. */
#include "commands.h"

#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool limited; /* commands run inside the group */

/* ---- Verso's command ---- */

const char *commands_verso(void)
{
    static char path[PATH_MAX];
    const char *named = getenv("VERSO");
    ssize_t length;

    if (named)
        return access(named, X_OK) == 0 ? named : NULL;
    length = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/verso"));
    path[length < 0 ? 0 : length] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');

        if (!slash)
            return NULL;
        *slash = '\0';
    }
    memcpy(path + strlen(path), "/verso", sizeof("/verso"));
    return access(path, X_OK) == 0 ? path : NULL;
}

/* The help lists each in a line of its own. */
bool commands_verso_has(const char *subcommand)
{
    static char help[16384];
    char line[64];

    if (!commands_verso())
        return false;
    if (!*help)
        (void)bench_command(ARGUMENTS(commands_verso(), "--help"), help, sizeof(help));
    (void)snprintf(line, sizeof(line), "\n  %s ", subcommand);
    return strstr(help, line) != NULL;
}

/* ---- Running ---- */

static const char *output_path(void)
{
    static char path[PATH_MAX];

    if (!*path && snprintf(path, sizeof(path), "%s/output", bench_directory()) >= PATH_MAX)
        bench_die("bench directory");
    return path;
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    int error = errno;

    if (fd >= 0)
        close(fd);
    errno = error;
    if (n < 0)
        bench_die(path);
}

static void enter_group(void)
{
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", keeper_group());
    write_text(path, "0");
}

static _Noreturn void become(const char *const *arguments)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(output_path(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (in < 0 || out < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        bench_die(output_path());
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        bench_die("prctl");
    if (limited)
        enter_group();
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    bench_die(arguments[0]);
}

/* Runs it to its end; 1 is no failure, grep says so of a file without matches. */
static void run(struct command command, struct rusage *out_usage)
{
    const char *const *arguments = command.arguments;
    const char *list[64];
    int status, code;
    pid_t child;

    if (strcmp(arguments[0], "verso") == 0) {
        list[0] = commands_verso();
        for (size_t i = 1; i < 64; i++)
            if (!(list[i] = arguments[i]))
                break;
        arguments = list;
    }
    child = fork();
    if (child < 0)
        bench_die("fork");
    if (child == 0)
        become(arguments);
    while (wait4(child, &status, 0, out_usage) < 0)
        if (errno != EINTR)
            bench_die("wait");
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code > 1) {
        fprintf(stderr, "bench: %s %s ... ended with %d\n", arguments[0], arguments[1] ? arguments[1] : "", code);
        exit(2);
    }
}

/* All that was printed last. */
static char *output_read(void)
{
    int fd = open(output_path(), O_RDONLY | O_CLOEXEC);
    struct stat status;
    char *text;

    if (fd < 0 || fstat(fd, &status) < 0)
        bench_die(output_path());
    text = malloc((size_t)status.st_size + 1);
    if (!text || read(fd, text, (size_t)status.st_size) != status.st_size)
        bench_die(output_path());
    text[status.st_size] = '\0';
    close(fd);
    return text;
}

static uint64_t answer_of(struct command command)
{
    uint64_t answer;
    char *text;

    if (!command.answer)
        return 0;
    text = output_read();
    answer = command.answer(text);
    free(text);
    return answer;
}

uint64_t commands_run(struct command command)
{
    struct rusage usage;

    run(command, &usage);
    return answer_of(command);
}

double commands_peak_kib(struct command command)
{
    struct rusage usage;

    run(command, &usage);
    return (double)usage.ru_maxrss;
}

/* ---- Rows ---- */

/* What is read from the output is read outside of the measured time, by the side that ran last. */
struct sides {
    const struct command_row *row;
    const struct command *last; /* NULL: it was a function: */
    uint64_t returned;
};

static uint64_t run_side(struct sides *sides, const struct command *command)
{
    struct rusage usage;

    run(*command, &usage);
    sides->last = command;
    return 0;
}

static uint64_t run_verso(void *arg)
{
    return run_side(arg, &((struct sides *)arg)->row->verso);
}

static uint64_t run_peer(void *arg)
{
    struct sides *sides = arg;

    if (!sides->row->peer_function)
        return run_side(sides, &sides->row->peer);
    sides->last = NULL;
    sides->returned = sides->row->peer_function(sides->row->subject);
    return 0;
}

static void before_side(void *arg)
{
    const struct command_row *row = ((struct sides *)arg)->row;

    row->before(row->subject);
}

static uint64_t answer_of_side(void *arg)
{
    const struct sides *sides = arg;

    if (sides->row->check)
        return sides->row->check(sides->row->subject);
    return sides->last ? answer_of(*sides->last) : sides->returned;
}

void commands_compare(const struct command_row *row)
{
    struct sides sides = { row, NULL, 0 };
    const char *program = row->peer_function ? row->peer_name : row->peer.arguments[0];

    if (!bench_wanted(row->name))
        return;
    if (!commands_verso_has(row->verso.arguments[1])) {
        bench_note("%s: left out: there is no `verso %s` here", row->name, row->verso.arguments[1]);
        return;
    }
    if (!row->peer_function && !bench_has(program)) {
        bench_note("%s: %s is not installed", row->name, program);
        return;
    }
    bench_compare(&(struct bench_case){
        .name = row->name,
        .peer = row->peer_name ? row->peer_name : program,
        .unit = row->bytes > 0 ? "GB/s" : "ms",
        .operations = 1,
        .bytes = row->bytes,
        .verso = run_verso,
        .peer_side = run_peer,
        .arg = &sides,
        .before = row->before ? before_side : NULL,
        .answer = answer_of_side,
        .rounds = row->rounds,
        .limit = row->limit,
        .limit_name = row->limit_name,
    });
}

/* ---- Answers ---- */

uint64_t answer_first(const char *text)
{
    return strtoull(text + strcspn(text, "0123456789"), NULL, 10);
}

uint64_t answer_last_line(const char *text)
{
    size_t end = strlen(text);

    while (end > 0 && text[end - 1] == '\n')
        end--;
    while (end > 0 && text[end - 1] != '\n')
        end--;
    return answer_first(text + end);
}

uint64_t answer_sum_of_ends(const char *text)
{
    uint64_t sum = 0;

    while (*text) {
        size_t end = strcspn(text, "\n"), digits = end;

        while (digits > 0 && strchr("0123456789", text[digits - 1]))
            digits--;
        sum += digits < end ? strtoull(text + digits, NULL, 10) : 0;
        text += end + (text[end] == '\n');
    }
    return sum;
}

uint64_t answer_digest(const char *text)
{
    const char *hexadecimal = "0123456789abcdef";
    uint64_t answer = 0;

    while (*text) {
        size_t digits = strspn(text, hexadecimal);

        if (digits >= 16)
            answer = strtoull(text + digits - 16, NULL, 16);
        text += digits ? digits : strcspn(text, hexadecimal);
    }
    return answer;
}

/* ---- Little memory ---- */

/* Where control groups with memory are: of the second version, else of the first. */
static const char *groups(bool *out_first_version)
{
    char text[512] = "";
    int fd = open("/sys/fs/cgroup/cgroup.controllers", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        if (read(fd, text, sizeof(text) - 1) < 0)
            *text = '\0';
        close(fd);
    }
    *out_first_version = !strstr(text, "memory");
    if (!*out_first_version)
        return "/sys/fs/cgroup";
    return access("/sys/fs/cgroup/memory/memory.limit_in_bytes", F_OK) == 0 ? "/sys/fs/cgroup/memory" : NULL;
}

static bool try_write(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    int fd;
    bool written;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    written = write(fd, text, strlen(text)) > 0;
    close(fd);
    return written;
}

bool commands_limit_memory(uint64_t bytes)
{
    bool first_version;
    const char *folder = groups(&first_version);
    char *group = keeper_group(), text[32];

    limited = false;
    if (bytes == 0)
        return true;
    if (!folder) {
        bench_note("little memory: left out: no control groups for memory here");
        return false;
    }
    if (!*group) {
        if (!first_version)
            (void)try_write(folder, "cgroup.subtree_control", "+memory");
        (void)snprintf(group, PATH_MAX, "%s/verso-bench-%d", folder, (int)getpid());
        if (mkdir(group, 0700) < 0) {
            bench_note("little memory: left out: %s: %s; needs root", group, strerror(errno));
            *group = '\0';
            return false;
        }
    }
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    limited = try_write(group, first_version ? "memory.limit_in_bytes" : "memory.max", text);
    if (!limited)
        bench_note("little memory: left out: %s: the limit can't be set: %s", group, strerror(errno));
    return limited;
}
