/*
 * UNet2DConditionModel's config.json. Defaults are those of diffusers' class; what diffusers leaves
 * without effect (dropout, upcast_attention in f32, cross_attention_norm and
 * mid_block_only_cross_attention outside the Simple... blocks) is not read.
 */
#include <string.h>

#include "models/unet.h"

#define MAX_EMBEDS (1 << 24)

static const char *const down_types[] = {"DownBlock2D", "CrossAttnDownBlock2D", "AttnDownBlock2D",
                                         "ResnetDownsampleBlock2D", NULL};
static const char *const up_types[] = {"UpBlock2D", "CrossAttnUpBlock2D", "AttnUpBlock2D",
                                       "ResnetUpsampleBlock2D", NULL};
static const char *const mid_types[] = {"UNetMidBlock2D", "UNetMidBlock2DCrossAttn", NULL};
static const char *const scale_shifts[] = {"default", "scale_shift", NULL};
static const char *const time_types[] = {"positional", "fourier", NULL};
static const char *const class_types[] = {"timestep", "identity", "projection", "simple_projection",
                                          NULL};
static const char *const addition_types[] = {"text", "text_time", NULL};
static const char *const context_types[] = {"text_proj", NULL};

static const sf_config_field fields[] = {
    SF_INT(sf_unet_config, in_channels, 4, 1, SF_MAX_CHANNELS),
    SF_INT(sf_unet_config, out_channels, 4, 1, SF_MAX_CHANNELS),
    SF_INT(sf_unet_config, norm_num_groups, 32, 1, SF_MAX_CHANNELS),
    SF_INT(sf_unet_config, conv_in_kernel, 3, 1, 63),
    SF_INT(sf_unet_config, conv_out_kernel, 3, 1, 63),
    SF_INT(sf_unet_config, downsample_padding, 1, 0, 1),
    SF_NUMBER(sf_unet_config, norm_eps, 1e-5, 0, 1),
    SF_NUMBER(sf_unet_config, mid_block_scale_factor, 1, 1e-6, 1e6),
    SF_NUMBER(sf_unet_config, resnet_out_scale_factor, 1, 1e-6, 1e6),
    SF_ACTIVATION(sf_unet_config, act_fn, "silu"),
    SF_CHOICE(sf_unet_config, resnet_time_scale_shift, "default", scale_shifts),
    SF_BOOL(sf_unet_config, center_input_sample, false),
    SF_BOOL(sf_unet_config, resnet_skip_time_act, false),
    SF_CHOICE(sf_unet_config, time_embedding_type, "positional", time_types),
    SF_BOOL(sf_unet_config, flip_sin_to_cos, true),
    SF_NUMBER(sf_unet_config, freq_shift, 0, -1e6, 1e6),
    SF_INT(sf_unet_config, time_embedding_dim, 0, 1, SF_MAX_CHANNELS),
    SF_INT(sf_unet_config, time_cond_proj_dim, 0, 1, SF_MAX_CHANNELS),
    SF_ACTIVATION(sf_unet_config, timestep_post_act, NULL),
    SF_ACTIVATION(sf_unet_config, time_embedding_act_fn, NULL),
    SF_INT(sf_unet_config, encoder_hid_dim, 0, 1, SF_MAX_CHANNELS),
    SF_CHOICE(sf_unet_config, class_embed_type, NULL, class_types),
    SF_INT(sf_unet_config, num_class_embeds, 0, 1, MAX_EMBEDS),
    SF_INT(sf_unet_config, projection_class_embeddings_input_dim, 0, 1, SF_MAX_CHANNELS),
    SF_BOOL(sf_unet_config, class_embeddings_concat, false),
    SF_CHOICE(sf_unet_config, addition_embed_type, NULL, addition_types),
    SF_INT(sf_unet_config, addition_time_embed_dim, 0, 1, SF_MAX_CHANNELS),
    SF_INT(sf_unet_config, addition_embed_type_num_heads, 64, 1, SF_MAX_CHANNELS),
    SF_FALSE(dual_cross_attention),
};

