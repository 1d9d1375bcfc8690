/*
 * What a GPU's programming interface must give: a dozen functions, defined once for each plugin
 * (opencl/, cuda/). All else is shared.
 *
 * A device does what it is asked in the order in which it is asked, and later: nothing but
 * gpu_driver_synchronize(), a download and what says so waits. One thread uses a device at a time.
 * Failures set a message through the host that the device was opened with.
 */
#ifndef SF_BACKENDS_GPU_DRIVER_H
#define SF_BACKENDS_GPU_DRIVER_H

#include <stdbool.h>

#include "sfumato_plugin.h"

typedef struct gpu_device gpu_device;

/* One for each line of kernels.def. */
typedef enum gpu_kernel {
#define GPU_KERNEL(file, name, buffers, arguments) GPU_KERNEL_##name,
#include "backends/gpu/kernels/kernels.def"
    GPU_N_KERNELS
} gpu_kernel;

/* A place in device memory. memory is what gpu_driver_allocate() gave. */
typedef struct gpu_place {
    void *memory;
    uint64_t offset; /* bytes */
} gpu_place;

#define GPU_MOST_BUFFERS 10

/* A kernel on a grid of groups. */
typedef struct gpu_launch {
    gpu_kernel kernel;
    uint32_t groups[3]; /* each at least 1; the first below 2^31, the others below 2^16 */
    int n_buffers;
    gpu_place buffers[GPU_MOST_BUFFERS];
    const void *arguments; /* the struct that the kernel's line names */
    size_t arguments_bytes;
} gpu_launch;

/*
 * A product of matrices in a batch, for the library: c = alpha a b + beta c, where row-major
 * a [m, k], b [k, n] or, transpose_b, [n, k], c [m, n] have so many elements between rows and between
 * the matrices of the batch (0: the same one).
 */
typedef struct gpu_matrix {
    gpu_place place;
    int32_t dtype; /* sf_dtype */
    int64_t row_stride, batch_stride;
} gpu_matrix;

typedef struct gpu_product {
    int64_t m, n, k, batch;
    gpu_matrix a, b, c;
    bool transpose_b;
    float alpha, beta;
    bool has_bias, has_residual;
    gpu_place bias;         /* [n] of c's type, added to each row */
    gpu_place residual;     /* added; lies as c does, may be c itself */
    bool is_finished_later; /* a launch of ours has to follow: bias, activation, residual */
} gpu_product;

/*
 * gpu_abilities.least_product as a rule, and in counts without a device. Small models stay below it, and
 * never wait for a library that compiles.
 */
#define GPU_LEAST_PRODUCT (UINT64_C(1) << 28)

/* What a device can do that the shared code must know. */
typedef struct gpu_abilities {
    uint32_t group_size;        /* GROUP: a power of two, 32 to 256 */
    bool product_residual;      /* gpu_driver_multiply() adds a residual */
    bool product_bias;          /* gpu_driver_multiply() adds a bias */
    uint64_t least_product;     /* multiplications below which a kernel of ours is rather taken */
    bool units_f16, units_bf16; /* kernels that multiply fragments of such types are worth it */
} gpu_abilities;

/* ---- devices ---- */

/* As sf_plugin.probe. */
sf_status gpu_driver_probe(const sf_host *host, int index, sf_device_info *device);
sf_status gpu_driver_open(const sf_host *host, int index, gpu_device **device);
void gpu_driver_close(gpu_device *device);
/* device NULL: those of a device as there are many, to plan on paper. */
const gpu_abilities *gpu_driver_abilities(const gpu_device *device);

/* ---- memory ---- */

sf_status gpu_driver_allocate(gpu_device *device, uint64_t bytes, void **memory);
/* Waits for what is still using it. */
void gpu_driver_free(gpu_device *device, void *memory);

/*
 * wait: until the source may be used again. Without, the source must stay as it is until the next
 * gpu_driver_synchronize().
 */
sf_status gpu_driver_upload(gpu_device *device, gpu_place to, const void *source, uint64_t bytes,
                            bool wait);
/* As sf_plugin.start_upload and await_upload. */
#define GPU_N_SLOTS 2
sf_status gpu_driver_start_upload(gpu_device *device, uint32_t slot, gpu_place to,
                                  const void *source, uint64_t bytes);
sf_status gpu_driver_await_upload(gpu_device *device, uint32_t slot);
/* Waits until it is done, and all that was asked for before. */
sf_status gpu_driver_download(gpu_device *device, void *destination, gpu_place from,
                              uint64_t bytes);
sf_status gpu_driver_synchronize(gpu_device *device);

/* ---- work ---- */

/*
 * Compiles or finds a kernel; only after that may it be launched. The group size may be smaller
 * afterwards, for all kernels.
 */
sf_status gpu_driver_build(gpu_device *device, gpu_kernel kernel);
sf_status gpu_driver_launch(gpu_device *device, const gpu_launch *launch);

/* Whether the library has a product of such types, at such offsets. Pure: memory is not looked at. */
bool gpu_driver_multiplies(const gpu_device *device, const gpu_product *product);
/*
 * Has the library make ready what it takes for such a product, whose memory is not looked at and may not
 * be there yet; may run it on memory of its own. Where it
 * fails, gpu_driver_multiplies() is false from then on.
 */
sf_status gpu_driver_warm(gpu_device *device, const gpu_product *product);
sf_status gpu_driver_multiply(gpu_device *device, const gpu_product *product);

/* Device memory that the library takes for itself at most, as far as is known. */
uint64_t gpu_driver_library_bytes(const gpu_device *device);

/* Files that were compiled so far, of those that were not found in a cache. */
uint64_t gpu_driver_n_builds(const gpu_device *device);

#endif
