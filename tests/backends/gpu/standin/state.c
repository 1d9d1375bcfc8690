/*
 * The stand-in's devices and contexts, its faults, and the report at the end. See standin.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/backends/gpu/standin/standin.h"

#define MOST_DEVICES 4
#define MOST_STACK   16

standin_counts standin_counted;

static bool started;
static standin_context contexts[MOST_DEVICES];
static _Thread_local standin_context *stack[MOST_STACK];
static _Thread_local int stack_depth;

unsigned long standin_setting(const char *name, unsigned long otherwise) {
    const char *value = getenv(name);
    return value ? strtoul(value, NULL, 10) : otherwise;
}

static int n_devices(void) {
    unsigned long n = standin_setting("STANDIN_DEVICES", 1);
    return n > MOST_DEVICES ? MOST_DEVICES : (int)n;
}

static size_t device_bytes(void) {
    return standin_setting("STANDIN_MEMORY", 8ul << 30);
}

/* ---- faults and the report ---- */

CUresult standin_fault(CUresult result, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "stand-in: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    standin_counted.faults++;
    return result;
}

static void check_all_released(void) {
    for (int i = 0; i < MOST_DEVICES; i++)
        if (contexts[i].n_retained)
            standin_fault(CUDA_SUCCESS, "the context of device %d was not released", i);
}

static void write_report(const char *path) {
    const standin_counts *c = &standin_counted;
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    fprintf(file,
            "faults %lu\nallocations %lu\nlaunches %lu\nproducts %lu\nuploads %lu\ndownloads %lu\n"
            "synchronizations %lu\nbytes %llu\npeak_bytes %llu\n",
            c->faults, c->allocations, c->launches, c->products, c->uploads, c->downloads,
            c->synchronizations, (unsigned long long)c->bytes, (unsigned long long)c->peak_bytes);
    fclose(file);
}

/* The library stays loaded until the process ends, so this is its end. */
__attribute__((destructor)) static void end(void) {
    const char *report = getenv("STANDIN_REPORT");
    check_all_released();
    if (report)
        write_report(report);
    fflush(NULL);
    if (standin_counted.faults)
        _exit(STANDIN_EXIT_STATUS);
}

const standin_services standin_services_table = {
    .fault = standin_fault,
    .current = standin_current,
    .block_at = standin_block_at,
    .finish = standin_finish,
    .counts = &standin_counted,
};

/* ---- the driver ---- */

CUresult cuInit(unsigned flags) {
    if (flags)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuInit: flags %u", flags);
    if (n_devices() == 0)
        return CUDA_ERROR_NO_DEVICE;
    started = true;
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

static const struct {
    CUresult error;
    const char *name, *words;
} errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
};

static size_t find_error(CUresult error) {
    size_t i = 0;
    while (i < sizeof errors / sizeof *errors && errors[i].error != error)
        i++;
    return i;
}

CUresult cuGetErrorName(CUresult error, const char **name) {
    size_t i = find_error(error);
    *name = i < sizeof errors / sizeof *errors ? errors[i].name : NULL;
    return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **words) {
    size_t i = find_error(error);
    *words = i < sizeof errors / sizeof *errors ? errors[i].words : NULL;
    return *words ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- devices ---- */

static CUresult check_device(const char *function, CUdevice device) {
    if (!started)
        return standin_fault(CUDA_ERROR_NOT_INITIALIZED, "%s before cuInit", function);
    if (device < 0 || device >= n_devices())
        return standin_fault(CUDA_ERROR_INVALID_DEVICE, "%s: there is no device %d", function,
                             device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
    *count = n_devices();
    return started ? CUDA_SUCCESS : standin_fault(CUDA_ERROR_NOT_INITIALIZED, "cuDeviceGetCount");
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    *device = ordinal;
    return check_device("cuDeviceGet", ordinal);
}

CUresult cuDeviceGetName(char *name, int bytes, CUdevice device) {
    CUresult result = check_device("cuDeviceGetName", device);
    if (result == CUDA_SUCCESS)
        snprintf(name, (size_t)bytes, "Stand-in %d", device);
    return result;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
    *bytes = device_bytes();
    return check_device("cuDeviceTotalMem", device);
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    int capability = (int)standin_setting("STANDIN_CAPABILITY", 120);
    if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
        *value = capability / 10;
    else if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
        *value = capability % 10;
    else
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "attribute %d is not known here",
                             (int)attribute);
    return check_device("cuDeviceGetAttribute", device);
}

CUresult cuMemGetInfo(size_t *n_free, size_t *n_total) {
    standin_context *context;
    CUresult result = standin_current("cuMemGetInfo", &context);
    size_t total = device_bytes();
    if (result != CUDA_SUCCESS)
        return result;
    *n_total = total;
    *n_free = standin_counted.bytes < total ? total - (size_t)standin_counted.bytes : 0;
    return CUDA_SUCCESS;
}

/* ---- contexts ---- */

/* A device of OpenCL whose memory the host may use as it is. */
static bool find_cl_device(standin_context *context) {
    cl_platform_id platforms[16];
    cl_uint n_platforms = 0;
    clGetPlatformIDs(16, platforms, &n_platforms);
    for (cl_uint i = 0; i < n_platforms && i < 16; i++) {
        cl_device_svm_capabilities svm = 0;
        context->platform = platforms[i];
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_CPU, 1, &context->cl_device, NULL) ==
                CL_SUCCESS &&
            clGetDeviceInfo(context->cl_device, CL_DEVICE_SVM_CAPABILITIES, sizeof svm, &svm,
                            NULL) == CL_SUCCESS &&
            svm & CL_DEVICE_SVM_FINE_GRAIN_BUFFER)
            return true;
    }
    return false;
}

