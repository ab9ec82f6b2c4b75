/* SPDX-License-Identifier: MIT */
/* peer_asmjit.h - asmjit's JitAllocator, as C can call it: two views of memory, like verso's. */
#ifndef VERSO_BENCH_PEER_ASMJIT_H
#define VERSO_BENCH_PEER_ASMJIT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* @fill: freed memory is filled with traps, as verso does. NULL when there is no memory. */
void *asmjit_open(int fill);
void asmjit_close(void *allocator);

/* The block's address for running; *out_write is the one for writing. NULL when there is no memory. */
void *asmjit_alloc(void *allocator, size_t bytes, void **out_write);
void asmjit_flush(void *block, size_t bytes);
void asmjit_free(void *allocator, void *block);

#ifdef __cplusplus
}
#endif

#endif
