/*
 * cast: from any plain type to any, any strides.
 */
#include "backends/gpu/kernels/cast.h"
#include "backends/gpu/gpu.h"

static int supports(const sf_op_call *call) {
    return ref_entries[REF_cast]->supports(call) && gpu_is_countable(call);
}

static int32_t plain_type_of(const sf_tensor_desc *tensor) {
    if (ref_is_float(tensor->dtype))
        return gpu_type_of(tensor);
    return tensor->dtype == SF_I32 ? GPU_I32 : tensor->dtype == SF_I64 ? GPU_I64 : GPU_U8;
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *x = ref_input(call, 0), *y = call->output;
    gpu_cast_arguments a = {
        .dims = gpu_dims_of(x),
        .x = gpu_strides_of(x),
        .n = (uint32_t)ref_elements(x),
        .x_type = plain_type_of(x),
        .y_type = plain_type_of(y),
    };
    gpu_merge_dims(&a.dims, 1, (gpu_strides *const[]){&a.x});
    return gpu_run(backend, GPU_KERNEL_cast, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(x), gpu_place_of(y)});
}

const sf_op_entry gpu_cast = {
    GPU_ENTRY("cast"),
    .supports = supports,
    .run = run,
};
