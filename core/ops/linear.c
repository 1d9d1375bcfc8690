/*
 * linear: y = activation(x W^T + b) + residual, the fully connected layer.
 *
 * x [..., K], weight [N, K], bias [N] (optional), residual [..., N] (optional) -> y [..., N] of x's
 * type. All floats, of any mixture of types. As torch.nn.functional.linear.
 */
#include "core/ops/rules.h"

static sf_status infer_linear(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                              const sf_attributes *attributes, sf_spec *output) {
    const sf_spec *x = &inputs[0], *weight = &inputs[1];
    SF_TRY(sf_need_product(ctx, x, weight));
    SF_TRY(sf_need_activation(ctx, attributes->linear.activation));
    sf_spec result = *x;
    result.dims[x->n_dims - 1] = weight->dims[0];
    SF_TRY(sf_need_vector(ctx, "bias", sf_optional_spec(inputs, n_inputs, 2), weight->dims[0]));
    SF_TRY(sf_need_residual(ctx, sf_optional_spec(inputs, n_inputs, 3), &result));
    *output = result;
    return SF_OK;
}

static double flops_linear(const sf_spec *inputs, int n_inputs, const sf_attributes *attributes,
                           const sf_spec *output) {
    (void)n_inputs;
    (void)attributes;
    return 2 * (double)sf_spec_elements(output) * (double)inputs[1].dims[1];
}

/* x W^T as a product of matrices: the rows of x are one long matrix. */
static sf_value lower_product(sf_graph *graph, sf_value x, sf_value weight) {
    sf_spec rows = *sf_value_spec(graph, x);
    sf_spec result = rows;
    result.dims[rows.n_dims - 1] = sf_value_dim(graph, weight, 0);
    int64_t n_rows = 1;
    for (int axis = 0; axis < rows.n_dims - 1; axis++)
        n_rows *= rows.dims[axis];
    sf_value flat = sf_reshape(graph, x, SF_DIMS(n_rows, rows.dims[rows.n_dims - 1]));
    return sf_reshape_like(graph, sf_matmul(graph, flat, weight, true, 1), &result);
}

/* First without activation and residual, then as a matrix product with the bias added. */
static sf_value lower_linear(sf_graph *graph, const sf_value *inputs, int n_inputs,
                             const sf_attributes *attributes) {
    sf_activation activation = (sf_activation)attributes->linear.activation;
    sf_value bias = sf_optional_value(inputs, n_inputs, 2);
    sf_value residual = sf_optional_value(inputs, n_inputs, 3);
    sf_value x = sf_widened(graph, inputs[0]), y;
    if (activation == SF_ACTIVATION_NONE && residual == SF_NO_VALUE) {
        y = lower_product(graph, x, inputs[1]);
        y = bias == SF_NO_VALUE ? y : sf_add(graph, y, bias);
    } else {
        y = sf_activate(graph, sf_linear(graph, x, inputs[1], bias), activation);
        y = residual == SF_NO_VALUE ? y : sf_add(graph, y, residual);
    }
    return sf_rounded(graph, y, inputs[0]);
}

#define LINEAR(name, ...)                                                                          \
    { .inputs = {__VA_ARGS__}, .attributes.linear.activation = SF_ACTIVATION_##name }

static const sf_op_case cases[] = {
    LINEAR(NONE, SF_SPEC(F32, 1, 1), SF_SPEC(F32, 1, 1), SF_SPEC(F32, 1)),
    LINEAR(NONE, SF_SPEC(F32, 7), SF_SPEC(F32, 5, 7)),
    LINEAR(NONE, SF_SPEC(F32, 3, 5), SF_SPEC(F32, 7, 5), SF_SPEC(F32, 7)),
    LINEAR(SILU, SF_SPEC(F32, 2, 3, 13), SF_SPEC(F32, 11, 13), SF_SPEC(F32, 11)),
    LINEAR(GELU, SF_SPEC(F32, 1, 17, 9), SF_SPEC(F32, 33, 9)),
    LINEAR(QUICK_GELU, SF_SPEC(F32, 4, 19), SF_SPEC(F32, 6, 19), SF_SPEC(F32, 6)),
    LINEAR(GELU_TANH, SF_SPEC(F32, 4, 19), SF_SPEC(F32, 6, 19), SF_SPEC(F32, 6)),
    LINEAR(RELU, SF_SPEC(F32, 31, 6), SF_SPEC(F32, 2, 6), {.dtype = SF_NONE}, SF_SPEC(F32, 31, 2)),
    LINEAR(MISH, SF_SPEC(F32, 2, 6), SF_SPEC(F32, 1, 6), SF_SPEC(F32, 1), SF_SPEC(F32, 2, 1)),
    LINEAR(NONE, SF_SPEC(F32, 2, 5, 10), SF_SPEC(F32, 10, 10), SF_SPEC(F32, 10),
           SF_SPEC(F32, 2, 5, 10)),
    LINEAR(SILU, SF_SPEC(F32, 1, 2, 3, 2, 5), SF_SPEC(F32, 3, 5), SF_SPEC(F32, 3),
           SF_SPEC(F32, 1, 2, 3, 2, 3)),
    LINEAR(NONE, SF_SPEC(F32, 0, 5), SF_SPEC(F32, 3, 5), SF_SPEC(F32, 3)),
    LINEAR(NONE, SF_SPEC(F32, 4, 0), SF_SPEC(F32, 3, 0), SF_SPEC(F32, 3)),
    LINEAR(NONE, SF_SPEC(F32, 4, 5), SF_SPEC(F32, 0, 5), SF_SPEC(F32, 0)),
    LINEAR(NONE, SF_SPEC(F32, 1, 300), SF_SPEC(F32, 17, 300), SF_SPEC(F32, 17)),
    LINEAR(NONE, SF_SPEC(F32, 2, 77, 128), SF_SPEC(F32, 96, 128)),
    LINEAR(SILU, SF_SPEC(F32, 2, 256, 48), SF_SPEC(F32, 192, 48), SF_SPEC(F32, 192)),
};

const sf_op sf_op_linear = {
    .name = "linear",
    .summary = "y [..., N] = activation(x [..., K] weight [N, K]^T + bias [N]) + residual",
    .inputs = {"x", "weight", "bias", "residual"},
    .n_required = 2,
    .attribute_bytes = sizeof(sf_linear_attributes),
    .infer = infer_linear,
    .lower = lower_linear,
    .flops = flops_linear,
    SF_CASES(cases),
};

sf_value sf_linear(sf_graph *graph, sf_value x, sf_value weight, sf_value bias) {
    sf_value inputs[] = {x, weight, bias};
    sf_attributes attributes = {.linear.activation = SF_ACTIVATION_NONE};
    return sf_node_add(graph, SF_OP_linear, inputs, 3, &attributes);
}
