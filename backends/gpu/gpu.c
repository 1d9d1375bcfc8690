/*
 * The live backend, launching, and the table of entries. See gpu.h.
 */
#include "backends/gpu/gpu.h"

#include <stddef.h>
#include <string.h>

/* ---- the entries ---- */

#define GPU_OP(name) extern const sf_op_entry gpu_##name;
#include "backends/gpu/entries.def"
#undef GPU_OP

const sf_op_entry *const gpu_entries[GPU_N_ENTRIES] = {
#define GPU_OP(name) [GPU_##name] = &gpu_##name,
#include "backends/gpu/entries.def"
#undef GPU_OP
};

/* op: that of one of the entries, as the library calls these alone. */
static const sf_op_entry *find_entry(const char *op) {
    int i = 0;
    while (i < GPU_N_ENTRIES - 1 && strcmp(gpu_entries[i]->op, op) != 0)
        i++;
    return gpu_entries[i];
}

/* ---- opening ---- */

sf_status gpu_open(const sf_host *host, int index, void **backend) {
    gpu_backend *made = host->resize(host, NULL, sizeof *made);
    if (!made)
        return SF_ERROR_MEMORY;
    *made = (gpu_backend){.host = host, .counters.struct_size = sizeof(sf_backend_counters)};
    made->staging = host->resize(host, NULL, GPU_STAGING_BYTES);
    sf_status status = made->staging ? SF_OK : SF_ERROR_MEMORY;
    if (status == SF_OK)
        status = gpu_driver_open(host, index, &made->device);
    if (status != SF_OK) {
        host->resize(host, made->staging, 0);
        host->resize(host, made, 0);
        return status;
    }
    made->abilities = *gpu_driver_abilities(made->device);
    *backend = made;
    return SF_OK;
}

void gpu_close(void *backend) {
    gpu_backend *closed = backend;
    const sf_host *host = closed->host;
    gpu_driver_close(closed->device);
    host->resize(host, closed->staging, 0);
    host->resize(host, closed, 0);
}

uint64_t gpu_memory_bytes(void *backend) {
    (void)backend;
    return GPU_STAGING_BYTES;
}

uint64_t gpu_device_memory_bytes(void *backend) {
    const gpu_backend *b = backend;
    return gpu_driver_library_bytes(b->device);
}

void gpu_read_counters(void *backend, sf_backend_counters *counters) {
    gpu_backend *b = backend;
    size_t bytes =
        counters->struct_size < sizeof b->counters ? counters->struct_size : sizeof b->counters;
    b->counters.n_builds = gpu_driver_n_builds(b->device);
    memcpy((char *)counters + sizeof counters->struct_size,
           (const char *)&b->counters + sizeof counters->struct_size,
           bytes - sizeof counters->struct_size);
}

/* ---- memory ---- */

sf_status gpu_buffer_new(void *backend, uint64_t bytes, void **buffer) {
    gpu_backend *b = backend;
    b->counters.n_allocations++;
    return gpu_driver_allocate(b->device, bytes ? bytes : 1, buffer);
}

void gpu_buffer_free(void *backend, void *buffer) {
    gpu_backend *b = backend;
    gpu_driver_free(b->device, buffer);
}

sf_status gpu_synchronize(void *backend) {
    gpu_backend *b = backend;
    b->counters.n_synchronizations++;
    b->staged = 0;
    return gpu_driver_synchronize(b->device);
}

sf_status gpu_upload(void *backend, void *buffer, uint64_t offset, const void *source,
                     uint64_t bytes) {
    gpu_backend *b = backend;
    gpu_place to = {buffer, offset};
    b->counters.bytes_uploaded += bytes;
    if (bytes > GPU_STAGED_MOST) {
        b->counters.n_synchronizations++;
        return gpu_driver_upload(b->device, to, source, bytes, true);
    }
    if (b->staged + bytes > GPU_STAGING_BYTES) {
        sf_status status = gpu_synchronize(b);
        if (status != SF_OK)
            return status;
    }
    unsigned char *copy = b->staging + b->staged;
    memcpy(copy, source, (size_t)bytes);
    b->staged += (size_t)bytes;
    return gpu_driver_upload(b->device, to, copy, bytes, false);
}

sf_status gpu_download(void *backend, void *destination, void *buffer, uint64_t offset,
                       uint64_t bytes) {
    gpu_backend *b = backend;
    b->counters.bytes_downloaded += bytes;
    b->counters.n_synchronizations++;
    b->staged = 0;
    return gpu_driver_download(b->device, destination, (gpu_place){buffer, offset}, bytes);
}

sf_status gpu_start_upload(void *backend, uint32_t slot, void *buffer, uint64_t offset,
                           const void *source, uint64_t bytes) {
    gpu_backend *b = backend;
    b->counters.bytes_uploaded += bytes;
    return gpu_driver_start_upload(b->device, slot % GPU_N_SLOTS, (gpu_place){buffer, offset},
                                   source, bytes);
}

