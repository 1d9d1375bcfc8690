/*
 * CLIP's text encoder (Radford et al. 2021): CLIPTextModel and CLIPTextModelWithProjection of
 * transformers.
 */
#ifndef SF_MODELS_CLIP_H
#define SF_MODELS_CLIP_H

#include "core/graph.h"
#include "models/config.h"

/* config.json; members are named as its fields, and described in transformers' CLIPTextConfig. */
typedef struct sf_clip_config {
    int64_t vocab_size, hidden_size, intermediate_size, projection_dim;
    int64_t num_hidden_layers, num_attention_heads, max_position_embeddings;
    int64_t eos_token_id;
    sf_activation hidden_act;
    double layer_norm_eps;
    bool with_projection; /* the class is CLIPTextModelWithProjection */
} sf_clip_config;

sf_status sf_clip_configure(sf_context *ctx, const char *where, const char *class_name,
                            const json_t *json, void *config);

/*
 * ids [N, T] i64 -> the last hidden state [N, T, hidden_size], after the final norm. T is at most
 * max_position_embeddings.
 */
sf_value sf_clip_build(sf_graph *graph, const sf_clip_config *config, sf_value ids,
                       sf_dtype compute);

/*
 * The same, with all hidden states in hidden_states[0 .. num_hidden_layers]: the embedding and the
 * result of each layer, before the final norm.
 */
sf_value sf_clip_build_all(sf_graph *graph, const sf_clip_config *config, sf_value ids,
                           sf_dtype compute, sf_value *hidden_states);

/*
 * The last hidden state at one position a sequence, [N, hidden_size], projected to
 * [N, projection_dim] where the class does so. positions [N] i64 are counted through the batch:
 * n T + t.
 */
sf_value sf_clip_pool(sf_graph *graph, const sf_clip_config *config, sf_value last_hidden_state,
                      sf_value positions);

/*
 * Where a sequence is pooled: at the first eos_token_id, and at 0 without one. Configurations from
 * before transformers 4.31 all say 2, which no vocabulary of CLIP ends with: then at the first
 * largest id.
 */
int64_t sf_clip_pooled_position(const sf_clip_config *config, const int64_t *ids, int64_t n_ids);

#endif
