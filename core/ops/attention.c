/*
 * attention: scaled dot-product attention with several heads (Vaswani et al. 2017, eq. 1).
 *
 * q [B, T, n_heads D], k [B, S, n_heads D], v [B, S, n_heads E], mask [B or 1, n_heads or 1, T or
 * 1, S] (optional, added to the scores) -> y [B, T, n_heads E] of q's type. All floats. Head h is
 * the columns h D .. (h+1) D - 1, so the result of a linear layer is used as it is. For each b, h, t
 *
 *   score[s] = scale q . k[s] + mask[s];   y = sum over s of softmax(score)[s] v[s]
 *
 * causal: query t sees keys 0..t only (as is_causal of PyTorch's scaled_dot_product_attention). A
 * query that sees no key because of -inf in the mask gives NaN; S = 0 gives zeros.
 */
#include "core/ops/rules.h"

#include <math.h>

#include "core/memory.h"

static sf_status need_broadcast(sf_context *ctx, const sf_spec *mask, int axis, int64_t size) {
    if (mask->dims[axis] != size && mask->dims[axis] != 1)
        SF_FAIL(ctx, ERROR_SHAPE, "dimension %d of mask is %lld, must be %lld or 1", axis,
                (long long)mask->dims[axis], (long long)size);
    return SF_OK;
}

static sf_status check_mask(sf_context *ctx, const sf_spec *mask, const int64_t *dims) {
    if (!mask)
        return SF_OK;
    SF_TRY(sf_need_float(ctx, "mask", mask));
    SF_TRY(sf_need_dims(ctx, "mask", mask, 4));
    for (int axis = 0; axis < 3; axis++)
        SF_TRY(need_broadcast(ctx, mask, axis, dims[axis]));
    return sf_need_dim(ctx, "mask", mask, 3, dims[3]);
}

static sf_status infer_attention(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                                 const sf_attributes *attributes, sf_spec *output) {
    const sf_spec *q = &inputs[0], *k = &inputs[1], *v = &inputs[2];
    static const char *const names[] = {"q", "k", "v"};
    int64_t n_heads = attributes->attention.n_heads;
    if (n_heads < 1)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%lld heads", (long long)n_heads);
    for (int i = 0; i < 3; i++) {
        SF_TRY(sf_need_float(ctx, names[i], &inputs[i]));
        SF_TRY(sf_need_dims(ctx, names[i], &inputs[i], 3));
        SF_TRY(sf_need_dim(ctx, names[i], &inputs[i], 0, q->dims[0]));
        if (inputs[i].dims[2] % n_heads != 0)
            SF_FAIL(ctx, ERROR_SHAPE, "%s has %lld channels, not divisible by %lld heads", names[i],
                    (long long)inputs[i].dims[2], (long long)n_heads);
    }
    SF_TRY(sf_need_dim(ctx, "k", k, 2, q->dims[2]));
    SF_TRY(sf_need_dim(ctx, "v", v, 1, k->dims[1]));
    int64_t scores[] = {q->dims[0], n_heads, q->dims[1], k->dims[1]};
    SF_TRY(check_mask(ctx, sf_optional_spec(inputs, n_inputs, 3), scores));
    sf_spec result = *q;
    result.dims[2] = v->dims[2];
    *output = result;
    return SF_OK;
}

/* q k^T and the sum over v; keys that a causal query does not see count too. */
static double flops_attention(const sf_spec *inputs, int n_inputs, const sf_attributes *attributes,
                              const sf_spec *output) {
    double n_keys = (double)inputs[1].dims[1];
    (void)n_inputs;
    (void)attributes;
    return 2 * n_keys * ((double)sf_spec_elements(&inputs[0]) + (double)sf_spec_elements(output));
}

/* [B, T, n_heads D] -> [B, n_heads, T, D] */
static sf_value split_heads(sf_graph *graph, sf_value x, int64_t n_heads) {
    sf_spec spec = *sf_value_spec(graph, x);
    sf_value split =
        sf_reshape(graph, x, SF_DIMS(spec.dims[0], spec.dims[1], n_heads, spec.dims[2] / n_heads));
    return sf_permute(graph, split, (const int[]){0, 2, 1, 3});
}

/* [B, n_heads, T, E] -> [B, T, n_heads E] */
static sf_value join_heads(sf_graph *graph, sf_value x) {
    sf_spec spec = *sf_value_spec(graph, x);
    sf_value joined = sf_permute(graph, x, (const int[]){0, 2, 1, 3});
    return sf_reshape(graph, joined,
                      SF_DIMS(spec.dims[0], spec.dims[2], spec.dims[1] * spec.dims[3]));
}

/* A constant [T, S] with -inf above the diagonal. */
static sf_value causal_mask(sf_graph *graph, int64_t n_queries, int64_t n_keys) {
    int64_t n_elements;
    if (!sf_multiply_i64(n_queries, n_keys, &n_elements))
        return sf_graph_fail(graph, SF_ERROR_ARGUMENT, "a mask of %lld x %lld is too large",
                             (long long)n_queries, (long long)n_keys);
    float *mask = SF_NEW_ARRAY(graph->ctx, float, (size_t)n_elements);
    if (!mask)
        return sf_graph_fail(graph, SF_ERROR_MEMORY, "no memory for a mask of %lld x %lld",
                             (long long)n_queries, (long long)n_keys);
    for (int64_t t = 0; t < n_queries; t++)
        for (int64_t s = t + 1; s < n_keys; s++)
            mask[t * n_keys + s] = -INFINITY;
    sf_value constant = sf_constant_f32(graph, "causal_mask", SF_DIMS(n_queries, n_keys), mask);
    sf_free(graph->ctx, mask);
    return constant;
}

