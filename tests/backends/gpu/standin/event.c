/*
 * The stand-in's events, each one of OpenCL's once it is recorded, and page-locked host memory. See
 * standin.h.
 */
#include <stdlib.h>

#include "tests/backends/gpu/standin/standin.h"

typedef struct standin_event {
    const standin_context *context;
    cl_event recorded;  /* NULL: not yet */
    CUstream stream;    /* in which it was recorded, */
    uint64_t n_uploads; /* after so many of its uploads */
    struct standin_event *next;
} standin_event;

typedef struct host_block {
    void *memory;
    struct host_block *next;
} host_block;

static standin_event *events;
static host_block *host_blocks;

static standin_event *find_event(const standin_context *context, CUevent handle,
                                 const char *function) {
    for (standin_event *event = events; event; event = event->next)
        if ((void *)event == (void *)handle && event->context == context)
            return event;
    standin_fault(CUDA_ERROR_INVALID_HANDLE, "%s: not an event of the context", function);
    return NULL;
}

/* The event, in a context that is the thread's. */
static standin_event *check_event(const char *function, CUevent handle, standin_context **context,
                                  CUresult *result) {
    *result = standin_current(function, context);
    if (*result != CUDA_SUCCESS)
        return NULL;
    *result = CUDA_ERROR_INVALID_HANDLE;
    standin_event *event = find_event(*context, handle, function);
    if (event)
        *result = CUDA_SUCCESS;
    return event;
}

CUresult cuEventCreate(CUevent *made, unsigned flags) {
    standin_context *context;
    CUresult result = standin_current("cuEventCreate", &context);
    if (result != CUDA_SUCCESS)
        return result;
    if (flags & ~(unsigned)CU_EVENT_DISABLE_TIMING)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuEventCreate: flags %u", flags);
    standin_event *event = calloc(1, sizeof *event);
    if (!event)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *event = (standin_event){.context = context, .next = events};
    events = event;
    context->n_events++;
    *made = (CUevent)(void *)event;
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent handle) {
    standin_context *context;
    CUresult result;
    standin_event *event = check_event("cuEventDestroy", handle, &context, &result);
    if (!event)
        return result;
    standin_event **link = &events;
    while (*link != event)
        link = &(*link)->next;
    *link = event->next;
    if (event->recorded)
        clReleaseEvent(event->recorded);
    free(event);
    context->n_events--;
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent handle, CUstream stream) {
    standin_context *context;
    CUresult result;
    cl_event marker;
    standin_event *event = check_event("cuEventRecord", handle, &context, &result);
    if (!event)
        return result;
    cl_command_queue queue = standin_queue(context, stream, "cuEventRecord");
    if (!queue)
        return CUDA_ERROR_INVALID_HANDLE;
    if (clEnqueueMarkerWithWaitList(queue, 0, NULL, &marker) != CL_SUCCESS ||
        clFlush(queue) != CL_SUCCESS)
        return standin_fault(CUDA_ERROR_UNKNOWN, "cuEventRecord: a marker of OpenCL");
    if (event->recorded)
        clReleaseEvent(event->recorded);
    event->recorded = marker;
    event->stream = stream;
    event->n_uploads = standin_count_uploads(context, stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent handle, unsigned flags) {
    standin_context *context;
    CUresult result;
    standin_event *event = check_event("cuStreamWaitEvent", handle, &context, &result);
    if (!event)
        return result;
    cl_command_queue queue = standin_queue(context, stream, "cuStreamWaitEvent");
    if (!queue || flags)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuStreamWaitEvent: flags %u", flags);
    if (event->recorded &&
        clEnqueueBarrierWithWaitList(queue, 1, &event->recorded, NULL) != CL_SUCCESS)
        return standin_fault(CUDA_ERROR_UNKNOWN, "cuStreamWaitEvent: a barrier of OpenCL");
    return CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent handle) {
    standin_context *context;
    CUresult result;
    standin_event *event = check_event("cuEventSynchronize", handle, &context, &result);
    if (!event)
        return result;
    standin_counted.synchronizations++;
    if (!event->recorded)
        return CUDA_SUCCESS;
    if (clWaitForEvents(1, &event->recorded) != CL_SUCCESS)
        return standin_fault(CUDA_ERROR_UNKNOWN, "cuEventSynchronize: waiting for OpenCL");
    return standin_uploads_done(context, event->stream, event->n_uploads);
}

/* ---- page-locked memory ---- */

CUresult cuMemAllocHost(void **made, size_t bytes) {
    standin_context *context;
    CUresult result = standin_current("cuMemAllocHost", &context);
    if (result != CUDA_SUCCESS)
        return result;
    host_block *block = calloc(1, sizeof *block);
    if (!block || !bytes || !(block->memory = malloc(bytes))) {
        free(block);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    block->next = host_blocks;
    host_blocks = block;
    context->n_host_blocks++;
    *made = block->memory;
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *memory) {
    standin_context *context;
    CUresult result = standin_current("cuMemFreeHost", &context);
    if (result != CUDA_SUCCESS)
        return result;
    for (host_block **link = &host_blocks; *link; link = &(*link)->next) {
        host_block *block = *link;
        if (block->memory != memory)
            continue;
        *link = block->next;
        free(block->memory);
        free(block);
        context->n_host_blocks--;
        return CUDA_SUCCESS;
    }
    return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuMemFreeHost: not such memory");
}