sf_status gpu_await_upload(void *backend, uint32_t slot) {
    gpu_backend *b = backend;
    return gpu_driver_await_upload(b->device, slot % GPU_N_SLOTS);
}

/* ---- asking for work ---- */

gpu_grid gpu_groups_for(const gpu_backend *backend, uint64_t n_items) {
    uint64_t size = backend->abilities.group_size;
    return (gpu_grid){{(uint32_t)((n_items + size - 1) / size), 1, 1}};
}

sf_status gpu_run(gpu_backend *backend, gpu_kernel kernel, gpu_grid grid, const void *arguments,
                  size_t arguments_bytes, int n_buffers, const gpu_place *buffers) {
    if (backend->mode == GPU_PREPARES) {
        sf_status status = gpu_driver_build(backend->device, kernel);
        backend->abilities = *gpu_driver_abilities(backend->device);
        return status;
    }
    backend->counters.n_launches++;
    if (backend->mode == GPU_COUNTS)
        return SF_OK;
    gpu_launch launch = {
        .kernel = kernel,
        .groups = {grid.groups[0], grid.groups[1], grid.groups[2]},
        .n_buffers = n_buffers,
        .arguments = arguments,
        .arguments_bytes = arguments_bytes,
    };
    memcpy(launch.buffers, buffers, (size_t)n_buffers * sizeof *buffers);
    return gpu_driver_launch(backend->device, &launch);
}

/* Multiplications; 2^64 - 1 for more. */
static uint64_t work_of(const gpu_product *product) {
    const int64_t sizes[] = {product->m, product->n, product->k, product->batch};
    uint64_t work = 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t size = (uint64_t)sizes[i];
        work = size && work > UINT64_MAX / size ? UINT64_MAX : work * size;
    }
    return work;
}

/*
 * A product that the library leaves unfinished pays a launch more and passes over the result once more,
 * where a kernel of ours does it all: it has to be larger to be the library's.
 */
#define UNFINISHED_FACTOR 16

static uint64_t least_work(const gpu_backend *backend, const gpu_product *product) {
    return backend->abilities.least_product * (product->is_finished_later ? UNFINISHED_FACTOR : 1);
}

bool gpu_library_takes(gpu_backend *backend, const gpu_product *product) {
    if (work_of(product) < least_work(backend, product) ||
        !gpu_driver_multiplies(backend->device, product))
        return false;
    return backend->mode != GPU_PREPARES || gpu_driver_warm(backend->device, product) == SF_OK;
}

sf_status gpu_run_product(gpu_backend *backend, const gpu_product *product) {
    if (backend->mode == GPU_PREPARES)
        return SF_OK; /* gpu_library_takes() did it */
    backend->counters.n_launches++;
    backend->counters.n_products++;
    gpu_count_units(backend, product->a.dtype);
    if (backend->mode == GPU_COUNTS)
        return SF_OK;
    return gpu_driver_multiply(backend->device, product);
}

bool gpu_has_units(const gpu_backend *backend, int32_t dtype) {
    const gpu_abilities *abilities = &backend->abilities;
    return (dtype == SF_F16 && abilities->units_f16) || (dtype == SF_BF16 && abilities->units_bf16);
}

void gpu_count_bytes(gpu_backend *backend, uint64_t bytes) {
    backend->scratch_bytes += bytes;
}

void gpu_count_units(gpu_backend *backend, int32_t dtype) {
    backend->compute_dtype = dtype;
}

/* ---- planning ---- */

sf_status gpu_prepare(void *backend, const sf_op_call *call, void **prepared) {
    gpu_backend *b = backend;
    *prepared = NULL;
    b->mode = GPU_PREPARES;
    sf_status status = find_entry(call->op)->run(b, call);
    b->mode = GPU_RUNS;
    return status;
}

void gpu_release(void *backend, void *prepared) {
    (void)backend;
    (void)prepared;
}

static uint64_t bytes_of(const sf_tensor_desc *tensor) {
    return ref_is_present(tensor)
               ? (uint64_t)(ref_elements(tensor) * ref_element_bytes(tensor->dtype))
               : 0;
}

sf_status gpu_cost(const sf_op_call *call, sf_op_cost *cost) {
    gpu_backend counting = {
        .mode = GPU_COUNTS,
        .abilities = *gpu_driver_abilities(NULL),
        .compute_dtype = SF_F32,
    };
    uint64_t bytes = bytes_of(call->output);
    for (uint32_t i = 0; i < call->n_inputs; i++)
        bytes += bytes_of(&call->inputs[i]);
    sf_status status = find_entry(call->op)->run(&counting, call);
    cost->n_launches = (uint32_t)counting.counters.n_launches;
    cost->n_bytes = bytes + counting.scratch_bytes;
    if (cost->struct_size >= offsetof(sf_op_cost, compute_dtype) + sizeof cost->compute_dtype)
        cost->compute_dtype = counting.compute_dtype;
    return status;
}
