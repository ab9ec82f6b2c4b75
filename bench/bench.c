/* SPDX-License-Identifier: MIT */
/* bench - see bench.h. */
#include "bench.h"

#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <verso/error.h>

#define ROUNDS 11
#define ROUNDS_MIN 5
#define SAMPLE_NS 10e6 /* a sample is at least this long, so that the clock and the scheduler weigh little */

static struct {
    const char *name;
    const char *json_path;
    int rounds;
    char **words;
    int word_count;
    bool disagreed;
    bool headed;
} bench;

void bench_die(const char *what)
{
    fprintf(stderr, "bench %s: %s: %s\n", bench.name, what, strerror(errno));
    exit(2);
}

void bench_must(int error)
{
    errno = error;
    if (error != 0)
        bench_die("pthread");
}

void bench_die_of_verso(void)
{
    char message[512];

    verso_error_message(message, sizeof(message));
    fprintf(stderr, "bench %s: %s\n", bench.name, message);
    exit(2);
}

char *bench_text(const char *format, ...)
{
    va_list values;
    char *text;
    int length;

    va_start(values, format);
    length = vasprintf(&text, format, values);
    va_end(values);
    if (length < 0)
        bench_die("memory");
    return text;
}

void bench_start(int count, char **arguments, const char *name)
{
    bench.name = name;
    bench.words = arguments;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0 && i + 1 < count) {
            bench.json_path = arguments[++i];
        } else if (strcmp(arguments[i], "--rounds") == 0 && i + 1 < count) {
            long rounds = strtol(arguments[++i], NULL, 10);

            bench.rounds = rounds < ROUNDS_MIN ? ROUNDS_MIN : rounds > 1000 ? 1000 : (int)rounds;
        } else if (arguments[i][0] == '-') {
            fprintf(stderr, "usage: bench_%s [--json FILE] [--rounds N] [WORD...]\n", name);
            exit(2);
        } else {
            bench.words[bench.word_count++] = arguments[i];
        }
    }
    keeper_start();
}

bool bench_wanted(const char *name)
{
    for (int i = 0; i < bench.word_count; i++)
        if (strstr(name, bench.words[i]))
            return true;
    return bench.word_count == 0;
}

