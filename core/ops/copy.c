/*
 * Moving data. copy: the same values, contiguous. cast: in another type. concat: tensors one after
 * the other along an axis. All plain types (f32 f16 bf16 i32 i64 u8).
 *
 * cast to a float type rounds to nearest even. From float to integer it drops the fraction, as
 * PyTorch; what is out of range becomes the nearest value of the type, and NaN 0 (undefined in C
 * and PyTorch). Between integer types the low bits are kept.
 */
#include "core/ops/rules.h"

static sf_status need_plain(sf_context *ctx, const char *name, int32_t dtype) {
    if (dtype < SF_F32 || dtype > SF_U8)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%s is of type %s (%d)", name, sf_dtype_name((sf_dtype)dtype),
                dtype);
    return SF_OK;
}

/* ---- copy ---- */

static sf_status infer_copy(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                            const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    (void)attributes;
    SF_TRY(need_plain(ctx, "x", inputs[0].dtype));
    *output = inputs[0];
    return SF_OK;
}

static const sf_op_case copy_cases[] = {
    {.inputs = {{.dtype = SF_F32}}},           {.inputs = {SF_SPEC(F32, 1)}},
    {.inputs = {SF_SPEC(F32, 0, 3)}},          {.inputs = {SF_SPEC(F32, 7, 13)}},
    {.inputs = {SF_SPEC(F32, 2, 3, 5)}},       {.inputs = {SF_SPEC(F32, 2, 3, 5, 7)}},
    {.inputs = {SF_SPEC(F32, 2, 3, 2, 3, 5)}}, {.inputs = {SF_SPEC(I32, 5, 3)}},
    {.inputs = {SF_SPEC(I64, 2, 3, 4)}},       {.inputs = {SF_SPEC(U8, 3, 17)}},
    {.inputs = {SF_SPEC(F32, 2, 16, 16, 48)}},
};

const sf_op sf_op_copy = {
    .name = "copy",
    .summary = "y = x, contiguous",
    .inputs = {"x"},
    .n_required = 1,
    .flags = SF_OP_EXACT,
    .infer = infer_copy,
    SF_CASES(copy_cases),
};

sf_value sf_copy(sf_graph *graph, sf_value x) {
    return sf_node_add(graph, SF_OP_copy, &x, 1, NULL);
}

/* ---- cast ---- */

static sf_status infer_cast(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                            const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    SF_TRY(need_plain(ctx, "x", inputs[0].dtype));
    SF_TRY(need_plain(ctx, "the result", attributes->type.dtype));
    sf_spec result = inputs[0];
    result.dtype = (sf_dtype)attributes->type.dtype;
    *output = result;
    return SF_OK;
}

#define CAST(from, to, lowest, highest, ...)                                                       \
    {                                                                                              \
        .inputs = {SF_SPEC(from, __VA_ARGS__)}, .attributes.type.dtype = SF_##to, .low = (lowest), \
        .high = (highest)                                                                          \
    }

static const sf_op_case cast_cases[] = {
    {.inputs = {{.dtype = SF_F32}}, .attributes.type.dtype = SF_F16},
    CAST(F32, F32, 0, 0, 5, 7),
    CAST(F32, F16, 0, 0, 3, 5),
    CAST(F32, F16, -1e-5, 1e-5, 301),
    CAST(F32, F16, -1e5, 1e5, 101),
    CAST(F32, BF16, 0, 0, 2, 3, 5),
    CAST(F32, BF16, 0, 0, 0, 4),
    CAST(F32, I32, -1000, 1000, 7, 11),
    CAST(F32, I32, -1e10, 1e10, 23),
    CAST(F32, I64, -1e6, 1e6, 2, 9),
    CAST(F32, U8, -20, 300, 67),
    CAST(I32, F32, 0, 0, 3, 7),
    CAST(I64, F16, 0, 0, 3, 7),
    CAST(I64, I32, 0, 0, 13),
    CAST(I32, I64, 0, 0, 5, 2),
    CAST(U8, BF16, 0, 0, 4, 5),
    CAST(U8, F32, 0, 0, 2, 8, 8, 3),
    CAST(I64, U8, 0, 0, 9),
};

const sf_op sf_op_cast = {
    .name = "cast",
    .summary = "y = x in another type",
    .inputs = {"x"},
    .n_required = 1,
    .attribute_bytes = sizeof((sf_attributes *)0)->type,
    .infer = infer_cast,
    SF_CASES(cast_cases),
};

