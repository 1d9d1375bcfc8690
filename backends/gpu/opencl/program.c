/*
 * Programs: a file of kernels compiled for the device, or taken from the cache.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/gpu/opencl/opencl.h"

#define OPTIONS_BYTES 1024

/*
 * Division and square root are rounded as in C where the device can. PROCESSOR: kernels/dialect.h.
 * SFUMATO_OPENCL_OPTIONS comes last: options of the driver's compiler, for those who look into it.
 */
static void build_options(const gpu_device *device, char *options, size_t bytes) {
    const char *more = secure_getenv("SFUMATO_OPENCL_OPTIONS");
    cl_device_fp_config config = 0;
    cl_device_type type = 0;
    clGetDeviceInfo(device->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof config, &config, NULL);
    clGetDeviceInfo(device->id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    snprintf(
        options, bytes, "-cl-std=CL1.2 -DGROUP=%u%s%s%s%s", (unsigned)device->abilities.group_size,
        type & CL_DEVICE_TYPE_CPU ? " -DPROCESSOR" : "",
        config & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT ? " -cl-fp32-correctly-rounded-divide-sqrt"
                                                     : "",
        more ? " " : "", more ? more : "");
}

/* "kernel file copy.cl, device NAME: CL_BUILD_PROGRAM_FAILURE" and the compiler's log. */
static sf_status fail_build(gpu_device *device, cl_program program, opencl_source source,
                            cl_int error) {
    const sf_host *host = device->host;
    char log[1500] = "";
    size_t bytes = 0;
    clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
    char *whole = bytes ? host->resize(host, NULL, bytes + 1) : NULL;
    if (whole) {
        clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, bytes, whole, NULL);
        whole[bytes] = '\0';
        snprintf(log, sizeof log, "%s", whole);
        host->log(host, SF_LOG_DEBUG, "%s", whole);
        host->resize(host, whole, 0);
    }
    return host->fail(host, SF_ERROR_BACKEND,
                      "kernels of %s could not be compiled for %s: %s; its compiler says: %s",
                      opencl_text_names[source], device->name, opencl_error_text(error),
                      log[0] ? log : "nothing");
}

static bool load_program(gpu_device *device, const opencl_cache_key *key, const char *options,
                         cl_program *program) {
    const sf_host *host = device->host;
    size_t bytes = 0;
    cl_int error = CL_INVALID_BINARY, status = CL_INVALID_BINARY;
    unsigned char *data = opencl_cache_load(host, key, &bytes);
    if (!data)
        return false;
    const unsigned char *binary = data;
    cl_program made = clCreateProgramWithBinary(device->context, 1, &device->id, &bytes, &binary,
                                                &status, &error);
    host->resize(host, data, 0);
    if (error == CL_SUCCESS && status == CL_SUCCESS)
        error = clBuildProgram(made, 1, &device->id, options, NULL, NULL);
    if (error == CL_SUCCESS && status == CL_SUCCESS) {
        *program = made;
        return true;
    }
    if (made)
        clReleaseProgram(made);
    return false;
}

static void store_program(gpu_device *device, const opencl_cache_key *key, cl_program program) {
    const sf_host *host = device->host;
    size_t bytes = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) !=
            CL_SUCCESS ||
        bytes == 0)
        return;
    unsigned char *data = host->resize(host, NULL, bytes);
    if (!data)
        return;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof data, &data, NULL) == CL_SUCCESS)
        opencl_cache_store(host, key, data, bytes);
    host->resize(host, data, 0);
}

static sf_status compile_program(gpu_device *device, opencl_source source, const char *options,
                                 cl_program *program) {
    cl_int error;
    const char *text = opencl_texts[source];
    cl_program made = clCreateProgramWithSource(device->context, 1, &text, NULL, &error);
    if (error != CL_SUCCESS)
        return opencl_check(device->host, error, opencl_text_names[source]);
    device->n_builds++;
    error = clBuildProgram(made, 1, &device->id, options, NULL, NULL);
    if (error != CL_SUCCESS) {
        sf_status status = fail_build(device, made, source, error);
        clReleaseProgram(made);
        return status;
    }
    *program = made;
    return SF_OK;
}

sf_status opencl_build_program(gpu_device *device, opencl_source source, cl_program *program) {
    char options[OPTIONS_BYTES];
    build_options(device, options, sizeof options);
    opencl_cache_key key = opencl_cache_key_of(device, opencl_texts[source], options);
    if (load_program(device, &key, options, program))
        return SF_OK;
    sf_status status = compile_program(device, source, options, program);
    if (status == SF_OK)
        store_program(device, &key, *program);
    return status;
}