/* What is being read, handed through the functions below. */
typedef struct reader {
    sf_context *ctx;
    const char *where;
    const json_t *json;
    sf_unet_config *config;
} reader;

/* ---- block types ---- */

static sf_status read_types(const reader *r) {
    int down[SF_JSON_MAX_LIST] = {SF_UNET_CROSS, SF_UNET_CROSS, SF_UNET_CROSS, SF_UNET_PLAIN};
    int up[SF_JSON_MAX_LIST] = {SF_UNET_PLAIN, SF_UNET_CROSS, SF_UNET_CROSS, SF_UNET_CROSS};
    int n_down = 4, n_up = 4;
    SF_TRY(sf_config_read_names(r->ctx, r->where, r->json, "down_block_types", down_types, down,
                                &n_down));
    SF_TRY(sf_config_read_names(r->ctx, r->where, r->json, "up_block_types", up_types, up, &n_up));
    if (n_up != n_down)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: up_block_types: %d blocks, but down_block_types has %d",
                r->where, n_up, n_down);
    r->config->n_levels = n_down;
    for (int i = 0; i < n_down; i++) {
        r->config->down[i].block = (sf_unet_block)down[i];
        r->config->up[i].block = (sf_unet_block)up[i];
    }
    return SF_OK;
}

/* null stands for no block in the middle, unlike a key that is absent. */
static sf_status read_mid_type(const reader *r) {
    const char *name;
    int index;
    if (sf_config_is_null(r->json, "mid_block_type")) {
        r->config->mid_block = SF_UNET_NO_BLOCK;
        return SF_OK;
    }
    SF_TRY(sf_json_get_string(r->ctx, r->where, r->json, "mid_block_type",
                              "UNetMidBlock2DCrossAttn", &name));
    SF_TRY(sf_config_choose(r->ctx, r->where, "mid_block_type", name, mid_types, &index));
    r->config->mid_block = (sf_unet_block)index;
    return SF_OK;
}

/* ---- a value a level ---- */

static sf_status read_levels(const reader *r, const char *key, int n_default, int64_t low,
                             int64_t high, int64_t *values) {
    return sf_config_read_levels(r->ctx, r->where, r->json, key, r->config->n_levels, n_default,
                                 low, high, values);
}

static void fill(int64_t *values, int64_t value) {
    for (int i = 0; i < SF_MAX_LEVELS; i++)
        values[i] = value;
}

static sf_status read_channels(const reader *r) {
    int64_t channels[SF_MAX_LEVELS] = {320, 640, 1280, 1280}, layers[SF_MAX_LEVELS];
    int n = r->config->n_levels;
    fill(layers, 2);
    SF_TRY(read_levels(r, "block_out_channels", 4, 1, SF_MAX_CHANNELS, channels));
    SF_TRY(read_levels(r, "layers_per_block", 0, 1, SF_UNET_MAX_LAYERS, layers));
    for (int i = 0; i < n; i++) {
        sf_unet_level *down = &r->config->down[i], *up = &r->config->up[n - 1 - i];
        down->channels = up->channels = channels[i];
        down->n_layers = layers[i];
        up->n_layers = layers[i] + 1;
    }
    return sf_config_check_groups(r->ctx, r->where, r->config->norm_num_groups, channels, n);
}

/*
 * diffusers' attention_head_dim is the number of heads wherever there is a Transformer2DModel, and
 * really their size in AttnDownBlock2D and AttnUpBlock2D; there, on the way up, it is taken in the
 * order of the way down.
 */
