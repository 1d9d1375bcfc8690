/*
 * Arithmetic of two tensors: y = a op b, number by number.
 *
 * a and b are floats whose shapes broadcast as in PyTorch: aligned at the last dimension, a size of
 * 1 or none is repeated. y has a's type and the joined shape. Computed in f32. The output may be an
 * input that has its type and shape.
 */
#include "core/ops/rules.h"

static sf_status infer_binary(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                              const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    (void)attributes;
    SF_TRY(sf_need_float(ctx, "a", &inputs[0]));
    SF_TRY(sf_need_float(ctx, "b", &inputs[1]));
    return sf_broadcast(ctx, &inputs[0], &inputs[1], output);
}

/* a - b = a + (-1) b, exactly. */
static sf_value lower_subtract(sf_graph *graph, const sf_value *inputs, int n_inputs,
                               const sf_attributes *attributes) {
    (void)n_inputs;
    (void)attributes;
    return sf_add(graph, inputs[0], sf_affine(graph, inputs[1], -1, 0));
}

#define PAIR(...) .inputs = {__VA_ARGS__}, .low = 0.5, .high = 2

/* Drawn from 0.5..2, so that the same table serves division. */
static const sf_op_case cases[] = {
    {PAIR({.dtype = SF_F32}, {.dtype = SF_F32})},
    {PAIR({.dtype = SF_F32}, SF_SPEC(F32, 3))},
    {PAIR(SF_SPEC(F32, 2, 5), {.dtype = SF_F32})},
    {PAIR(SF_SPEC(F32, 1), SF_SPEC(F32, 1))},
    {PAIR(SF_SPEC(F32, 17), SF_SPEC(F32, 17))},
    {PAIR(SF_SPEC(F32, 0), SF_SPEC(F32, 0))},
    {PAIR(SF_SPEC(F32, 0), SF_SPEC(F32, 1))},
    {PAIR(SF_SPEC(F32, 3, 0, 2), SF_SPEC(F32, 1, 2))},
    {PAIR(SF_SPEC(F32, 7, 13), SF_SPEC(F32, 13))},
    {PAIR(SF_SPEC(F32, 7, 13), SF_SPEC(F32, 7, 1))},
    {PAIR(SF_SPEC(F32, 7, 1), SF_SPEC(F32, 1, 13))},
    {PAIR(SF_SPEC(F32, 13), SF_SPEC(F32, 2, 7, 13))},
    {PAIR(SF_SPEC(F32, 2, 3, 5), SF_SPEC(F32, 2, 1, 5))},
    {PAIR(SF_SPEC(F32, 2, 5, 3, 7), SF_SPEC(F32, 2, 1, 1, 7))},
    {PAIR(SF_SPEC(F32, 1, 5, 1, 7), SF_SPEC(F32, 2, 1, 3, 1))},
    {PAIR(SF_SPEC(F32, 2, 1, 3, 1, 5), SF_SPEC(F32, 1, 4, 1, 2, 1))},
    {PAIR(SF_SPEC(F32, 2, 3, 4, 3, 5), SF_SPEC(F32, 2, 3, 4, 3, 5))},
    {PAIR(SF_SPEC(F32, 2, 16, 16, 48), SF_SPEC(F32, 2, 16, 16, 48))},
    {PAIR(SF_SPEC(F32, 2, 16, 16, 48), SF_SPEC(F32, 48))},
};

#define BINARY(op, sign, simpler)                                                                  \
    const sf_op sf_op_##op = {.name = #op,                                                         \
                              .summary = "y = a " sign " b, shapes broadcast",                     \
                              .inputs = {"a", "b"},                                                \
                              .n_required = 2,                                                     \
                              .flags = SF_OP_ELEMENTWISE,                                          \
                              .infer = infer_binary,                                               \
                              .lower = simpler,                                                    \
                              SF_CASES(cases)}

BINARY(add, "+", NULL);
BINARY(subtract, "-", lower_subtract);
BINARY(multiply, "*", NULL);
BINARY(divide, "/", NULL);

static sf_value binary(sf_graph *graph, sf_op_id op, sf_value a, sf_value b) {
    sf_value inputs[] = {a, b};
    return sf_node_add(graph, op, inputs, 2, NULL);
}

sf_value sf_add(sf_graph *graph, sf_value a, sf_value b) {
    return binary(graph, SF_OP_add, a, b);
}

sf_value sf_subtract(sf_graph *graph, sf_value a, sf_value b) {
    return binary(graph, SF_OP_subtract, a, b);
}

sf_value sf_multiply(sf_graph *graph, sf_value a, sf_value b) {
    return binary(graph, SF_OP_multiply, a, b);
}

sf_value sf_divide(sf_graph *graph, sf_value a, sf_value b) {
    return binary(graph, SF_OP_divide, a, b);
}
