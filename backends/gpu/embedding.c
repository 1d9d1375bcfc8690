/*
 * embedding: rows of a table by number.
 *
 * A device can't fail half-way. Ids from outside are looked at before they are uploaded (models/ports.c,
 * pipelines/text.c); where another one has no row in the table, its row of the output is NaN (all bits
 * set), and never another row or another tensor's memory.
 */
#include "backends/gpu/kernels/embedding.h"
#include "backends/gpu/gpu.h"

static int supports(const sf_op_call *call) {
    return ref_entries[REF_embedding]->supports(call) && gpu_is_countable(call);
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *table = ref_input(call, 0), *ids = ref_input(call, 1), *y = call->output;
    sf_tensor_desc row = *table;
    row.dims[0] = 1;
    gpu_embedding_arguments a = {
        .row_dims = gpu_dims_of(&row),
        .id_dims = gpu_dims_of(ids),
        .row = gpu_strides_of(&row),
        .ids = gpu_strides_of(ids),
        .n = (uint32_t)ref_elements(y),
        .row_elements = (uint32_t)ref_elements(&row),
        .row_stride = (uint32_t)table->strides[0],
        .n_rows = (uint32_t)table->dims[0],
        .unit_bytes = (uint32_t)ref_element_bytes(table->dtype),
        .id_bytes = (uint32_t)ref_element_bytes(ids->dtype),
    };
    gpu_merge_dims(&a.row_dims, 1, (gpu_strides *const[]){&a.row});
    gpu_merge_dims(&a.id_dims, 1, (gpu_strides *const[]){&a.ids});
    return gpu_run(backend, GPU_KERNEL_embedding, gpu_groups_for(backend, a.n), &a, sizeof a, 3,
                   (const gpu_place[]){gpu_place_of(table), gpu_place_of(ids), gpu_place_of(y)});
}

const sf_op_entry gpu_embedding = {
    GPU_ENTRY("embedding"),
    .supports = supports,
    .run = run,
};
