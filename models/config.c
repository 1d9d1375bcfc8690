/*
 * Tables of configuration fields. See config.h.
 */
#include "models/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- names ---- */

/*
 * transformers has several spellings of one function; gelu_new and gelu_fast are the tanh formula
 * written in other ways.
 */
static const struct activation_name {
    const char *name;
    sf_activation activation;
} activation_names[] = {
    {"silu", SF_ACTIVATION_SILU},
    {"swish", SF_ACTIVATION_SILU},
    {"gelu", SF_ACTIVATION_GELU},
    {"gelu_python", SF_ACTIVATION_GELU},
    {"gelu_new", SF_ACTIVATION_GELU_TANH},
    {"gelu_fast", SF_ACTIVATION_GELU_TANH},
    {"gelu_pytorch_tanh", SF_ACTIVATION_GELU_TANH},
    {"gelu_python_tanh", SF_ACTIVATION_GELU_TANH},
    {"quick_gelu", SF_ACTIVATION_QUICK_GELU},
    {"relu", SF_ACTIVATION_RELU},
    {"mish", SF_ACTIVATION_MISH},
};

bool sf_activation_from_name(const char *name, sf_activation *activation) {
    for (size_t i = 0; i < sizeof activation_names / sizeof *activation_names; i++)
        if (strcasecmp(name, activation_names[i].name) == 0) {
            *activation = activation_names[i].activation;
            return true;
        }
    return false;
}

sf_status sf_config_choose(sf_context *ctx, const char *where, const char *key, const char *name,
                           const char *const *choices, int *index) {
    char list[512] = "";
    size_t used = 0;
    for (int i = 0; choices[i]; i++) {
        if (strcmp(name, choices[i]) == 0) {
            *index = i;
            return SF_OK;
        }
        int length =
            snprintf(list + used, sizeof list - used, "%s\"%s\"", i ? ", " : "", choices[i]);
        used += length > 0 && used + (size_t)length < sizeof list ? (size_t)length : 0;
    }
    SF_FAIL(ctx, ERROR_UNSUPPORTED, "%s: %s: \"%.64s\" is not supported; %s are", where, key, name,
            list);
}

bool sf_config_is_null(const json_t *json, const char *key) {
    return json_is_null(json_object_get(json, key));
}

/* ---- fields ---- */

static sf_status read_int(sf_context *ctx, const char *where, const json_t *json,
                          const sf_config_field *field, void *member) {
    return sf_json_get_int(ctx, where, json, field->key, (int64_t)field->value, (int64_t)field->low,
                           (int64_t)field->high, member);
}

static sf_status read_number(sf_context *ctx, const char *where, const json_t *json,
                             const sf_config_field *field, void *member) {
    double number;
    SF_TRY(sf_json_get_number(ctx, where, json, field->key, field->value, &number));
    if (!isfinite(number) || number < field->low || number > field->high)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: %g is not within %g to %g", where, field->key, number,
                field->low, field->high);
    *(double *)member = number;
    return SF_OK;
}

static sf_status read_activation(sf_context *ctx, const char *where, const json_t *json,
                                 const sf_config_field *field, void *member) {
    const char *name;
    sf_activation activation = SF_ACTIVATION_NONE;
    SF_TRY(sf_json_get_string(ctx, where, json, field->key, field->text, &name));
    if (name && !sf_activation_from_name(name, &activation))
        SF_FAIL(ctx, ERROR_UNSUPPORTED, "%s: %s: the activation \"%.64s\" is not supported", where,
                field->key, name);
    *(sf_activation *)member = activation;
    return SF_OK;
}

static sf_status read_choice(sf_context *ctx, const char *where, const json_t *json,
                             const sf_config_field *field, void *member) {
    const char *name;
    int index = -1;
    SF_TRY(sf_json_get_string(ctx, where, json, field->key, field->text, &name));
    if (name)
        SF_TRY(sf_config_choose(ctx, where, field->key, name, field->choices, &index));
    *(int *)member = index;
    return SF_OK;
}

static sf_status read_false(sf_context *ctx, const char *where, const json_t *json,
                            const sf_config_field *field) {
    bool value;
    SF_TRY(sf_json_get_bool(ctx, where, json, field->key, false, &value));
    if (value)
        SF_FAIL(ctx, ERROR_UNSUPPORTED, "%s: %s: true is not supported", where, field->key);
    return SF_OK;
}

