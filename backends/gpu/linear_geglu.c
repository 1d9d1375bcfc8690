/*
 * linear_geglu: both halves of the product in one launch, so that they are never stored; or, of half types,
 * by the library.
 */
#include "backends/gpu/product.h"

/* Both halves, where the library may take them. */
static uint64_t workspace(const sf_op_call *call) {
    const sf_tensor_desc *y = call->output;
    if (y->dtype == SF_F32 || ref_input(call, 1)->dtype != y->dtype)
        return 0;
    return ref_room(ref_elements(y), 2 * (uint64_t)ref_element_bytes(y->dtype));
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *weight = ref_input(call, 1);
    gpu_factors f = {
        .n = weight->dims[0] / 2,
        .b = gpu_factor_of(weight),
        .bias = gpu_place_of(ref_input(call, 2)),
        .y = gpu_place_of(call->output),
        .y_dtype = call->output->dtype,
        .epilogue = gpu_epilogue_of(call, SF_ACTIVATION_NONE),
        .workspace = gpu_workspace(call),
    };
    gpu_take_rows(ref_input(call, 0), &f);
    return gpu_product_geglu_run(backend, &f);
}

const sf_op_entry gpu_linear_geglu = {
    GPU_ENTRY("linear_geglu"),
    .supports = gpu_supports_floats,
    .workspace = workspace,
    .run = run,
};
