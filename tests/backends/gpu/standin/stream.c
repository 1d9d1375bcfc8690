/*
 * The stand-in's streams, each a queue of OpenCL, and copies. What is copied to the device must stay as
 * it is until the stream, or an event after the copy, is waited for. See standin.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backends/gpu/standin/standin.h"

typedef struct pending_upload {
    const void *source;
    size_t bytes;
    uint64_t hash;
} pending_upload;

typedef struct standin_stream {
    const standin_context *context;
    cl_command_queue queue;
    pending_upload *uploads; /* owned; those that nobody waited for */
    size_t n_uploads;
    uint64_t n_done; /* before these */
    struct standin_stream *next;
} standin_stream;

static standin_stream *streams;

static standin_stream *find_stream(const standin_context *context, CUstream handle,
                                   const char *function) {
    for (standin_stream *stream = streams; stream; stream = stream->next)
        if ((void *)stream == (void *)handle && stream->context == context)
            return stream;
    standin_fault(CUDA_ERROR_INVALID_HANDLE, "%s: not a stream of the context", function);
    return NULL;
}

cl_command_queue standin_queue(const standin_context *context, CUstream stream,
                               const char *function) {
    const standin_stream *found = find_stream(context, stream, function);
    return found ? found->queue : NULL;
}

CUresult cuStreamCreate(CUstream *made, unsigned flags) {
    standin_context *context;
    cl_int error;
    CUresult result = standin_current("cuStreamCreate", &context);
    if (result != CUDA_SUCCESS)
        return result;
    if (flags & ~(unsigned)CU_STREAM_NON_BLOCKING)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuStreamCreate: flags %u", flags);
    standin_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stream->context = context;
    stream->queue =
        clCreateCommandQueueWithProperties(context->cl, context->cl_device, NULL, &error);
    if (error != CL_SUCCESS) {
        free(stream);
        return standin_fault(CUDA_ERROR_UNKNOWN, "a queue of OpenCL: %d", error);
    }
    stream->next = streams;
    streams = stream;
    context->n_streams++;
    *made = (CUstream)(void *)stream;
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream handle) {
    standin_context *context;
    CUresult result = standin_current("cuStreamDestroy", &context);
    if (result != CUDA_SUCCESS)
        return result;
    standin_stream *stream = find_stream(context, handle, "cuStreamDestroy");
    if (!stream)
        return CUDA_ERROR_INVALID_HANDLE;
    standin_stream **link = &streams;
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    clFinish(stream->queue);
    clReleaseCommandQueue(stream->queue);
    free(stream->uploads);
    free(stream);
    context->n_streams--;
    return CUDA_SUCCESS;
}

/* ---- waiting ---- */

/* FNV-1a, eight bytes at a time. */
static uint64_t hash_of(const void *data, size_t bytes) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)data + i, bytes - i < 8 ? bytes - i : 8);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 32;
    }
    return hash;
}

/* The first n uploads are through. */
static CUresult check_sources(standin_stream *stream, size_t n) {
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < n; i++)
        if (hash_of(stream->uploads[i].source, stream->uploads[i].bytes) != stream->uploads[i].hash)
            result = standin_fault(CUDA_ERROR_INVALID_VALUE,
                                   "%zu bytes changed on the host before they were on the device",
                                   stream->uploads[i].bytes);
    stream->n_uploads -= n;
    stream->n_done += n;
    if (stream->n_uploads)
        memmove(stream->uploads, stream->uploads + n, stream->n_uploads * sizeof *stream->uploads);
    return result;
}

uint64_t standin_count_uploads(const standin_context *context, CUstream handle) {
    const standin_stream *stream = find_stream(context, handle, "count of uploads");
    return stream ? stream->n_done + stream->n_uploads : 0;
}

CUresult standin_uploads_done(const standin_context *context, CUstream handle, uint64_t count) {
    standin_stream *stream = find_stream(context, handle, "uploads");
    if (!stream)
        return CUDA_ERROR_INVALID_HANDLE;
    return count > stream->n_done ? check_sources(stream, (size_t)(count - stream->n_done))
                                  : CUDA_SUCCESS;
}

static CUresult finish_stream(standin_context *context, standin_stream *stream) {
    cl_int error = clFinish(stream->queue);
    CUresult result = check_sources(stream, stream->n_uploads);
    if (error != CL_SUCCESS)
        result = standin_fault(CUDA_ERROR_LAUNCH_FAILED, "clFinish: %d", error);
    return standin_check_guards(context) ? result : CUDA_ERROR_INVALID_VALUE;
}

CUresult standin_finish(standin_context *context, CUstream handle) {
    standin_stream *stream = find_stream(context, handle, "finish");
    return stream ? finish_stream(context, stream) : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuStreamSynchronize(CUstream handle) {
    standin_context *context;
    CUresult result = standin_current("cuStreamSynchronize", &context);
    if (result != CUDA_SUCCESS)
        return result;
    standin_counted.synchronizations++;
    return standin_finish(context, handle);
}

/* ---- copies ---- */

static CUresult remember_upload(standin_stream *stream, const void *source, size_t bytes) {
    void *grown = realloc(stream->uploads, (stream->n_uploads + 1) * sizeof *stream->uploads);
    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stream->uploads = grown;
    stream->uploads[stream->n_uploads++] = (pending_upload){source, bytes, hash_of(source, bytes)};
    return CUDA_SUCCESS;
}

/* The stream, if the copy is one that may be asked for. */
static standin_stream *check_copy(const char *function, CUdeviceptr device, const void *host,
                                  size_t bytes, CUstream handle, CUresult *result) {
    standin_context *context;
    *result = standin_current(function, &context);
    if (*result != CUDA_SUCCESS)
        return NULL;
    standin_stream *stream = find_stream(context, handle, function);
    *result = CUDA_ERROR_INVALID_VALUE;
    if (!stream || !standin_block_at(context, device, bytes ? bytes : 1, function))
        return NULL;
    if (!host || !bytes) {
        standin_fault(*result, "%s of %zu bytes, host memory %p", function, bytes, host);
        return NULL;
    }
    *result = CUDA_SUCCESS;
    return stream;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream handle) {
    CUresult result;
    standin_stream *stream = check_copy("cuMemcpyHtoDAsync", to, from, bytes, handle, &result);
    if (!stream)
        return result;
    standin_counted.uploads++;
    result = remember_upload(stream, from, bytes);
    if (result != CUDA_SUCCESS)
        return result;
    cl_int error = clEnqueueSVMMemcpy(stream->queue, CL_FALSE, (void *)(uintptr_t)to, from, bytes,
                                      0, NULL, NULL);
    return error == CL_SUCCESS ? CUDA_SUCCESS
                               : standin_fault(CUDA_ERROR_UNKNOWN, "a copy: %d", error);
}

CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream handle) {
    CUresult result;
    standin_stream *stream = check_copy("cuMemcpyDtoHAsync", from, to, bytes, handle, &result);
    if (!stream)
        return result;
    standin_counted.downloads++;
    cl_int error = clEnqueueSVMMemcpy(stream->queue, CL_FALSE, to, (const void *)(uintptr_t)from,
                                      bytes, 0, NULL, NULL);
    return error == CL_SUCCESS ? CUDA_SUCCESS
                               : standin_fault(CUDA_ERROR_UNKNOWN, "a copy: %d", error);
}
