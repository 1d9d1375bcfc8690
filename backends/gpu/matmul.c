/*
 * matmul: a product in a batch, whose factors may lie in any way.
 */
#include "backends/gpu/product.h"

/* A factor with the output's batch dimensions; `turn` exchanges its last two. */
static gpu_factor take_factor(const sf_op_call *call, uint32_t input, bool turn) {
    sf_tensor_desc operand = *ref_input(call, input);
    int rank = operand.n_dims, order[SF_MAX_DIMS] = {0, 1, 2, 3, 4};
    int64_t dims[SF_MAX_DIMS];
    order[rank - 2] = turn ? rank - 1 : rank - 2;
    order[rank - 1] = turn ? rank - 2 : rank - 1;
    operand = ref_permuted(&operand, order);
    for (int axis = 0; axis < rank; axis++)
        dims[axis] = axis < rank - 2 ? call->output->dims[axis] : operand.dims[axis];
    operand = ref_expanded(&operand, rank, dims);
    return gpu_factor_of(&operand);
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_matmul_attributes *attributes = call->attributes;
    const sf_tensor_desc *a = ref_input(call, 0), *y = call->output;
    sf_tensor_desc batch = *y;
    batch.n_dims = y->n_dims - 2;
    const gpu_factors f = {
        .batch = gpu_dims_of(&batch),
        .n_batches = ref_elements(&batch),
        .m = y->dims[y->n_dims - 2],
        .n = y->dims[y->n_dims - 1],
        .k = a->dims[a->n_dims - 1],
        .a = take_factor(call, 0, false),
        .b = take_factor(call, 1, !attributes->transpose_b),
        .y = gpu_place_of(y),
        .y_dtype = y->dtype,
        .epilogue = {.scale = attributes->scale,
                     .bias_type = GPU_ABSENT,
                     .residual_type = GPU_ABSENT,
                     .y_type = gpu_type_of(y)},
    };
    return gpu_product_run(backend, &f);
}

const sf_op_entry gpu_matmul = {
    GPU_ENTRY("matmul"),
    .supports = gpu_supports_floats,
    .run = run,
};
