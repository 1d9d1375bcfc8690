/*
 * Writing a picture's recipe into its texts and reading it back. See recipe.h.
 */
#include "pipelines/recipe.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/image.h"
#include "core/io/json.h"
#include "core/io/parameters.h"
#include "core/memory.h"

#define RECIPE_KEY     "sfumato"
#define PARAMETERS_KEY "parameters"
#define RECIPE_FORMAT  1

/* ---- writing ---- */

/* A text set in `parameters` from a printf format. */
static sf_status set_formatted(sf_parameters *parameters, const char *key, const char *format, ...)
    SF_PRINTF(3, 4);

static sf_status set_formatted(sf_parameters *parameters, const char *key, const char *format,
                               ...) {
    char value[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    return sf_parameters_set(parameters, key, value);
}

/* The order and the names are those of stable-diffusion-webui. */
static sf_status fill_parameters(sf_parameters *parameters, const sf_recipe_facts *facts) {
    const sf_generate_options *options = facts->options;
    SF_TRY(sf_parameters_set_prompts(parameters, options->prompt, options->negative_prompt));
    SF_TRY(sf_parameters_set_int(parameters, "Steps", options->steps));
    SF_TRY(sf_parameters_set(parameters, "Sampler", facts->sampler_title));
    if (facts->schedule_title)
        SF_TRY(sf_parameters_set(parameters, "Schedule type", facts->schedule_title));
    SF_TRY(sf_parameters_set_float(parameters, "CFG scale", options->guidance_scale));
    SF_TRY(sf_parameters_set_unsigned(parameters, "Seed", facts->seed));
    SF_TRY(set_formatted(parameters, "Size", "%dx%d", options->width, options->height));
    SF_TRY(set_formatted(parameters, "Model hash", "%.10s", facts->model_hash));
    SF_TRY(sf_parameters_set(parameters, "Model", facts->model));
    if (options->eta > 0)
        SF_TRY(sf_parameters_set_float(parameters, "Eta", options->eta));
    if (options->guidance_rescale > 0)
        SF_TRY(sf_parameters_set_float(parameters, "CFG Rescale φ", options->guidance_rescale));
    if (strcmp(options->rng, "torch") != 0)
        SF_TRY(sf_parameters_set(parameters, "RNG", options->rng));
    return set_formatted(parameters, "Version", "sfumato %s", sf_version());
}

static sf_status write_parameters(sf_image *image, sf_context *ctx, const sf_recipe_facts *facts) {
    sf_parameters parameters = {.ctx = ctx};
    char *text = NULL;
    sf_status status = fill_parameters(&parameters, facts);
    if (status == SF_OK)
        status = sf_parameters_write(&parameters, &text);
    if (status == SF_OK)
        status = sf_image_set_text(image, PARAMETERS_KEY, text);
    sf_free(ctx, text);
    sf_parameters_clear(&parameters);
    return status;
}

/* Adds a list of numbers; of one that is not given, nothing. */
static void add_list(json_t *json, const char *key, const double *values, int count) {
    if (!values)
        return;
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_real(values[i]));
    json_object_set_new(json, key, list);
}

/* What few pictures have: written only where it is asked for. */
static void add_rare(json_t *json, const sf_generate_options *options) {
    if (options->guidance_rescale > 0)
        json_object_set_new(json, "guidance_rescale", json_real((double)options->guidance_rescale));
    if (!isnan(options->mu))
        json_object_set_new(json, "mu", json_real((double)options->mu));
    add_list(json, "timesteps", options->timesteps, options->n_timesteps);
    add_list(json, "sigmas", options->sigmas, options->n_sigmas);
}

