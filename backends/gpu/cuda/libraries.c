/*
 * Finding CUDA's libraries, so that the plugin can be built, loaded and asked where there are none.
 */
#include <dlfcn.h>
#include <string.h>

#include "backends/gpu/cuda/device.h"

#define TEXT_OF(x) TEXT(x)
#define TEXT(x)    #x

#define DRIVER_FILE "libcuda.so.1"
#define BLAS_FILE   "libcublasLt.so." TEXT_OF(CUBLAS_VER_MAJOR)

typedef struct wanted_function {
    const char *name;
    size_t member; /* the offset of its pointer */
} wanted_function;

static const wanted_function driver_functions[] = {
#define DRIVER_FUNCTION(name) {TEXT_OF(name), offsetof(cuda_driver, name)},
#include "backends/gpu/cuda/functions.def"
};

static const wanted_function blas_functions[] = {
#define BLAS_FUNCTION(name) {TEXT_OF(name), offsetof(cuda_blas, name)},
#include "backends/gpu/cuda/functions.def"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Fills in the table's pointers; the name of the first function that is missing, NULL if none is. */
static const char *find_functions(void *library, const wanted_function *wanted, size_t n_wanted,
                                  void *table) {
    for (size_t i = 0; i < n_wanted; i++) {
        void *function = dlsym(library, wanted[i].name);
        if (!function)
            return wanted[i].name;
        memcpy((char *)table + wanted[i].member, &function, sizeof function);
    }
    return NULL;
}

/* It stays until the process ends: drivers leave threads behind. */
static void *open_library(const char *file, const char **why) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        *why = dlerror();
    return library;
}

static sf_status start_driver(const sf_host *host, cuda_driver *driver) {
    const char *missing =
        find_functions(driver->library, driver_functions, COUNT(driver_functions), driver);
    if (missing)
        return host->fail(host, SF_ERROR_BACKEND, "the CUDA driver is too old: it has no %s",
                          missing);
    return cuda_check(host, driver, driver->cuInit(0), "the CUDA driver does not start");
}

sf_status cuda_load_driver(const sf_host *host, cuda_driver *driver) {
    const char *why = "";
    *driver = (cuda_driver){.library = open_library(DRIVER_FILE, &why)};
    if (!driver->library)
        return host->fail(host, SF_ERROR_BACKEND, "no CUDA driver (%s)", why);
    sf_status status = start_driver(host, driver);
    if (status != SF_OK)
        cuda_unload_driver(driver);
    return status;
}

void cuda_unload_driver(cuda_driver *driver) {
    if (driver->library)
        dlclose(driver->library);
    driver->library = NULL;
}

void cuda_load_blas(const sf_host *host, cuda_blas *blas) {
    const char *why = "", *missing = NULL;
    *blas = (cuda_blas){.library = open_library(BLAS_FILE, &why)};
    if (blas->library)
        missing = find_functions(blas->library, blas_functions, COUNT(blas_functions), blas);
    if (blas->library && !missing)
        return;
    host->log(host, SF_LOG_WARNING,
              "no cuBLAS (%s%s): matrix products are left to slower kernels; install it or put its "
              "folder into LD_LIBRARY_PATH",
              missing ? BLAS_FILE " has no " : why, missing ? missing : "");
    cuda_unload_blas(blas);
}

void cuda_unload_blas(cuda_blas *blas) {
    if (blas->library)
        dlclose(blas->library);
    *blas = (cuda_blas){0};
}
