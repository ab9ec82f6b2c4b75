/* SPDX-License-Identifier: MIT */
/*
 * share - processes that count together, and go on when one of them is killed.
 *
 *     $ share
 *     4 workers, one of them killed: 3 members are left, no name stays
 *
 * The region needs no cleaning up: the last one out takes its name away, and who is killed leaves nothing but work
 * undone.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

#define WORKERS 4

struct tally {
    atomic_uint here;
    atomic_uint done;
};

static int fail(const char *what)
{
    char message[512];

    verso_error_message(message, sizeof(message));
    fprintf(stderr, "share: %s: %s\n", what, message);
    return 2;
}

static int work(const char *name)
{
    struct verso_share *share;
    struct tally *tally;

    if (verso_share_attach(name, NULL, &share) < 0)
        return fail("attach");
    tally = verso_share_data(share);
    atomic_fetch_add(&tally->here, 1);
    while (!atomic_load(&tally->done))
        usleep(1000);
    verso_share_close(share);
    return 0;
}

int main(void)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    struct verso_share *share;
    struct tally *tally;
    pid_t workers[WORKERS];
    char name[64];
    int status, trouble = 0;

    snprintf(name, sizeof(name), "example-%d", (int)getpid());
    options.kind = "tally";
    options.layout = VERSO_SHARE_LAYOUT(struct tally, 1);
    if (verso_share_create(name, sizeof(*tally), &options, &share) < 0)
        return fail("create");
    tally = verso_share_data(share);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        if (workers[i] == 0)
            _exit(work(name));
        if (workers[i] < 0)
            return 2;
    }
    while (atomic_load(&tally->here) < WORKERS)
        usleep(1000);
    kill(workers[0], SIGKILL);
    waitpid(workers[0], &status, 0);
    if (verso_share_info(share, &info) < 0)
        return fail("info");
    atomic_store(&tally->done, 1);
    for (int i = 1; i < WORKERS; i++)
        if (waitpid(workers[i], &status, 0) < 0 || status != 0)
            trouble = 2;
    verso_share_close(share);
    if (verso_share_remove(name) == 0)
        trouble = 2; /* it should have been gone */
    printf("%d workers, one of them killed: %u members are left, no name stays\n", WORKERS, info.members - 1);
    return info.members == WORKERS ? trouble : 1;
}
