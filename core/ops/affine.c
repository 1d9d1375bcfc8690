/*
 * affine: y = scale x + shift with two fixed numbers. clamp: y = min(max(x, low), high), NaN stays
 * NaN. x float of any shape; y has its type and shape. The output may be the input.
 */
#include "core/ops/rules.h"

#include <math.h>

/* ---- affine ---- */

#define AFFINE_CASE(a, b, ...)                                                                     \
    {                                                                                              \
        .inputs = {SF_SPEC(F32, __VA_ARGS__)}, .attributes.affine = {.scale = (a), .shift = (b) }  \
    }

static const sf_op_case affine_cases[] = {
    {.inputs = {{.dtype = SF_F32}}, .attributes.affine = {.scale = 2, .shift = 1}},
    AFFINE_CASE(1, 0, 5),
    AFFINE_CASE(0, -3, 7, 3),
    AFFINE_CASE(-0.5f, 0.25f, 0, 4),
    AFFINE_CASE(1.0f / 0.18215f, 0, 1, 4, 4, 4),
    AFFINE_CASE(0.5f, 0.5f, 2, 1, 3, 5, 7),
};

const sf_op sf_op_affine = {
    .name = "affine",
    .summary = "y = scale x + shift, any shape",
    .inputs = {"x"},
    .n_required = 1,
    .flags = SF_OP_ELEMENTWISE,
    .attribute_bytes = sizeof(sf_affine_attributes),
    .infer = sf_infer_same,
    SF_CASES(affine_cases),
};

sf_value sf_affine(sf_graph *graph, sf_value x, float scale, float shift) {
    sf_attributes attributes = {.affine = {.scale = scale, .shift = shift}};
    return sf_node_add(graph, SF_OP_affine, &x, 1, &attributes);
}

/* ---- clamp ---- */

static sf_status infer_clamp(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                             const sf_attributes *attributes, sf_spec *output) {
    float low = attributes->range.low, high = attributes->range.high;
    if (!(low <= high))
        SF_FAIL(ctx, ERROR_ARGUMENT, "clamp to %g..%g", (double)low, (double)high);
    return sf_infer_same(ctx, inputs, n_inputs, attributes, output);
}

#define CLAMP_CASE(from, to, ...)                                                                  \
    {                                                                                              \
        .inputs = {SF_SPEC(F32, __VA_ARGS__)}, .attributes.range = {.low = (from), .high = (to) }  \
    }

static const sf_op_case clamp_cases[] = {
    {.inputs = {{.dtype = SF_F32}}, .attributes.range = {.low = -1, .high = 1}},
    CLAMP_CASE(-1, 1, 7),
    CLAMP_CASE(0.25f, 0.25f, 3, 5),
    CLAMP_CASE(0, INFINITY, 2, 3, 11),
    CLAMP_CASE(-INFINITY, 0.5f, 1, 5, 5, 3),
    CLAMP_CASE(-1, 1, 3, 0),
};

const sf_op sf_op_clamp = {
    .name = "clamp",
    .summary = "y = min(max(x, low), high), any shape; NaN stays NaN",
    .inputs = {"x"},
    .n_required = 1,
    .flags = SF_OP_ELEMENTWISE,
    .attribute_bytes = sizeof(sf_range_attributes),
    .infer = infer_clamp,
    SF_CASES(clamp_cases),
};

sf_value sf_clamp(sf_graph *graph, sf_value x, float low, float high) {
    sf_attributes attributes = {.range = {.low = low, .high = high}};
    return sf_node_add(graph, SF_OP_clamp, &x, 1, &attributes);
}
