/*
 * linear: a product with the rows of x as one long matrix.
 */
#include "backends/gpu/product.h"

static int supports(const sf_op_call *call) {
    return gpu_supports_floats(call) && gpu_residual_lies_as_output(call);
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_linear_attributes *attributes = call->attributes;
    const sf_tensor_desc *weight = ref_input(call, 1);
    gpu_factors f = {
        .n = weight->dims[0],
        .b = gpu_factor_of(weight),
        .bias = gpu_place_of(ref_input(call, 2)),
        .residual = gpu_place_of(ref_input(call, 3)),
        .y = gpu_place_of(call->output),
        .y_dtype = call->output->dtype,
        .epilogue = gpu_epilogue_of(call, attributes->activation),
        .workspace = gpu_workspace(call),
    };
    gpu_take_rows(ref_input(call, 0), &f);
    return gpu_product_run(backend, &f);
}

const sf_op_entry gpu_linear = {
    GPU_ENTRY("linear"), .supports = supports,       .workspace = gpu_product_workspace,
    .run = run,          .in_place = SF_IN_PLACE(3),
};
