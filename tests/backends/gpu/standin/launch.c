/*
 * The stand-in's modules and launches: what the fat binary has as machine code is run from the same text
 * by OpenCL. See standin.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/gpu/cuda/arguments.h"
#include "tests/backends/gpu/standin/standin.h"

#define GROUP_OPTION_OF(size) GROUP_OPTION(size)
#define GROUP_OPTION(size)    "-cl-std=CL1.2 -DPROCESSOR -DGROUP=" #size

typedef enum text_id {
#define GPU_SOURCE(file) TEXT_##file,
#include "backends/gpu/kernels/kernels.def"
    N_TEXTS
} text_id;

/* The texts that the opencl plugin compiles (generated). */
extern const char *const opencl_texts[N_TEXTS];
extern const char *const opencl_text_names[N_TEXTS];

typedef struct known_kernel {
    const char *name;
    text_id text;
    unsigned n_buffers;
    size_t arguments_bytes;
} known_kernel;

static const known_kernel known[] = {
#define GPU_KERNEL(file, name, buffers, arguments)                                                 \
    {#name, TEXT_##file, buffers, sizeof(gpu_##arguments##_arguments)},
#include "backends/gpu/kernels/kernels.def"
};

#define N_KNOWN (sizeof known / sizeof *known)

typedef struct standin_module standin_module;

typedef struct standin_function {
    const standin_module *module;
    const known_kernel *about;
    cl_kernel kernel; /* NULL: nobody asked for it yet */
} standin_function;

struct standin_module {
    standin_context *context;
    cl_program programs[N_TEXTS];
    standin_function functions[N_KNOWN];
    standin_module *next;
};

static standin_module *modules;

/* ---- modules ---- */

CUresult cuModuleLoadDataEx(CUmodule *made, const void *image, unsigned n_options,
                            CUjit_option *options, void **values) {
    standin_context *context;
    CUresult result = standin_current("cuModuleLoadDataEx", &context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!image || (n_options && (!options || !values)))
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "cuModuleLoadDataEx: no image");
    result = standin_check_fatbin(image, (unsigned)standin_setting("STANDIN_CAPABILITY", 120));
    if (result != CUDA_SUCCESS)
        return result;
    standin_module *module = calloc(1, sizeof *module);
    if (!module)
        return CUDA_ERROR_OUT_OF_MEMORY;
    module->context = context;
    module->next = modules;
    modules = module;
    context->n_modules++;
    *made = (CUmodule)(void *)module;
    return CUDA_SUCCESS;
}

static standin_module *find_module(const standin_context *context, CUmodule handle) {
    for (standin_module *module = modules; module; module = module->next)
        if ((void *)module == (void *)handle && module->context == context)
            return module;
    standin_fault(CUDA_ERROR_INVALID_HANDLE, "not a module of the context");
    return NULL;
}

CUresult cuModuleUnload(CUmodule handle) {
    standin_context *context;
    CUresult result = standin_current("cuModuleUnload", &context);
    standin_module *module = result == CUDA_SUCCESS ? find_module(context, handle) : NULL;
    if (!module)
        return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_HANDLE : result;
    standin_module **link = &modules;
    while (*link != module)
        link = &(*link)->next;
    *link = module->next;
    for (size_t i = 0; i < N_KNOWN; i++)
        if (module->functions[i].kernel)
            clReleaseKernel(module->functions[i].kernel);
    for (size_t i = 0; i < N_TEXTS; i++)
        if (module->programs[i])
            clReleaseProgram(module->programs[i]);
    context->n_modules--;
    free(module);
    return CUDA_SUCCESS;
}

/* ---- kernels ---- */

static CUresult compile(standin_module *module, text_id id) {
    const standin_context *context = module->context;
    char log[4096] = "";
    const char *text = opencl_texts[id];
    cl_int error;
    cl_program program = clCreateProgramWithSource(context->cl, 1, &text, NULL, &error);
    if (error == CL_SUCCESS)
        error = clBuildProgram(program, 1, &context->cl_device, GROUP_OPTION_OF(CUDA_GROUP), NULL,
                               NULL);
    if (error == CL_SUCCESS) {
        module->programs[id] = program;
        return CUDA_SUCCESS;
    }
    if (program)
        clGetProgramBuildInfo(program, context->cl_device, CL_PROGRAM_BUILD_LOG, sizeof log - 1,
                              log, NULL);
    return standin_fault(CUDA_ERROR_UNKNOWN, "%s does not compile: %d: %s", opencl_text_names[id],
                         error, log);
}

static CUresult make_kernel(standin_module *module, const known_kernel *about,
                            standin_function *function) {
    cl_uint n_arguments = 0;
    cl_int error;
    CUresult result = module->programs[about->text] ? CUDA_SUCCESS : compile(module, about->text);
    if (result != CUDA_SUCCESS)
        return result;
    cl_kernel kernel = clCreateKernel(module->programs[about->text], about->name, &error);
    if (error != CL_SUCCESS)
        return standin_fault(CUDA_ERROR_NOT_FOUND, "no kernel %s: %d", about->name, error);
    clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof n_arguments, &n_arguments, NULL);
    if (n_arguments != 2 * about->n_buffers + 1)
        return standin_fault(CUDA_ERROR_INVALID_VALUE,
                             "%s takes %u parameters, its line in kernels.def says %u buffers",
                             about->name, n_arguments, about->n_buffers);
    *function = (standin_function){module, about, kernel};
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *found, CUmodule handle, const char *name) {
    standin_context *context;
    CUresult result = standin_current("cuModuleGetFunction", &context);
    standin_module *module = result == CUDA_SUCCESS ? find_module(context, handle) : NULL;
    if (!module)
        return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_HANDLE : result;
    for (size_t i = 0; i < N_KNOWN; i++) {
        standin_function *function = &module->functions[i];
        if (strcmp(known[i].name, name) != 0)
            continue;
        if (!function->kernel)
            result = make_kernel(module, &known[i], function);
        *found = (CUfunction)(void *)function;
        return result;
    }
    return standin_fault(CUDA_ERROR_NOT_FOUND, "no kernel \"%s\" in kernels.def", name);
}

