/*
 * linear_geglu: both halves of the product in one launch, so that they are never stored.
 */
#include "backends/gpu/product.h"

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *weight = ref_input(call, 1);
    gpu_factors f = {
        .n = weight->dims[0] / 2,
        .b = gpu_factor_of(weight),
        .bias = gpu_place_of(ref_input(call, 2)),
        .y = gpu_place_of(call->output),
        .y_dtype = call->output->dtype,
        .epilogue = gpu_epilogue_of(call, SF_ACTIVATION_NONE),
    };
    gpu_take_rows(ref_input(call, 0), &f);
    return gpu_product_geglu_run(backend, &f);
}

const sf_op_entry gpu_linear_geglu = {
    GPU_ENTRY("linear_geglu"),
    .supports = gpu_supports_floats,
    .run = run,
};
