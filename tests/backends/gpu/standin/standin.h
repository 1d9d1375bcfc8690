/*
 * A stand-in for NVIDIA's driver library and for cuBLASLt, for tests on machines without a GPU: the
 * cuda plugin finds it through LD_LIBRARY_PATH and is none the wiser. It checks what it is handed more
 * strictly than a driver does, and runs each launch for real: the kernel of that name, compiled by
 * OpenCL from the same text, on the same memory.
 *
 * What breaks a rule makes the call fail, is told on stderr ("stand-in: ..."), and ends the process with
 * STANDIN_EXIT_STATUS. Variables that it looks at:
 *
 *     STANDIN_REPORT=FILE        counts are written there when the process ends
 *     STANDIN_DEVICES=N          so many devices (1; 0: none)
 *     STANDIN_MEMORY=BYTES       of each device (8 GiB)
 *     STANDIN_CAPABILITY=120     compute capability times ten
 *     STANDIN_FAIL_ALLOCATION=N  the N-th allocation fails (1: the first)
 *     STANDIN_LOSE_DEVICE=N      the device is lost in the N-th launch: all later calls fail
 *     STANDIN_EAGER=1            waits for each launch and names the one that wrote where it must not
 *
 * It is one library of state.c, memory.c, stream.c, event.c, launch.c, fatbin.c, named libcuda.so.1, and another
 * one of blas.c, products.c, which asks the first through standin_services.
 */
#ifndef SF_TESTS_BACKENDS_GPU_STANDIN_H
#define SF_TESTS_BACKENDS_GPU_STANDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What cuda.h declares is exported, what is declared after it is not. */
#pragma GCC visibility push(default)
#include <cuda.h>
#pragma GCC visibility pop

#define CL_TARGET_OPENCL_VERSION 200
#include <CL/cl.h>

#define STANDIN_EXIT_STATUS 86
#define STANDIN_GUARD       512 /* bytes around each block that nobody may write to */

/* ---- faults (state.c) ---- */

/* Tells a broken rule, and gives the status that the call fails with. */
CUresult standin_fault(CUresult result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

typedef struct standin_counts {
    unsigned long faults, allocations, launches, products, uploads, downloads, synchronizations;
    uint64_t bytes, peak_bytes; /* of device memory in use */
} standin_counts;

extern standin_counts standin_counted;

/* The number in an environment variable. */
unsigned long standin_setting(const char *name, unsigned long otherwise);

/* ---- contexts ---- */

typedef struct standin_block {
    unsigned char *memory; /* what the caller has; 256-byte aligned */
    size_t bytes;
    void *owned; /* what OpenCL gave */
    bool freed;  /* kept for a while, so that its use shows */
} standin_block;

typedef struct standin_context {
    int device;
    unsigned n_retained;
    bool lost;
    cl_platform_id platform;
    cl_device_id cl_device;
    cl_context cl;
    standin_block *blocks; /* owned; in the order in which they were made */
    size_t n_blocks;
    int n_streams, n_modules, n_events, n_host_blocks;
    const char *last_kernel; /* launched last; NULL: none yet */
} standin_context;

/* The calling thread's context, if the driver was started, it is retained and the device not lost. */
CUresult standin_current(const char *function, standin_context **context);

/* ---- memory (memory.c) ---- */

/* The live block that an address lies in; NULL, after telling why, if there is none. */
const standin_block *standin_block_at(const standin_context *context, uint64_t address,
                                      uint64_t bytes, const char *what);
/* Nobody wrote around any block. */
bool standin_check_guards(const standin_context *context);
/* Tells blocks that are still there, and gives all memory back. */
void standin_close_memory(standin_context *context);

/* ---- streams (stream.c) ---- */

/* The stream's queue; NULL, after telling why, if it is none of the context. */
cl_command_queue standin_queue(const standin_context *context, CUstream stream,
                               const char *function);
CUresult standin_finish(standin_context *context, CUstream stream);

/* Uploads that the stream was asked for so far; and that the first `count` of all are through. */
uint64_t standin_count_uploads(const standin_context *context, CUstream stream);
CUresult standin_uploads_done(const standin_context *context, CUstream stream, uint64_t count);

/* ---- fat binaries (fatbin.c) ---- */

/* Whether it is whole and has something that a device of this capability runs. */
CUresult standin_check_fatbin(const void *data, unsigned capability);

/* ---- for the other library ---- */

typedef struct standin_services {
    CUresult (*fault)(CUresult result, const char *format, ...);
    CUresult (*current)(const char *function, standin_context **context);
    const standin_block *(*block_at)(const standin_context *context, uint64_t address,
                                     uint64_t bytes, const char *what);
    CUresult (*finish)(standin_context *context, CUstream stream);
    standin_counts *counts;
} standin_services;

__attribute__((visibility("default"))) extern const standin_services standin_services_table;

#endif
