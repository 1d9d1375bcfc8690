/*
 * What the ops of the GPU plugins share: the live backend, launching, operands. The ops know no
 * programming interface: what differs between OpenCL and CUDA is behind driver.h.
 *
 * An op's file says what is supported, and its run() asks for one or more launches:
 *
 *     gpu_square_arguments a = {.n = (uint32_t)gpu_elements(call->output), ...};
 *     return gpu_run(backend, GPU_KERNEL_square, gpu_groups_for(backend, a.n), &a, sizeof a,
 *                    2, (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
 *
 * The same run() serves three purposes, told apart by the backend's mode: it runs; when a plan is made
 * it builds the kernels that it would launch, so that nothing is compiled or allocated later; and it
 * counts the launches of a call, without a device. So a run() does nothing but ask for launches and
 * products, and what it asks for depends on the call's types and shapes alone.
 */
#ifndef SF_BACKENDS_GPU_H
#define SF_BACKENDS_GPU_H

#include "backends/gpu/driver.h"
#include "backends/gpu/kernels/view.h"
#include "backends/ref/ref.h"

typedef enum gpu_mode {
    GPU_RUNS,
    GPU_PREPARES, /* kernels are built, nothing is launched */
    GPU_COUNTS,   /* there is no device */
} gpu_mode;

/* Small uploads are copied here first, so that nobody waits for the device. */
#define GPU_STAGING_BYTES ((size_t)64 << 10)
#define GPU_STAGED_MOST   ((size_t)4 << 10) /* larger ones wait */

typedef struct gpu_backend {
    const sf_host *host;
    gpu_device *device;
    gpu_mode mode;
    gpu_abilities abilities;
    sf_backend_counters counters;
    uint64_t scratch_bytes; /* that gpu_count_bytes() told */
    int32_t compute_dtype;  /* that gpu_count_units() told; else SF_F32 */
    unsigned char *staging; /* owned */
    size_t staged;          /* bytes in use since the last synchronize */
} gpu_backend;

/* ---- the plugin's functions ---- */

sf_status gpu_open(const sf_host *host, int index, void **backend);
void gpu_close(void *backend);
sf_status gpu_buffer_new(void *backend, uint64_t bytes, void **buffer);
void gpu_buffer_free(void *backend, void *buffer);
sf_status gpu_upload(void *backend, void *buffer, uint64_t offset, const void *source,
                     uint64_t bytes);
sf_status gpu_download(void *backend, void *destination, void *buffer, uint64_t offset,
                       uint64_t bytes);
sf_status gpu_synchronize(void *backend);
sf_status gpu_start_upload(void *backend, uint32_t slot, void *buffer, uint64_t offset,
                           const void *source, uint64_t bytes);
sf_status gpu_await_upload(void *backend, uint32_t slot);
uint64_t gpu_memory_bytes(void *backend);
uint64_t gpu_device_memory_bytes(void *backend);
void gpu_read_counters(void *backend, sf_backend_counters *counters);

/* ---- asking for work ---- */

typedef struct gpu_grid {
    uint32_t groups[3];
} gpu_grid;

/* A group for every GROUP of n work-items. */
gpu_grid gpu_groups_for(const gpu_backend *backend, uint64_t n_items);

sf_status gpu_run(gpu_backend *backend, gpu_kernel kernel, gpu_grid grid, const void *arguments,
                  size_t arguments_bytes, int n_buffers, const gpu_place *buffers);

/*
 * Whether a product is one for the library: it has the types, the product is large enough, and, when a
 * plan is made, the library could be made ready for it.
 */
bool gpu_library_takes(gpu_backend *backend, const gpu_product *product);
sf_status gpu_run_product(gpu_backend *backend, const gpu_product *product);

/* Whether the device has matrix units for products of the type. */
bool gpu_has_units(const gpu_backend *backend, int32_t dtype);

/*
 * Tiles of matrix units from which on a large device is full; with fewer, long sums are better divided,
 * which the library does.
 */
#define GPU_FILLING_TILES 96

/* Bytes that the call moves beside its inputs and its output, for plans of time: what goes to scratch
 * memory and comes back. */
void gpu_count_bytes(gpu_backend *backend, uint64_t bytes);

/* Likewise: the call's products are of such a type (sf_dtype), by matrix units. A product of the library
 * tells it by itself. */
void gpu_count_units(gpu_backend *backend, int32_t dtype);

/* ---- operands ---- */

/* The most elements of a tensor: kernels count in 32 bits. */
#define GPU_MOST_ELEMENTS INT64_C(0x7fffffff)

gpu_place gpu_place_of(const sf_tensor_desc *tensor);
gpu_place gpu_place_after(gpu_place place, uint64_t bytes);
gpu_place gpu_workspace(const sf_op_call *call);

/* GPU_F32, GPU_F16, GPU_BF16 */
int32_t gpu_type_from(int32_t dtype);
int32_t gpu_type_of(const sf_tensor_desc *tensor);

gpu_dims gpu_dims_of(const sf_tensor_desc *tensor);
gpu_strides gpu_strides_of(const sf_tensor_desc *tensor);

/* The strides of a tensor that is broadcast to dims (of n_dims dimensions). */
gpu_strides gpu_strides_in(const sf_tensor_desc *tensor, int n_dims, const int64_t *dims);

/*
 * Another way to count the same elements in the same order, with fewer divisions in element_at():
 * dimensions that lie behind one another in each of the n tensors become one, and what is left is put
 * in front.
 */
void gpu_merge_dims(gpu_dims *dims, int n, gpu_strides *const *strides);

/*
 * After gpu_merge_dims(), for elements that are only moved: takes 2, 4 or 8 bytes as one where the
 * tensors' rows and strides are made of such units and `places`, all offsets joined by "or", too.
 * Returns the unit's bytes, unit_bytes where nothing is gained.
 */
uint32_t gpu_widen_units(gpu_dims *dims, int n, gpu_strides *const *strides, uint32_t unit_bytes,
                         uint64_t places);

/* Whether every tensor is small enough to be counted in 32 bits, strides included. */
bool gpu_is_countable(const sf_op_call *call);

/* supports(): floats of any types and strides; the same with every input contiguous or absent. */
int gpu_supports_floats(const sf_op_call *call);
int gpu_supports_plain_floats(const sf_op_call *call);

/* ---- the entries ---- */

sf_status gpu_prepare(void *backend, const sf_op_call *call, void **prepared);
void gpu_release(void *backend, void *prepared);
sf_status gpu_cost(const sf_op_call *call, sf_op_cost *cost);

/* What is the same in all entries. */
#define GPU_ENTRY(name)                                                                            \
    .struct_size = sizeof(sf_op_entry), .op = (name), .prepare = gpu_prepare,                      \
    .release = gpu_release, .cost = gpu_cost

enum {
#define GPU_OP(name) GPU_##name,
#include "backends/gpu/entries.def"
#undef GPU_OP
    GPU_N_ENTRIES
};

extern const sf_op_entry *const gpu_entries[GPU_N_ENTRIES];

#endif