static sf_status read_heads(const reader *r) {
    int64_t sizes[SF_MAX_LEVELS], counts[SF_MAX_LEVELS];
    int n = r->config->n_levels;
    fill(sizes, 8);
    SF_TRY(read_levels(r, "attention_head_dim", 0, 1, SF_MAX_CHANNELS, sizes));
    memcpy(counts, sizes, sizeof counts);
    SF_TRY(read_levels(r, "num_attention_heads", 0, 1, SF_MAX_CHANNELS, counts));
    for (int i = 0; i < n; i++) {
        r->config->down[i].n_heads = r->config->up[n - 1 - i].n_heads = counts[i];
        r->config->down[i].head_size = r->config->up[i].head_size = sizes[i];
    }
    r->config->mid_n_heads = counts[n - 1];
    return SF_OK;
}

static sf_status check_heads(const reader *r) {
    int n = r->config->n_levels;
    for (int i = 0; i < 2 * n; i++) {
        const sf_unet_level *level = i < n ? &r->config->down[i] : &r->config->up[i - n];
        bool cross =
            level->block == SF_UNET_CROSS || (i == n - 1 && r->config->mid_block == SF_UNET_CROSS);
        if ((cross && level->n_heads > level->channels) ||
            (level->block == SF_UNET_SELF && level->head_size > level->channels))
            SF_FAIL(r->ctx, ERROR_FORMAT, "%s: attention_head_dim: %lld is more than %lld channels",
                    r->where, (long long)(cross ? level->n_heads : level->head_size),
                    (long long)level->channels);
    }
    return SF_OK;
}

static sf_status read_only_cross_attention(const reader *r) {
    bool values[SF_MAX_LEVELS] = {false};
    int n = r->config->n_levels;
    SF_TRY(
        sf_config_read_bool_levels(r->ctx, r->where, r->json, "only_cross_attention", n, values));
    for (int i = 0; i < n; i++)
        r->config->down[i].only_cross_attention = r->config->up[n - 1 - i].only_cross_attention =
            values[i];
    return SF_OK;
}

/* ---- transformer layers ---- */

/* A level's number of layers: one for all its transformers, or a list with one for each. */
static sf_status read_transformers(const reader *r, const char *key, const json_t *value,
                                   sf_unet_level *level) {
    sf_json_ints list = {.count = 0};
    json_t *pair = json_pack("{s:O}", key, (json_t *)value);
    if (!pair)
        SF_FAIL(r->ctx, ERROR_MEMORY, "out of memory for a JSON value");
    sf_status status =
        sf_json_get_ints(r->ctx, r->where, pair, key,
                         json_is_array(value) ? 0 : (int)level->n_layers, 0, SF_MAX_LAYERS, &list);
    json_decref(pair);
    SF_TRY(status);
    if (list.count < level->n_layers && level->block == SF_UNET_CROSS)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: a list of %d for %lld transformers", r->where, key,
                list.count, (long long)level->n_layers);
    for (int64_t i = 0; i < level->n_layers && i < list.count; i++)
        level->transformer_layers[i] = list.values[i];
    return SF_OK;
}

/* The entry of a level: of a list with one a level, or the value for all. */
static sf_status entry_of(const reader *r, const char *key, const json_t *values, int i,
                          const json_t **entry) {
    if (json_is_array(values) && json_array_size(values) != (size_t)r->config->n_levels)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: a list of %d is wanted, not of %zu", r->where, key,
                r->config->n_levels, json_array_size(values));
    *entry = json_is_array(values) ? json_array_get(values, (size_t)i) : values;
    return SF_OK;
}

#define DOWN_KEY "transformer_layers_per_block"
#define UP_KEY   "reverse_transformer_layers_per_block"

/*
 * The way up has the numbers of the way down in reverse order, unless it has a list of its own. A
 * level with a list of its own on the way down needs that: on the way up it has one block more.
 */
static sf_status read_level_transformers(const reader *r, const json_t *down, const json_t *up,
                                         int i) {
    int n = r->config->n_levels;
    const json_t *entry;
    SF_TRY(entry_of(r, DOWN_KEY, down, i, &entry));
    SF_TRY(read_transformers(r, DOWN_KEY, entry, &r->config->down[i]));
    if (json_is_array(entry) && !up)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: " DOWN_KEY ": lists within the list need " UP_KEY,
                r->where);
    if (!up)
        return read_transformers(r, DOWN_KEY, entry, &r->config->up[n - 1 - i]);
    SF_TRY(entry_of(r, UP_KEY, up, i, &entry));
    return read_transformers(r, UP_KEY, entry, &r->config->up[i]);
}

