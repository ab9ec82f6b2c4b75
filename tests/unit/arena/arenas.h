/* SPDX-License-Identifier: MIT */
/* arenas.h - what the tests of arenas share. */
#ifndef VERSO_TESTS_ARENAS_H
#define VERSO_TESTS_ARENAS_H

#include "support.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/arena.h>

#define MIB ((size_t)1 << 20)

/* Of 0 bytes: the default. */
static inline struct verso_arena *opened(uint64_t reserve_bytes, unsigned guard_one_in)
{
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    struct verso_arena *arena;

    options.reserve_bytes = reserve_bytes;
    options.guard_one_in = guard_one_in;
    assert_ok(verso_arena_open(&options, &arena));
    return arena;
}

static inline struct verso_arena_info info_of(const struct verso_arena *arena)
{
    struct verso_arena_info info = VERSO_ARENA_INFO_INIT;

    assert_ok(verso_arena_info(arena, &info));
    return info;
}

/* A call that hands out memory answered NULL, and the record says why. */
#define assert_no_block(call, wanted)                         \
    do {                                                      \
        assert_null(call);                                    \
        assert_int_equal(verso_error_last()->code, (wanted)); \
    } while (0)

static inline bool is_filled(const unsigned char *bytes, size_t count, unsigned char with)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != with)
            return false;
    return true;
}

static inline uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33;
}

/* ---- What an access does, tried in a child; AddressSanitizer, which would know before, is not asked ---- */

static unsigned char *volatile poked_address;

static inline void poked_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)context;
    _exit(info->si_addr == poked_address ? 42 : 43);
}

__attribute__((noinline, no_sanitize("address"))) static int poke(void *arg)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = poked_fault;
    action.sa_flags = SA_SIGINFO;
    poked_address = arg;
    if (sigaction(SIGSEGV, &action, NULL) < 0)
        return 99;
    *(volatile unsigned char *)poked_address = 1;
    return 0;
}

/* What poke() leaves with: 42 for a fault at that very address, 0 for none. */
static inline int poked(void *address)
{
    int status = support_child(poke, address);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define assert_faults(address) assert_int_equal(poked(address), 42)
#define assert_touchable(address) assert_int_equal(poked(address), 0)

#endif
