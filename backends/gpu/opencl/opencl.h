/*
 * What the files of the OpenCL driver share: the open device, and errors in words.
 */
#ifndef SF_BACKENDS_GPU_OPENCL_H
#define SF_BACKENDS_GPU_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "backends/gpu/driver.h"

/* One for each file of kernels. */
typedef enum opencl_source {
#define GPU_SOURCE(file) OPENCL_SOURCE_##file,
#include "backends/gpu/kernels/kernels.def"
    OPENCL_N_SOURCES
} opencl_source;

/* Whether CLBlast works on the device, as far as is known. */
typedef enum opencl_library {
    OPENCL_LIBRARY_UNTRIED,
    OPENCL_LIBRARY_READY,
    OPENCL_LIBRARY_FAILED,
} opencl_library;

struct gpu_device {
    const sf_host *host;
    cl_platform_id platform;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    cl_command_queue uploads;       /* made at the first upload beside the runs */
    cl_event uploaded[GPU_N_SLOTS]; /* the last upload of each slot, NULL: none */
    gpu_abilities abilities;
    cl_program programs[OPENCL_N_SOURCES];
    cl_kernel kernels[GPU_N_KERNELS];
    uint64_t n_builds;
    opencl_library library[2]; /* for one product, for a batch */
    bool told_of_warming;
    cl_mem padded; /* owned: where the library pads matrices */
    size_t padded_bytes;
    char name[128];
};

/* The name and the whole text of a file of kernels, its includes in it (generated). */
extern const char *const opencl_texts[OPENCL_N_SOURCES];
extern const char *const opencl_text_names[OPENCL_N_SOURCES];

/* "CL_OUT_OF_RESOURCES"; "error -1234" for one without a name. */
const char *opencl_error_text(cl_int error);

/* Fails with "WHAT: CL_..." unless error is CL_SUCCESS. */
sf_status opencl_check(const sf_host *host, cl_int error, const char *what);

/* The program of a file, from the cache or compiled. Failures have the compiler's log. */
sf_status opencl_build_program(gpu_device *device, opencl_source source, cl_program *program);

/* gpu_abilities.least_product, by SFUMATO_OPENCL_BLAS: "never", "always", or else as a rule. */
uint64_t opencl_least_product(void);
void opencl_close_library(gpu_device *device);

/* ---- the cache of compiled programs (cache.c) ---- */

/*
 * $XDG_CACHE_HOME/sfumato or ~/.cache/sfumato; a program's file is named by a hash of all that it
 * depends on. A cache that can't be read or written is none: nothing fails because of it.
 */
typedef struct opencl_cache_key {
    char name[80]; /* "opencl-<hash>.bin" */
} opencl_cache_key;

opencl_cache_key opencl_cache_key_of(const gpu_device *device, const char *text,
                                     const char *options);
/* The stored bytes (the host's memory, freed by the caller), NULL where there are none. */
unsigned char *opencl_cache_load(const sf_host *host, const opencl_cache_key *key, size_t *bytes);
void opencl_cache_store(const sf_host *host, const opencl_cache_key *key, const void *data,
                        size_t bytes);

#endif
