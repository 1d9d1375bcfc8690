/*
 * Views: the same memory looked at in another way. No kernel; the plan turns them into strides.
 *
 *   reshape  other dims with the same number of elements, in row-major order
 *   permute  dimension i of y is dimension order[i] of x
 *   slice    `count` elements along an axis, from `start`
 *   expand   dimensions of size 1, or missing in front, are repeated to the new size
 *
 * Any type; the output has x's.
 */
#include "core/ops/rules.h"

#include "core/memory.h"

static sf_spec shaped(const sf_spec *x, const sf_attributes *attributes) {
    sf_spec result = {.dtype = x->dtype, .n_dims = (int)attributes->shape.n_dims};
    for (int axis = 0; axis < result.n_dims; axis++)
        result.dims[axis] = attributes->shape.dims[axis];
    sf_spec_normalize(&result);
    return result;
}

/* ---- reshape ---- */

static sf_status infer_reshape(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                               const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    SF_TRY(sf_need_shape(ctx, attributes->shape.n_dims, attributes->shape.dims));
    sf_spec result = shaped(&inputs[0], attributes);
    int64_t n_elements = 1;
    bool empty = false, overflow = false;
    for (int axis = 0; axis < result.n_dims; axis++) {
        empty = empty || result.dims[axis] == 0;
        overflow = overflow || !sf_multiply_i64(n_elements, result.dims[axis], &n_elements);
    }
    int64_t wanted = sf_spec_elements(&inputs[0]);
    if (empty ? wanted != 0 : overflow || n_elements != wanted) {
        char shape[SF_SHAPE_TEXT];
        SF_FAIL(ctx, ERROR_SHAPE, "%lld elements do not make %s", (long long)wanted,
                sf_shape_text(result.n_dims, result.dims, shape));
    }
    *output = result;
    return SF_OK;
}

#define SHAPED(rank, ...) .attributes.shape = {.n_dims = (rank), .dims = {__VA_ARGS__}}

static const sf_op_case reshape_cases[] = {
    {.inputs = {SF_SPEC(F32, 6)}, SHAPED(2, 2, 3)},
    {.inputs = {SF_SPEC(F32, 2, 3, 4)}, SHAPED(2, 6, 4)},
    {.inputs = {SF_SPEC(F32, 1)}, .attributes.shape.n_dims = 0},
    {.inputs = {{.dtype = SF_F32}}, SHAPED(1, 1)},
    {.inputs = {SF_SPEC(F32, 0, 3)}, SHAPED(3, 5, 0, 1)},
    {.inputs = {SF_SPEC(I64, 2, 3, 5, 7)}, SHAPED(5, 1, 14, 1, 5, 3)},
};

const sf_op sf_op_reshape = {
    .name = "reshape",
    .summary = "y = the elements of x in row-major order with other dims",
    .inputs = {"x"},
    .n_required = 1,
    .flags = SF_OP_VIEW | SF_OP_EXACT,
    .attribute_bytes = sizeof((sf_attributes *)0)->shape,
    .infer = infer_reshape,
    SF_CASES(reshape_cases),
};

sf_value sf_reshape(sf_graph *graph, sf_value x, int n_dims, const int64_t *dims) {
    sf_attributes attributes = sf_shape_attributes(n_dims, dims);
    return sf_node_add(graph, SF_OP_reshape, &x, 1, &attributes);
}

/* ---- permute ---- */

static sf_status infer_permute(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                               const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    const sf_spec *x = &inputs[0];
    if (attributes->shape.n_dims != x->n_dims)
        SF_FAIL(ctx, ERROR_ARGUMENT, "an order of %lld dimensions for a tensor of %d",
                (long long)attributes->shape.n_dims, x->n_dims);
    sf_spec result = *x;
    bool seen[SF_MAX_DIMS] = {false};
    for (int axis = 0; axis < x->n_dims; axis++) {
        int64_t from = attributes->shape.dims[axis];
        if (from < 0 || from >= x->n_dims || seen[from])
            SF_FAIL(ctx, ERROR_ARGUMENT, "the order names dimension %lld %s", (long long)from,
                    from < 0 || from >= x->n_dims ? "of a smaller tensor" : "twice");
        seen[from] = true;
        result.dims[axis] = x->dims[from];
    }
    *output = result;
    return SF_OK;
}

static const sf_op_case permute_cases[] = {
    {.inputs = {SF_SPEC(F32, 5)}, SHAPED(1, 0)},
    {.inputs = {SF_SPEC(F32, 3, 5)}, SHAPED(2, 1, 0)},
    {.inputs = {SF_SPEC(F32, 2, 3, 5)}, SHAPED(3, 2, 0, 1)},
    {.inputs = {SF_SPEC(F32, 2, 3, 5, 7)}, SHAPED(4, 0, 3, 1, 2)},
    {.inputs = {SF_SPEC(U8, 2, 3, 2, 3, 2)}, SHAPED(5, 4, 2, 0, 3, 1)},
    {.inputs = {SF_SPEC(F32, 3, 0, 2)}, SHAPED(3, 1, 0, 2)},
};

const sf_op sf_op_permute = {
    .name = "permute",
    .summary = "y = x with its dimensions in another order",
    .inputs = {"x"},
    .n_required = 1,
    .flags = SF_OP_VIEW | SF_OP_EXACT,
    .attribute_bytes = sizeof((sf_attributes *)0)->shape,
    .infer = infer_permute,
    SF_CASES(permute_cases),
};

