/* SPDX-License-Identifier: MIT */
/* peer_asmjit - see peer_asmjit.h. */
#include "peer_asmjit.h"

#include <asmjit/core.h>
#include <new>

void *asmjit_open(int fill)
{
    asmjit::JitAllocator::CreateParams parameters{};

    parameters.options = asmjit::JitAllocatorOptions::kUseDualMapping;
    if (fill)
        parameters.options |= asmjit::JitAllocatorOptions::kFillUnusedMemory;
    return new (std::nothrow) asmjit::JitAllocator(&parameters);
}

void asmjit_close(void *allocator)
{
    delete static_cast<asmjit::JitAllocator *>(allocator);
}

void *asmjit_alloc(void *allocator, size_t bytes, void **out_write)
{
    void *block = nullptr;

    if (static_cast<asmjit::JitAllocator *>(allocator)->alloc(&block, out_write, bytes) != asmjit::kErrorOk)
        return nullptr;
    return block;
}

void asmjit_flush(void *block, size_t bytes)
{
    asmjit::VirtMem::flushInstructionCache(block, bytes);
}

void asmjit_free(void *allocator, void *block)
{
    (void)static_cast<asmjit::JitAllocator *>(allocator)->release(block);
}
