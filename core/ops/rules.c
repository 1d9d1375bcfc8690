/*
 * What the shape rules and lowerings of several ops share. See rules.h.
 */
#include "core/ops/rules.h"

#include <string.h>

const sf_spec *sf_optional_spec(const sf_spec *inputs, int n_inputs, int i) {
    return i < n_inputs && inputs[i].dtype != SF_NONE ? &inputs[i] : NULL;
}

sf_value sf_optional_value(const sf_value *inputs, int n_inputs, int i) {
    return i < n_inputs ? inputs[i] : SF_NO_VALUE;
}

sf_status sf_need_vector(sf_context *ctx, const char *name, const sf_spec *spec, int64_t size) {
    if (!spec)
        return SF_OK;
    SF_TRY(sf_need_float(ctx, name, spec));
    SF_TRY(sf_need_dims(ctx, name, spec, 1));
    return sf_need_dim(ctx, name, spec, 0, size);
}

sf_status sf_need_residual(sf_context *ctx, const sf_spec *spec, const sf_spec *output) {
    if (!spec)
        return SF_OK;
    SF_TRY(sf_need_float(ctx, "residual", spec));
    if (!sf_spec_same_shape(spec, output)) {
        char wanted[SF_SHAPE_TEXT], given[SF_SHAPE_TEXT];
        SF_FAIL(ctx, ERROR_SHAPE, "residual has shape %s, the output %s",
                sf_shape_text(spec->n_dims, spec->dims, given),
                sf_shape_text(output->n_dims, output->dims, wanted));
    }
    return SF_OK;
}

sf_status sf_need_product(sf_context *ctx, const sf_spec *x, const sf_spec *weight) {
    SF_TRY(sf_need_float(ctx, "x", x));
    SF_TRY(sf_need_float(ctx, "weight", weight));
    SF_TRY(sf_need_dims(ctx, "weight", weight, 2));
    if (x->n_dims < 1)
        SF_FAIL(ctx, ERROR_SHAPE, "x has no dimension, must have at least 1");
    if (x->dims[x->n_dims - 1] != weight->dims[1])
        SF_FAIL(ctx, ERROR_SHAPE, "x has %lld columns, weight %lld",
                (long long)x->dims[x->n_dims - 1], (long long)weight->dims[1]);
    return SF_OK;
}

sf_status sf_need_activation(sf_context *ctx, int32_t activation) {
    if (activation != SF_ACTIVATION_NONE &&
        sf_activation_op((sf_activation)activation) == SF_OP_COUNT)
        SF_FAIL(ctx, ERROR_ARGUMENT, "there is no activation %d", activation);
    return SF_OK;
}

sf_status sf_need_axis(sf_context *ctx, const sf_spec *spec, int64_t axis) {
    if (axis < 0 || axis >= spec->n_dims)
        SF_FAIL(ctx, ERROR_ARGUMENT, "axis %lld of a tensor of %d dimensions", (long long)axis,
                spec->n_dims);
    return SF_OK;
}

sf_status sf_need_shape(sf_context *ctx, int64_t n_dims, const int64_t *dims) {
    if (n_dims < 0 || n_dims > SF_MAX_DIMS)
        SF_FAIL(ctx, ERROR_ARGUMENT, "a shape of %lld dimensions, at most %d", (long long)n_dims,
                SF_MAX_DIMS);
    for (int axis = 0; axis < n_dims; axis++)
        if (dims[axis] < 0)
            SF_FAIL(ctx, ERROR_ARGUMENT, "dimension %d of the new shape is %lld", axis,
                    (long long)dims[axis]);
    return SF_OK;
}

sf_attributes sf_shape_attributes(int n_dims, const int64_t *dims) {
    sf_attributes attributes = {.shape.n_dims = n_dims};
    if (n_dims > 0 && n_dims <= SF_MAX_DIMS)
        memcpy(attributes.shape.dims, dims, (size_t)n_dims * sizeof *dims);
    return attributes;
}

sf_status sf_infer_same(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                        const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    (void)attributes;
    SF_TRY(sf_need_float(ctx, "x", &inputs[0]));
    *output = inputs[0];
    return SF_OK;
}

sf_value sf_widened(sf_graph *graph, sf_value x) {
    return sf_cast(graph, x, SF_F32);
}

sf_value sf_rounded(sf_graph *graph, sf_value result, sf_value like) {
    return sf_cast(graph, result, sf_value_spec(graph, like)->dtype);
}

sf_value sf_reshape_like(sf_graph *graph, sf_value x, const sf_spec *spec) {
    return sf_reshape(graph, x, spec->n_dims, spec->dims);
}
