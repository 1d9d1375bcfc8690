/*
 * linear_combination: y = c_1 x_1 + ... + c_n x_n, what a sampler's step is made of.
 *
 * coefficients f32 [n], x_1 .. x_n (1 <= n <= 8) floats of one type and shape -> y like them. The
 * coefficients are data, so that one plan serves all steps. The output may be one of the x.
 */
#include "core/ops/rules.h"

#define MOST_TERMS (SF_MAX_INPUTS - 1)

static sf_status infer_combination(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                                   const sf_attributes *attributes, sf_spec *output) {
    (void)attributes;
    if (inputs[0].dtype != SF_F32)
        SF_FAIL(ctx, ERROR_SHAPE, "coefficients are %s, must be f32",
                sf_dtype_name(inputs[0].dtype));
    SF_TRY(sf_need_dims(ctx, "coefficients", &inputs[0], 1));
    if (inputs[0].dims[0] != n_inputs - 1)
        SF_FAIL(ctx, ERROR_SHAPE, "%lld coefficients for %d tensors", (long long)inputs[0].dims[0],
                n_inputs - 1);
    SF_TRY(sf_need_float(ctx, "the first tensor", &inputs[1]));
    for (int i = 2; i < n_inputs; i++)
        if (!sf_spec_equal(&inputs[i], &inputs[1]))
            SF_FAIL(ctx, ERROR_SHAPE, "tensor %d differs from the first in type or shape", i - 1);
    *output = inputs[1];
    return SF_OK;
}

/* Terms added one after the other, each x_i times a slice of the coefficients. */
static sf_value lower_combination(sf_graph *graph, const sf_value *inputs, int n_inputs,
                                  const sf_attributes *attributes) {
    (void)attributes;
    sf_spec spec = *sf_value_spec(graph, inputs[1]);
    sf_value total = SF_NO_VALUE;
    for (int i = 1; i < n_inputs; i++) {
        sf_value coefficient = sf_slice(graph, inputs[0], 0, i - 1, 1);
        if (spec.n_dims == 0)
            coefficient = sf_reshape(graph, coefficient, 0, NULL);
        sf_value term = sf_multiply(graph, sf_widened(graph, inputs[i]), coefficient);
        total = i == 1 ? term : sf_add(graph, total, term);
    }
    return sf_rounded(graph, total, inputs[1]);
}

#define X(...) SF_SPEC(F32, __VA_ARGS__)
#define COMBINATION(n, ...)                                                                        \
    {                                                                                              \
        .inputs = { SF_SPEC(F32, n), __VA_ARGS__ }                                                 \
    }

static const sf_op_case cases[] = {
    COMBINATION(1, {.dtype = SF_F32}),
    COMBINATION(1, X(1)),
    COMBINATION(2, X(2), X(2)),
    COMBINATION(2, X(7), X(7)),
    COMBINATION(3, X(3, 0), X(3, 0), X(3, 0)),
    COMBINATION(2, X(1, 4, 8, 8), X(1, 4, 8, 8)),
    COMBINATION(4, X(2, 3, 5), X(2, 3, 5), X(2, 3, 5), X(2, 3, 5)),
    COMBINATION(5, X(13), X(13), X(13), X(13), X(13)),
    COMBINATION(8, X(257), X(257), X(257), X(257), X(257), X(257), X(257), X(257)),
    COMBINATION(3, X(1, 2, 3, 2, 3), X(1, 2, 3, 2, 3), X(1, 2, 3, 2, 3)),
};

const sf_op sf_op_linear_combination = {
    .name = "linear_combination",
    .summary = "y = c_1 x_1 + ... + c_n x_n with coefficients c [n], 1 <= n <= 8",
    .inputs = {"coefficients", "x"},
    .n_required = 2,
    .variadic = true,
    .flags = SF_OP_ELEMENTWISE,
    .infer = infer_combination,
    .lower = lower_combination,
    SF_CASES(cases),
};

sf_value sf_linear_combination(sf_graph *graph, sf_value coefficients, const sf_value *tensors,
                               int n_tensors) {
    if (n_tensors < 1 || n_tensors > MOST_TERMS)
        return sf_graph_fail(graph, SF_ERROR_ARGUMENT,
                             "linear_combination of %d tensors, must be 1..%d", n_tensors,
                             MOST_TERMS);
    sf_value inputs[SF_MAX_INPUTS] = {coefficients};
    for (int i = 0; i < n_tensors; i++)
        inputs[1 + i] = tensors[i];
    return sf_node_add(graph, SF_OP_linear_combination, inputs, 1 + n_tensors, NULL);
}
