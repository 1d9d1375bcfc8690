/*
 * linear_geglu: y = (x V^T + b) gelu(x W^T + c), a linear layer and the gate that follows it in one
 * (Shazeer 2020, "GLU variants improve transformer", eq. 6; the exact gelu), so that the product of
 * twice the width is never stored.
 *
 * x [..., K], weight [2N, K] (V above W), bias [2N] (b, then c; optional) -> y [..., N] of x's type. All
 * floats, of any mixture of types.
 */
#include "core/ops/rules.h"

static sf_status infer_linear_geglu(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                                    const sf_attributes *attributes, sf_spec *output) {
    const sf_spec *x = &inputs[0], *weight = &inputs[1];
    (void)attributes;
    SF_TRY(sf_need_product(ctx, x, weight));
    if (weight->dims[0] % 2 != 0)
        SF_FAIL(ctx, ERROR_SHAPE, "weight has %lld rows, an odd number",
                (long long)weight->dims[0]);
    SF_TRY(sf_need_vector(ctx, "bias", sf_optional_spec(inputs, n_inputs, 2), weight->dims[0]));
    *output = *x;
    output->dims[x->n_dims - 1] = weight->dims[0] / 2;
    return SF_OK;
}

static double flops_linear_geglu(const sf_spec *inputs, int n_inputs,
                                 const sf_attributes *attributes, const sf_spec *output) {
    (void)n_inputs;
    (void)attributes;
    return 4.0 * (double)sf_spec_elements(output) * (double)inputs[1].dims[1];
}

static sf_value lower_linear_geglu(sf_graph *graph, const sf_value *inputs, int n_inputs,
                                   const sf_attributes *attributes) {
    (void)attributes;
    sf_value x = sf_widened(graph, inputs[0]);
    sf_value h = sf_linear(graph, x, inputs[1], sf_optional_value(inputs, n_inputs, 2));
    return sf_rounded(graph, sf_geglu(graph, h), inputs[0]);
}

static const sf_op_case cases[] = {
    {.inputs = {SF_SPEC(F32, 1, 1), SF_SPEC(F32, 2, 1), SF_SPEC(F32, 2)}},
    {.inputs = {SF_SPEC(F32, 7), SF_SPEC(F32, 6, 7)}},
    {.inputs = {SF_SPEC(F32, 2, 3, 13), SF_SPEC(F32, 22, 13), SF_SPEC(F32, 22)}},
    {.inputs = {SF_SPEC(F32, 0, 5), SF_SPEC(F32, 6, 5), SF_SPEC(F32, 6)}},
    {.inputs = {SF_SPEC(F32, 4, 0), SF_SPEC(F32, 6, 0), SF_SPEC(F32, 6)}},
    {.inputs = {SF_SPEC(F32, 4, 5), SF_SPEC(F32, 0, 5), SF_SPEC(F32, 0)}},
    {.inputs = {SF_SPEC(F32, 65, 33), SF_SPEC(F32, 194, 33), SF_SPEC(F32, 194)}},
    {.inputs = {SF_SPEC(F32, 2, 64, 48), SF_SPEC(F32, 384, 48), SF_SPEC(F32, 384)}},
};

const sf_op sf_op_linear_geglu = {
    .name = "linear_geglu",
    .summary = "y [..., N] = h[..., :N] gelu(h[..., N:]), h = x [..., K] weight [2N, K]^T + bias",
    .inputs = {"x", "weight", "bias"},
    .n_required = 2,
    .infer = infer_linear_geglu,
    .lower = lower_linear_geglu,
    .flops = flops_linear_geglu,
    SF_CASES(cases),
};

sf_value sf_linear_geglu(sf_graph *graph, sf_value x, sf_value weight, sf_value bias) {
    sf_value inputs[] = {x, weight, bias};
    return sf_node_add(graph, SF_OP_linear_geglu, inputs, 3, NULL);
}
