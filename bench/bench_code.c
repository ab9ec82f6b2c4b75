/* SPDX-License-Identifier: MIT */
/*
 * bench_code - machine code made, run and forgotten: against mprotect(2) by hand, and asmjit's JitAllocator.
 *
 * By hand means one mapping that is made writable before each function is written and executable after. asmjit keeps
 * two views, as verso does, neither sealed; in one row it fills freed memory with traps, as verso does, in another it
 * does not. A second thread that runs code all the while makes the kernel's work show: changes of access, and barriers,
 * have to reach its CPU too.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <verso.h>

#ifdef HAVE_ASMJIT
#include "peer_asmjit.h"
#endif

enum {
    EMITS = 256,
    LIVE = 4096,
    TURNS = 8192,
    FUNCTION_BYTES_MAX = 512
};

typedef int number_function(void);

/* A function that returns @number; answers its length, 0 for a CPU that is not known. */
static size_t write_function(unsigned char *out, uint16_t number)
{
#if defined(__x86_64__)
    const unsigned char code[] = { 0xb8, (unsigned char)number, (unsigned char)(number >> 8), 0, 0, 0xc3 };

    memcpy(out, code, sizeof(code));
    return sizeof(code);
#elif defined(__aarch64__)
    const uint32_t code[] = { 0x52800000U | (uint32_t)number << 5, 0xd65f03c0U };

    memcpy(out, code, sizeof(code));
    return sizeof(code);
#else
    memcpy(out, &number, sizeof(number));
    return 0;
#endif
}

static uint64_t call(const void *block)
{
    number_function *function;

    memcpy(&function, &block, sizeof(function));
    return (uint64_t)function();
}

/* ---- Small functions, each written and run; what was made is freed between the samples ---- */

struct emitting {
    struct verso_code *code;
    const void *block; /* one that is written again and again */
    unsigned char *page;
    void *asmjit;
    const void *verso_blocks[EMITS];
    void *asmjit_blocks[EMITS];
};

static void free_all(void *arg)
{
    struct emitting *emitting = arg;

    for (size_t i = 0; i < EMITS; i++) {
        bench_check(verso_code_free(emitting->code, emitting->verso_blocks[i]));
        emitting->verso_blocks[i] = NULL;
#ifdef HAVE_ASMJIT
        if (emitting->asmjit_blocks[i])
            asmjit_free(emitting->asmjit, emitting->asmjit_blocks[i]);
        emitting->asmjit_blocks[i] = NULL;
#endif
    }
}

static uint64_t emit_verso(void *arg)
{
    struct emitting *emitting = arg;
    unsigned char bytes[16];
    uint64_t sum = 0;

    for (unsigned i = 0; i < EMITS; i++) {
        bench_check(
            verso_code_add(emitting->code, bytes, write_function(bytes, (uint16_t)i), &emitting->verso_blocks[i]));
        sum += call(emitting->verso_blocks[i]);
    }
    return sum;
}

static uint64_t rewrite_verso(void *arg)
{
    const struct emitting *emitting = arg;
    uint64_t sum = 0;

    for (unsigned i = 0; i < EMITS; i++) {
        void *write;

        bench_check(verso_code_begin(emitting->code, emitting->block, &write));
        (void)write_function(write, (uint16_t)i);
        bench_check(verso_code_end(emitting->code, emitting->block));
        sum += call(emitting->block);
    }
    return sum;
}

static uint64_t emit_toggling(void *arg)
{
    const struct emitting *emitting = arg;
    const size_t page = verso_page_bytes();
    uint64_t sum = 0;

    for (unsigned i = 0; i < EMITS; i++) {
        unsigned char *out = emitting->page + i % (page / 64) * 64;
        size_t bytes;

        if (mprotect(emitting->page, page, PROT_READ | PROT_WRITE) < 0)
            abort();
        bytes = write_function(out, (uint16_t)i);
        if (mprotect(emitting->page, page, PROT_READ | PROT_EXEC) < 0)
            abort();
        __builtin___clear_cache((char *)out, (char *)out + bytes);
        sum += call(out);
    }
    return sum;
}

#ifdef HAVE_ASMJIT
static uint64_t emit_asmjit(void *arg)
{
    struct emitting *emitting = arg;
    unsigned char bytes[16];
    uint64_t sum = 0;

    for (unsigned i = 0; i < EMITS; i++) {
        size_t length = write_function(bytes, (uint16_t)i);
        void *write, *block = asmjit_alloc(emitting->asmjit, length, &write);

        if (!block)
            abort();
        emitting->asmjit_blocks[i] = block;
        memcpy(write, bytes, length);
        asmjit_flush(block, length);
        sum += call(block);
    }
    return sum;
}
#endif

/* ---- Many of them at once: random ones freed, others of random sizes made ---- */

struct keeping {
    struct verso_code *code;
    void *asmjit;
    const void *verso_blocks[LIVE];
    void *asmjit_blocks[LIVE];
};

static uint32_t draw(uint32_t *random)
{
    *random = *random * 1664525U + 1013904223U;
    return *random >> 8;
}