static CUresult open_context(standin_context *context) {
    cl_int error = CL_DEVICE_NOT_FOUND;
    if (!find_cl_device(context))
        return standin_fault(CUDA_ERROR_NO_DEVICE,
                             "no OpenCL device with shared memory; it wants PoCL");
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)context->platform, 0};
    context->cl = clCreateContext(properties, 1, &context->cl_device, NULL, NULL, &error);
    return error == CL_SUCCESS ? CUDA_SUCCESS
                               : standin_fault(CUDA_ERROR_UNKNOWN, "clCreateContext: %d", error);
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *made, CUdevice device) {
    CUresult result = check_device("cuDevicePrimaryCtxRetain", device);
    if (result != CUDA_SUCCESS)
        return result;
    standin_context *context = &contexts[device];
    if (context->n_retained == 0) {
        context->device = device;
        result = open_context(context);
    }
    if (result == CUDA_SUCCESS) {
        context->n_retained++;
        *made = (CUcontext)(void *)context;
    }
    return result;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    CUresult result = check_device("cuDevicePrimaryCtxRelease", device);
    if (result != CUDA_SUCCESS)
        return result;
    standin_context *context = &contexts[device];
    if (context->n_retained == 0)
        return standin_fault(CUDA_ERROR_INVALID_CONTEXT, "device %d is released once too often",
                             device);
    if (--context->n_retained)
        return CUDA_SUCCESS;
    if (!context->lost && (context->n_streams || context->n_modules))
        standin_fault(CUDA_SUCCESS, "%d streams and %d modules are left", context->n_streams,
                      context->n_modules);
    standin_close_memory(context);
    clReleaseContext(context->cl);
    *context = (standin_context){0};
    return CUDA_SUCCESS;
}

static bool is_context(const void *handle) {
    for (int i = 0; i < MOST_DEVICES; i++)
        if (handle == &contexts[i])
            return contexts[i].n_retained > 0;
    return false;
}

CUresult cuCtxPushCurrent(CUcontext pushed) {
    if (!is_context(pushed))
        return standin_fault(CUDA_ERROR_INVALID_CONTEXT, "cuCtxPushCurrent: not a context");
    if (stack_depth == MOST_STACK)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuCtxPushCurrent without cuCtxPopCurrent");
    stack[stack_depth++] = (standin_context *)(void *)pushed;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *popped) {
    if (stack_depth == 0)
        return standin_fault(CUDA_ERROR_INVALID_CONTEXT, "cuCtxPopCurrent: there is none");
    *popped = (CUcontext)(void *)stack[--stack_depth];
    return CUDA_SUCCESS;
}

CUresult standin_current(const char *function, standin_context **context) {
    if (!started)
        return standin_fault(CUDA_ERROR_NOT_INITIALIZED, "%s before cuInit", function);
    if (stack_depth == 0 || !is_context(stack[stack_depth - 1]))
        return standin_fault(CUDA_ERROR_INVALID_CONTEXT, "%s: the thread has no context", function);
    *context = stack[stack_depth - 1];
    return (*context)->lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}
