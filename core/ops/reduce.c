/*
 * Reductions. sum, mean: over one axis, which becomes 1; x float with at least one dimension, y of
 * its type. The sum of nothing is 0, its mean NaN, as in PyTorch. count_nonfinite: how many numbers
 * of x are NaN or infinite, as i32 [1] (at most 2^31 - 1).
 */
#include "core/ops/rules.h"

#include <math.h>

/* ---- sum and mean ---- */

static sf_status infer_reduction(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                                 const sf_attributes *attributes, sf_spec *output) {
    SF_TRY(sf_need_axis(ctx, &inputs[0], attributes->axis.axis));
    sf_spec result;
    SF_TRY(sf_infer_same(ctx, inputs, n_inputs, attributes, &result));
    result.dims[attributes->axis.axis] = 1;
    *output = result;
    return SF_OK;
}

/* The sum over the axis, divided by its size; that of nothing is 0 times infinity, so NaN. */
static sf_value lower_mean(sf_graph *graph, const sf_value *inputs, int n_inputs,
                           const sf_attributes *attributes) {
    (void)n_inputs;
    int axis = attributes->axis.axis;
    int64_t n = sf_value_dim(graph, inputs[0], axis);
    float factor = n ? (float)(1.0 / (double)n) : INFINITY;
    sf_value total = sf_sum(graph, sf_widened(graph, inputs[0]), axis);
    return sf_rounded(graph, sf_affine(graph, total, factor, 0), inputs[0]);
}

#define REDUCTION(along, ...)                                                                      \
    { .inputs = {SF_SPEC(F32, __VA_ARGS__)}, .attributes.axis.axis = (along) }
#define REDUCTIONS                                                                                 \
    REDUCTION(0, 1), REDUCTION(0, 7), REDUCTION(0, 3, 5), REDUCTION(1, 3, 5), REDUCTION(0, 1, 17), \
        REDUCTION(1, 17, 1), REDUCTION(0, 2, 3, 5), REDUCTION(1, 2, 3, 5), REDUCTION(2, 2, 3, 5),  \
        REDUCTION(1, 2, 9, 4, 3), REDUCTION(3, 2, 1, 3, 2, 7), REDUCTION(0, 4, 0),                 \
        REDUCTION(1, 2, 16, 16, 24), REDUCTION(1, 3, 1025)

static const sf_op_case sum_cases[] = {REDUCTIONS, REDUCTION(1, 4, 0), REDUCTION(0, 0, 3)};
static const sf_op_case mean_cases[] = {REDUCTIONS, REDUCTION(1, 4, 0)};

const sf_op sf_op_sum = {
    .name = "sum",
    .summary = "y = sum of x over one axis, which becomes 1",
    .inputs = {"x"},
    .n_required = 1,
    .attribute_bytes = sizeof(sf_axis_attributes),
    .infer = infer_reduction,
    SF_CASES(sum_cases),
};

const sf_op sf_op_mean = {
    .name = "mean",
    .summary = "y = mean of x over one axis, which becomes 1",
    .inputs = {"x"},
    .n_required = 1,
    .attribute_bytes = sizeof(sf_axis_attributes),
    .infer = infer_reduction,
    .lower = lower_mean,
    SF_CASES(mean_cases),
};

static sf_value reduction(sf_graph *graph, sf_op_id op, sf_value x, int axis) {
    sf_attributes attributes = {.axis.axis = axis};
    return sf_node_add(graph, op, &x, 1, &attributes);
}

sf_value sf_sum(sf_graph *graph, sf_value x, int axis) {
    return reduction(graph, SF_OP_sum, x, axis);
}

sf_value sf_mean(sf_graph *graph, sf_value x, int axis) {
    return reduction(graph, SF_OP_mean, x, axis);
}

/* ---- count_nonfinite ---- */

static sf_status infer_count(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                             const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    (void)attributes;
    SF_TRY(sf_need_float(ctx, "x", &inputs[0]));
    *output = (sf_spec)SF_SPEC(I32, 1);
    return SF_OK;
}

/* The wide range overflows in f16, so that there is something to count. */
static const sf_op_case count_cases[] = {
    {.inputs = {{.dtype = SF_F32}}},
    {.inputs = {SF_SPEC(F32, 1)}},
    {.inputs = {SF_SPEC(F32, 0)}},
    {.inputs = {SF_SPEC(F32, 1001)}, .low = -1e5, .high = 1e5},
    {.inputs = {SF_SPEC(F32, 2, 3, 5, 7)}, .low = 65000, .high = 66000},
};

const sf_op sf_op_count_nonfinite = {
    .name = "count_nonfinite",
    .summary = "y [1], i32 = how many numbers of x are NaN or infinite",
    .inputs = {"x"},
    .n_required = 1,
    .infer = infer_count,
    SF_CASES(count_cases),
};

sf_value sf_count_nonfinite(sf_graph *graph, sf_value x) {
    return sf_node_add(graph, SF_OP_count_nonfinite, &x, 1, NULL);
}
