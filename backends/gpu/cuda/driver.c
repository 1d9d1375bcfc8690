/*
 * The CUDA driver: devices, memory and launches. Its libraries are found in libraries.c, products are
 * in blas.c, the kernels in fatbin.c.
 *
 * All work of an open device goes to one stream of its own. Its context is the device's primary one,
 * which a program that uses CUDA itself has too; it is the thread's only while a function here runs.
 */
#include <stdio.h>
#include <string.h>

#include "backends/gpu/cuda/arguments.h"
#include "backends/gpu/cuda/device.h"

/* ---- errors ---- */

/* After these the context is of no use any more, whatever is called. */
static const CUresult lasting_errors[] = {
    CUDA_ERROR_ILLEGAL_ADDRESS,
    CUDA_ERROR_LAUNCH_TIMEOUT,
    CUDA_ERROR_ASSERT,
    CUDA_ERROR_HARDWARE_STACK_ERROR,
    CUDA_ERROR_ILLEGAL_INSTRUCTION,
    CUDA_ERROR_MISALIGNED_ADDRESS,
    CUDA_ERROR_INVALID_ADDRESS_SPACE,
    CUDA_ERROR_INVALID_PC,
    CUDA_ERROR_LAUNCH_FAILED,
    CUDA_ERROR_ECC_UNCORRECTABLE,
    CUDA_ERROR_CONTEXT_IS_DESTROYED,
    CUDA_ERROR_DEVICE_UNAVAILABLE,
};

static bool is_lasting(CUresult error) {
    for (size_t i = 0; i < sizeof lasting_errors / sizeof *lasting_errors; i++)
        if (lasting_errors[i] == error)
            return true;
    return false;
}

sf_status cuda_check(const sf_host *host, const cuda_driver *driver, CUresult result,
                     const char *what) {
    const char *name = NULL, *words = NULL;
    if (result == CUDA_SUCCESS)
        return SF_OK;
    driver->cuGetErrorName(result, &name);
    driver->cuGetErrorString(result, &words);
    return host->fail(host, result == CUDA_ERROR_OUT_OF_MEMORY ? SF_ERROR_MEMORY : SF_ERROR_BACKEND,
                      "%s: %s (%d): %s%s", what, name ? name : "an error without a name",
                      (int)result, words ? words : "the driver does not know it",
                      is_lasting(result) ? "; the device is lost to this process, which has to be "
                                           "started again"
                                         : "");
}

static sf_status check(gpu_device *device, CUresult result, const char *what) {
    return cuda_check(device->host, &device->driver, result, what);
}

sf_status cuda_enter(gpu_device *device) {
    return check(device, device->driver.cuCtxPushCurrent(device->context), "using the device");
}

void cuda_leave(gpu_device *device) {
    CUcontext left;
    device->driver.cuCtxPopCurrent(&left);
}

/* Ends what cuda_enter() began. */
static sf_status leave_with(gpu_device *device, CUresult result, const char *what) {
    sf_status status = check(device, result, what);
    cuda_leave(device);
    return status;
}

/* ---- finding devices ---- */

static sf_status find_device(const sf_host *host, const cuda_driver *driver, int index,
                             CUdevice *id) {
    int n_devices = 0;
    sf_status status =
        cuda_check(host, driver, driver->cuDeviceGetCount(&n_devices), "counting CUDA devices");
    if (status != SF_OK)
        return status;
    if (n_devices <= 0)
        return host->fail(host, SF_ERROR_BACKEND, "a CUDA driver and no device");
    if (index < 0 || index >= n_devices)
        return SF_ERROR_NOT_FOUND;
    return cuda_check(host, driver, driver->cuDeviceGet(id, index), "a CUDA device");
}

static void name_of(const cuda_driver *driver, CUdevice id, char *name, size_t bytes) {
    name[0] = '\0';
    driver->cuDeviceGetName(name, (int)bytes - 1, id);
    name[bytes - 1] = '\0';
}

static void describe(const cuda_driver *driver, CUdevice id, sf_device_info *device) {
    char name[96];
    int version = 0;
    size_t bytes = 0;
    name_of(driver, id, name, sizeof name);
    driver->cuDriverGetVersion(&version);
    driver->cuDeviceTotalMem(&bytes, id);
    snprintf(device->name, sizeof device->name, "%s, driver for CUDA %d.%d", name, version / 1000,
             version % 1000 / 10);
    snprintf(device->types, sizeof device->types, "f32 f16 bf16");
    device->memory_bytes = bytes;
}

/* The compute capability, 75 for 7.5. */
static int architecture_of(const cuda_driver *driver, CUdevice id) {
    int major = 0, minor = 0;
    driver->cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, id);
    driver->cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, id);
    return 10 * major + minor;
}

