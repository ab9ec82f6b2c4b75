/* SPDX-License-Identifier: MIT */
/*
 * clone - a parent and eight children over one gibibyte, which is in memory once.
 *
 *     $ clone
 *     base 1024.0 MiB, 8 children wrote 10.2 MiB each
 *     in use by all 9 together: 1114.4 MiB (a copy each would be 9216.0 MiB)
 *
 * Give it a number for other sizes, in MiB, or a file, which is then the base. Each child writes one page in a hundred
 * of its own clone, reads the rest, and says what it holds: the kernel's Pss, in which a page that n processes share
 * counts a n-th for each.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

#define CHILDREN 8
#define PAGES_A_WRITE 100

struct report {
    uint64_t pss_kib;
    uint64_t own_bytes; /* as verso counts it */
    int right;          /* the clone held what it should */
};

static void fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "clone: %s\n", line);
    exit(2);
}

static uint64_t pss_kib(void)
{
    FILE *rollup = fopen("/proc/self/smaps_rollup", "re");
    unsigned long long kib = 0;
    char line[256];

    while (rollup && fgets(line, sizeof(line), rollup))
        if (strncmp(line, "Pss:", 4) == 0)
            kib = strtoull(line + 4, NULL, 10);
    if (rollup)
        fclose(rollup);
    return kib;
}

static struct verso_clone_base *make_base(const char *wanted)
{
    struct verso_clone_base *base;
    int is_file = wanted && !isdigit((unsigned char)*wanted);
    uint64_t bytes = wanted && !is_file ? strtoull(wanted, NULL, 10) << 20 : (uint64_t)1 << 30;

    if (is_file ? verso_clone_base_open(wanted, 0, &base) : verso_clone_base_make(bytes, 0, &base))
        fail();
    if (!is_file)
        memset(verso_clone_base_data(base), 'b', verso_clone_base_bytes(base));
    return base;
}

/* Writes one page in a hundred, and reads all. */
static int use(unsigned char *data, const unsigned char *base, uint64_t bytes, unsigned char mark)
{
    size_t page = verso_page_bytes();
    int right = 1;

    for (uint64_t at = 0; at < bytes; at += PAGES_A_WRITE * page)
        data[at] = mark;
    for (uint64_t at = 0; at < bytes; at += page)
        right &= data[at] == (at % (PAGES_A_WRITE * page) == 0 ? mark : base[at]);
    return right;
}

/* Uses a clone of its own, waits until all do, then tells the parent what it holds. */
static void child(struct verso_clone_base *base, unsigned char mark, int ready, int go, int reports)
{
    struct report report = { 0, 0, 0 };
    struct verso_clone *clone;
    char all;

    if (verso_clone_open(base, 0, 0, &clone) < 0)
        fail();
    report.right = use(verso_clone_data(clone), verso_clone_base_data(base), verso_clone_bytes(clone), mark) != 0;
    if (verso_clone_look(clone, &report.own_bytes) < 0)
        fail();
    if (write(ready, "", 1) != 1 || read(go, &all, 1) != 0)
        exit(2);
    report.pss_kib = pss_kib();
    if (write(reports, &report, sizeof(report)) != sizeof(report))
        exit(2);
    (void)!read(go, &all, 1);
    verso_clone_close(clone);
}

int main(int count, char **arguments)
{
    struct verso_clone_base *base = make_base(count > 1 ? arguments[1] : NULL);
    int ready[2], go[2], reports[2], right = 1;
    uint64_t total_kib = 0, own_bytes = 0;
    char byte;

    if (pipe(ready) < 0 || pipe(go) < 0 || pipe(reports) < 0)
        return 2;
    for (unsigned i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();

        if (pid < 0)
            return 2;
        if (pid == 0) {
            close(go[1]);
            child(base, (unsigned char)('0' + i), ready[1], go[0], reports[1]);
            verso_clone_base_close(base);
            return 0;
        }
    }
    close(ready[1]);
    close(reports[1]);
    for (unsigned i = 0; i < CHILDREN; i++)
        if (read(ready[0], &byte, 1) != 1)
            return 2;
    close(go[1]); /* all have written: all may measure */
    for (unsigned i = 0; i < CHILDREN; i++) {
        struct report report;

        if (read(reports[0], &report, sizeof(report)) != sizeof(report))
            return 2;
        total_kib += report.pss_kib;
        own_bytes += report.own_bytes;
        right &= report.right;
    }
    total_kib += pss_kib();
    while (wait(NULL) > 0)
        continue;
    printf("base %.1f MiB, %d children wrote %.1f MiB each\n", (double)verso_clone_base_bytes(base) / (1 << 20),
           CHILDREN, (double)own_bytes / CHILDREN / (1 << 20));
    printf("in use by all %d together: %.1f MiB (a copy each would be %.1f MiB)\n", CHILDREN + 1,
           (double)total_kib / 1024, (CHILDREN + 1) * (double)verso_clone_base_bytes(base) / (1 << 20));
    verso_clone_base_close(base);
    return right ? 0 : 1;
}
