/* SPDX-License-Identifier: MIT */
/* spans.h - what the tests of spans share. */
#ifndef VERSO_TESTS_SPANS_H
#define VERSO_TESTS_SPANS_H

#include "support.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/pages.h>

static inline struct verso_pages *opened(size_t pages_count, unsigned kind, unsigned flags)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;

    options.kind = kind;
    options.flags = flags;
    assert_ok(verso_pages_open(pages_count * verso_page_bytes(), &options, &pages));
    return pages;
}

static inline unsigned char *data_of(const struct verso_pages *pages)
{
    return verso_pages_data(pages);
}

/* ---- What an access does, tried in a child ---- */

static unsigned char *volatile poked_address;

static inline void poked_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)context;
    _exit(info->si_addr == poked_address ? 42 : 43);
}

static inline int poke(void *arg)
{
    struct sigaction action = { .sa_sigaction = poked_fault, .sa_flags = SA_SIGINFO };

    poked_address = arg;
    if (sigaction(SIGSEGV, &action, NULL) < 0)
        return 99;
    *(volatile unsigned char *)poked_address = 1;
    return 0;
}

static inline int peek(void *arg)
{
    struct sigaction action = { .sa_sigaction = poked_fault, .sa_flags = SA_SIGINFO };

    poked_address = arg;
    if (sigaction(SIGSEGV, &action, NULL) < 0)
        return 99;
    (void)*(volatile unsigned char *)poked_address;
    return 0;
}

/* A store there is SIGSEGV, with that very address. */
#define assert_no_write(address)                      \
    do {                                              \
        int status_ = support_child(poke, (address)); \
        assert_true(WIFEXITED(status_));              \
        assert_int_equal(WEXITSTATUS(status_), 42);   \
    } while (0)

#define assert_no_read(address)                       \
    do {                                              \
        int status_ = support_child(peek, (address)); \
        assert_true(WIFEXITED(status_));              \
        assert_int_equal(WEXITSTATUS(status_), 42);   \
    } while (0)

static inline bool is_filled(const unsigned char *bytes, size_t count, unsigned char with)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != with)
            return false;
    return true;
}

#endif
