/*
 * CLIP's text encoder. See clip.h.
 */
#include "models/clip.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "models/layers.h"
#include "models/model.h"

/* ---- configuration ---- */

static const sf_config_field fields[] = {
    SF_INT(sf_clip_config, vocab_size, 49408, 1, 1 << 24),
    SF_INT(sf_clip_config, hidden_size, 512, 1, SF_MAX_CHANNELS),
    SF_INT(sf_clip_config, intermediate_size, 2048, 1, SF_MAX_CHANNELS),
    SF_INT(sf_clip_config, projection_dim, 512, 1, SF_MAX_CHANNELS),
    SF_INT(sf_clip_config, num_hidden_layers, 12, 1, SF_MAX_LAYERS),
    SF_INT(sf_clip_config, num_attention_heads, 8, 1, SF_MAX_CHANNELS),
    SF_INT(sf_clip_config, max_position_embeddings, 77, 1, 1 << 20),
    SF_INT(sf_clip_config, eos_token_id, 49407, -1, 1 << 24),
    SF_ACTIVATION(sf_clip_config, hidden_act, "quick_gelu"),
    SF_NUMBER(sf_clip_config, layer_norm_eps, 1e-5, 0, 1),
};

sf_status sf_clip_configure(sf_context *ctx, const char *where, const char *class_name,
                            const json_t *json, void *config) {
    sf_clip_config *clip = config;
    /* A configuration of the whole of CLIP has that of the text encoder inside. */
    const json_t *inner = json_object_get(json, "text_config");
    if (json_is_object(inner))
        json = inner;
    SF_TRY(sf_config_read(ctx, where, json, fields, sizeof fields / sizeof *fields, clip));
    clip->with_projection = strcmp(class_name, "CLIPTextModelWithProjection") == 0;
    if (clip->hidden_size % clip->num_attention_heads != 0)
        SF_FAIL(ctx, ERROR_FORMAT,
                "%s: hidden_size: %lld is not divisible by num_attention_heads, %lld", where,
                (long long)clip->hidden_size, (long long)clip->num_attention_heads);
    return SF_OK;
}

/* ---- network ---- */

static sf_value embed(sf_graph *graph, const sf_clip_config *config, sf_value ids,
                      sf_dtype compute) {
    int64_t n_positions = sf_value_dim(graph, ids, 1), width = config->hidden_size;
    if (n_positions > config->max_position_embeddings)
        return sf_graph_fail(graph, SF_ERROR_SHAPE, "a sequence of %lld ids; %lld is the most",
                             (long long)n_positions, (long long)config->max_position_embeddings);
    sf_scope mark = sf_scope_enter(graph, "embeddings");
    sf_value tokens = sf_layer_embedding(graph, "token_embedding", ids, config->vocab_size, width);
    sf_value table = sf_layer_weight(graph, "position_embedding.weight",
                                     SF_DIMS(config->max_position_embeddings, width));
    sf_value positions = sf_slice(graph, table, 0, 0, n_positions);
    sf_value x = sf_add(graph, sf_cast(graph, tokens, compute), positions);
    sf_scope_leave(graph, mark);
    return x;
}

static sf_value self_attention(sf_graph *graph, const sf_clip_config *config, sf_value x) {
    int64_t width = config->hidden_size, n_heads = config->num_attention_heads;
    sf_attention_attributes attributes = {
        .n_heads = (int32_t)n_heads,
        .causal = 1,
        .scale = (float)(1 / sqrt((double)(width / n_heads))),
    };
    sf_scope mark = sf_scope_enter(graph, "self_attn");
    sf_value q = sf_layer_linear(graph, "q_proj", x, width, SF_WITH_BIAS);
    sf_value k = sf_layer_linear(graph, "k_proj", x, width, SF_WITH_BIAS);
    sf_value v = sf_layer_linear(graph, "v_proj", x, width, SF_WITH_BIAS);
    sf_value y = sf_attention(graph, q, k, v, SF_NO_VALUE, attributes);
    y = sf_layer_linear(graph, "out_proj", y, width, SF_WITH_BIAS);
    sf_scope_leave(graph, mark);
    return y;
}

static sf_value encoder_layer(sf_graph *graph, const sf_clip_config *config, sf_value x) {
    sf_value h = sf_layer_layer_norm(graph, "layer_norm1", x, config->layer_norm_eps);
    x = sf_add(graph, self_attention(graph, config, h), x);
    h = sf_layer_layer_norm(graph, "layer_norm2", x, config->layer_norm_eps);
    h = sf_layer_linear(graph, "mlp.fc1", h, config->intermediate_size, SF_WITH_BIAS);
    h = sf_activate(graph, h, config->hidden_act);
    return sf_add(graph, sf_layer_linear(graph, "mlp.fc2", h, config->hidden_size, SF_WITH_BIAS),
                  x);
}

/* Weights are saved with the prefix "text_model." by most versions of transformers, not by all. */
static sf_scope enter_text_model(sf_graph *graph) {
    if (sf_layer_has_weight(graph, "text_model.final_layer_norm.weight"))
        return sf_scope_enter(graph, "text_model");
    return strlen(graph->scope);
}

