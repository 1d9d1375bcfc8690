/*
 * A few functions of OpenCL that go wrong on demand, for LD_PRELOAD: what no driver at hand does.
 *
 *   SFUMATO_SHIM_GROUP=KERNEL:N  the kernel runs in groups of at most N work-items
 *   SFUMATO_SHIM_BUFFER=N        the N-th buffer, and all after it, find no memory
 *   SFUMATO_SHIM_LAUNCH=N        the N-th launch, and all after it, find the device lost
 *   SFUMATO_SHIM_WHOLE_WRITES=1  copies to a part of a buffer become copies to all of it: Oclgrind
 *                                takes what lies around the part for never written (tools/check-oclgrind)
 *
 * It links no OpenCL: the real functions are those of the loader that the plugin brings.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* CL/cl.h has the numbers. */
#define ALLOCATION_FAILURE     (-4)
#define OUT_OF_RESOURCES       (-5)
#define KERNEL_FUNCTION_NAME   0x1190
#define KERNEL_WORK_GROUP_SIZE 0x11b0
#define MEM_SIZE               0x1102
#define OUT_OF_HOST_MEMORY     (-6)

typedef int get_info(void *object, unsigned what, size_t bytes, void *value, size_t *n_bytes);
typedef int get_kernel_info(void *kernel, void *device, unsigned what, size_t bytes, void *value,
                            size_t *n_bytes);
typedef void *create_buffer(void *context, uint64_t flags, size_t bytes, void *host, int *error);
typedef int enqueue_kernel(void *queue, void *kernel, unsigned n_dims, const size_t *offset,
                           const size_t *global, const size_t *local, unsigned n_events,
                           const void *events, void *event);
typedef int enqueue_write(void *queue, void *buffer, unsigned blocking, size_t offset, size_t bytes,
                          const void *source, unsigned n_events, const void *events, void *event);
typedef int enqueue_read(void *queue, void *buffer, unsigned blocking, size_t offset, size_t bytes,
                         void *destination, unsigned n_events, const void *events, void *event);

EXPORT get_kernel_info clGetKernelWorkGroupInfo;
EXPORT create_buffer clCreateBuffer;
EXPORT enqueue_kernel clEnqueueNDRangeKernel;
EXPORT enqueue_write clEnqueueWriteBuffer;

/* The plugin's libraries are its own: what comes after this file in the process has no OpenCL. */
static void *real_function(const char *name) {
    void *loader = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *function = loader ? dlsym(loader, name) : NULL;
    if (!function)
        abort();
    return function;
}

/* Whether this is the call number that the variable names, or a later one. */
static int is_due(const char *variable, long *n_calls) {
    const char *number = getenv(variable);
    return number && ++*n_calls >= strtol(number, NULL, 10);
}

static int is_limited(void *kernel, size_t *most) {
    const char *limit = getenv("SFUMATO_SHIM_GROUP");
    const char *colon = limit ? strchr(limit, ':') : NULL;
    char name[128] = "";
    get_info *info = NULL;
    *(void **)&info = real_function("clGetKernelInfo");
    if (!colon || info(kernel, KERNEL_FUNCTION_NAME, sizeof name - 1, name, NULL) != 0)
        return 0;
    *most = (size_t)strtoul(colon + 1, NULL, 10);
    return strlen(name) == (size_t)(colon - limit) && strncmp(name, limit, strlen(name)) == 0;
}

int clGetKernelWorkGroupInfo(void *kernel, void *device, unsigned what, size_t bytes, void *value,
                             size_t *n_bytes) {
    get_kernel_info *real = NULL;
    size_t most;
    if (what == KERNEL_WORK_GROUP_SIZE && bytes == sizeof most && is_limited(kernel, &most)) {
        memcpy(value, &most, sizeof most);
        return 0;
    }
    *(void **)&real = real_function("clGetKernelWorkGroupInfo");
    return real(kernel, device, what, bytes, value, n_bytes);
}

void *clCreateBuffer(void *context, uint64_t flags, size_t bytes, void *host, int *error) {
    static long n_calls;
    create_buffer *real = NULL;
    if (is_due("SFUMATO_SHIM_BUFFER", &n_calls)) {
        *error = ALLOCATION_FAILURE;
        return NULL;
    }
    *(void **)&real = real_function("clCreateBuffer");
    return real(context, flags, bytes, host, error);
}

int clEnqueueNDRangeKernel(void *queue, void *kernel, unsigned n_dims, const size_t *offset,
                           const size_t *global, const size_t *local, unsigned n_events,
                           const void *events, void *event) {
    static long n_calls;
    enqueue_kernel *real = NULL;
    if (is_due("SFUMATO_SHIM_LAUNCH", &n_calls))
        return OUT_OF_RESOURCES;
    *(void **)&real = real_function("clEnqueueNDRangeKernel");
    return real(queue, kernel, n_dims, offset, global, local, n_events, events, event);
}

static int write_whole(enqueue_write *write, void *queue, void *buffer, size_t offset, size_t bytes,
                       const void *source) {
    get_info *info = NULL;
    enqueue_read *read = NULL;
    size_t size = 0;
    *(void **)&info = real_function("clGetMemObjectInfo");
    *(void **)&read = real_function("clEnqueueReadBuffer");
    int error = info(buffer, MEM_SIZE, sizeof size, &size, NULL);
    char *whole = error ? NULL : malloc(size);
    if (!whole)
        return error ? error : OUT_OF_HOST_MEMORY;
    error = read(queue, buffer, 1, 0, size, whole, 0, NULL, NULL);
    if (!error && offset <= size && bytes <= size - offset) {
        memcpy(whole + offset, source, bytes);
        error = write(queue, buffer, 1, 0, size, whole, 0, NULL, NULL);
    }
    free(whole);
    return error;
}

int clEnqueueWriteBuffer(void *queue, void *buffer, unsigned blocking, size_t offset, size_t bytes,
                         const void *source, unsigned n_events, const void *events, void *event) {
    enqueue_write *real = NULL;
    *(void **)&real = real_function("clEnqueueWriteBuffer");
    if (getenv("SFUMATO_SHIM_WHOLE_WRITES"))
        return write_whole(real, queue, buffer, offset, bytes, source);
    return real(queue, buffer, blocking, offset, bytes, source, n_events, events, event);
}
