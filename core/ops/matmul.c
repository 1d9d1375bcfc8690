/*
 * matmul: y = scale a b for matrices in a batch; with transpose_b, y = scale a b^T.
 *
 * a [..., M, K], b [..., K, N] or [..., N, K] (transpose_b) -> y [..., M, N] of a's type. Both have
 * the same number of dimensions, at least 2; batch dimensions are equal or 1. As torch.matmul.
 */
#include "core/ops/rules.h"

static sf_status infer_matmul(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                              const sf_attributes *attributes, sf_spec *output) {
    (void)n_inputs;
    const sf_spec *a = &inputs[0], *b = &inputs[1];
    SF_TRY(sf_need_float(ctx, "a", a));
    SF_TRY(sf_need_float(ctx, "b", b));
    if (a->n_dims != b->n_dims || a->n_dims < 2)
        SF_FAIL(ctx, ERROR_SHAPE, "a has %d dimensions and b %d, must be equal and at least 2",
                a->n_dims, b->n_dims);
    int row = a->n_dims - 2, column = a->n_dims - 1;
    bool transposed = attributes->matmul.transpose_b != 0;
    int64_t b_inner = b->dims[transposed ? column : row];
    if (a->dims[column] != b_inner)
        SF_FAIL(ctx, ERROR_SHAPE, "a has %lld columns, b %lld %s", (long long)a->dims[column],
                (long long)b_inner, transposed ? "columns (transposed)" : "rows");
    sf_spec result = *a;
    for (int axis = 0; axis < row; axis++) {
        if (a->dims[axis] != b->dims[axis] && a->dims[axis] != 1 && b->dims[axis] != 1)
            SF_FAIL(ctx, ERROR_SHAPE, "batch dimension %d is %lld and %lld", axis,
                    (long long)a->dims[axis], (long long)b->dims[axis]);
        result.dims[axis] = a->dims[axis] == 1 ? b->dims[axis] : a->dims[axis];
    }
    result.dims[column] = b->dims[transposed ? row : column];
    *output = result;
    return SF_OK;
}

static double flops_matmul(const sf_spec *inputs, int n_inputs, const sf_attributes *attributes,
                           const sf_spec *output) {
    (void)n_inputs;
    (void)attributes;
    return 2 * (double)sf_spec_elements(output) * (double)inputs[0].dims[inputs[0].n_dims - 1];
}

#define MATMUL(transpose, factor, ...)                                                             \
    {                                                                                              \
        .inputs = {__VA_ARGS__}, .attributes.matmul = {                                            \
            .scale = (factor),                                                                     \
            .transpose_b = (transpose)                                                             \
        }                                                                                          \
    }

static const sf_op_case cases[] = {
    MATMUL(0, 1, SF_SPEC(F32, 1, 1), SF_SPEC(F32, 1, 1)),
    MATMUL(0, 1, SF_SPEC(F32, 3, 5), SF_SPEC(F32, 5, 7)),
    MATMUL(1, 1, SF_SPEC(F32, 3, 5), SF_SPEC(F32, 7, 5)),
    MATMUL(0, 0.5f, SF_SPEC(F32, 2, 13, 6), SF_SPEC(F32, 2, 6, 11)),
    MATMUL(1, -2, SF_SPEC(F32, 2, 13, 6), SF_SPEC(F32, 1, 11, 6)),
    MATMUL(0, 1, SF_SPEC(F32, 1, 4, 9), SF_SPEC(F32, 3, 9, 2)),
    MATMUL(1, 0.125f, SF_SPEC(F32, 2, 1, 5, 8), SF_SPEC(F32, 1, 3, 7, 8)),
    MATMUL(0, 1, SF_SPEC(F32, 2, 3, 1, 5, 4), SF_SPEC(F32, 2, 1, 2, 4, 3)),
    MATMUL(0, 1, SF_SPEC(F32, 0, 4), SF_SPEC(F32, 4, 3)),
    MATMUL(0, 1, SF_SPEC(F32, 3, 0), SF_SPEC(F32, 0, 2)),
    MATMUL(1, 1, SF_SPEC(F32, 0, 3, 2), SF_SPEC(F32, 0, 5, 2)),
    MATMUL(0, 0, SF_SPEC(F32, 3, 4), SF_SPEC(F32, 4, 3)),
    MATMUL(1, 0.1581139f, SF_SPEC(F32, 1, 4, 77, 40), SF_SPEC(F32, 1, 4, 77, 40)),
    MATMUL(0, 1, SF_SPEC(F32, 129, 65), SF_SPEC(F32, 65, 33)),
};

const sf_op sf_op_matmul = {
    .name = "matmul",
    .summary = "y [..., M, N] = scale a [..., M, K] b [..., K, N] (or b [..., N, K], transposed)",
    .inputs = {"a", "b"},
    .n_required = 2,
    .attribute_bytes = sizeof(sf_matmul_attributes),
    .infer = infer_matmul,
    .flops = flops_matmul,
    SF_CASES(cases),
};

sf_value sf_matmul(sf_graph *graph, sf_value a, sf_value b, bool transpose_b, float scale) {
    sf_value inputs[] = {a, b};
    sf_attributes attributes = {.matmul = {.scale = scale, .transpose_b = transpose_b}};
    return sf_node_add(graph, SF_OP_matmul, inputs, 2, &attributes);
}