static sf_status read_all_transformers(const reader *r) {
    json_t *one = json_integer(1);
    const json_t *down = json_object_get(r->json, DOWN_KEY), *up = json_object_get(r->json, UP_KEY);
    sf_status status = one ? SF_OK : sf_fail(r->ctx, SF_ERROR_MEMORY, "out of memory for a number");
    if (!down || json_is_null(down))
        down = one;
    if (json_is_null(up))
        up = NULL;
    for (int i = 0; i < r->config->n_levels && status == SF_OK; i++)
        status = read_level_transformers(r, down, up, i);
    json_decref(one);
    /* The middle is like the last level's first. */
    r->config->mid_transformer_layers =
        r->config->down[r->config->n_levels - 1].transformer_layers[0];
    return status;
}

/* ---- conditions ---- */

static sf_status read_time(const reader *r) {
    sf_unet_config *config = r->config;
    int64_t first = config->down[0].channels;
    bool fourier = config->time_embedding_type == 1;
    if (!config->time_embedding_dim)
        config->time_embedding_dim = first * (fourier ? 2 : 4);
    if (fourier && config->time_embedding_dim % 2)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: time_embedding_dim: %lld is odd", r->where,
                (long long)config->time_embedding_dim);
    return SF_OK;
}

static bool level_has_cross(const sf_unet_config *config, int i) {
    int n = config->n_levels;
    return config->down[i].block == SF_UNET_CROSS || config->up[n - 1 - i].block == SF_UNET_CROSS ||
           (i == n - 1 && config->mid_block == SF_UNET_CROSS);
}

/* A width a level, which must be one wherever it is used: there is one encoder_hidden_states. */
static sf_status read_context_width(const reader *r) {
    sf_unet_config *config = r->config;
    int64_t widths[SF_MAX_LEVELS], used = 0;
    bool none = sf_config_is_null(r->json, "cross_attention_dim");
    fill(widths, none ? 0 : 1280);
    SF_TRY(read_levels(r, "cross_attention_dim", 0, 1, SF_MAX_CHANNELS, widths));
    for (int i = 0; i < config->n_levels; i++) {
        if (!level_has_cross(config, i))
            continue;
        if (used && widths[i] != used)
            SF_FAIL(r->ctx, ERROR_FORMAT,
                    "%s: cross_attention_dim: %lld and %lld, but there is one "
                    "encoder_hidden_states for all blocks",
                    r->where, (long long)used, (long long)widths[i]);
        used = widths[i];
    }
    config->cross_attention_dim = used ? used : widths[0];
    if (none && sf_unet_needs_context(config))
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: cross_attention_dim: null, but blocks need it",
                r->where);
    return SF_OK;
}

static sf_status read_context(const reader *r) {
    sf_unet_config *config = r->config;
    const char *type;
    int index;
    SF_TRY(read_context_width(r));
    SF_TRY(sf_json_get_string(r->ctx, r->where, r->json, "encoder_hid_dim_type",
                              config->encoder_hid_dim ? "text_proj" : NULL, &type));
    if (type)
        SF_TRY(sf_config_choose(r->ctx, r->where, "encoder_hid_dim_type", type, context_types,
                                &index));
    if (type && !config->encoder_hid_dim)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: encoder_hid_dim: missing, but there is a type",
                r->where);
    return SF_OK;
}

static sf_status need(const reader *r, const char *key, int64_t value, const char *by) {
    if (value > 0)
        return SF_OK;
    SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: missing, but %s needs it", r->where, key, by);
}