sf_value sf_cast(sf_graph *graph, sf_value x, sf_dtype dtype) {
    if (sf_value_spec(graph, x)->dtype == dtype)
        return x;
    sf_attributes attributes = {.type.dtype = (int32_t)dtype};
    return sf_node_add(graph, SF_OP_cast, &x, 1, &attributes);
}

/* ---- concat ---- */

static sf_status infer_concat(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                              const sf_attributes *attributes, sf_spec *output) {
    int axis = attributes->axis.axis;
    sf_spec result = inputs[0];
    SF_TRY(need_plain(ctx, "the first tensor", result.dtype));
    SF_TRY(sf_need_axis(ctx, &result, axis));
    for (int i = 1; i < n_inputs; i++) {
        sf_spec expected = result;
        expected.dims[axis] = inputs[i].n_dims > axis ? inputs[i].dims[axis] : 0;
        if (!sf_spec_equal(&inputs[i], &expected))
            SF_FAIL(ctx, ERROR_SHAPE, "tensor %d differs from the first in type, or off axis %d", i,
                    axis);
        if (result.dims[axis] > INT64_MAX - inputs[i].dims[axis])
            SF_FAIL(ctx, ERROR_SHAPE, "the sizes along axis %d overflow", axis);
        result.dims[axis] += inputs[i].dims[axis];
    }
    *output = result;
    return SF_OK;
}

#define CONCAT(along, ...)                                                                         \
    { .inputs = {__VA_ARGS__}, .attributes.axis.axis = (along) }

static const sf_op_case concat_cases[] = {
    CONCAT(0, SF_SPEC(F32, 1)),
    CONCAT(0, SF_SPEC(F32, 3), SF_SPEC(F32, 5)),
    CONCAT(1, SF_SPEC(F32, 3, 2), SF_SPEC(F32, 3, 7)),
    CONCAT(0, SF_SPEC(F32, 3, 7), SF_SPEC(F32, 1, 7), SF_SPEC(F32, 2, 7)),
    CONCAT(3, SF_SPEC(F32, 2, 3, 5, 7), SF_SPEC(F32, 2, 3, 5, 4)),
    CONCAT(2, SF_SPEC(F32, 2, 3, 1, 7), SF_SPEC(F32, 2, 3, 4, 7)),
    CONCAT(1, SF_SPEC(F32, 2, 0, 3), SF_SPEC(F32, 2, 4, 3)),
    CONCAT(1, SF_SPEC(F32, 2, 0), SF_SPEC(F32, 2, 0)),
    CONCAT(4, SF_SPEC(F32, 1, 2, 3, 2, 5), SF_SPEC(F32, 1, 2, 3, 2, 1)),
    CONCAT(0, SF_SPEC(I64, 2, 3), SF_SPEC(I64, 1, 3)),
    CONCAT(1, SF_SPEC(I32, 2, 3), SF_SPEC(I32, 2, 5)),
    CONCAT(1, SF_SPEC(U8, 5, 3), SF_SPEC(U8, 5, 1)),
    CONCAT(1, SF_SPEC(F32, 2, 1), SF_SPEC(F32, 2, 2), SF_SPEC(F32, 2, 3), SF_SPEC(F32, 2, 4),
           SF_SPEC(F32, 2, 5), SF_SPEC(F32, 2, 4), SF_SPEC(F32, 2, 3), SF_SPEC(F32, 2, 2),
           SF_SPEC(F32, 2, 1)),
    CONCAT(3, SF_SPEC(F32, 1, 16, 16, 96), SF_SPEC(F32, 1, 16, 16, 48)),
};

const sf_op sf_op_concat = {
    .name = "concat",
    .summary = "y = x_1, ..., x_n one after the other along an axis",
    .inputs = {"x"},
    .n_required = 1,
    .variadic = true,
    .flags = SF_OP_EXACT,
    .attribute_bytes = sizeof(sf_axis_attributes),
    .infer = infer_concat,
    SF_CASES(concat_cases),
};

sf_value sf_concat(sf_graph *graph, const sf_value *tensors, int n_tensors, int axis) {
    sf_attributes attributes = {.axis.axis = axis};
    return sf_node_add(graph, SF_OP_concat, tensors, n_tensors, &attributes);
}
