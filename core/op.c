/*
 * The list of ops as a table, and what shape rules have in common. The ops themselves are in
 * core/ops/.
 */
#include "core/op.h"

#include <stdio.h>
#include <string.h>

#include "core/tensor.h"

#define SF_OP(name) extern const sf_op sf_op_##name;
#include "core/ops.def"
#undef SF_OP

static const sf_op *const ops[SF_OP_COUNT] = {
#define SF_OP(name) [SF_OP_##name] = &sf_op_##name,
#include "core/ops.def"
#undef SF_OP
};

const sf_op *sf_op_get(sf_op_id id) {
    return (unsigned)id < SF_OP_COUNT ? ops[id] : NULL;
}

sf_op_id sf_op_find(const char *name) {
    int id = 0;
    while (id < SF_OP_COUNT && strcmp(ops[id]->name, name) != 0)
        id++;
    return (sf_op_id)id;
}

sf_op_id sf_op_id_of(const sf_op *op) {
    int id = 0;
    while (id < SF_OP_COUNT && ops[id] != op)
        id++;
    return (sf_op_id)id;
}

double sf_op_flops(sf_op_id id, const sf_spec *inputs, int n_inputs,
                   const sf_attributes *attributes, const sf_spec *output) {
    return ops[id]->flops ? ops[id]->flops(inputs, n_inputs, attributes, output) : 0;
}

/* ---- activations ---- */

static const struct {
    sf_activation activation;
    sf_op_id op;
} activations[] = {
#define ACTIVATION_OP(name, value, function) {SF_ACTIVATION_##name, SF_OP_##function},
    SF_ACTIVATION_LIST(ACTIVATION_OP)
#undef ACTIVATION_OP
};

#define N_ACTIVATIONS (sizeof activations / sizeof *activations)

sf_op_id sf_activation_op(sf_activation activation) {
    for (size_t i = 0; i < N_ACTIVATIONS; i++)
        if (activations[i].activation == activation)
            return activations[i].op;
    return SF_OP_COUNT;
}

sf_activation sf_op_activation(sf_op_id id) {
    for (size_t i = 0; i < N_ACTIVATIONS; i++)
        if (activations[i].op == id)
            return activations[i].activation;
    return SF_ACTIVATION_NONE;
}

/* ---- specs ---- */

void sf_spec_normalize(sf_spec *spec) {
    for (int axis = spec->n_dims; axis < SF_MAX_DIMS; axis++)
        spec->dims[axis] = 1;
}

bool sf_spec_same_shape(const sf_spec *a, const sf_spec *b) {
    if (a->n_dims != b->n_dims)
        return false;
    for (int axis = 0; axis < a->n_dims; axis++)
        if (a->dims[axis] != b->dims[axis])
            return false;
    return true;
}

bool sf_spec_equal(const sf_spec *a, const sf_spec *b) {
    return a->dtype == b->dtype && sf_spec_same_shape(a, b);
}

int64_t sf_spec_elements(const sf_spec *spec) {
    int64_t n_elements = 1;
    for (int axis = 0; axis < spec->n_dims; axis++) {
        if (spec->dims[axis] == 0)
            return 0;
        n_elements *= spec->dims[axis];
    }
    return n_elements;
}

size_t sf_spec_bytes(const sf_spec *spec) {
    const sf_dtype_info *info = sf_dtype_get(spec->dtype);
    if (info->block_elements == 0)
        return 0;
    return (size_t)(sf_spec_elements(spec) / info->block_elements * info->block_bytes);
}

const char *sf_spec_text(const sf_spec *spec, char *text) {
    char shape[SF_SHAPE_TEXT];
    if (spec->dtype == SF_NONE)
        snprintf(text, SF_SHAPE_TEXT, "none");
    else
        snprintf(text, SF_SHAPE_TEXT, "%s %.*s", sf_dtype_name(spec->dtype), SF_SHAPE_TEXT - 8,
                 sf_shape_text(spec->n_dims, spec->dims, shape));
    return text;
}

/* ---- checks ---- */

sf_status sf_need_float(sf_context *ctx, const char *name, const sf_spec *spec) {
    if (!sf_dtype_is_float(spec->dtype))
        SF_FAIL(ctx, ERROR_SHAPE, "%s is %s, must be a float type (f32, f16, bf16)", name,
                sf_dtype_name(spec->dtype));
    return SF_OK;
}

sf_status sf_need_dims(sf_context *ctx, const char *name, const sf_spec *spec, int n_dims) {
    if (spec->n_dims != n_dims)
        SF_FAIL(ctx, ERROR_SHAPE, "%s has %d dimensions, must have %d", name, spec->n_dims, n_dims);
    return SF_OK;
}

sf_status sf_need_dim(sf_context *ctx, const char *name, const sf_spec *spec, int axis,
                      int64_t size) {
    if (axis >= spec->n_dims)
        SF_FAIL(ctx, ERROR_SHAPE, "%s has %d dimensions, must have at least %d", name, spec->n_dims,
                axis + 1);
    if (spec->dims[axis] != size)
        SF_FAIL(ctx, ERROR_SHAPE, "dimension %d of %s is %lld, must be %lld", axis, name,
                (long long)spec->dims[axis], (long long)size);
    return SF_OK;
}

/* Shapes are aligned at their last dimensions; a size of 1, or none, is repeated. */
sf_status sf_broadcast(sf_context *ctx, const sf_spec *a, const sf_spec *b, sf_spec *output) {
    sf_spec joined = {.dtype = a->dtype, .n_dims = a->n_dims > b->n_dims ? a->n_dims : b->n_dims};
    for (int axis = 0; axis < joined.n_dims; axis++) {
        int a_axis = axis - (joined.n_dims - a->n_dims);
        int b_axis = axis - (joined.n_dims - b->n_dims);
        int64_t a_dim = a_axis < 0 ? 1 : a->dims[a_axis];
        int64_t b_dim = b_axis < 0 ? 1 : b->dims[b_axis];
        if (a_dim != b_dim && a_dim != 1 && b_dim != 1)
            SF_FAIL(ctx, ERROR_SHAPE, "shapes do not broadcast: dimension %d is %lld and %lld",
                    axis, (long long)a_dim, (long long)b_dim);
        joined.dims[axis] = a_dim == 1 ? b_dim : a_dim;
    }
    sf_spec_normalize(&joined);
    *output = joined;
    return SF_OK;
}
