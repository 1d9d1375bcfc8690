/*
 * Configurations: any JSON object read as the configuration of each model class, and as a scheduler's
 * by each sampler, whose tables are then made.
 */
#include <string.h>

#include "core/io/json.h"
#include "core/memory.h"
#include "models/model.h"
#include "samplers/sampler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const sf_model_class *const classes[] = {
#define SF_MODEL(name) &sf_model_##name,
#include "models/models.def"
#undef SF_MODEL
};
#define N_CLASSES (sizeof classes / sizeof *classes)

static void configure_models(sf_context *ctx, const json_t *json) {
    for (size_t i = 0; i < N_CLASSES; i++)
        for (int n = 0; n < SF_MAX_NAMES && classes[i]->names[n]; n++) {
            void *config = sf_alloc(ctx, classes[i]->config_bytes, 1);
            if (config)
                classes[i]->configure(ctx, "config.json", classes[i]->names[n], json, config);
            sf_free(ctx, config);
        }
}

static void configure_samplers(sf_context *ctx, const uint8_t *data, size_t size) {
    sf_scheduler_config config = {0};
    if (sf_scheduler_config_parse(ctx, "scheduler_config.json", (const char *)data, size,
                                  &config) != SF_OK)
        return;
    int n_samplers;
    const sf_sampler_info *const *infos = sf_sampler_list(&n_samplers);
    for (int i = 0; i < n_samplers; i++) {
        const sf_sampler_options options = {.sampler = infos[i]->name, .eta = -1, .n_steps = 5};
        sf_sampler *sampler = NULL;
        if (sf_sampler_new(ctx, &config, &options, &sampler) == SF_OK)
            sf_sampler_free(sampler);
    }
    sf_scheduler_config_clear(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sf_context *ctx = NULL;
    json_t *json = NULL;
    if (sf_context_new(NULL, &ctx) != SF_OK)
        return 0;
    if (sf_json_parse(ctx, "config.json", (const char *)data, size, 0, &json) == SF_OK &&
        json_is_object(json)) {
        configure_models(ctx, json);
        configure_samplers(ctx, data, size);
    }
    json_decref(json);
    sf_context_free(ctx);
    return 0;
}