/* The seed is a string: JSON readers keep 53 or 63 bits of a number, a seed has 64. */
static json_t *recipe_json(const sf_recipe_facts *facts) {
    const sf_generate_options *options = facts->options;
    char seed[32];
    snprintf(seed, sizeof seed, "%" PRIu64, facts->seed);
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:i, s:f, s:f, s:s, s:i, "
                     "s:i, s:s, s:s}",
                     "format", RECIPE_FORMAT, "version", sf_version(), "backend", facts->backend,
                     "plugin_version", facts->plugin_version, "model", facts->model, "model_hash",
                     facts->model_hash, "prompt", options->prompt, "negative_prompt",
                     options->negative_prompt, "sampler", options->sampler, "schedule",
                     options->schedule, "steps", options->steps, "guidance_scale",
                     (double)options->guidance_scale, "eta", (double)options->eta, "seed", seed,
                     "width", options->width, "height", options->height, "rng", options->rng,
                     "precision", options->precision);
}

sf_status sf_recipe_write(sf_image *image, const sf_recipe_facts *facts) {
    sf_context *ctx = image->ctx;
    SF_TRY(write_parameters(image, ctx, facts));
    json_t *json = recipe_json(facts);
    char *text = NULL;
    add_rare(json, facts->options);
    sf_status status = sf_json_write(ctx, json, JSON_COMPACT, &text);
    json_decref(json);
    SF_TRY(status);
    status = sf_image_set_text(image, RECIPE_KEY, text);
    sf_free(ctx, text);
    return status;
}

/* ---- reading ---- */

struct sf_recipe {
    sf_context *ctx;
    json_t *json; /* the options' strings point into it */
    sf_generate_options options;
    const char *model, *model_hash;
    double *timesteps, *sigmas; /* owned; the options' */
    char backend[128];
};

static sf_status read_seed(sf_context *ctx, const json_t *json, uint64_t *seed) {
    const char *text;
    char *end;
    SF_TRY(sf_json_get_string(ctx, RECIPE_KEY, json, "seed", "", &text));
    errno = 0;
    *seed = strtoull(text, &end, 10);
    if (end == text || *end || errno || text[0] == '-')
        SF_FAIL(ctx, ERROR_FORMAT, "%s: seed \"%.40s\" is not a number", RECIPE_KEY, text);
    return SF_OK;
}

static sf_status read_numbers(sf_context *ctx, const json_t *json, sf_generate_options *options) {
    double guidance_scale, eta;
    int format;
    SF_TRY(sf_json_get_int32(ctx, RECIPE_KEY, json, "format", RECIPE_FORMAT, RECIPE_FORMAT,
                             RECIPE_FORMAT, &format));
    SF_TRY(sf_json_get_int32(ctx, RECIPE_KEY, json, "steps", 0, 1, 100000, &options->steps));
    SF_TRY(sf_json_get_int32(ctx, RECIPE_KEY, json, "width", 0, 1, 1 << 20, &options->width));
    SF_TRY(sf_json_get_int32(ctx, RECIPE_KEY, json, "height", 0, 1, 1 << 20, &options->height));
    SF_TRY(sf_json_get_number(ctx, RECIPE_KEY, json, "guidance_scale", 1, &guidance_scale));
    SF_TRY(sf_json_get_number(ctx, RECIPE_KEY, json, "eta", 0, &eta));
    options->guidance_scale = (float)guidance_scale;
    options->eta = (float)eta;
    return read_seed(ctx, json, &options->seed);
}

#define MOST_LISTED 10000

/* A list of numbers, if there is one; *values is the caller's. */
static sf_status read_list(sf_context *ctx, const json_t *json, const char *key, double **values,
                           int *count) {
    const json_t *list = json_object_get(json, key);
    size_t n = json_array_size(list);
    if (!list)
        return SF_OK;
    if (n < 1 || n > MOST_LISTED)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: a list of 1 to %d numbers is wanted", RECIPE_KEY, key,
                MOST_LISTED);
    *values = SF_NEW_ARRAY(ctx, double, n);
    if (!*values)
        return SF_ERROR_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!sf_json_number(json_array_get(list, i), &(*values)[i]))
            SF_FAIL(ctx, ERROR_FORMAT, "%s: %s: element %zu is no number", RECIPE_KEY, key, i);
    *count = (int)n;
    return SF_OK;
}

