/*
 * What the files of the CUDA driver share: the libraries' functions, the open device, and errors in
 * words. Nothing of CUDA is linked: libraries.c finds it when it is asked for.
 */
#ifndef SF_BACKENDS_GPU_CUDA_DEVICE_H
#define SF_BACKENDS_GPU_CUDA_DEVICE_H

#include <cublasLt.h>
#include <cuda.h>

#include "backends/gpu/driver.h"

/* ---- the libraries ---- */

typedef struct cuda_driver {
    void *library;
#define DRIVER_FUNCTION(name) __typeof__(&name) name;
#include "backends/gpu/cuda/functions.def"
} cuda_driver;

typedef struct cuda_blas {
    void *library; /* NULL: there is none, and products are left to kernels */
#define BLAS_FUNCTION(name) __typeof__(&name) name;
#include "backends/gpu/cuda/functions.def"
} cuda_blas;

/* Loads the driver and starts it. Fails with "no CUDA driver" where none is installed. */
sf_status cuda_load_driver(const sf_host *host, cuda_driver *driver);
void cuda_unload_driver(cuda_driver *driver);

/* Loads cuBLASLt; where it can't be had a warning says why and what it means. */
void cuda_load_blas(const sf_host *host, cuda_blas *blas);
void cuda_unload_blas(cuda_blas *blas);

/* ---- the open device ---- */

/* A product as it was planned; see blas.c. */
typedef struct cuda_product cuda_product;

/* One of the two places for uploads beside the runs; see uploads.c. */
typedef struct cuda_slot {
    void *staging; /* page-locked, owned */
    size_t capacity, used;
    CUevent uploaded; /* the last of its uploads is through */
    bool is_pending;  /* there was one */
} cuda_slot;

struct gpu_device {
    const sf_host *host;
    cuda_driver driver;
    cuda_blas blas;
    CUdevice id;
    CUcontext context; /* the device's primary one */
    CUstream stream;
    CUstream uploads; /* made at the first upload beside the runs */
    CUevent reached;  /* how far the stream was when an upload was asked for */
    cuda_slot slots[GPU_N_SLOTS];
    CUmodule module; /* all kernels; NULL until the first is asked for */
    CUfunction kernels[GPU_N_KERNELS];
    gpu_abilities abilities;

    cublasLtHandle_t blas_handle; /* NULL: no library */
    cuda_product *products;       /* owned */
    size_t n_products, products_capacity;
    bool plans_no_more;    /* a product could not even be noted as refused */
    CUdeviceptr workspace; /* owned; the most that a planned product takes */
    size_t workspace_bytes;
    char name[128];
};

/* Starts the library on an open device; without one it is left alone. */
sf_status cuda_open_blas(gpu_device *device);
void cuda_close_blas(gpu_device *device);

/* Waits for uploads beside the runs; gives back what they took. The context is the thread's. */
CUresult cuda_finish_uploads(gpu_device *device);
void cuda_close_uploads(gpu_device *device);

/* Makes the device's context the thread's; cuda_leave() gives the thread its own back. */
sf_status cuda_enter(gpu_device *device);
void cuda_leave(gpu_device *device);

/*
 * Fails with "WHAT: CUDA_ERROR_...: words" unless result is CUDA_SUCCESS. Errors after which nothing
 * works any more are told as such.
 */
sf_status cuda_check(const sf_host *host, const cuda_driver *driver, CUresult result,
                     const char *what);

/* Device memory as the shared code hands it around. */
static inline CUdeviceptr cuda_address(gpu_place place) {
    return (CUdeviceptr)(uintptr_t)place.memory + place.offset;
}

/* The same as a pointer, as cuBLAS wants it: the host can't follow it. */
static inline void *cuda_pointer(CUdeviceptr address) {
    return (void *)(uintptr_t)address; /* NOLINT(performance-no-int-to-ptr) */
}

/* The kernels, compiled for several architectures in one fat binary (fatbin.c). */
extern const unsigned char cuda_fatbin[];

#endif
