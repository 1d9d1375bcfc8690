/*
 * The OpenCL driver: devices, memory and launches. Programs are in program.c, products in blas.c.
 *
 * OpenCL 1.2 is all that it takes. Nothing is asked but a device's abilities, never a vendor's name.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/gpu/opencl/opencl.h"

#define MOST_PLATFORMS 16
#define MOST_DEVICES   64

#define LEAST_GROUP 32 /* work-items; MOST_GROUP is what is tried first */
#define MOST_GROUP  256

/* "auto" prefers the cpu plugin (10) to an OpenCL device that is a processor. */
#define PROCESSOR_PRIORITY 5

/* ---- errors ---- */

static const struct {
    cl_int error;
    const char *text;
} errors[] = {
#define ERROR(name)                                                                                \
    { name, #name }
    ERROR(CL_DEVICE_NOT_FOUND),
    ERROR(CL_DEVICE_NOT_AVAILABLE),
    ERROR(CL_COMPILER_NOT_AVAILABLE),
    ERROR(CL_MEM_OBJECT_ALLOCATION_FAILURE),
    ERROR(CL_OUT_OF_RESOURCES),
    ERROR(CL_OUT_OF_HOST_MEMORY),
    ERROR(CL_BUILD_PROGRAM_FAILURE),
    ERROR(CL_INVALID_VALUE),
    ERROR(CL_INVALID_DEVICE),
    ERROR(CL_INVALID_CONTEXT),
    ERROR(CL_INVALID_COMMAND_QUEUE),
    ERROR(CL_INVALID_MEM_OBJECT),
    ERROR(CL_INVALID_BINARY),
    ERROR(CL_INVALID_BUILD_OPTIONS),
    ERROR(CL_INVALID_PROGRAM_EXECUTABLE),
    ERROR(CL_INVALID_KERNEL_NAME),
    ERROR(CL_INVALID_KERNEL),
    ERROR(CL_INVALID_ARG_INDEX),
    ERROR(CL_INVALID_ARG_VALUE),
    ERROR(CL_INVALID_ARG_SIZE),
    ERROR(CL_INVALID_KERNEL_ARGS),
    ERROR(CL_INVALID_WORK_DIMENSION),
    ERROR(CL_INVALID_WORK_GROUP_SIZE),
    ERROR(CL_INVALID_WORK_ITEM_SIZE),
    ERROR(CL_INVALID_GLOBAL_WORK_SIZE),
    ERROR(CL_INVALID_EVENT),
    ERROR(CL_INVALID_OPERATION),
    ERROR(CL_INVALID_BUFFER_SIZE),
#undef ERROR
    {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
};

const char *opencl_error_text(cl_int error) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].error == error)
            return errors[i].text;
    return "an error without a name";
}

sf_status opencl_check(const sf_host *host, cl_int error, const char *what) {
    if (error == CL_SUCCESS)
        return SF_OK;
    bool memory = error == CL_MEM_OBJECT_ALLOCATION_FAILURE || error == CL_OUT_OF_HOST_MEMORY;
    return host->fail(host, memory ? SF_ERROR_MEMORY : SF_ERROR_BACKEND, "%s: %s (%d)", what,
                      opencl_error_text(error), (int)error);
}

/* ---- finding devices ---- */

typedef struct found_device {
    cl_platform_id platform;
    cl_device_id id;
    cl_device_type type;
} found_device;

static cl_device_type type_of(cl_device_id id) {
    cl_device_type type = 0;
    clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    return type;
}

static void add_devices(cl_platform_id platform, found_device *devices, cl_uint *n_devices) {
    cl_device_id ids[MOST_DEVICES];
    cl_uint n = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MOST_DEVICES, ids, &n) != CL_SUCCESS)
        return;
    for (cl_uint i = 0; i < n && i < MOST_DEVICES && *n_devices < MOST_DEVICES; i++)
        devices[(*n_devices)++] = (found_device){platform, ids[i], type_of(ids[i])};
}