static double clock_ns(clockid_t which)
{
    struct timespec now;

    clock_gettime(which, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* CPU time of this process and of the children it has waited for. */
static double cpu_ns(void)
{
    struct rusage children;

    getrusage(RUSAGE_CHILDREN, &children);
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID) + (double)(children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1e9 +
           (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1e3;
}

struct sample {
    double wall_ns;
    double cpu_ns;
};

struct side {
    bench_function *run;
    struct sample *samples;
    uint64_t answer;
    bool answered;
};

/* One sample: @repeat calls between two looks at the clock. */
static struct sample sample_take(const struct bench_case *one, struct side *side, long repeat)
{
    struct sample sample;
    double wall, cpu;
    uint64_t answer = 0;

    if (one->before)
        one->before(one->arg);
    cpu = cpu_ns();
    wall = clock_ns(CLOCK_MONOTONIC);
    for (long i = 0; i < repeat; i++)
        answer = side->run(one->arg);
    sample.wall_ns = (clock_ns(CLOCK_MONOTONIC) - wall) / (double)repeat;
    sample.cpu_ns = (cpu_ns() - cpu) / (double)repeat;
    if (one->answer)
        answer = one->answer(one->arg);
    if (side->answered && side->answer != answer) {
        fprintf(stderr, "bench %s: %s: one side answered %llu, then %llu\n", bench.name, one->name,
                (unsigned long long)side->answer, (unsigned long long)answer);
        bench.disagreed = true;
    }
    side->answer = answer;
    side->answered = true;
    return sample;
}

/* How many calls make a sample long enough; also warms up. */
static long calibrate(const struct bench_case *one, struct side *side)
{
    long repeat = 1;

    if (one->before) {
        (void)sample_take(one, side, 1);
        return 1;
    }
    for (;;) {
        double total_ns = sample_take(one, side, repeat).wall_ns * (double)repeat;

        if (total_ns >= SAMPLE_NS || repeat > (1L << 40))
            return repeat;
        repeat = total_ns < SAMPLE_NS / 16 ? repeat * 8 : repeat * 2;
    }
}

static int compare_wall(const void *a, const void *b)
{
    double x = ((const struct sample *)a)->wall_ns, y = ((const struct sample *)b)->wall_ns;

    return (x > y) - (x < y);
}

static double as_unit(const struct bench_case *one, double wall_ns)
{
    if (one->bytes > 0)
        return one->bytes / wall_ns; /* bytes per ns is GB/s */
    if (strcmp(one->unit, "ms") == 0)
        return wall_ns / 1e6;
    return wall_ns / (one->operations > 0 ? one->operations : 1);
}

static void print_head(void)
{
    if (bench.headed)
        return;
    bench.headed = true;
    printf("%-34s %-22s %-6s %12s %12s %7s   %s\n", bench.name, "peer", "unit", "verso", "peer", "ratio",
           "verso min..max | peer min..max | CPU verso/peer | of limit");
}

struct row {
    const char *name;
    const char *peer;
    const char *unit;
    double verso;
    double peer_value;
    double ratio;
    double limit;
    double share_of_limit;
};

static void json_string(FILE *file, const char *key, const char *text)
{
    fprintf(file, "\"%s\": \"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        fputc((unsigned char)*text < 0x20 ? ' ' : *text, file);
    }
    fputs("\", ", file);
}

static void json_number(FILE *file, const char *key, double value, const char *end)
{
    if (isfinite(value) && value != 0)
        fprintf(file, "\"%s\": %.6g%s", key, value, end);
    else
        fprintf(file, "\"%s\": %s%s", key, value == 0 ? "0" : "null", end);
}

static void json_write(const struct row *row)
{
    FILE *file;

    if (!bench.json_path)
        return;
    file = fopen(bench.json_path, "ae");
    if (!file)
        bench_die(bench.json_path);
    fputc('{', file);
    json_string(file, "bench", bench.name);
    json_string(file, "case", row->name);
    json_string(file, "peer", row->peer);
    json_string(file, "unit", row->unit);
    json_number(file, "verso", row->verso, ", ");
    json_number(file, "peer_value", row->peer_value, ", ");
    json_number(file, "ratio", row->ratio, ", ");
    json_number(file, "limit", row->limit, ", ");
    json_number(file, "share_of_limit", row->share_of_limit, "}\n");
    if (fclose(file) != 0)
        bench_die(bench.json_path);
}

static void print_row(const struct row *row)
{
    print_head();
    printf("%-34s %-22s %-6s %12.4g %12.4g %6.2fx", row->name, row->peer, row->unit, row->verso, row->peer_value,
           row->ratio);
    json_write(row);
}

static double share(bool smaller_is_better, double value, double limit)
{
    if (limit <= 0 || value <= 0)
        return 0;
    return smaller_is_better ? limit / value : value / limit;
}

void bench_row(const char *name, const char *peer, const char *unit, double verso, double peer_value,
               bool smaller_is_better, double limit)
{
    struct row row = { name, peer, unit, verso, peer_value, 0, limit, share(smaller_is_better, verso, limit) };

    if (verso > 0 && peer_value > 0)
        row.ratio = smaller_is_better ? peer_value / verso : verso / peer_value;
    print_row(&row);
    printf("%s\n", row.share_of_limit > 0 ? "" : "   ");
    fflush(stdout);
}

static void report(const struct bench_case *one, struct side *verso, struct side *peer, size_t rounds)
{
    size_t last = rounds - 1, middle = rounds / 2;
    bool rate = one->bytes > 0;
    struct row row = { one->name, one->peer, one->unit, 0, 0, 0, one->limit, 0 };

    qsort(verso->samples, rounds, sizeof(struct sample), compare_wall);
    qsort(peer->samples, rounds, sizeof(struct sample), compare_wall);
    row.verso = as_unit(one, verso->samples[middle].wall_ns);
    row.peer_value = as_unit(one, peer->samples[middle].wall_ns);
    row.ratio = peer->samples[middle].wall_ns / verso->samples[middle].wall_ns;
    row.share_of_limit = share(!rate, row.verso, one->limit);
    print_row(&row);
    printf("   %.4g..%.4g | %.4g..%.4g | %.2f", as_unit(one, verso->samples[0].wall_ns),
           as_unit(one, verso->samples[last].wall_ns), as_unit(one, peer->samples[0].wall_ns),
           as_unit(one, peer->samples[last].wall_ns),
           verso->samples[middle].cpu_ns / (peer->samples[middle].cpu_ns > 0 ? peer->samples[middle].cpu_ns : 1));
    if (row.share_of_limit > 0)
        printf(" | %.0f%% of %s", row.share_of_limit * 100, one->limit_name ? one->limit_name : "limit");
    putchar('\n');
    fflush(stdout);
}

void bench_compare(const struct bench_case *one)
{
    struct side sides[2] = { { one->verso, NULL, 0, false }, { one->peer_side, NULL, 0, false } };
    int rounds = bench.rounds ? bench.rounds : one->rounds ? one->rounds : ROUNDS;
    long repeat[2];

    if (!bench_wanted(one->name))
        return;
    for (int i = 0; i < 2; i++) {
        sides[i].samples = calloc((size_t)rounds, sizeof(struct sample));
        if (!sides[i].samples)
            bench_die("memory");
        repeat[i] = calibrate(one, &sides[i]);
    }
    /* They take turns, and the turn to go first, so that neither always meets the warmer machine. */
    for (int round = 0; round < rounds; round++)
        for (int turn = 0; turn < 2; turn++) {
            int i = (round + turn) % 2;

            sides[i].samples[round] = sample_take(one, &sides[i], repeat[i]);
        }
    if (sides[0].answer != sides[1].answer) {
        fprintf(stderr, "bench %s: %s: answers differ: verso %llu, %s %llu\n", bench.name, one->name,
                (unsigned long long)sides[0].answer, one->peer, (unsigned long long)sides[1].answer);
        bench.disagreed = true;
    }
    report(one, &sides[0], &sides[1], (size_t)rounds);
    free(sides[0].samples);
    free(sides[1].samples);
}

void bench_compare_ns(const char *name, const char *peer, double operations, bench_function *verso,
                      bench_function *peer_side, void *arg)
{
    bench_compare(&(struct bench_case){ .name = name,
                                        .peer = peer,
                                        .unit = "ns",
                                        .operations = operations,
                                        .verso = verso,
                                        .peer_side = peer_side,
                                        .arg = arg });
}

void bench_note(const char *format, ...)
{
    va_list arguments;

    printf("# ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

int bench_finish(void)
{
    if (fflush(stdout) != 0)
        bench_die("standard output");
    return bench.disagreed ? 1 : 0;
}

#define LIMIT_BYTES ((size_t)256 << 20) /* far beyond any cache */

static double best_of_three(void (*work)(unsigned char *, unsigned char *))
{
    unsigned char *a = malloc(LIMIT_BYTES), *b = malloc(LIMIT_BYTES);
    double best = 0;

    if (!a || !b)
        bench_die("memory");
    memset(a, 1, LIMIT_BYTES);
    memset(b, 2, LIMIT_BYTES);
    for (int i = 0; i < 3; i++) {
        double start = clock_ns(CLOCK_MONOTONIC), rate;

        work(a, b);
        rate = (double)LIMIT_BYTES / (clock_ns(CLOCK_MONOTONIC) - start);
        best = rate > best ? rate : best;
    }
    free(a);
    free(b);
    return best;
}

static void work_copy(unsigned char *a, unsigned char *b)
{
    memcpy(a, b, LIMIT_BYTES);
    bench_use(a);
}

static void work_read(unsigned char *a, unsigned char *b)
{
    const uint64_t *word = (const uint64_t *)(void *)a;
    uint64_t sums[8] = { 0 };

    (void)b;
    for (size_t i = 0; i < LIMIT_BYTES / 8; i += 8)
        for (size_t lane = 0; lane < 8; lane++)
            sums[lane] += word[i + lane];
    bench_use(sums);
}

double bench_limit_copy(void)
{
    static double known;

    return known > 0 ? known : (known = best_of_three(work_copy));
}

double bench_limit_read(void)
{
    static double known;

    return known > 0 ? known : (known = best_of_three(work_read));
}

const char *bench_directory(void)
{
    const char *parent = getenv("BENCH_DIRECTORY");
    char *directory = keeper_directory();

    if (*directory)
        return directory;
    if (!parent)
        parent = getenv("TMPDIR");
    if (!parent)
        parent = "/var/tmp";
    if (snprintf(directory, PATH_MAX, "%s/verso-bench-XXXXXX", parent) >= PATH_MAX || !mkdtemp(directory)) {
        *directory = '\0';
        bench_die("bench directory");
    }
    return directory;
}

const char *bench_file(const char *name, uint64_t bytes)
{
    static unsigned char block[1 << 20];
    char *path = bench_text("%s/%s", bench_directory(), name);
    int fd;

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (unsigned char)((i * 0x9e3779b97f4a7c15U) >> 56);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_die(path);
    for (uint64_t done = 0; done < bytes;) {
        size_t want = bytes - done < sizeof(block) ? (size_t)(bytes - done) : sizeof(block);
        ssize_t n = write(fd, block, want);

        if (n < 0)
            bench_die(path);
        done += (uint64_t)n;
    }
    if (close(fd) < 0)
        bench_die(path);
    return path;
}

int bench_command(const char *const *arguments, char *out_text, size_t room_bytes)
{
    int ends[2], status;
    size_t kept = 0;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        bench_die("pipe");
    fflush(NULL);
    child = fork();
    if (child < 0)
        bench_die("fork");
    if (child == 0) {
        if (dup2(ends[1], STDOUT_FILENO) < 0)
            _exit(127);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(ends[1]);
    for (;;) {
        char sink[65536];
        ssize_t n = read(ends[0], sink, sizeof(sink));

        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n && out_text && kept + 1 < room_bytes; i++)
            out_text[kept++] = sink[i];
    }
    close(ends[0]);
    if (out_text && room_bytes)
        out_text[kept] = '\0';
    if (waitpid(child, &status, 0) < 0)
        bench_die("waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
        bench_die(arguments[0]);
    return WEXITSTATUS(status);
}

bool bench_has(const char *program)
{
    const char *path = getenv("PATH");
    char full[PATH_MAX];

    while (path && *path) {
        size_t bytes = strcspn(path, ":");

        if (snprintf(full, sizeof(full), "%.*s/%s", (int)bytes, path, program) < PATH_MAX && access(full, X_OK) == 0)
            return true;
        path += bytes + (path[bytes] == ':');
    }
    return false;
}