static sf_status read_embeddings(const reader *r) {
    sf_unet_config *config = r->config;
    int64_t projected = config->projection_class_embeddings_input_dim;
    static const char key[] = "projection_class_embeddings_input_dim";
    if (config->class_embed_type == SF_UNET_CLASS_NONE && config->num_class_embeds)
        config->class_embed_type = SF_UNET_CLASS_TABLE;
    if (config->class_embed_type == SF_UNET_CLASS_PROJECTION ||
        config->class_embed_type == SF_UNET_CLASS_SIMPLE_PROJECTION)
        SF_TRY(need(r, key, projected, "class_embed_type"));
    if (config->class_embed_type == SF_UNET_CLASS_NONE && config->class_embeddings_concat)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: class_embeddings_concat: there are no classes",
                r->where);
    if (config->class_embeddings_concat && config->addition_embed_type != SF_UNET_ADDITION_NONE)
        SF_FAIL(r->ctx, ERROR_FORMAT,
                "%s: class_embeddings_concat: does not go with addition_embed_type", r->where);
    if (config->addition_embed_type != SF_UNET_ADDITION_TEXT_TIME)
        return SF_OK;
    SF_TRY(
        need(r, "addition_time_embed_dim", config->addition_time_embed_dim, "addition_embed_type"));
    SF_TRY(need(r, key, projected, "addition_embed_type"));
    if (projected <= config->addition_time_embed_dim)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: %lld has no room for addition_time_embed_dim, %lld",
                r->where, key, (long long)projected, (long long)config->addition_time_embed_dim);
    return SF_OK;
}

static sf_status check_pooling_heads(const reader *r) {
    const sf_unet_config *config = r->config;
    int64_t width = config->encoder_hid_dim ? config->encoder_hid_dim : config->cross_attention_dim;
    int64_t n_heads = config->addition_embed_type_num_heads;
    if (config->addition_embed_type == SF_UNET_ADDITION_TEXT && width % n_heads != 0)
        SF_FAIL(r->ctx, ERROR_FORMAT,
                "%s: addition_embed_type_num_heads: %lld channels are not divisible by %lld heads",
                r->where, (long long)width, (long long)n_heads);
    return SF_OK;
}

sf_status sf_unet_configure(sf_context *ctx, const char *where, const char *class_name,
                            const json_t *json, void *config) {
    sf_unet_config *unet = config;
    reader r = {.ctx = ctx, .where = where, .json = json, .config = unet};
    (void)class_name;
    if (sf_config_is_null(json, "norm_num_groups"))
        SF_FAIL(ctx, ERROR_UNSUPPORTED, "%s: norm_num_groups: null is not supported", where);
    SF_TRY(sf_config_read(ctx, where, json, fields, sizeof fields / sizeof *fields, unet));
    SF_TRY(sf_config_read_size(ctx, where, json, "sample_size", &unet->sample_height,
                               &unet->sample_width));
    SF_TRY(read_types(&r));
    SF_TRY(read_mid_type(&r));
    SF_TRY(read_channels(&r));
    SF_TRY(read_heads(&r));
    SF_TRY(check_heads(&r));
    SF_TRY(read_only_cross_attention(&r));
    SF_TRY(read_all_transformers(&r));
    SF_TRY(read_time(&r));
    SF_TRY(read_context(&r));
    SF_TRY(read_embeddings(&r));
    return check_pooling_heads(&r);
}

/* ---- what follows from it ---- */

bool sf_unet_needs_context(const sf_unet_config *config) {
    bool needed =
        config->mid_block == SF_UNET_CROSS || config->addition_embed_type == SF_UNET_ADDITION_TEXT;
    for (int i = 0; i < config->n_levels; i++)
        needed = needed || config->down[i].block == SF_UNET_CROSS ||
                 config->up[i].block == SF_UNET_CROSS;
    return needed;
}

int sf_unet_n_skips(const sf_unet_config *config) {
    int n_skips = 1;
    for (int i = 0; i < config->n_levels; i++)
        n_skips += (int)config->down[i].n_layers + (i < config->n_levels - 1);
    return n_skips;
}