/* GPUs come first, then accelerators, then processors; in each kind the order is the loader's. */
static int rank_of(cl_device_type type) {
    return type & CL_DEVICE_TYPE_GPU ? 0 : type & CL_DEVICE_TYPE_CPU ? 2 : 1;
}

static void sort_devices(found_device *devices, cl_uint n_devices) {
    for (cl_uint i = 1; i < n_devices; i++)
        for (cl_uint k = i; k > 0 && rank_of(devices[k].type) < rank_of(devices[k - 1].type); k--) {
            found_device moved = devices[k];
            devices[k] = devices[k - 1];
            devices[k - 1] = moved;
        }
}

/* Loaders and drivers set themselves up at the first call, and not all can have two at a time. */
static pthread_mutex_t setting_up = PTHREAD_MUTEX_INITIALIZER;

static sf_status find_device_alone(const sf_host *host, int index, found_device *device) {
    cl_platform_id platforms[MOST_PLATFORMS];
    found_device devices[MOST_DEVICES];
    cl_uint n_platforms = 0, n_devices = 0;
    cl_int error = clGetPlatformIDs(MOST_PLATFORMS, platforms, &n_platforms);
    if (error != CL_SUCCESS || n_platforms == 0)
        return host->fail(host, SF_ERROR_BACKEND,
                          "no OpenCL driver is installed (%s); `clinfo -l` lists them",
                          opencl_error_text(error));
    for (cl_uint i = 0; i < n_platforms && i < MOST_PLATFORMS; i++)
        add_devices(platforms[i], devices, &n_devices);
    if (n_devices == 0)
        return host->fail(host, SF_ERROR_BACKEND, "%u OpenCL platforms and no device",
                          (unsigned)n_platforms);
    if (index < 0 || (cl_uint)index >= n_devices)
        return SF_ERROR_NOT_FOUND;
    sort_devices(devices, n_devices);
    *device = devices[index];
    return SF_OK;
}

static sf_status find_device(const sf_host *host, int index, found_device *device) {
    pthread_mutex_lock(&setting_up);
    sf_status status = find_device_alone(host, index, device);
    pthread_mutex_unlock(&setting_up);
    return status;
}

/* ---- describing them ---- */

static void describe(const found_device *found, sf_device_info *device) {
    char name[64] = "", driver[32] = "";
    cl_ulong bytes = 0;
    clGetDeviceInfo(found->id, CL_DEVICE_NAME, sizeof name - 1, name, NULL);
    clGetDeviceInfo(found->id, CL_DRIVER_VERSION, sizeof driver - 1, driver, NULL);
    clGetDeviceInfo(found->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof bytes, &bytes, NULL);
    snprintf(device->name, sizeof device->name, "%s, driver %s", name, driver);
    snprintf(device->types, sizeof device->types, "f32 f16 bf16");
    device->memory_bytes = bytes;
    if (found->type & CL_DEVICE_TYPE_CPU)
        device->priority = PROCESSOR_PRIORITY;
}

/* SFUMATO_OPENCL_FRAGMENTS=always: for tests, as OpenCL has no matrix units. */
static bool takes_fragments(void) {
    const char *wanted = secure_getenv("SFUMATO_OPENCL_FRAGMENTS");
    return wanted && strcmp(wanted, "always") == 0;
}

/* The largest group that the device takes, up to 256 or SFUMATO_OPENCL_GROUP; 0: it takes too few. */
static uint32_t choose_group_size(cl_device_id id) {
    const char *wanted = secure_getenv("SFUMATO_OPENCL_GROUP");
    size_t most = 0;
    uint32_t size = MOST_GROUP;
    clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    if (wanted && strtoul(wanted, NULL, 10) < most)
        most = strtoul(wanted, NULL, 10);
    while (size >= LEAST_GROUP && size > most)
        size /= 2;
    return size < LEAST_GROUP ? 0 : size;
}

