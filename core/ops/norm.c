/*
 * Normalisations: y = activation((x - mean) / sqrt(variance + epsilon) scale + shift), the variance
 * being the biased one (a mean of squares).
 *
 *   group_norm  x [N, ..., C]: over all positions and the C/groups channels of each group, sample by
 *               sample (Wu and He 2018)
 *   layer_norm  x [..., C]: over the last axis (Ba et al. 2016)
 *   rms_norm    x [..., C]: over the last axis, x / sqrt(mean(x^2) + epsilon) scale, no mean taken
 *               off (Zhang and Sennrich 2019)
 *
 * scale and shift [C], both optional. All floats; y has x's type and shape.
 */
#include "core/ops/rules.h"

#include <math.h>

/* ---- shape rules ---- */

static sf_status infer_norm(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                            const sf_attributes *attributes, sf_spec *output) {
    const sf_spec *x = &inputs[0];
    float epsilon = attributes->norm.epsilon;
    if (x->n_dims < 1)
        SF_FAIL(ctx, ERROR_SHAPE, "x has no dimension, must have at least 1");
    if (!(epsilon >= 0) || isinf(epsilon))
        SF_FAIL(ctx, ERROR_ARGUMENT, "epsilon %g", (double)epsilon);
    SF_TRY(sf_need_activation(ctx, attributes->norm.activation));
    int64_t channels = x->dims[x->n_dims - 1];
    SF_TRY(sf_need_vector(ctx, "scale", sf_optional_spec(inputs, n_inputs, 1), channels));
    SF_TRY(sf_need_vector(ctx, "shift", sf_optional_spec(inputs, n_inputs, 2), channels));
    return sf_infer_same(ctx, inputs, n_inputs, attributes, output);
}

static sf_status infer_group_norm(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                                  const sf_attributes *attributes, sf_spec *output) {
    const sf_spec *x = &inputs[0];
    int32_t groups = attributes->norm.groups;
    if (x->n_dims < 2)
        SF_FAIL(ctx, ERROR_SHAPE, "x has %d dimensions, must have at least 2", x->n_dims);
    if (groups < 1)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d groups", groups);
    if (x->dims[x->n_dims - 1] % groups != 0)
        SF_FAIL(ctx, ERROR_SHAPE, "%lld channels not divisible by %d groups",
                (long long)x->dims[x->n_dims - 1], groups);
    return infer_norm(ctx, inputs, n_inputs, attributes, output);
}

/* ---- in simpler ops ---- */

/* x / sqrt(mean of x^2 over the axes + epsilon); axes ends with -1. */
static sf_value divide_by_deviation(sf_graph *graph, sf_value x, const int *axes, float epsilon) {
    sf_value variance = sf_unary(graph, SF_OP_square, x);
    for (int i = 0; axes[i] >= 0; i++)
        variance = sf_mean(graph, variance, axes[i]);
    sf_value deviation = sf_unary(graph, SF_OP_sqrt, sf_affine(graph, variance, 1, epsilon));
    return sf_divide(graph, x, deviation);
}

static sf_value normalize(sf_graph *graph, sf_value x, const int *axes, float epsilon) {
    sf_value mean = x;
    for (int i = 0; axes[i] >= 0; i++)
        mean = sf_mean(graph, mean, axes[i]);
    return divide_by_deviation(graph, sf_subtract(graph, x, mean), axes, epsilon);
}

static sf_value finish(sf_graph *graph, sf_value y, const sf_value *inputs, int n_inputs,
                       const sf_attributes *attributes) {
    sf_value scale = sf_optional_value(inputs, n_inputs, 1);
    sf_value shift = sf_optional_value(inputs, n_inputs, 2);
    if (scale != SF_NO_VALUE)
        y = sf_multiply(graph, y, scale);
    if (shift != SF_NO_VALUE)
        y = sf_add(graph, y, shift);
    y = sf_activate(graph, y, (sf_activation)attributes->norm.activation);
    return sf_rounded(graph, y, inputs[0]);
}

