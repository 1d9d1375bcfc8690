/*
 * Reading a model's config.json into its class's struct, from a table of fields.
 *
 * A field that is absent or null gets the class's default, as diffusers and transformers do it. A
 * value of another type, out of range, NaN or infinite, or one that asks for what is not supported
 * is an error that names file, field and value. Fields that no table names are ignored, as they are
 * there.
 */
#ifndef SF_MODELS_CONFIG_H
#define SF_MODELS_CONFIG_H

#include "core/io/json.h"
#include "sfumato_plugin.h"

/*
 * The most of anything that a configuration may ask for. Real models stay far below, and products of
 * any three of these fit in 64 bits.
 */
#define SF_MAX_CHANNELS 65536
#define SF_MAX_LEVELS   16
#define SF_MAX_LAYERS   256 /* layers of one kind in a row */

typedef enum sf_field_kind {
    SF_FIELD_INT,        /* int64_t, within low .. high */
    SF_FIELD_NUMBER,     /* double, finite, within low .. high */
    SF_FIELD_BOOL,       /* bool */
    SF_FIELD_ACTIVATION, /* sf_activation */
    SF_FIELD_CHOICE,     /* int: the index in `choices` */
    SF_FIELD_FALSE,      /* nothing is stored: what is not false is not supported */
} sf_field_kind;

typedef struct sf_config_field {
    const char *key;
    sf_field_kind kind;
    size_t offset; /* in the struct */
    double low, high;
    double value;     /* the default of INT, NUMBER and BOOL; any, for INT even one outside
                                   the range: it then says that the field is not given */
    const char *text; /* that of ACTIVATION and CHOICE; NULL: none, index -1 */
    const char *const *choices; /* of CHOICE; NULL ends */
} sf_config_field;

#define SF_INT(type, member, default_value, lowest, highest)                                       \
    {                                                                                              \
        .key = #member, .kind = SF_FIELD_INT, .offset = offsetof(type, member), .low = (lowest),   \
        .high = (highest), .value = (default_value)                                                \
    }
#define SF_NUMBER(type, member, default_value, lowest, highest)                                    \
    {                                                                                              \
        .key = #member, .kind = SF_FIELD_NUMBER, .offset = offsetof(type, member),                 \
        .low = (lowest), .high = (highest), .value = (default_value)                               \
    }
#define SF_BOOL(type, member, default_value)                                                       \
    {                                                                                              \
        .key = #member, .kind = SF_FIELD_BOOL, .offset = offsetof(type, member),                   \
        .value = (default_value)                                                                   \
    }
#define SF_ACTIVATION(type, member, default_name)                                                  \
    {                                                                                              \
        .key = #member, .kind = SF_FIELD_ACTIVATION, .offset = offsetof(type, member),             \
        .text = (default_name)                                                                     \
    }
#define SF_CHOICE(type, member, default_name, names)                                               \
    {                                                                                              \
        .key = #member, .kind = SF_FIELD_CHOICE, .offset = offsetof(type, member),                 \
        .text = (default_name), .choices = (names)                                                 \
    }
#define SF_FALSE(member)                                                                           \
    { .key = #member, .kind = SF_FIELD_FALSE }

/* Reads n_fields fields into the struct. where names the file in errors. */
sf_status sf_config_read(sf_context *ctx, const char *where, const json_t *json,
                         const sf_config_field *fields, size_t n_fields, void *config);

/*
 * A value a level: a list of n_levels, or one value for all. Absent or null leaves `values` as they
 * are, after checking that the default is for n_levels; n_default 0: it is for any.
 */
sf_status sf_config_read_levels(sf_context *ctx, const char *where, const json_t *json,
                                const char *key, int n_levels, int n_default, int64_t low,
                                int64_t high, int64_t *values);
sf_status sf_config_read_bool_levels(sf_context *ctx, const char *where, const json_t *json,
                                     const char *key, int n_levels, bool *values);

/* A list of names as indices in `choices` (NULL ends); *n_values is its length. */
sf_status sf_config_read_names(sf_context *ctx, const char *where, const json_t *json,
                               const char *key, const char *const *choices, int *values,
                               int *n_values);

/* The index of name in choices, or SF_ERROR_UNSUPPORTED with a message that lists them. */
sf_status sf_config_choose(sf_context *ctx, const char *where, const char *key, const char *name,
                           const char *const *choices, int *index);

/* An integer, or height and width; absent or null: 0 and 0. */
sf_status sf_config_read_size(sf_context *ctx, const char *where, const json_t *json,
                              const char *key, int64_t *height, int64_t *width);

/* Every channel count must be whole groups. */
sf_status sf_config_check_groups(sf_context *ctx, const char *where, int64_t groups,
                                 const int64_t *channels, int n_levels);

/* The key is there and its value is null. */
bool sf_config_is_null(const json_t *json, const char *key);

/*
 * An activation by the name that diffusers or transformers give it, letter case aside (SiLU is also
 * "swish"). false: unknown.
 */
bool sf_activation_from_name(const char *name, sf_activation *activation);

#endif