static sf_status check_usable(const sf_host *host, cl_device_id id) {
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    clGetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    if (!available)
        return host->fail(host, SF_ERROR_BACKEND, "the device is not available");
    if (!compiler)
        return host->fail(host, SF_ERROR_BACKEND, "its driver has no compiler");
    if (!choose_group_size(id))
        return host->fail(host, SF_ERROR_BACKEND, "it runs groups of fewer than %d work-items",
                          LEAST_GROUP);
    return SF_OK;
}

sf_status gpu_driver_probe(const sf_host *host, int index, sf_device_info *device) {
    found_device found;
    sf_status status = find_device(host, index, &found);
    if (status != SF_OK)
        return status;
    describe(&found, device);
    return check_usable(host, found.id);
}

/* ---- opening ---- */

static sf_status open_queue(gpu_device *device) {
    cl_int error;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)device->platform, 0};
    pthread_mutex_lock(&setting_up);
    device->context = clCreateContext(properties, 1, &device->id, NULL, NULL, &error);
    pthread_mutex_unlock(&setting_up);
    if (error != CL_SUCCESS)
        return opencl_check(device->host, error, "a context");
    device->queue = clCreateCommandQueue(device->context, device->id, 0, &error);
    return opencl_check(device->host, error, "a command queue");
}

sf_status gpu_driver_open(const sf_host *host, int index, gpu_device **device) {
    found_device found = {0};
    sf_status status = find_device(host, index, &found);
    if (status != SF_OK)
        return status;
    gpu_device *made = host->resize(host, NULL, sizeof *made);
    if (!made)
        return SF_ERROR_MEMORY;
    *made = (gpu_device){.host = host, .platform = found.platform, .id = found.id};
    clGetDeviceInfo(found.id, CL_DEVICE_NAME, sizeof made->name - 1, made->name, NULL);
    made->abilities = (gpu_abilities){.group_size = choose_group_size(found.id),
                                      .least_product = opencl_least_product()};
    made->abilities.units_f16 = made->abilities.units_bf16 = takes_fragments();
    status = check_usable(host, found.id);
    if (status == SF_OK)
        status = open_queue(made);
    if (status == SF_OK)
        *device = made;
    else
        gpu_driver_close(made);
    return status;
}

/* The driver keeps what launched kernels still need. */
static void forget_programs(gpu_device *device) {
    for (int i = 0; i < GPU_N_KERNELS; i++)
        if (device->kernels[i])
            clReleaseKernel(device->kernels[i]);
    for (int i = 0; i < OPENCL_N_SOURCES; i++)
        if (device->programs[i])
            clReleaseProgram(device->programs[i]);
    memset(device->kernels, 0, sizeof device->kernels);
    memset(device->programs, 0, sizeof device->programs);
}

void gpu_driver_close(gpu_device *device) {
    if (device->queue) {
        clFinish(device->queue);
        opencl_close_library(device);
        clReleaseCommandQueue(device->queue);
    }
    if (device->uploads) {
        clFinish(device->uploads);
        clReleaseCommandQueue(device->uploads);
    }
    for (int i = 0; i < GPU_N_SLOTS; i++)
        if (device->uploaded[i])
            clReleaseEvent(device->uploaded[i]);
    forget_programs(device);
    if (device->context)
        clReleaseContext(device->context);
    device->host->resize(device->host, device, 0);
}

const gpu_abilities *gpu_driver_abilities(const gpu_device *device) {
    static const gpu_abilities usual = {.group_size = MOST_GROUP,
                                        .least_product = GPU_LEAST_PRODUCT};
    return device ? &device->abilities : &usual;
}

/* ---- memory ---- */

