/*
 * Functions of one number: y[i] = f(x[i]) for a float x of any shape; y has x's type and shape. The
 * output may be the input.
 */
#include "core/ops/rules.h"

#include <math.h>

/* ---- in simpler ops ---- */

#define UNUSED_LOWER_ARGUMENTS                                                                     \
    (void)n_inputs;                                                                                \
    (void)attributes

static sf_value times_sigmoid(sf_graph *graph, sf_value x, sf_value argument) {
    return sf_multiply(graph, x, sf_unary(graph, SF_OP_sigmoid, argument));
}

/* x sigmoid(x): Elfwing et al. 2017, "Sigmoid-weighted linear units", eq. 3. */
static sf_value lower_silu(sf_graph *graph, const sf_value *inputs, int n_inputs,
                           const sf_attributes *attributes) {
    UNUSED_LOWER_ARGUMENTS;
    sf_value x = sf_widened(graph, inputs[0]);
    return sf_rounded(graph, times_sigmoid(graph, x, x), inputs[0]);
}

/* x sigmoid(1.702 x): Hendrycks and Gimpel 2016, section 2. */
static sf_value lower_quick_gelu(sf_graph *graph, const sf_value *inputs, int n_inputs,
                                 const sf_attributes *attributes) {
    UNUSED_LOWER_ARGUMENTS;
    sf_value x = sf_widened(graph, inputs[0]);
    sf_value scaled = sf_affine(graph, x, 1.702f, 0);
    return sf_rounded(graph, times_sigmoid(graph, x, scaled), inputs[0]);
}

/*
 * x/2 (1 + tanh u) with u = sqrt(2/pi) (x + 0.044715 x^3) is x sigmoid(2u), since (1 + tanh u)/2 =
 * sigmoid(2u); and 2u = x (a x^2 + b).
 */
static sf_value lower_gelu_tanh(sf_graph *graph, const sf_value *inputs, int n_inputs,
                                const sf_attributes *attributes) {
    UNUSED_LOWER_ARGUMENTS;
    sf_value x = sf_widened(graph, inputs[0]);
    const double b = 2 * sqrt(2 / 3.14159265358979323846);
    sf_value factor =
        sf_affine(graph, sf_unary(graph, SF_OP_square, x), (float)(0.044715 * b), (float)b);
    sf_value twice_u = sf_multiply(graph, x, factor);
    return sf_rounded(graph, times_sigmoid(graph, x, twice_u), inputs[0]);
}

static sf_value lower_relu(sf_graph *graph, const sf_value *inputs, int n_inputs,
                           const sf_attributes *attributes) {
    UNUSED_LOWER_ARGUMENTS;
    return sf_clamp(graph, inputs[0], 0, INFINITY);
}

/*
 * x tanh(log(1 + exp x)): Misra 2019, eq. 1. Overflow is harmless: exp gives infinity, log infinity,
 * tanh 1.
 */
static sf_value lower_mish(sf_graph *graph, const sf_value *inputs, int n_inputs,
                           const sf_attributes *attributes) {
    UNUSED_LOWER_ARGUMENTS;
    sf_value x = sf_widened(graph, inputs[0]);
    sf_value exponential = sf_unary(graph, SF_OP_exp, x);
    sf_value softplus = sf_unary(graph, SF_OP_log, sf_affine(graph, exponential, 1, 1));
    sf_value y = sf_multiply(graph, x, sf_unary(graph, SF_OP_tanh, softplus));
    return sf_rounded(graph, y, inputs[0]);
}

static sf_value lower_square(sf_graph *graph, const sf_value *inputs, int n_inputs,
                             const sf_attributes *attributes) {
    UNUSED_LOWER_ARGUMENTS;
    return sf_multiply(graph, inputs[0], inputs[0]);
}

/* ---- cases ---- */

/* x is drawn from lowest..highest; both 0: normal. */
#define UNARY_CASE(lowest, highest, ...)                                                           \
    { .inputs = {SF_SPEC(F32, __VA_ARGS__)}, .low = (lowest), .high = (highest) }
#define UNARY_CASES(lowest, highest)                                                               \
    {                                                                                              \
        {.inputs = {{.dtype = SF_F32}}, .low = (lowest), .high = (highest)},                       \
            UNARY_CASE(lowest, highest, 1), UNARY_CASE(lowest, highest, 0),                        \
            UNARY_CASE(lowest, highest, 3, 0, 2), UNARY_CASE(lowest, highest, 17),                 \
            UNARY_CASE(lowest, highest, 7, 13), UNARY_CASE(lowest, highest, 2, 3, 5),              \
            UNARY_CASE(lowest, highest, 1, 3, 5, 11), UNARY_CASE(lowest, highest, 2, 1, 3, 2, 7),  \
            UNARY_CASE(lowest, highest, 2, 16, 16, 48)                                             \
    }

static const sf_op_case normal_cases[] = UNARY_CASES(0, 0);
static const sf_op_case wide_cases[] = UNARY_CASES(-30, 30);
static const sf_op_case exponent_cases[] = UNARY_CASES(-8, 8);
static const sf_op_case positive_cases[] = UNARY_CASES(0.01, 50);

/* ---- descriptors ---- */

#define UNARY(op, formula, simpler, table)                                                         \
    const sf_op sf_op_##op = {.name = #op,                                                         \
                              .summary = "y = " formula ", any shape",                             \
                              .inputs = {"x"},                                                     \
                              .n_required = 1,                                                     \
                              .flags = SF_OP_ELEMENTWISE,                                          \
                              .infer = sf_infer_same,                                              \
                              .lower = simpler,                                                    \
                              SF_CASES(table)}

UNARY(silu, "x / (1 + exp(-x))", lower_silu, wide_cases);
UNARY(gelu, "x (1 + erf(x / sqrt 2)) / 2", NULL, wide_cases);
UNARY(gelu_tanh, "x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2", lower_gelu_tanh, wide_cases);
UNARY(quick_gelu, "x / (1 + exp(-1.702 x))", lower_quick_gelu, wide_cases);
UNARY(relu, "max(x, 0)", lower_relu, wide_cases);
UNARY(mish, "x tanh(log(1 + exp x))", lower_mish, wide_cases);
UNARY(sigmoid, "1 / (1 + exp(-x))", NULL, wide_cases);
UNARY(tanh, "tanh x", NULL, exponent_cases);
UNARY(exp, "exp x", NULL, exponent_cases);
UNARY(log, "log x, natural", NULL, positive_cases);
UNARY(sqrt, "sqrt x", NULL, positive_cases);
UNARY(square, "x^2", lower_square, normal_cases);
UNARY(sin, "sin x, in radians", NULL, wide_cases);
UNARY(cos, "cos x, in radians", NULL, wide_cases);

/* ---- builders ---- */

sf_value sf_unary(sf_graph *graph, sf_op_id op, sf_value x) {
    return sf_node_add(graph, op, &x, 1, NULL);
}

sf_value sf_activate(sf_graph *graph, sf_value x, sf_activation activation) {
    if (activation == SF_ACTIVATION_NONE)
        return x;
    sf_op_id op = sf_activation_op(activation);
    if (op == SF_OP_COUNT)
        return sf_graph_fail(graph, SF_ERROR_ARGUMENT, "there is no activation %d",
                             (int)activation);
    return sf_unary(graph, op, x);
}