static sf_status read_field(sf_context *ctx, const char *where, const json_t *json,
                            const sf_config_field *field, void *config) {
    void *member = (char *)config + field->offset;
    switch (field->kind) {
    case SF_FIELD_INT:
        return read_int(ctx, where, json, field, member);
    case SF_FIELD_NUMBER:
        return read_number(ctx, where, json, field, member);
    case SF_FIELD_BOOL:
        return sf_json_get_bool(ctx, where, json, field->key, field->value != 0, member);
    case SF_FIELD_ACTIVATION:
        return read_activation(ctx, where, json, field, member);
    case SF_FIELD_CHOICE:
        return read_choice(ctx, where, json, field, member);
    case SF_FIELD_FALSE:
        return read_false(ctx, where, json, field);
    }
    return SF_OK;
}

sf_status sf_config_read(sf_context *ctx, const char *where, const json_t *json,
                         const sf_config_field *fields, size_t n_fields, void *config) {
    for (size_t i = 0; i < n_fields; i++)
        SF_TRY(read_field(ctx, where, json, &fields[i], config));
    return SF_OK;
}

/* ---- lists ---- */

sf_status sf_config_read_levels(sf_context *ctx, const char *where, const json_t *json,
                                const char *key, int n_levels, int n_default, int64_t low,
                                int64_t high, int64_t *values) {
    sf_json_ints list = {.count = -1};
    SF_TRY(sf_json_get_ints(ctx, where, json, key, n_levels, low, high, &list));
    if (list.count < 0 && n_default && n_default != n_levels)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: a list of %d is wanted, as there are %d blocks", where,
                key, n_levels, n_levels);
    for (int i = 0; i < list.count; i++)
        values[i] = list.values[i];
    return SF_OK;
}

sf_status sf_config_read_bool_levels(sf_context *ctx, const char *where, const json_t *json,
                                     const char *key, int n_levels, bool *values) {
    const json_t *found = json_object_get(json, key);
    if (!found || json_is_null(found))
        return SF_OK;
    if (json_is_array(found) && json_array_size(found) != (size_t)n_levels)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: a list of %d is wanted, not of %zu", where, key,
                n_levels, json_array_size(found));
    for (int i = 0; i < n_levels; i++) {
        const json_t *value = json_is_array(found) ? json_array_get(found, (size_t)i) : found;
        if (!json_is_boolean(value))
            SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: true or false is wanted, or a list of them", where,
                    key);
        values[i] = json_is_true(value);
    }
    return SF_OK;
}

sf_status sf_config_read_names(sf_context *ctx, const char *where, const json_t *json,
                               const char *key, const char *const *choices, int *values,
                               int *n_values) {
    sf_json_strings list = {.count = -1};
    SF_TRY(sf_json_get_strings(ctx, where, json, key, 0, &list));
    if (list.count < 0)
        return SF_OK;
    if (list.count < 1 || list.count > SF_MAX_LEVELS)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: a list of %d is not within 1 to %d", where, key,
                list.count, SF_MAX_LEVELS);
    for (int i = 0; i < list.count; i++)
        SF_TRY(sf_config_choose(ctx, where, key, list.values[i], choices, &values[i]));
    *n_values = list.count;
    return SF_OK;
}

sf_status sf_config_read_size(sf_context *ctx, const char *where, const json_t *json,
                              const char *key, int64_t *height, int64_t *width) {
    sf_json_ints list = {.count = 0};
    *height = *width = 0;
    SF_TRY(sf_json_get_ints(ctx, where, json, key, 2, 1, SF_MAX_CHANNELS, &list));
    if (list.count == 2) {
        *height = list.values[0];
        *width = list.values[1];
    }
    return SF_OK;
}

sf_status sf_config_check_groups(sf_context *ctx, const char *where, int64_t groups,
                                 const int64_t *channels, int n_levels) {
    for (int i = 0; i < n_levels; i++)
        if (channels[i] % groups != 0)
            SF_FAIL(ctx, ERROR_FORMAT,
                    "%s: block_out_channels: %lld channels are not divisible by norm_num_groups, "
                    "%lld",
                    where, (long long)channels[i], (long long)groups);
    return SF_OK;
}
