/*
 * geglu: the first half of each row times the gelu of the second.
 */
#include "backends/gpu/kernels/geglu.h"
#include "backends/gpu/gpu.h"

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    gpu_geglu_arguments a = {
        .dims = gpu_dims_of(y),
        .x = gpu_strides_of(x),
        .n = (uint32_t)ref_elements(y),
        .gate = (uint32_t)(ref_columns(y) * x->strides[x->n_dims - 1]),
        .x_type = gpu_type_of(x),
        .y_type = gpu_type_of(y),
    };
    gpu_merge_dims(&a.dims, 1, (gpu_strides *const[]){&a.x});
    return gpu_run(backend, GPU_KERNEL_geglu, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

const sf_op_entry gpu_geglu = {
    GPU_ENTRY("geglu"),
    .supports = gpu_supports_floats,
    .run = run,
};
