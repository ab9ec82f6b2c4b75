/* SPDX-License-Identifier: MIT */
/* children - see children.h. */
#include "children.h"

#include "support.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

pid_t support_child_start(int (*prepare)(void *arg), void *arg)
{
    int ready[2];
    char byte = 0;
    pid_t child;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        byte = prepare ? (char)(prepare(arg) == 0) : 1;
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_int_equal(byte, 1);
    return child;
}

void support_child_kill(pid_t child)
{
    siginfo_t info;

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
}

void support_child_stop(pid_t child)
{
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

int support_drop_privileges(void)
{
    if (geteuid() != 0)
        return 0;
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return -1;
    return prctl(PR_SET_DUMPABLE, 1); /* else even its own /proc files belong to root */
}