/* As [N, positions, groups, channels of a group], normalised over axes 1 and 3. */
static sf_value lower_group_norm(sf_graph *graph, const sf_value *inputs, int n_inputs,
                                 const sf_attributes *attributes) {
    sf_spec spec = *sf_value_spec(graph, inputs[0]);
    int64_t groups = attributes->norm.groups, positions = 1;
    for (int axis = 1; axis < spec.n_dims - 1; axis++)
        positions *= spec.dims[axis];
    sf_value x =
        sf_reshape(graph, sf_widened(graph, inputs[0]),
                   SF_DIMS(spec.dims[0], positions, groups, spec.dims[spec.n_dims - 1] / groups));
    sf_value y = normalize(graph, x, (const int[]){1, 3, -1}, attributes->norm.epsilon);
    return finish(graph, sf_reshape_like(graph, y, &spec), inputs, n_inputs, attributes);
}

static sf_value lower_layer_norm(sf_graph *graph, const sf_value *inputs, int n_inputs,
                                 const sf_attributes *attributes) {
    int axes[] = {sf_value_spec(graph, inputs[0])->n_dims - 1, -1};
    sf_value y = normalize(graph, sf_widened(graph, inputs[0]), axes, attributes->norm.epsilon);
    return finish(graph, y, inputs, n_inputs, attributes);
}

static sf_value lower_rms_norm(sf_graph *graph, const sf_value *inputs, int n_inputs,
                               const sf_attributes *attributes) {
    int axes[] = {sf_value_spec(graph, inputs[0])->n_dims - 1, -1};
    sf_value y =
        divide_by_deviation(graph, sf_widened(graph, inputs[0]), axes, attributes->norm.epsilon);
    return finish(graph, y, inputs, n_inputs, attributes);
}

/* ---- cases ---- */

#define NORM(n_groups, eps, name, ...)                                                             \
    {                                                                                              \
        .inputs = {__VA_ARGS__}, .attributes.norm = {                                              \
            .groups = (n_groups),                                                                  \
            .activation = SF_ACTIVATION_##name,                                                    \
            .epsilon = (eps)                                                                       \
        }                                                                                          \
    }
#define C(n) SF_SPEC(F32, n)
#define NO                                                                                         \
    { .dtype = SF_NONE }

static const sf_op_case group_cases[] = {
    NORM(1, 1e-5f, NONE, SF_SPEC(F32, 1, 1), C(1), C(1)),
    NORM(1, 1e-5f, NONE, SF_SPEC(F32, 2, 3, 5, 7), C(7), C(7)),
    NORM(7, 1e-6f, SILU, SF_SPEC(F32, 2, 3, 5, 7), C(7), C(7)),
    NORM(2, 1e-5f, NONE, SF_SPEC(F32, 3, 6)),
    NORM(3, 1e-5f, NONE, SF_SPEC(F32, 1, 5, 6), C(6)),
    NORM(3, 1e-5f, RELU, SF_SPEC(F32, 1, 5, 6), NO, C(6)),
    NORM(4, 1e-3f, GELU, SF_SPEC(F32, 2, 2, 3, 2, 8), C(8), C(8)),
    NORM(2, 1e-5f, NONE, SF_SPEC(F32, 0, 3, 3, 4), C(4), C(4)),
    NORM(2, 1e-5f, NONE, SF_SPEC(F32, 1, 0, 3, 4), C(4), C(4)),
    NORM(2, 1e-5f, NONE, SF_SPEC(F32, 1, 3, 3, 0), C(0), C(0)),
    {.inputs = {SF_SPEC(F32, 1, 9, 9, 10), C(10), C(10)},
     .attributes.norm = {.groups = 5, .epsilon = 1e-5f},
     .low = 10,
     .high = 11},
    NORM(16, 1e-5f, SILU, SF_SPEC(F32, 2, 16, 16, 48), C(48), C(48)),
    NORM(32, 1e-6f, NONE, SF_SPEC(F32, 1, 8, 8, 320), C(320), C(320)),
};