static sf_status read_rare(sf_recipe *recipe) {
    sf_context *ctx = recipe->ctx;
    sf_generate_options *options = &recipe->options;
    double rescale, mu;
    SF_TRY(sf_json_get_number(ctx, RECIPE_KEY, recipe->json, "guidance_rescale", 0, &rescale));
    SF_TRY(sf_json_get_number(ctx, RECIPE_KEY, recipe->json, "mu", (double)NAN, &mu));
    SF_TRY(read_list(ctx, recipe->json, "timesteps", &recipe->timesteps, &options->n_timesteps));
    SF_TRY(read_list(ctx, recipe->json, "sigmas", &recipe->sigmas, &options->n_sigmas));
    options->guidance_rescale = (float)rescale;
    options->mu = (float)mu;
    options->timesteps = recipe->timesteps;
    options->sigmas = recipe->sigmas;
    return SF_OK;
}

static sf_status read_strings(sf_recipe *recipe) {
    sf_context *ctx = recipe->ctx;
    const json_t *json = recipe->json;
    sf_generate_options *options = &recipe->options;
    const char *backend = "", *version = "";
    const struct {
        const char *key, *fallback, **value;
    } strings[] = {
        {"prompt", "", &options->prompt},
        {"negative_prompt", "", &options->negative_prompt},
        {"sampler", NULL, &options->sampler},
        {"schedule", NULL, &options->schedule},
        {"rng", "torch", &options->rng},
        {"precision", "f32", &options->precision},
        {"model", "", &recipe->model},
        {"model_hash", "", &recipe->model_hash},
        {"backend", "", &backend},
        {"plugin_version", "", &version},
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        SF_TRY(sf_json_get_string(ctx, RECIPE_KEY, json, strings[i].key, strings[i].fallback,
                                  strings[i].value));
    snprintf(recipe->backend, sizeof recipe->backend, "%s %s", backend, version);
    return SF_OK;
}

sf_status sf_recipe_read(sf_context *context, const sf_image *image, sf_recipe **recipe) {
    const char *text = sf_image_text(image, RECIPE_KEY);
    if (!text)
        SF_FAIL(context, ERROR_NOT_FOUND, "the picture has no \"%s\" text: Sfumato did not draw it",
                RECIPE_KEY);
    sf_recipe *made = SF_NEW(context, sf_recipe);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = context;
    sf_generate_options_init(&made->options);
    sf_status status =
        sf_json_parse(context, RECIPE_KEY, text, strlen(text), SF_JSON_UNIQUE_NAMES, &made->json);
    if (status == SF_OK && !json_is_object(made->json))
        status = sf_fail(context, SF_ERROR_FORMAT, "the picture's \"%s\" text is not a JSON object",
                         RECIPE_KEY);
    if (status == SF_OK)
        status = read_strings(made);
    if (status == SF_OK)
        status = read_numbers(context, made->json, &made->options);
    if (status == SF_OK)
        status = read_rare(made);
    if (status != SF_OK) {
        sf_recipe_free(made);
        return status;
    }
    *recipe = made;
    return SF_OK;
}

void sf_recipe_free(sf_recipe *recipe) {
    if (!recipe)
        return;
    json_decref(recipe->json);
    sf_free(recipe->ctx, recipe->timesteps);
    sf_free(recipe->ctx, recipe->sigmas);
    sf_free(recipe->ctx, recipe);
}

const sf_generate_options *sf_recipe_options(const sf_recipe *recipe) {
    return &recipe->options;
}

const char *sf_recipe_model(const sf_recipe *recipe) {
    return recipe->model;
}

const char *sf_recipe_model_hash(const sf_recipe *recipe) {
    return recipe->model_hash;
}

const char *sf_recipe_backend(const sf_recipe *recipe) {
    return recipe->backend;
}