/* CUDA_LEAST_ARCHITECTURE, CUDA_NEWEST_ARCHITECTURE: those that the kernels were compiled for. */
static sf_status check_usable(const sf_host *host, const cuda_driver *driver, CUdevice id) {
    int own = architecture_of(driver, id);
    if (own >= CUDA_LEAST_ARCHITECTURE)
        return SF_OK;
    return host->fail(host, SF_ERROR_BACKEND,
                      "its compute capability is %d.%d; the plugin was built for %d.%d and newer",
                      own / 10, own % 10, CUDA_LEAST_ARCHITECTURE / 10,
                      CUDA_LEAST_ARCHITECTURE % 10);
}

/* Tensor cores know bf16 from 8.0 on, and so does only what was compiled for that. */
static bool units_have_bf16(const gpu_device *device) {
    return CUDA_NEWEST_ARCHITECTURE >= 80 && architecture_of(&device->driver, device->id) >= 80;
}

sf_status gpu_driver_probe(const sf_host *host, int index, sf_device_info *device) {
    cuda_driver driver;
    CUdevice id = 0;
    sf_status status = cuda_load_driver(host, &driver);
    if (status != SF_OK)
        return status;
    status = find_device(host, &driver, index, &id);
    if (status == SF_OK) {
        describe(&driver, id, device);
        status = check_usable(host, &driver, id);
    }
    cuda_unload_driver(&driver);
    return status;
}

/* ---- opening ---- */

static sf_status open_stream(gpu_device *device) {
    const cuda_driver *driver = &device->driver;
    sf_status status = check(device, driver->cuDevicePrimaryCtxRetain(&device->context, device->id),
                             "a context on the device");
    if (status != SF_OK) {
        device->context = NULL;
        return status;
    }
    status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    status =
        check(device, driver->cuStreamCreate(&device->stream, CU_STREAM_NON_BLOCKING), "a stream");
    if (status == SF_OK)
        status = cuda_open_blas(device);
    cuda_leave(device);
    return status;
}

sf_status gpu_driver_open(const sf_host *host, int index, gpu_device **device) {
    gpu_device *made = host->resize(host, NULL, sizeof *made);
    if (!made)
        return SF_ERROR_MEMORY;
    *made = (gpu_device){.host = host, .abilities = {.group_size = CUDA_GROUP}};
    sf_status status = cuda_load_driver(host, &made->driver);
    if (status == SF_OK)
        status = find_device(host, &made->driver, index, &made->id);
    if (status == SF_OK) {
        name_of(&made->driver, made->id, made->name, sizeof made->name);
        status = open_stream(made);
        made->abilities.units_f16 = true;
        made->abilities.units_bf16 = units_have_bf16(made);
    }
    made->abilities.product_bias = made->abilities.product_residual = made->blas_handle != NULL;
    if (status == SF_OK)
        *device = made;
    else
        gpu_driver_close(made);
    return status;
}

/* What fails here is told by nobody: the device may be lost. */
void gpu_driver_close(gpu_device *device) {
    const cuda_driver *driver = &device->driver;
    if (device->context && driver->cuCtxPushCurrent(device->context) == CUDA_SUCCESS) {
        if (device->stream)
            driver->cuStreamSynchronize(device->stream);
        cuda_close_uploads(device);
        cuda_close_blas(device);
        if (device->module)
            driver->cuModuleUnload(device->module);
        if (device->stream)
            driver->cuStreamDestroy(device->stream);
        cuda_leave(device);
    }
    if (device->context)
        driver->cuDevicePrimaryCtxRelease(device->id);
    cuda_unload_blas(&device->blas);
    cuda_unload_driver(&device->driver);
    device->host->resize(device->host, device, 0);
}

const gpu_abilities *gpu_driver_abilities(const gpu_device *device) {
    static const gpu_abilities usual = {.group_size = CUDA_GROUP,
                                        .product_bias = true,
                                        .product_residual = true,
                                        .units_f16 = true,
                                        .units_bf16 = true};
    return device ? &device->abilities : &usual;
}

/* ---- memory ---- */

static sf_status fail_allocation(gpu_device *device, uint64_t bytes, CUresult result) {
    size_t n_free = 0, n_total = 0;
    if (result != CUDA_ERROR_OUT_OF_MEMORY)
        return check(device, result, "device memory");
    device->driver.cuMemGetInfo(&n_free, &n_total);
    return device->host->fail(device->host, SF_ERROR_MEMORY,
                              "%s gives no %llu bytes of memory: %zu of its %zu bytes are free",
                              device->name, (unsigned long long)bytes, n_free, n_total);
}

sf_status gpu_driver_allocate(gpu_device *device, uint64_t bytes, void **memory) {
    CUdeviceptr made = 0;
    sf_status status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    CUresult result = bytes <= SIZE_MAX ? device->driver.cuMemAlloc(&made, (size_t)bytes)
                                        : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS)
        *memory = cuda_pointer(made);
    else
        status = fail_allocation(device, bytes, result);
    cuda_leave(device);
    return status;
}

void gpu_driver_free(gpu_device *device, void *memory) {
    if (device->driver.cuCtxPushCurrent(device->context) != CUDA_SUCCESS)
        return;
    device->driver.cuStreamSynchronize(device->stream);
    cuda_finish_uploads(device);
    device->driver.cuMemFree((CUdeviceptr)(uintptr_t)memory);
    cuda_leave(device);
}

