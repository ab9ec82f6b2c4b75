/* SPDX-License-Identifier: MIT */
/*
 * lock - a clerk, another process, moves money between two accounts, and is killed in the middle.
 *
 *     $ lock
 *     the clerk has been killed after 120 transfers; 40 + 59 = 99: one is missing
 *     repaired: 40 + 60 = 100
 *
 * Whoever is told that an owner died with the lock puts right what that one left half done. Here that is simple: the
 * two together are always a hundred.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

/* All zeros is ready: no initialisation, by nobody, ever. */
struct bank {
    struct verso_mutex mutex;
    struct verso_event half_done; /* for the example: now would be a bad moment to die */
    long from, to;
    long transfers;
};

#define TOTAL 100

static int fail(const char *what)
{
    char message[512];

    verso_error_message(message, sizeof(message));
    fprintf(stderr, "lock: %s: %s\n", what, message);
    return 2;
}

static int bank_lock(struct bank *bank)
{
    int r = verso_mutex_lock(&bank->mutex, -1);

    if (r != VERSO_E_OWNER_DIED)
        return r;
    printf("the clerk has been killed after %ld transfers; %ld + %ld = %ld: one is missing\n", bank->transfers,
           bank->from, bank->to, bank->from + bank->to);
    bank->to = TOTAL - bank->from;
    printf("repaired: %ld + %ld = %ld\n", bank->from, bank->to, bank->from + bank->to);
    return verso_mutex_consistent(&bank->mutex);
}

static void transfer(struct bank *bank, long amount, int then_stay)
{
    volatile long *from = &bank->from, *to = &bank->to; /* one after the other, as written here */

    *from -= amount;
    if (then_stay) {
        verso_event_set(&bank->half_done);
        for (;;)
            pause();
    }
    *to += amount;
    bank->transfers++;
}

/* Forth and back; the hundred and twenty-first is its last. */
static int clerk(struct bank *bank)
{
    for (int i = 0; i <= 120; i++) {
        if (bank_lock(bank) < 0)
            return fail("the clerk");
        transfer(bank, i % 2 ? -1 : 1, i == 120);
        verso_mutex_unlock(&bank->mutex);
    }
    return 0;
}

int main(void)
{
    struct verso_share *share;
    struct bank *bank;
    pid_t child;
    long sum;

    if (verso_share_create_anonymous(sizeof(*bank), NULL, &share) < 0)
        return fail("share");
    bank = verso_share_data(share);
    bank->from = 41;
    bank->to = TOTAL - 41;
    child = fork();
    if (child < 0)
        return 2;
    if (child == 0)
        _exit(clerk(bank));
    if (verso_event_wait(&bank->half_done, 60000) < 0)
        return fail("waiting for the clerk");
    kill(child, SIGKILL);
    if (bank_lock(bank) < 0)
        return fail("the bank");
    sum = bank->from + bank->to;
    verso_mutex_unlock(&bank->mutex);
    waitpid(child, NULL, 0);
    verso_share_close(share);
    return sum == TOTAL ? 0 : 1;
}