static uint64_t keep_verso(void *arg)
{
    struct keeping *keeping = arg;
    unsigned char bytes[FUNCTION_BYTES_MAX] = { 0 };
    uint32_t random = 1;
    uint64_t sum = 0;

    for (unsigned i = 0; i < TURNS; i++) {
        const void **block = &keeping->verso_blocks[draw(&random) % LIVE];
        size_t length = 16 + draw(&random) % (FUNCTION_BYTES_MAX - 16);

        bench_check(verso_code_free(keeping->code, *block));
        (void)write_function(bytes, (uint16_t)i);
        bench_check(verso_code_add(keeping->code, bytes, length, block));
        sum += call(*block);
    }
    return sum;
}

#ifdef HAVE_ASMJIT
static uint64_t keep_asmjit(void *arg)
{
    struct keeping *keeping = arg;
    unsigned char bytes[FUNCTION_BYTES_MAX] = { 0 };
    uint32_t random = 1;
    uint64_t sum = 0;

    for (unsigned i = 0; i < TURNS; i++) {
        void **block = &keeping->asmjit_blocks[draw(&random) % LIVE], *write;
        size_t length = 16 + draw(&random) % (FUNCTION_BYTES_MAX - 16);

        if (*block)
            asmjit_free(keeping->asmjit, *block);
        *block = asmjit_alloc(keeping->asmjit, length, &write);
        if (!*block)
            abort();
        (void)write_function(bytes, (uint16_t)i);
        memcpy(write, bytes, length);
        asmjit_flush(*block, length);
        sum += call(*block);
    }
    return sum;
}
#endif

/* ---- Rows ---- */

static atomic_bool stop;

static void *run_code(void *arg)
{
    uint64_t sum = 0;

    while (!stop)
        sum += call(arg);
    bench_use(&sum);
    return NULL;
}

static void compare_emitting(struct emitting *emitting, const char *suffix)
{
    struct bench_case one = { .unit = "ns", .operations = EMITS, .arg = emitting, .before = free_all };
    char name[64];

    one.name = name;
    (void)snprintf(name, sizeof(name), "new function%s", suffix);
    one.verso = emit_verso;
    one.peer = "mprotect by hand";
    one.peer_side = emit_toggling;
    bench_compare(&one);
#ifdef HAVE_ASMJIT
    for (int fill = 0; fill < 2; fill++) {
        emitting->asmjit = asmjit_open(fill);
        one.peer = fill ? "asmjit, filling" : "asmjit";
        one.peer_side = emit_asmjit;
        bench_compare(&one);
        free_all(emitting);
        asmjit_close(emitting->asmjit);
    }
#endif
    (void)snprintf(name, sizeof(name), "same function again%s", suffix);
    one.verso = rewrite_verso;
    one.peer = "mprotect by hand";
    one.peer_side = emit_toggling;
    bench_compare(&one);
}

static void compare_keeping(struct verso_code *code, const char *name)
{
#ifdef HAVE_ASMJIT
    static struct keeping keeping;
    struct bench_case one = { .name = name, .unit = "ns", .operations = TURNS, .arg = &keeping, .verso = keep_verso };

    if (!bench_wanted(name))
        return;
    memset(&keeping, 0, sizeof(keeping));
    keeping.code = code;
    for (int fill = 0; fill < 2; fill++) {
        keeping.asmjit = asmjit_open(fill);
        memset(keeping.asmjit_blocks, 0, sizeof(keeping.asmjit_blocks));
        one.peer = fill ? "asmjit, filling" : "asmjit";
        one.peer_side = keep_asmjit;
        bench_compare(&one);
        asmjit_close(keeping.asmjit);
    }
    for (size_t i = 0; i < LIVE; i++)
        bench_check(verso_code_free(code, keeping.verso_blocks[i]));
#else
    (void)code;
    (void)keep_verso;
    bench_note("%s: left out, for asmjit is not here (libasmjit-dev)", name);
#endif
}

int main(int count, char **arguments)
{
    unsigned char bytes[16];
    static struct emitting emitting;
    const void *busy_block;
    pthread_t busy;

    bench_start(count, arguments, "code");
    if (write_function(bytes, 1) == 0) {
        bench_note("no machine code is known for this CPU");
        return bench_finish();
    }
    bench_check(verso_code_open(NULL, &emitting.code));
    bench_check(verso_code_add(emitting.code, bytes, write_function(bytes, 1), &emitting.block));
    bench_check(verso_code_add(emitting.code, bytes, write_function(bytes, 2), &busy_block));
    emitting.page = mmap(NULL, verso_page_bytes(), PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (emitting.page == MAP_FAILED)
        abort();

    compare_emitting(&emitting, "");
    compare_keeping(emitting.code, "one of 4096 replaced");
    if (pthread_create(&busy, NULL, run_code, (void *)(uintptr_t)busy_block) != 0)
        abort();
    compare_emitting(&emitting, ", code runs beside");
    compare_keeping(emitting.code, "one of 4096 replaced, code runs beside");
    stop = true;
    (void)pthread_join(busy, NULL);
    (void)munmap(emitting.page, verso_page_bytes());
    verso_code_close(emitting.code);
    return bench_finish();
}