sf_status gpu_driver_allocate(gpu_device *device, uint64_t bytes, void **memory) {
    cl_int error = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    cl_ulong most = 0;
    clGetDeviceInfo(device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, NULL);
    cl_mem made =
        bytes <= most && bytes <= SIZE_MAX
            ? clCreateBuffer(device->context, CL_MEM_READ_WRITE, (size_t)bytes, NULL, &error)
            : NULL;
    if (!made)
        return device->host->fail(device->host, SF_ERROR_MEMORY,
                                  "%s gives no buffer of %llu bytes (at most %llu): %s",
                                  device->name, (unsigned long long)bytes, (unsigned long long)most,
                                  opencl_error_text(error));
    *memory = made;
    return SF_OK;
}

void gpu_driver_free(gpu_device *device, void *memory) {
    (void)device; /* OpenCL keeps the memory until the commands that use it are done */
    clReleaseMemObject(memory);
}

sf_status gpu_driver_upload(gpu_device *device, gpu_place to, const void *source, uint64_t bytes,
                            bool wait) {
    cl_int error = clEnqueueWriteBuffer(device->queue, to.memory, wait, (size_t)to.offset,
                                        (size_t)bytes, source, 0, NULL, NULL);
    return opencl_check(device->host, error, "copying to the device");
}

sf_status gpu_driver_download(gpu_device *device, void *destination, gpu_place from,
                              uint64_t bytes) {
    cl_int error = clEnqueueReadBuffer(device->queue, from.memory, CL_TRUE, (size_t)from.offset,
                                       (size_t)bytes, destination, 0, NULL, NULL);
    return opencl_check(device->host, error, "copying from the device");
}

sf_status gpu_driver_synchronize(gpu_device *device) {
    cl_int error = clFinish(device->queue);
    if (error == CL_SUCCESS && device->uploads)
        error = clFinish(device->uploads);
    return opencl_check(device->host, error, "waiting for the device");
}

/* ---- uploads beside the runs: a queue of their own, and events between the two ---- */

/* An upload to the slot that begins when all that is in the main queue now is done. */
static cl_int enqueue_upload(gpu_device *device, gpu_place to, const void *source, uint64_t bytes,
                             cl_event *done) {
    cl_event before;
    cl_int error = clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &before);
    if (error != CL_SUCCESS)
        return error;
    error = clFlush(device->queue);
    if (error == CL_SUCCESS)
        error = clEnqueueWriteBuffer(device->uploads, to.memory, CL_FALSE, (size_t)to.offset,
                                     (size_t)bytes, source, 1, &before, done);
    clReleaseEvent(before);
    return error;
}

sf_status gpu_driver_start_upload(gpu_device *device, uint32_t slot, gpu_place to,
                                  const void *source, uint64_t bytes) {
    cl_int error = CL_SUCCESS;
    cl_event done = NULL;
    if (!device->uploads)
        device->uploads = clCreateCommandQueue(device->context, device->id, 0, &error);
    if (error == CL_SUCCESS)
        error = enqueue_upload(device, to, source, bytes, &done);
    if (error != CL_SUCCESS)
        return opencl_check(device->host, error, "copying to the device beside its work");
    if (device->uploaded[slot])
        clReleaseEvent(device->uploaded[slot]);
    device->uploaded[slot] = done;
    return opencl_check(device->host, clFlush(device->uploads), "copying to the device");
}

sf_status gpu_driver_await_upload(gpu_device *device, uint32_t slot) {
    if (!device->uploaded[slot])
        return SF_OK;
    cl_int error = clEnqueueBarrierWithWaitList(device->queue, 1, &device->uploaded[slot], NULL);
    return opencl_check(device->host, error, "waiting for a copy to the device");
}

/* ---- work ---- */

