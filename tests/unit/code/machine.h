/* SPDX-License-Identifier: MIT */
/* machine.h - a little machine code to put into blocks: functions that return a number, and jumps. */
#ifndef VERSO_TESTS_MACHINE_H
#define VERSO_TESTS_MACHINE_H

#include "support.h"

#include <verso/code.h>

typedef int number_function(void);

/* Long enough for any of these. */
#define MACHINE_BYTES_MAX 16

#if defined(__x86_64__) || defined(__i386__)
#define FETCHES_ARE_COHERENT true
#else
#define FETCHES_ARE_COHERENT false
#endif

#if defined(__x86_64__)
#define MACHINE_IS_KNOWN true

/* mov eax, number; ret */
static inline size_t machine_return(unsigned char *out, uint16_t number)
{
    const unsigned char bytes[] = { 0xb8, (unsigned char)number, (unsigned char)(number >> 8), 0, 0, 0xc3 };

    memcpy(out, bytes, sizeof(bytes));
    return sizeof(bytes);
}

/* jmp target, for a block that runs at @at */
static inline size_t machine_jump(unsigned char *out, const void *at, uintptr_t target)
{
    int32_t distance = (int32_t)(target - ((uintptr_t)at + 5));

    out[0] = 0xe9;
    memcpy(out + 1, &distance, sizeof(distance));
    return 5;
}

#elif defined(__aarch64__)
#define MACHINE_IS_KNOWN true

/* movz w0, number; ret */
static inline size_t machine_return(unsigned char *out, uint16_t number)
{
    const uint32_t words[] = { 0x52800000U | (uint32_t)number << 5, 0xd65f03c0U };

    memcpy(out, words, sizeof(words));
    return sizeof(words);
}

/* b target */
static inline size_t machine_jump(unsigned char *out, const void *at, uintptr_t target)
{
    uint32_t word = 0x14000000U | ((uint32_t)((intptr_t)(target - (uintptr_t)at) >> 2) & 0x03ffffffU);

    memcpy(out, &word, sizeof(word));
    return sizeof(word);
}

#else
#define MACHINE_IS_KNOWN false

static inline size_t machine_return(unsigned char *out, uint16_t number)
{
    memcpy(out, &number, sizeof(number));
    return sizeof(number);
}

static inline size_t machine_jump(unsigned char *out, const void *at, uintptr_t target)
{
    (void)at;
    memcpy(out, &target, sizeof(target));
    return sizeof(target);
}
#endif

#define need_machine()                                             \
    do {                                                           \
        if (!MACHINE_IS_KNOWN)                                     \
            skip_because("no machine code is known for this CPU"); \
    } while (0)

static inline int machine_call(const void *block)
{
    number_function *function;

    memcpy(&function, &block, sizeof(function));
    return function();
}

/* A pool of @mode, with segments of @segment_bytes (0: the default). */
static inline struct verso_code *pool_of(unsigned mode, uint64_t segment_bytes)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;

    options.mode = mode;
    options.segment_bytes = segment_bytes;
    assert_ok(verso_code_open(&options, &code));
    return code;
}

static inline struct verso_code_info info_of(struct verso_code *code)
{
    struct verso_code_info info = VERSO_CODE_INFO_INIT;

    assert_ok(verso_code_info(code, &info));
    return info;
}

/* A block that returns @number. */
static inline const void *block_of(struct verso_code *code, uint16_t number)
{
    unsigned char bytes[MACHINE_BYTES_MAX];
    const void *block;

    assert_ok(verso_code_add(code, bytes, machine_return(bytes, number), &block));
    return block;
}

#endif
