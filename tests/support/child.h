/* SPDX-License-Identifier: MIT */
/*
 * child.h - checks made in a child, for what can't be undone: seals, limits, a kernel that lacks a call.
 */
#ifndef VERSO_TESTS_CHILD_H
#define VERSO_TESTS_CHILD_H

#include "support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A seccomp filter in the kernel's place: from here on system call @number answers -@error when its argument @index
 * (from 0) lies within [least, most]. False: no such filter can be had. */
static inline bool old_kernel_without(long number, unsigned index, unsigned least, unsigned most, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, args) + index * 8),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, least, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, most, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* What a child answers: 0, or the line of the first check that failed (modulo 255), CHILD_SKIPS for "can't be tried".
 */
#define CHILD_SKIPS 77
#define child_assert(truth)                                                 \
    do {                                                                    \
        if (!(truth)) {                                                     \
            print_error("%s:%d: not so: %s\n", __FILE__, __LINE__, #truth); \
            return 1;                                                       \
        }                                                                   \
    } while (0)

/* Runs it, and fails the test, or skips it for @lack, as it answers. */
#define assert_child_does(function, arg, lack)                                   \
    do {                                                                         \
        int child_status = support_child((function), (arg));                     \
        if (WIFEXITED(child_status) && WEXITSTATUS(child_status) == CHILD_SKIPS) \
            skip_because(lack);                                                  \
        assert_int_equal(child_status, 0);                                       \
    } while (0)

/* The same where old_kernel_without() is all that may be missing. */
#define assert_child_ok(function, arg) assert_child_does(function, arg, "no seccomp filter can be had")

#endif
