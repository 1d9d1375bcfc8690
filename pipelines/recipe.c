/*
 * Writing a picture's recipe into its texts and reading it back. See recipe.h.
 */
#include "pipelines/recipe.h"

#include <errno.h>
#include <inttypes.h>
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