static const standin_function *find_function(const standin_context *context, CUfunction handle) {
    for (const standin_module *module = modules; module; module = module->next)
        for (size_t i = 0; i < N_KNOWN && module->context == context; i++)
            if ((const void *)&module->functions[i] == (const void *)handle &&
                module->functions[i].kernel)
                return &module->functions[i];
    standin_fault(CUDA_ERROR_INVALID_HANDLE, "cuLaunchKernel: not a kernel of the context");
    return NULL;
}

/* ---- launches ---- */

/* A buffer's address, as it was allocated, and an offset within it. */
static CUresult set_buffer(const standin_context *context, const standin_function *function,
                           unsigned i, void *const *parameters) {
    char what[128];
    CUdeviceptr address;
    cl_ulong offset;
    memcpy(&address, parameters[2 * i], sizeof address);
    memcpy(&offset, parameters[2 * i + 1], sizeof offset);
    snprintf(what, sizeof what, "%s, buffer %u", function->about->name, i);
    if (address) {
        const standin_block *block = standin_block_at(context, address, 1, what);
        if (!block)
            return CUDA_ERROR_INVALID_VALUE;
        if ((uintptr_t)block->memory != address || offset > block->bytes)
            return standin_fault(CUDA_ERROR_INVALID_VALUE, "%s: offset %llu of %zu bytes", what,
                                 (unsigned long long)offset, block->bytes);
    } else if (offset) {
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "%s: no memory, but an offset", what);
    }
    cl_int error =
        clSetKernelArgSVMPointer(function->kernel, 2 * i, (const void *)(uintptr_t)address);
    if (error == CL_SUCCESS)
        error = clSetKernelArg(function->kernel, 2 * i + 1, sizeof offset, &offset);
    return error == CL_SUCCESS ? CUDA_SUCCESS
                               : standin_fault(CUDA_ERROR_INVALID_VALUE, "%s: %d", what, error);
}

static CUresult set_parameters(const standin_context *context, const standin_function *function,
                               void *const *parameters) {
    unsigned n_buffers = function->about->n_buffers;
    for (unsigned i = 0; i < n_buffers; i++) {
        CUresult result = set_buffer(context, function, i, parameters);
        if (result != CUDA_SUCCESS)
            return result;
    }
    cl_int error = clSetKernelArg(function->kernel, 2 * n_buffers, function->about->arguments_bytes,
                                  parameters[2 * n_buffers]);
    return error == CL_SUCCESS
               ? CUDA_SUCCESS
               : standin_fault(CUDA_ERROR_INVALID_VALUE, "%s: arguments of %zu bytes: %d",
                               function->about->name, function->about->arguments_bytes, error);
}

static CUresult check_grid(const char *name, const unsigned grid[3], const unsigned block[3],
                           unsigned shared_bytes) {
    if (grid[0] < 1 || grid[0] > 0x7fffffffu || grid[1] < 1 || grid[1] > 65535 || grid[2] < 1 ||
        grid[2] > 65535)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "%s: a grid of %u x %u x %u", name, grid[0],
                             grid[1], grid[2]);
    if (block[0] != CUDA_GROUP || block[1] != 1 || block[2] != 1 || shared_bytes)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "%s: groups of %u x %u x %u, %u bytes", name,
                             block[0], block[1], block[2], shared_bytes);
    return CUDA_SUCCESS;
}

static CUresult enqueue(standin_context *context, const standin_function *function,
                        const unsigned grid[3], CUstream stream) {
    const size_t local[] = {CUDA_GROUP, 1, 1};
    const size_t global[] = {local[0] * grid[0], grid[1], grid[2]};
    cl_command_queue queue = standin_queue(context, stream, function->about->name);
    if (!queue)
        return CUDA_ERROR_INVALID_HANDLE;
    cl_int error =
        clEnqueueNDRangeKernel(queue, function->kernel, 3, NULL, global, local, 0, NULL, NULL);
    if (error != CL_SUCCESS)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "%s: %d", function->about->name, error);
    context->last_kernel = function->about->name;
    standin_counted.launches++;
    if (standin_counted.launches == standin_setting("STANDIN_LOSE_DEVICE", 0)) {
        clFinish(queue);
        context->lost = true;
    } else if (standin_setting("STANDIN_EAGER", 0)) {
        return standin_finish(context, stream);
    }
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction handle, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                        CUstream stream, void **parameters, void **extra) {
    const unsigned grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
    standin_context *context;
    CUresult result = standin_current("cuLaunchKernel", &context);
    const standin_function *function =
        result == CUDA_SUCCESS ? find_function(context, handle) : NULL;
    if (!function)
        return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_HANDLE : result;
    if (!parameters || extra)
        return standin_fault(CUDA_ERROR_INVALID_VALUE, "%s: no parameters", function->about->name);
    result = check_grid(function->about->name, grid, block, shared_bytes);
    if (result == CUDA_SUCCESS)
        result = set_parameters(context, function, parameters);
    if (result == CUDA_SUCCESS)
        result = enqueue(context, function, grid, stream);
    return result;
}
