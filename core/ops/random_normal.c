/*
 * random_normal: independent values of the standard normal distribution, drawn on the device.
 *
 * key i64 [2] = seed and offset; attributes: the shape -> y f32. Element i (in row-major order) is
 * drawn from Philox4x32-10 (Salmon et al. 2011) with the key `seed` and the counter (offset, i) by
 * Box and Muller's formula: what core/rng.h's SF_RNG_PHILOX draws in call number `offset`, the
 * noise of PyTorch's CUDA generator.
 */
#include "core/ops/rules.h"

static sf_status infer_random(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                              const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    if (inputs[0].dtype != SF_I64)
        SF_FAIL(ctx, ERROR_SHAPE, "key is %s, must be i64", sf_dtype_name(inputs[0].dtype));
    SF_TRY(sf_need_dims(ctx, "key", &inputs[0], 1));
    SF_TRY(sf_need_dim(ctx, "key", &inputs[0], 0, 2));
    SF_TRY(sf_need_shape(ctx, attributes->shape.n_dims, attributes->shape.dims));
    sf_spec result = {.dtype = SF_F32, .n_dims = (int)attributes->shape.n_dims};
    for (int axis = 0; axis < result.n_dims; axis++)
        result.dims[axis] = attributes->shape.dims[axis];
    sf_spec_normalize(&result);
    *output = result;
    return SF_OK;
}

#define RANDOM(rank, ...)                                                                          \
    {                                                                                              \
        .inputs = {SF_SPEC(I64, 2)}, .integer_limit = INT64_C(1) << 40, .attributes.shape = {      \
            .n_dims = (rank),                                                                      \
            .dims = {__VA_ARGS__}                                                                  \
        }                                                                                          \
    }

static const sf_op_case cases[] = {
    {.inputs = {SF_SPEC(I64, 2)}, .integer_limit = 3},
    RANDOM(1, 1),
    RANDOM(1, 0),
    RANDOM(2, 3, 7),
    RANDOM(4, 1, 4, 16, 16),
    RANDOM(5, 2, 1, 3, 5, 7),
};

const sf_op sf_op_random_normal = {
    .name = "random_normal",
    .summary = "y = standard normal values of Philox4x32-10, key i64 [2] = seed, offset",
    .inputs = {"key"},
    .n_required = 1,
    .attribute_bytes = sizeof((sf_attributes *)0)->shape,
    .infer = infer_random,
    SF_CASES(cases),
};

sf_value sf_random_normal(sf_graph *graph, sf_value key, int n_dims, const int64_t *dims) {
    sf_attributes attributes = sf_shape_attributes(n_dims, dims);
    return sf_node_add(graph, SF_OP_random_normal, &key, 1, &attributes);
}