static const sf_op_case layer_cases[] = {
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 1), C(1), C(1)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 5), C(5)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 3, 7), C(7), C(7)),
    NORM(0, 1e-6f, NONE, SF_SPEC(F32, 2, 3, 13)),
    NORM(0, 1e-5f, GELU_TANH, SF_SPEC(F32, 2, 3, 13), NO, C(13)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 2, 3, 2, 2, 17), C(17), C(17)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 0, 4), C(4), C(4)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 4, 0), C(0), C(0)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 2, 77, 128), C(128), C(128)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 1, 64, 320), C(320), C(320)),
};

static const sf_op_case rms_cases[] = {
    NORM(0, 1e-6f, NONE, SF_SPEC(F32, 1), C(1)),
    NORM(0, 1e-6f, NONE, SF_SPEC(F32, 3, 7), C(7)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 2, 3, 13)),
    NORM(0, 1e-5f, SILU, SF_SPEC(F32, 2, 3, 2, 2, 5), C(5)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 0, 4), C(4)),
    NORM(0, 1e-5f, NONE, SF_SPEC(F32, 4, 0), C(0)),
    NORM(0, 1e-6f, NONE, SF_SPEC(F32, 2, 19, 512), C(512)),
};

/* ---- descriptors ---- */

const sf_op sf_op_group_norm = {
    .name = "group_norm",
    .summary = "y = activation((x - mean) / sqrt(variance + epsilon) scale + shift), x [N, ..., C] "
               "by sample and group of channels",
    .inputs = {"x", "scale", "shift"},
    .n_required = 1,
    .attribute_bytes = sizeof(sf_norm_attributes),
    .infer = infer_group_norm,
    .lower = lower_group_norm,
    SF_CASES(group_cases),
};

const sf_op sf_op_layer_norm = {
    .name = "layer_norm",
    .summary = "y = activation((x - mean) / sqrt(variance + epsilon) scale + shift), x [..., C] "
               "over the last axis",
    .inputs = {"x", "scale", "shift"},
    .n_required = 1,
    .attribute_bytes = sizeof(sf_norm_attributes),
    .infer = infer_norm,
    .lower = lower_layer_norm,
    SF_CASES(layer_cases),
};

const sf_op sf_op_rms_norm = {
    .name = "rms_norm",
    .summary = "y = activation(x / sqrt(mean(x^2) + epsilon) scale), x [..., C] over the last axis",
    .inputs = {"x", "scale"},
    .n_required = 1,
    .attribute_bytes = sizeof(sf_norm_attributes),
    .infer = infer_norm,
    .lower = lower_rms_norm,
    SF_CASES(rms_cases),
};

/* ---- builders ---- */

sf_value sf_group_norm(sf_graph *graph, sf_value x, sf_value scale, sf_value shift, int groups,
                       float epsilon) {
    sf_value inputs[] = {x, scale, shift};
    sf_attributes attributes = {.norm = {.groups = groups, .epsilon = epsilon}};
    return sf_node_add(graph, SF_OP_group_norm, inputs, 3, &attributes);
}

sf_value sf_layer_norm(sf_graph *graph, sf_value x, sf_value scale, sf_value shift, float epsilon) {
    sf_value inputs[] = {x, scale, shift};
    sf_attributes attributes = {.norm.epsilon = epsilon};
    return sf_node_add(graph, SF_OP_layer_norm, inputs, 3, &attributes);
}

sf_value sf_rms_norm(sf_graph *graph, sf_value x, sf_value scale, float epsilon) {
    sf_value inputs[] = {x, scale};
    sf_attributes attributes = {.norm.epsilon = epsilon};
    return sf_node_add(graph, SF_OP_rms_norm, inputs, 2, &attributes);
}