static const struct {
    const char *name;
    opencl_source source;
} kernels[GPU_N_KERNELS] = {
#define GPU_KERNEL(file, name, buffers, arguments)                                                 \
    [GPU_KERNEL_##name] = {#name, OPENCL_SOURCE_##file},
#include "backends/gpu/kernels/kernels.def"
};

static sf_status make_kernel(gpu_device *device, gpu_kernel kernel) {
    cl_program *program = &device->programs[kernels[kernel].source];
    cl_int error;
    if (!*program) {
        sf_status status = opencl_build_program(device, kernels[kernel].source, program);
        if (status != SF_OK)
            return status;
    }
    device->kernels[kernel] = clCreateKernel(*program, kernels[kernel].name, &error);
    return opencl_check(device->host, error, kernels[kernel].name);
}

/* Whether the device runs the kernel in groups of the present size; *most is what it can. */
static bool takes_groups(const gpu_device *device, gpu_kernel kernel, size_t *most) {
    cl_int error = clGetKernelWorkGroupInfo(device->kernels[kernel], device->id,
                                            CL_KERNEL_WORK_GROUP_SIZE, sizeof *most, most, NULL);
    return error != CL_SUCCESS || *most >= device->abilities.group_size;
}

/* Compiles all that was compiled again, for groups of half the size. */
static sf_status halve_groups(gpu_device *device, gpu_kernel kernel, size_t most) {
    bool was_made[GPU_N_KERNELS];
    uint32_t size = device->abilities.group_size / 2;
    if (size < LEAST_GROUP)
        return device->host->fail(device->host, SF_ERROR_BACKEND,
                                  "%s runs the kernel %s in groups of at most %zu; it takes %d",
                                  device->name, kernels[kernel].name, most, LEAST_GROUP);
    device->host->log(device->host, SF_LOG_INFO,
                      "%s runs the kernel %s in groups of at most %zu: all are compiled for %u",
                      device->name, kernels[kernel].name, most, (unsigned)size);
    for (int i = 0; i < GPU_N_KERNELS; i++)
        was_made[i] = device->kernels[i] != NULL;
    forget_programs(device);
    device->abilities.group_size = size;
    sf_status status = SF_OK;
    for (int i = 0; i < GPU_N_KERNELS && status == SF_OK; i++)
        if (was_made[i])
            status = make_kernel(device, (gpu_kernel)i);
    return status;
}

/* A kernel that takes many registers may have room for fewer work-items than the device in general. */
sf_status gpu_driver_build(gpu_device *device, gpu_kernel kernel) {
    size_t most = 0;
    if (device->kernels[kernel])
        return SF_OK;
    sf_status status = make_kernel(device, kernel);
    while (status == SF_OK && !takes_groups(device, kernel, &most))
        status = halve_groups(device, kernel, most);
    return status;
}

static cl_int set_arguments(cl_kernel kernel, const gpu_launch *launch) {
    cl_uint index = 0;
    cl_int error = CL_SUCCESS;
    for (int i = 0; i < launch->n_buffers && error == CL_SUCCESS; i++) {
        cl_mem memory = launch->buffers[i].memory;
        cl_ulong offset = launch->buffers[i].offset;
        error = clSetKernelArg(kernel, index++, sizeof memory, &memory);
        if (error == CL_SUCCESS)
            error = clSetKernelArg(kernel, index++, sizeof offset, &offset);
    }
    if (error == CL_SUCCESS)
        error = clSetKernelArg(kernel, index, launch->arguments_bytes, launch->arguments);
    return error;
}

sf_status gpu_driver_launch(gpu_device *device, const gpu_launch *launch) {
    cl_kernel kernel = device->kernels[launch->kernel];
    const size_t local[] = {device->abilities.group_size, 1, 1};
    const size_t global[] = {local[0] * launch->groups[0], launch->groups[1], launch->groups[2]};
    if (!kernel)
        return device->host->fail(device->host, SF_ERROR_INTERNAL, "%s was not built",
                                  kernels[launch->kernel].name);
    cl_int error = set_arguments(kernel, launch);
    if (error == CL_SUCCESS)
        error =
            clEnqueueNDRangeKernel(device->queue, kernel, 3, NULL, global, local, 0, NULL, NULL);
    return opencl_check(device->host, error, kernels[launch->kernel].name);
}

uint64_t gpu_driver_n_builds(const gpu_device *device) {
    return device->n_builds;
}