static sf_value lower_attention(sf_graph *graph, const sf_value *inputs, int n_inputs,
                                const sf_attributes *attributes) {
    const sf_attention_attributes *a = &attributes->attention;
    int64_t n_queries = sf_value_dim(graph, inputs[0], 1);
    int64_t n_keys = sf_value_dim(graph, inputs[1], 1);
    sf_value mask = sf_optional_value(inputs, n_inputs, 3);
    sf_value q = split_heads(graph, sf_widened(graph, inputs[0]), a->n_heads);
    sf_value k = split_heads(graph, sf_widened(graph, inputs[1]), a->n_heads);
    sf_value v = split_heads(graph, sf_widened(graph, inputs[2]), a->n_heads);
    sf_value scores = sf_matmul(graph, q, k, true, a->scale);
    if (mask != SF_NO_VALUE)
        scores = sf_add(graph, scores, mask);
    if (a->causal)
        scores = sf_add(graph, scores, causal_mask(graph, n_queries, n_keys));
    sf_value y = join_heads(graph, sf_matmul(graph, sf_softmax(graph, scores), v, false, 1));
    return sf_rounded(graph, y, inputs[0]);
}

#define ATTENTION(heads, is_causal, factor, ...)                                                   \
    {                                                                                              \
        .inputs = {__VA_ARGS__}, .attributes.attention = {                                         \
            .n_heads = (heads),                                                                    \
            .causal = (is_causal),                                                                 \
            .scale = (factor)                                                                      \
        }                                                                                          \
    }

/* q [b, t, h d], k and v [b, s, h d] */
#define QKV(b, t, s, channels)                                                                     \
    SF_SPEC(F32, b, t, channels), SF_SPEC(F32, b, s, channels), SF_SPEC(F32, b, s, channels)

static const sf_op_case cases[] = {
    ATTENTION(1, 0, 1, QKV(1, 1, 1, 1)),
    ATTENTION(1, 0, 0.4472136f, QKV(1, 3, 3, 5)),
    ATTENTION(2, 0, 0.3535534f, QKV(2, 5, 7, 16)),
    ATTENTION(3, 0, 1, QKV(1, 4, 9, 3)),
    ATTENTION(4, 1, 0.4472136f, QKV(2, 7, 7, 20)),
    ATTENTION(1, 1, 0.5f, QKV(1, 5, 3, 4)),
    ATTENTION(1, 1, 0.5f, QKV(1, 3, 5, 4)),
    ATTENTION(8, 0, 0.1581139f, QKV(1, 17, 11, 320)),
    ATTENTION(2, 0, 0.125f, QKV(1, 33, 65, 128)),
    ATTENTION(1, 0, 0.1118034f, QKV(2, 5, 13, 80)),
    ATTENTION(2, 0, 0.0790569f, QKV(1, 4, 6, 320)),
    ATTENTION(1, 0, 0, QKV(1, 3, 4, 6)),
    /* values of another width than keys */
    ATTENTION(2, 0, 0.5f, SF_SPEC(F32, 1, 3, 8), SF_SPEC(F32, 1, 5, 8), SF_SPEC(F32, 1, 5, 6)),
    /* masks of every broadcast kind */
    ATTENTION(2, 0, 0.5f, QKV(3, 4, 5, 8), SF_SPEC(F32, 3, 2, 4, 5)),
    ATTENTION(2, 0, 0.5f, QKV(3, 4, 5, 8), SF_SPEC(F32, 1, 1, 4, 5)),
    ATTENTION(2, 0, 0.5f, QKV(3, 4, 5, 8), SF_SPEC(F32, 3, 1, 1, 5)),
    ATTENTION(2, 0, 0.5f, QKV(3, 4, 5, 8), SF_SPEC(F32, 1, 2, 1, 5)),
    ATTENTION(2, 0, 0.5f, QKV(3, 4, 5, 8), SF_SPEC(F32, 1, 1, 1, 5)),
    ATTENTION(2, 1, 0.5f, QKV(3, 5, 5, 8), SF_SPEC(F32, 1, 2, 5, 5)),
    /* nothing to do, or nothing to sum */
    ATTENTION(2, 0, 1, QKV(0, 3, 3, 4)),
    ATTENTION(2, 0, 1, QKV(1, 0, 3, 4)),
    ATTENTION(2, 0, 1, QKV(1, 3, 0, 4)),
    ATTENTION(2, 0, 1, QKV(1, 3, 3, 0)),
    /* as in models */
    ATTENTION(4, 1, 0.1767767f, QKV(2, 77, 77, 128)),
    ATTENTION(3, 0, 0.1767767f, QKV(2, 64, 77, 96)),
    ATTENTION(8, 0, 0.1581139f, QKV(1, 256, 256, 320)),
};

const sf_op sf_op_attention = {
    .name = "attention",
    .summary = "y [B, T, n_heads E] = softmax(scale q k^T + mask) v with q [B, T, n_heads D], "
               "k [B, S, n_heads D], v [B, S, n_heads E]",
    .inputs = {"q", "k", "v", "mask"},
    .n_required = 3,
    .attribute_bytes = sizeof(sf_attention_attributes),
    .infer = infer_attention,
    .lower = lower_attention,
    .flops = flops_attention,
    SF_CASES(cases),
};

sf_value sf_attention(sf_graph *graph, sf_value q, sf_value k, sf_value v, sf_value mask,
                      sf_attention_attributes attributes) {
    sf_value inputs[] = {q, k, v, mask};
    sf_attributes all = {.attention = attributes};
    return sf_node_add(graph, SF_OP_attention, inputs, 4, &all);
}
