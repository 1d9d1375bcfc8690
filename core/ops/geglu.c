/*
 * geglu: y = x[..., :D] gelu(x[..., D:]) (Shazeer 2020, "GLU variants improve transformer", eq. 6;
 * the exact gelu).
 *
 * x [..., 2D] float -> y [..., D] of its type.
 */
#include "core/ops/rules.h"

static sf_status infer_geglu(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                             const sf_attributes *attributes, sf_spec *output) {
    sf_spec result;
    SF_TRY(sf_infer_same(ctx, inputs, n_inputs, attributes, &result));
    if (result.n_dims < 1)
        SF_FAIL(ctx, ERROR_SHAPE, "x has no dimension, must have at least 1");
    int last = result.n_dims - 1;
    if (result.dims[last] % 2 != 0)
        SF_FAIL(ctx, ERROR_SHAPE, "x has %lld columns, an odd number",
                (long long)result.dims[last]);
    result.dims[last] /= 2;
    *output = result;
    return SF_OK;
}

static sf_value lower_geglu(sf_graph *graph, const sf_value *inputs, int n_inputs,
                            const sf_attributes *attributes) {
    (void)n_inputs;
    (void)attributes;
    int last = sf_value_spec(graph, inputs[0])->n_dims - 1;
    int64_t half = sf_value_dim(graph, inputs[0], last) / 2;
    sf_value x = sf_widened(graph, inputs[0]);
    sf_value value = sf_slice(graph, x, last, 0, half);
    sf_value gate = sf_unary(graph, SF_OP_gelu, sf_slice(graph, x, last, half, half));
    return sf_rounded(graph, sf_multiply(graph, value, gate), inputs[0]);
}

static const sf_op_case cases[] = {
    {.inputs = {SF_SPEC(F32, 2)}},          {.inputs = {SF_SPEC(F32, 3, 14)}, .low = -9, .high = 9},
    {.inputs = {SF_SPEC(F32, 2, 5, 6)}},    {.inputs = {SF_SPEC(F32, 1, 2, 3, 2, 10)}},
    {.inputs = {SF_SPEC(F32, 0, 4)}},       {.inputs = {SF_SPEC(F32, 4, 0)}},
    {.inputs = {SF_SPEC(F32, 2, 64, 384)}},
};

const sf_op sf_op_geglu = {
    .name = "geglu",
    .summary = "y [..., D] = x[..., :D] gelu(x[..., D:])",
    .inputs = {"x"},
    .n_required = 1,
    .infer = infer_geglu,
    .lower = lower_geglu,
    SF_CASES(cases),
};

sf_value sf_geglu(sf_graph *graph, sf_value x) {
    return sf_node_add(graph, SF_OP_geglu, &x, 1, NULL);
}
