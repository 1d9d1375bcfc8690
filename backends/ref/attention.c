/*
 * attention, query by query: a row of scores, its softmax, and the sum of the values. Keys are turned
 * to [B, D, S] per head first. Only one row of scores is kept.
 */
#include "backends/ref/ref.h"

#include <math.h>

/* [B, S, heads D] -> [B, heads D, S] */
static sf_tensor_desc turned(const sf_tensor_desc *k) {
    return ref_permuted(k, (const int[]){0, 2, 1});
}

static sf_tensor_desc full_mask(const sf_op_call *call) {
    const sf_attention_attributes *attributes = call->attributes;
    const sf_tensor_desc *mask = ref_input(call, 3);
    int64_t dims[] = {call->output->dims[0], attributes->n_heads, call->output->dims[1],
                      ref_input(call, 1)->dims[1]};
    return ref_is_present(mask) ? ref_expanded(mask, 4, dims) : *mask;
}

static uint64_t workspace(const sf_op_call *call) {
    sf_tensor_desc k = turned(ref_input(call, 1)), mask = full_mask(call);
    uint64_t bytes = ref_load_room(call->output);
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 0)));
    bytes = ref_add_bytes(bytes, ref_load_room(&k));
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 2)));
    bytes = ref_add_bytes(bytes, ref_load_room(&mask));
    return ref_add_bytes(bytes, ref_room(k.dims[2], sizeof(float)));
}

/* scores [S] of one query; causal: position is that of the query. */
static void finish_scores(float *scores, int64_t S, const sf_attention_attributes *attributes,
                          const float *mask, int64_t position) {
    for (int64_t s = 0; s < S; s++) {
        scores[s] *= attributes->scale;
        if (mask)
            scores[s] += mask[s];
        if (attributes->causal && s > position)
            scores[s] = -INFINITY;
    }
    ref_softmax_row(scores, scores, S);
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_attention_attributes *attributes = call->attributes;
    sf_tensor_desc k_desc = turned(ref_input(call, 1)), mask_desc = full_mask(call);
    int64_t B = call->output->dims[0], T = call->output->dims[1], S = k_desc.dims[2];
    int64_t heads = attributes->n_heads;
    int64_t D = k_desc.dims[1] / heads, E = call->output->dims[2] / heads;
    const float *q = ref_load(&scratch, ref_input(call, 0));
    const float *k = ref_load(&scratch, &k_desc);
    const float *v = ref_load(&scratch, ref_input(call, 2));
    const float *mask = ref_load(&scratch, &mask_desc);
    float *y = ref_result(&scratch, call->output);
    float *scores = ref_take(&scratch, S, sizeof(float));
    for (int64_t i = 0; i < B * T * heads * E; i++)
        y[i] = 0;
    for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t t = 0; t < T; t++) {
                for (int64_t s = 0; s < S; s++)
                    scores[s] = 0;
                ref_add_product(1, S, D, q + (b * T + t) * heads * D + h * D, D,
                                k + (b * heads + h) * D * S, S, scores, S);
                finish_scores(scores, S, attributes,
                              mask ? mask + ((b * heads + h) * T + t) * S : NULL, t);
                ref_add_product(1, E, S, scores, S, v + b * S * heads * E + h * E, heads * E,
                                y + (b * T + t) * heads * E + h * E, E);
            }
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_attention = {
    .struct_size = sizeof(sf_op_entry),
    .op = "attention",
    .supports = ref_supports_floats,
    .workspace = workspace,
    .run = run,
};