sf_value sf_clip_build_all(sf_graph *graph, const sf_clip_config *config, sf_value ids,
                           sf_dtype compute, sf_value *hidden_states) {
    sf_scope outer = enter_text_model(graph);
    sf_value x = embed(graph, config, ids, compute);
    hidden_states[0] = x;
    for (int i = 0; i < config->num_hidden_layers; i++) {
        sf_scope mark = sf_scope_enter(graph, "encoder.layers.%d", i);
        x = encoder_layer(graph, config, x);
        hidden_states[i + 1] = x;
        sf_scope_leave(graph, mark);
    }
    x = sf_layer_layer_norm(graph, "final_layer_norm", x, config->layer_norm_eps);
    sf_scope_leave(graph, outer);
    return x;
}

sf_value sf_clip_build(sf_graph *graph, const sf_clip_config *config, sf_value ids,
                       sf_dtype compute) {
    sf_value hidden_states[SF_MAX_LAYERS + 1];
    return sf_clip_build_all(graph, config, ids, compute, hidden_states);
}

sf_value sf_clip_pool(sf_graph *graph, const sf_clip_config *config, sf_value last_hidden_state,
                      sf_value positions) {
    const sf_spec spec = *sf_value_spec(graph, last_hidden_state);
    sf_value rows =
        sf_reshape(graph, last_hidden_state, SF_DIMS(spec.dims[0] * spec.dims[1], spec.dims[2]));
    sf_value pooled = sf_embedding(graph, rows, positions);
    if (!config->with_projection)
        return pooled;
    return sf_layer_linear(graph, "text_projection", pooled, config->projection_dim, SF_NO_BIAS);
}

int64_t sf_clip_pooled_position(const sf_clip_config *config, const int64_t *ids, int64_t n_ids) {
    int64_t position = 0;
    if (config->eos_token_id == 2) {
        for (int64_t t = 1; t < n_ids; t++)
            if (ids[t] > ids[position])
                position = t;
        return position;
    }
    for (int64_t t = 0; t < n_ids; t++)
        if (ids[t] == config->eos_token_id)
            return t;
    return 0;
}

/* ---- as a component ---- */

#define POSITIONS "pooled_positions" /* the plan's own input: it depends on the ids' values */

static void declare(const void *config, sf_ports *ports) {
    const sf_clip_config *clip = config;
    sf_ports_add(ports, (sf_port){.name = "input_ids",
                                  .dtype = SF_I64,
                                  SF_PORT_DIMS(SF_ANY('N'), SF_ANY('T')),
                                  .limit = clip->vocab_size});
}

static void usual_sizes(const void *config, const sf_usage *usage, sf_sizes *sizes) {
    (void)usage;
    sf_sizes_set(sizes, 'T', ((const sf_clip_config *)config)->max_position_embeddings);
}

static void build(sf_graph *graph, const void *config, const sf_bound *inputs, sf_dtype compute) {
    const sf_clip_config *clip = config;
    sf_value hidden_states[SF_MAX_LAYERS + 1];
    sf_value ids = sf_bound_value(inputs, "input_ids");
    sf_value last = sf_clip_build_all(graph, clip, ids, compute, hidden_states);
    sf_value positions = sf_input(graph, POSITIONS, SF_I64, SF_DIMS(sf_value_dim(graph, ids, 0)));
    sf_value pooled = sf_clip_pool(graph, clip, last, positions);
    sf_output(graph, "last_hidden_state", sf_cast(graph, last, SF_F32));
    sf_output(graph, clip->with_projection ? "text_embeds" : "pooler_output",
              sf_cast(graph, pooled, SF_F32));
    for (int i = 0; i <= clip->num_hidden_layers; i++)
        sf_output_numbered(graph, "hidden_states", i, sf_cast(graph, hidden_states[i], SF_F32));
}

static sf_status feed(const void *config, const sf_bound *inputs, sf_plan *plan) {
    const sf_tensor *ids = sf_bound_tensor(inputs, "input_ids");
    int64_t n = ids->dims[0], length = ids->dims[1];
    int64_t *positions = SF_NEW_ARRAY(ids->ctx, int64_t, (size_t)n);
    if (!positions)
        return SF_ERROR_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        const int64_t *sequence = (const int64_t *)ids->data + i * length;
        positions[i] = i * length + sf_clip_pooled_position(config, sequence, length);
    }
    sf_status status = sf_plan_write(plan, sf_plan_find_input(plan, POSITIONS), positions,
                                     (size_t)n * sizeof *positions);
    sf_free(ids->ctx, positions);
    return status;
}

static const sf_role text_encoder = {
    .component = "text_encoder",
    .folder = "text_encoder",
    .declare = declare,
    .usual_sizes = usual_sizes,
    .build = build,
    .feed = feed,
};

static const sf_role text_encoder_2 = {
    .component = "text_encoder_2",
    .folder = "text_encoder_2",
    .declare = declare,
    .usual_sizes = usual_sizes,
    .build = build,
    .feed = feed,
};

const sf_model_class sf_model_clip = {
    .names = {"CLIPTextModel", "CLIPTextModelWithProjection"},
    .model_type = "clip_text_model",
    .config_bytes = sizeof(sf_clip_config),
    .configure = sf_clip_configure,
    .roles = {&text_encoder, &text_encoder_2},
};