sf_status gpu_driver_upload(gpu_device *device, gpu_place to, const void *source, uint64_t bytes,
                            bool wait) {
    const cuda_driver *driver = &device->driver;
    sf_status status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    CUresult result =
        driver->cuMemcpyHtoDAsync(cuda_address(to), source, (size_t)bytes, device->stream);
    if (result == CUDA_SUCCESS && wait)
        result = driver->cuStreamSynchronize(device->stream);
    return leave_with(device, result, "copying to the device");
}

sf_status gpu_driver_download(gpu_device *device, void *destination, gpu_place from,
                              uint64_t bytes) {
    const cuda_driver *driver = &device->driver;
    sf_status status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    CUresult result =
        driver->cuMemcpyDtoHAsync(destination, cuda_address(from), (size_t)bytes, device->stream);
    if (result == CUDA_SUCCESS)
        result = driver->cuStreamSynchronize(device->stream);
    return leave_with(device, result, "copying from the device");
}

sf_status gpu_driver_synchronize(gpu_device *device) {
    sf_status status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    CUresult result = device->driver.cuStreamSynchronize(device->stream);
    if (result == CUDA_SUCCESS)
        result = cuda_finish_uploads(device);
    return leave_with(device, result, "waiting for the device");
}

/* ---- work ---- */

static const struct {
    const char *name;
    int n_buffers;
    size_t arguments_bytes;
} kernels[GPU_N_KERNELS] = {
#define GPU_KERNEL(file, name, buffers, arguments)                                                 \
    [GPU_KERNEL_##name] = {#name, buffers, sizeof(gpu_##arguments##_arguments)},
#include "backends/gpu/kernels/kernels.def"
};

/* The driver picks the binary of its device's architecture, or compiles the newest one's text. */
static sf_status load_module(gpu_device *device) {
    char log[1500] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, cuda_pointer(sizeof log - 1)};
    CUresult result =
        device->driver.cuModuleLoadDataEx(&device->module, cuda_fatbin, 2, options, values);
    if (result == CUDA_SUCCESS)
        return SF_OK;
    char what[sizeof log + 256];
    device->module = NULL;
    snprintf(what, sizeof what, "the kernels could not be loaded on %s%s%s", device->name,
             log[0] ? "; the driver's compiler says: " : "", log);
    return check(device, result, what);
}

sf_status gpu_driver_build(gpu_device *device, gpu_kernel kernel) {
    if (device->kernels[kernel])
        return SF_OK;
    sf_status status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    if (!device->module)
        status = load_module(device);
    if (status == SF_OK)
        status = check(device,
                       device->driver.cuModuleGetFunction(&device->kernels[kernel], device->module,
                                                          kernels[kernel].name),
                       kernels[kernel].name);
    if (status != SF_OK)
        device->kernels[kernel] = NULL;
    cuda_leave(device);
    return status;
}

/* The driver copies the arguments by the sizes that the kernel was compiled with. */
static sf_status check_launch(gpu_device *device, const gpu_launch *launch) {
    const sf_host *host = device->host;
    const char *name = kernels[launch->kernel].name;
    if (!device->kernels[launch->kernel])
        return host->fail(host, SF_ERROR_INTERNAL, "%s was not built", name);
    if (launch->n_buffers != kernels[launch->kernel].n_buffers ||
        launch->arguments_bytes != kernels[launch->kernel].arguments_bytes)
        return host->fail(host, SF_ERROR_INTERNAL,
                          "%s takes %d buffers and %zu bytes of arguments, not %d and %zu", name,
                          kernels[launch->kernel].n_buffers,
                          kernels[launch->kernel].arguments_bytes, launch->n_buffers,
                          launch->arguments_bytes);
    return SF_OK;
}

sf_status gpu_driver_launch(gpu_device *device, const gpu_launch *launch) {
    CUdeviceptr memory[GPU_MOST_BUFFERS];
    unsigned long long offsets[GPU_MOST_BUFFERS];
    void *parameters[2 * GPU_MOST_BUFFERS + 1];
    sf_status status = check_launch(device, launch);
    if (status == SF_OK)
        status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    for (int i = 0; i < launch->n_buffers; i++) {
        memory[i] = (CUdeviceptr)(uintptr_t)launch->buffers[i].memory;
        offsets[i] = launch->buffers[i].offset;
        parameters[2 * i] = &memory[i];
        parameters[2 * i + 1] = &offsets[i];
    }
    memcpy(&parameters[2 * launch->n_buffers], &launch->arguments, sizeof *parameters);
    const uint32_t *groups = launch->groups;
    CUresult result = device->driver.cuLaunchKernel(device->kernels[launch->kernel], groups[0],
                                                    groups[1], groups[2], CUDA_GROUP, 1, 1, 0,
                                                    device->stream, parameters, NULL);
    return leave_with(device, result, kernels[launch->kernel].name);
}

/* All were compiled before; what the driver makes of the newest text it keeps in a cache of its own. */
uint64_t gpu_driver_n_builds(const gpu_device *device) {
    (void)device;
    return 0;
}
