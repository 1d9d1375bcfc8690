/*
 * The stand-in's device memory: blocks that OpenCL shares with the host, with guards around them. New
 * and freed memory is NaN in every type of floats. See standin.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backends/gpu/standin/standin.h"

#define ALIGNMENT 256
#define FILLING   0xff /* NaN */
#define AROUND    0xa5 /* not what a kernel makes of NaN */

/* Freed memory that is kept to see whether it is used. */
#define MOST_KEPT ((size_t)256 << 20)

static bool is_all(unsigned char filling, const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != filling)
            return false;
    return true;
}

static bool check_guard(const standin_context *context, const standin_block *block) {
    if (is_all(AROUND, block->memory - STANDIN_GUARD, STANDIN_GUARD) &&
        is_all(AROUND, block->memory + block->bytes, STANDIN_GUARD) &&
        (!block->freed || is_all(FILLING, block->memory, block->bytes)))
        return true;
    standin_fault(CUDA_SUCCESS, "%s a block of %zu bytes was written to; launched last: %s",
                  block->freed ? "after it was freed," : "around", block->bytes,
                  context->last_kernel ? context->last_kernel : "nothing");
    return false;
}

bool standin_check_guards(const standin_context *context) {
    bool whole = true;
    for (size_t i = 0; i < context->n_blocks && whole; i++)
        if (!context->blocks[i].freed)
            whole = check_guard(context, &context->blocks[i]);
    return whole;
}

/* ---- blocks ---- */

static void remove_block(standin_context *context, size_t i) {
    standin_block *block = &context->blocks[i];
    check_guard(context, block);
    clSVMFree(context->cl, block->owned);
    memmove(block, block + 1, (--context->n_blocks - i) * sizeof *block);
}

/* The oldest freed blocks go when there are too many bytes of them. */
static void forget_freed(standin_context *context) {
    size_t kept = 0;
    for (size_t i = context->n_blocks; i-- > 0;) {
        kept += context->blocks[i].freed ? context->blocks[i].bytes : 0;
        if (context->blocks[i].freed && kept > MOST_KEPT)
            remove_block(context, i);
    }
}

static CUresult add_block(standin_context *context, size_t bytes, standin_block *made) {
    size_t whole = bytes + 2 * STANDIN_GUARD + ALIGNMENT;
    void *grown = realloc(context->blocks, (context->n_blocks + 1) * sizeof *context->blocks);
    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    context->blocks = grown;
    void *owned =
        clSVMAlloc(context->cl, CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER, whole, 0);
    if (!owned)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uintptr_t first = (uintptr_t)owned + STANDIN_GUARD;
    first = (first + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *made = (standin_block){.memory = (unsigned char *)first, .bytes = bytes, .owned = owned};
    memset(owned, AROUND, whole);
    memset(made->memory, FILLING, bytes);
    context->blocks[context->n_blocks++] = *made;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes) {
    standin_context *context;
    standin_block made;
    CUresult result = standin_current("cuMemAlloc", &context);
    if (result != CUDA_SUCCESS)
        return result;
    if (bytes == 0)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuMemAlloc of 0 bytes");
    size_t total = standin_setting("STANDIN_MEMORY", 8ul << 30);
    if (++standin_counted.allocations == standin_setting("STANDIN_FAIL_ALLOCATION", 0) ||
        bytes > total || standin_counted.bytes > total - bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = add_block(context, bytes, &made);
    if (result != CUDA_SUCCESS)
        return result;
    *address = (CUdeviceptr)(uintptr_t)made.memory;
    standin_counted.bytes += bytes;
    if (standin_counted.bytes > standin_counted.peak_bytes)
        standin_counted.peak_bytes = standin_counted.bytes;
    return CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr address) {
    standin_context *context;
    CUresult result = standin_current("cuMemFree", &context);
    if (result != CUDA_SUCCESS)
        return result;
    const standin_block *found = standin_block_at(context, address, 1, "cuMemFree");
    if (!found)
        return CUDA_ERROR_INVALID_VALUE;
    if ((uintptr_t)found->memory != address)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuMemFree inside of a block");
    standin_block *block = &context->blocks[found - context->blocks];
    check_guard(context, block);
    memset(block->memory, FILLING, block->bytes);
    block->freed = true;
    standin_counted.bytes -= block->bytes;
    forget_freed(context);
    return CUDA_SUCCESS;
}

const standin_block *standin_block_at(const standin_context *context, uint64_t address,
                                      uint64_t bytes, const char *what) {
    const standin_block *block = NULL;
    for (size_t i = 0; i < context->n_blocks && !block; i++) {
        uint64_t start = (uintptr_t)context->blocks[i].memory;
        if (address >= start && address - start < context->blocks[i].bytes)
            block = &context->blocks[i];
    }
    if (!block) {
        standin_fault(CUDA_SUCCESS, "%s: %#llx is no memory of device %d", what,
                      (unsigned long long)address, context->device);
        return NULL;
    }
    uint64_t rest = block->bytes - (address - (uintptr_t)block->memory);
    if (block->freed)
        standin_fault(CUDA_SUCCESS, "%s: memory that was freed", what);
    else if (bytes > rest)
        standin_fault(CUDA_SUCCESS, "%s: %llu bytes where a block of %zu has %llu left", what,
                      (unsigned long long)bytes, block->bytes, (unsigned long long)rest);
    return block->freed || bytes > rest ? NULL : block;
}

void standin_close_memory(standin_context *context) {
    size_t n_left = 0, bytes = 0;
    for (size_t i = 0; i < context->n_blocks; i++) {
        n_left += !context->blocks[i].freed;
        bytes += context->blocks[i].freed ? 0 : context->blocks[i].bytes;
    }
    if (n_left && !context->lost)
        standin_fault(CUDA_SUCCESS, "%zu blocks of %zu bytes in all were not freed", n_left, bytes);
    standin_counted.bytes -= bytes;
    while (context->n_blocks)
        remove_block(context, context->n_blocks - 1);
    free(context->blocks);
    context->blocks = NULL;
}
