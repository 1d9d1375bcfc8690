/*
 * softmax over the last axis: y[i] = exp(x[i] - m) / sum over j of exp(x[j] - m), m the row's
 * largest.
 *
 * x [..., n] float, at least one dimension; y has its type and shape. A row of nothing but -inf
 * gives NaN, as in PyTorch.
 */
#include "core/ops/rules.h"

static sf_status infer_softmax(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                               const sf_attributes *attributes, sf_spec *output) {
    if (inputs[0].n_dims < 1)
        SF_FAIL(ctx, ERROR_SHAPE, "x has no dimension, must have at least 1");
    return sf_infer_same(ctx, inputs, n_inputs, attributes, output);
}

static const sf_op_case cases[] = {
    {.inputs = {SF_SPEC(F32, 1)}},
    {.inputs = {SF_SPEC(F32, 7)}},
    {.inputs = {SF_SPEC(F32, 0)}},
    {.inputs = {SF_SPEC(F32, 3, 0)}},
    {.inputs = {SF_SPEC(F32, 0, 3)}},
    {.inputs = {SF_SPEC(F32, 5, 1)}},
    {.inputs = {SF_SPEC(F32, 3, 33)}, .low = -80, .high = 80},
    {.inputs = {SF_SPEC(F32, 2, 3, 17)}},
    {.inputs = {SF_SPEC(F32, 2, 3, 4, 5)}, .low = 1000, .high = 1010},
    {.inputs = {SF_SPEC(F32, 1, 2, 3, 4, 5)}},
    {.inputs = {SF_SPEC(F32, 2, 8, 77, 77)}},
    {.inputs = {SF_SPEC(F32, 3, 1025)}},
};

const sf_op sf_op_softmax = {
    .name = "softmax",
    .summary = "y = exp(x - max) / sum(exp(x - max)) over the last axis",
    .inputs = {"x"},
    .n_required = 1,
    .infer = infer_softmax,
    SF_CASES(cases),
};

sf_value sf_softmax(sf_graph *graph, sf_value x) {
    return sf_node_add(graph, SF_OP_softmax, &x, 1, NULL);
}
