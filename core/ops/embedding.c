/*
 * embedding: y[i] = table[ids[i]], rows of a table by number.
 *
 * table [V, ...] of any plain type, ids [...] i32 or i64 -> y [ids' dims, table's dims but the
 * first], of the table's type. An id outside 0 .. V-1 fails at run with SF_ERROR_ARGUMENT.
 */
#include "core/ops/rules.h"

static sf_status infer_embedding(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                                 const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    (void)attributes;
    const sf_spec *table = &inputs[0], *ids = &inputs[1];
    if (ids->dtype != SF_I32 && ids->dtype != SF_I64)
        SF_FAIL(ctx, ERROR_SHAPE, "ids are %s, must be i32 or i64", sf_dtype_name(ids->dtype));
    if (table->n_dims < 1)
        SF_FAIL(ctx, ERROR_SHAPE, "table has no dimension, must have at least 1");
    int n_dims = ids->n_dims + table->n_dims - 1;
    if (n_dims > SF_MAX_DIMS)
        SF_FAIL(ctx, ERROR_SHAPE, "a result of %d dimensions, at most %d", n_dims, SF_MAX_DIMS);
    sf_spec result = {.dtype = table->dtype, .n_dims = n_dims};
    for (int axis = 0; axis < n_dims; axis++)
        result.dims[axis] =
            axis < ids->n_dims ? ids->dims[axis] : table->dims[axis - ids->n_dims + 1];
    sf_spec_normalize(&result);
    *output = result;
    return SF_OK;
}

#define EMBEDDING(limit, ...)                                                                      \
    { .inputs = {__VA_ARGS__}, .integer_limit = (limit) }

static const sf_op_case cases[] = {
    EMBEDDING(1, SF_SPEC(F32, 1, 1), SF_SPEC(I64, 1)),
    EMBEDDING(7, SF_SPEC(F32, 7, 5), {.dtype = SF_I64}),
    EMBEDDING(7, SF_SPEC(F32, 7, 5), SF_SPEC(I64, 11)),
    EMBEDDING(7, SF_SPEC(F32, 7, 5), SF_SPEC(I32, 2, 3)),
    EMBEDDING(13, SF_SPEC(F32, 13), SF_SPEC(I64, 4, 2)),
    EMBEDDING(3, SF_SPEC(F32, 3, 2, 5), SF_SPEC(I32, 2, 3)),
    EMBEDDING(3, SF_SPEC(F32, 3, 2, 3, 2), SF_SPEC(I64, 2, 2)),
    EMBEDDING(5, SF_SPEC(F32, 5, 4), SF_SPEC(I64, 0)),
    EMBEDDING(5, SF_SPEC(F32, 5, 0), SF_SPEC(I64, 3)),
    EMBEDDING(5, SF_SPEC(I64, 5, 3), SF_SPEC(I64, 4)),
    EMBEDDING(5, SF_SPEC(U8, 5, 3), SF_SPEC(I32, 4)),
    EMBEDDING(2048, SF_SPEC(F32, 2048, 128), SF_SPEC(I64, 2, 77)),
};

const sf_op sf_op_embedding = {
    .name = "embedding",
    .summary = "y [..., D] = rows of table [V, D] at ids [...]",
    .inputs = {"table", "ids"},
    .n_required = 2,
    .flags = SF_OP_EXACT,
    .infer = infer_embedding,
    SF_CASES(cases),
};

sf_value sf_embedding(sf_graph *graph, sf_value table, sf_value ids) {
    sf_value inputs[] = {table, ids};
    return sf_node_add(graph, SF_OP_embedding, inputs, 2, NULL);
}