sf_value sf_permute(sf_graph *graph, sf_value x, const int *order) {
    sf_attributes attributes = {.shape.n_dims = sf_value_spec(graph, x)->n_dims};
    for (int axis = 0; axis < attributes.shape.n_dims; axis++)
        attributes.shape.dims[axis] = order[axis];
    return sf_node_add(graph, SF_OP_permute, &x, 1, &attributes);
}

/* ---- slice ---- */

static sf_status infer_slice(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                             const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    int64_t axis = attributes->slice.axis;
    int64_t start = attributes->slice.start, count = attributes->slice.count;
    SF_TRY(sf_need_axis(ctx, &inputs[0], axis));
    int64_t size = inputs[0].dims[axis];
    if (start < 0 || count < 0 || start > size || count > size - start)
        SF_FAIL(ctx, ERROR_SHAPE, "%lld elements from %lld along axis %lld, which has %lld",
                (long long)count, (long long)start, (long long)axis, (long long)size);
    sf_spec result = inputs[0];
    result.dims[axis] = count;
    *output = result;
    return SF_OK;
}

#define SLICE(along, from, n, ...)                                                                 \
    {                                                                                              \
        .inputs = {__VA_ARGS__}, .attributes.slice = {                                             \
            .axis = (along),                                                                       \
            .start = (from),                                                                       \
            .count = (n)                                                                           \
        }                                                                                          \
    }

static const sf_op_case slice_cases[] = {
    SLICE(0, 0, 1, SF_SPEC(F32, 1)),       SLICE(0, 2, 3, SF_SPEC(F32, 7)),
    SLICE(1, 1, 2, SF_SPEC(F32, 3, 5)),    SLICE(0, 1, 2, SF_SPEC(F32, 3, 5)),
    SLICE(2, 4, 1, SF_SPEC(F32, 2, 3, 5)), SLICE(1, 3, 0, SF_SPEC(F32, 2, 3)),
    SLICE(1, 0, 0, SF_SPEC(F32, 2, 0)),    SLICE(3, 2, 5, SF_SPEC(F32, 2, 3, 5, 7)),
    SLICE(1, 1, 1, SF_SPEC(I64, 2, 3, 5)),
};

const sf_op sf_op_slice = {
    .name = "slice",
    .summary = "y = a range of x along an axis",
    .inputs = {"x"},
    .n_required = 1,
    .flags = SF_OP_VIEW | SF_OP_EXACT,
    .attribute_bytes = sizeof((sf_attributes *)0)->slice,
    .infer = infer_slice,
    SF_CASES(slice_cases),
};

sf_value sf_slice(sf_graph *graph, sf_value x, int axis, int64_t start, int64_t count) {
    sf_attributes attributes = {.slice = {.axis = axis, .start = start, .count = count}};
    return sf_node_add(graph, SF_OP_slice, &x, 1, &attributes);
}

/* ---- expand ---- */

static sf_status infer_expand(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                              const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    const sf_spec *x = &inputs[0];
    SF_TRY(sf_need_shape(ctx, attributes->shape.n_dims, attributes->shape.dims));
    sf_spec result = shaped(x, attributes);
    int shift = result.n_dims - x->n_dims;
    if (shift < 0)
        SF_FAIL(ctx, ERROR_SHAPE, "%d dimensions can't expand to %d", x->n_dims, result.n_dims);
    for (int axis = 0; axis < x->n_dims; axis++)
        if (x->dims[axis] != 1 && x->dims[axis] != result.dims[axis + shift])
            SF_FAIL(ctx, ERROR_SHAPE, "dimension %d is %lld, can't expand to %lld", axis,
                    (long long)x->dims[axis], (long long)result.dims[axis + shift]);
    *output = result;
    return SF_OK;
}

static const sf_op_case expand_cases[] = {
    {.inputs = {{.dtype = SF_F32}}, SHAPED(2, 2, 3)},
    {.inputs = {SF_SPEC(F32, 1)}, SHAPED(1, 5)},
    {.inputs = {SF_SPEC(F32, 3)}, SHAPED(2, 4, 3)},
    {.inputs = {SF_SPEC(F32, 3, 1)}, SHAPED(2, 3, 7)},
    {.inputs = {SF_SPEC(F32, 2, 1, 3)}, SHAPED(4, 2, 2, 5, 3)},
    {.inputs = {SF_SPEC(I32, 1, 2, 1, 3, 1)}, SHAPED(5, 2, 2, 2, 3, 2)},
    {.inputs = {SF_SPEC(F32, 1, 3)}, SHAPED(2, 0, 3)},
};

const sf_op sf_op_expand = {
    .name = "expand",
    .summary = "y = x with dimensions of size 1 repeated",
    .inputs = {"x"},
    .n_required = 1,
    .flags = SF_OP_VIEW | SF_OP_EXACT,
    .attribute_bytes = sizeof((sf_attributes *)0)->shape,
    .infer = infer_expand,
    SF_CASES(expand_cases),
};

sf_value sf_expand(sf_graph *graph, sf_value x, int n_dims, const int64_t *dims) {
    sf_attributes attributes = sf_shape_attributes(n_dims, dims);
    return sf_node_add(graph, SF_OP_expand, &x, 1, &attributes);
}
