/*
 * Opening a pipeline's folder: sf_pipeline_load() of sfumato.h.
 *
 * The class in model_index.json is one of the table below. Beside what diffusers keeps there, a folder
 * may have sfumato.json with "steps" and "guidance_scale", the settings that suit the model.
 */
#include <string.h>
#include <time.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/memory.h"
#include "pipelines/pipeline.h"

/* A pipeline class of diffusers: what it does of its own beside putting models together. */
struct sf_pipeline_class {
    const char *name;
    int steps; /* where neither the user nor the model says */
    double guidance_scale;
    bool corrects_scheduler; /* sets steps_offset and clip_sample whatever the file says */
    bool embeds_guidance;    /* its U-Net must take the guidance scale */
};

/* Stable Diffusion's 25 steps are half of diffusers' default: the samplers of today need no more. */
static const struct sf_pipeline_class classes[] = {
    {"StableDiffusionPipeline", 25, 7.5, true, false},
    {"LatentConsistencyModelPipeline", 4, 8.5, false, true},
};

#define N_CLASSES (sizeof classes / sizeof *classes)

/* ---- the pieces ---- */

static sf_status load_index(sf_pipeline *pipeline, const char *file) {
    sf_context *ctx = pipeline->ctx;
    json_t *index = NULL;
    SF_TRY(sf_json_load(ctx, file, &index));
    const char *name = json_string_value(json_object_get(index, "_class_name"));
    sf_status status = SF_OK;
    for (size_t i = 0; name && i < N_CLASSES; i++)
        if (strcmp(name, classes[i].name) == 0)
            pipeline->kind = &classes[i];
    if (!pipeline->kind)
        status = sf_fail(ctx, SF_ERROR_UNSUPPORTED,
                         "%s: pipeline class \"%.80s\" is not supported; %s and %s are", file,
                         name ? name : "", classes[0].name, classes[1].name);
    json_decref(index);
    return status;
}

static sf_status read_defaults(sf_pipeline *pipeline, const char *file) {
    sf_context *ctx = pipeline->ctx;
    json_t *json = NULL;
    double guidance = pipeline->kind->guidance_scale;
    if (sf_path_is_file(file))
        SF_TRY(sf_json_load(ctx, file, &json));
    sf_status status = sf_json_get_int32(ctx, file, json, "steps", pipeline->kind->steps, 1, 1000,
                                         &pipeline->default_steps);
    if (status == SF_OK)
        status = sf_json_get_number(ctx, file, json, "guidance_scale", guidance, &guidance);
    if (status == SF_OK && !(guidance >= 0 && guidance <= 1000))
        status = sf_fail(ctx, SF_ERROR_FORMAT, "%s: guidance_scale %g is not in 0..1000", file,
                         guidance);
    pipeline->default_guidance = (float)guidance;
    json_decref(json);
    return status;
}

/*
 * Old configurations lack steps_offset and clip_sample, whose defaults do not suit latents.
 * StableDiffusionPipeline of diffusers sets them so, whatever the file says.
 */
static sf_status load_scheduler(sf_pipeline *pipeline, const char *file) {
    SF_TRY(sf_scheduler_config_load(pipeline->ctx, file, &pipeline->scheduler));
    if (!pipeline->kind->corrects_scheduler)
        return SF_OK;
    json_t *json = pipeline->scheduler.json;
    if (json_object_set_new(json, "steps_offset", json_integer(1)) != 0 ||
        json_object_set_new(json, "clip_sample", json_false()) != 0)
        SF_FAIL(pipeline->ctx, ERROR_MEMORY, "out of memory for %s", file);
    return SF_OK;
}

static sf_status load_tokenizer(sf_pipeline *pipeline, const char *folder) {
    return sf_tokenizer_load(pipeline->ctx, folder, &pipeline->tokenizer);
}

static sf_status load_text_encoder(sf_pipeline *pipeline, const char *folder) {
    return sf_model_load(pipeline->ctx, folder, "text_encoder", &pipeline->text_encoder);
}

static sf_status load_unet(sf_pipeline *pipeline, const char *folder) {
    SF_TRY(sf_model_load(pipeline->ctx, folder, "unet", &pipeline->unet));
    if (pipeline->kind->embeds_guidance && !sf_pipeline_guidance_channels(pipeline))
        SF_FAIL(pipeline->ctx, ERROR_FORMAT,
                "%s: the U-Net has no time_cond_proj_dim, by which %s hands it the guidance scale",
                folder, pipeline->kind->name);
    return SF_OK;
}

static sf_status load_vae(sf_pipeline *pipeline, const char *folder) {
    return sf_model_load(pipeline->ctx, folder, "vae_decoder", &pipeline->vae);
}

/* ---- the whole ---- */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static sf_status load(sf_pipeline *pipeline, const char *folder) {
    static const struct {
        const char *name;
        sf_status (*load)(sf_pipeline *pipeline, const char *path);
    } parts[] = {
        {"model_index.json", load_index},
        {"sfumato.json", read_defaults},
        {"scheduler/scheduler_config.json", load_scheduler},
        {"tokenizer", load_tokenizer},
        {"text_encoder", load_text_encoder},
        {"unet", load_unet},
        {"vae", load_vae},
    };
    if (!sf_path_is_folder(folder))
        SF_FAIL(pipeline->ctx, ERROR_IO, "%s: there is no such folder", folder);
    pipeline->folder = sf_strdup(pipeline->ctx, folder);
    if (!pipeline->folder)
        return SF_ERROR_MEMORY;
    sf_progress progress = {.stage = "load", .n_steps = sizeof parts / sizeof *parts};
    double begin = seconds();
    SF_TRY(sf_report_progress(pipeline->ctx, &progress));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *path = sf_path_join(pipeline->ctx, folder, parts[i].name);
        if (!path)
            return SF_ERROR_MEMORY;
        sf_status status = parts[i].load(pipeline, path);
        sf_free(pipeline->ctx, path);
        SF_TRY(status);
        progress.step++;
        progress.seconds = seconds() - begin;
        SF_TRY(sf_report_progress(pipeline->ctx, &progress));
    }
    return SF_OK;
}

sf_status sf_pipeline_load(sf_context *context, const char *folder, sf_pipeline **pipeline) {
    sf_pipeline *made = SF_NEW(context, sf_pipeline);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = context;
    sf_status status = load(made, folder);
    if (status != SF_OK) {
        sf_pipeline_free(made);
        return status;
    }
    *pipeline = made;
    return SF_OK;
}

void sf_pipeline_free(sf_pipeline *pipeline) {
    if (!pipeline)
        return;
    sf_scheduler_config_clear(&pipeline->scheduler);
    sf_model_free(pipeline->vae);
    sf_model_free(pipeline->unet);
    sf_model_free(pipeline->text_encoder);
    sf_tokenizer_free(pipeline->tokenizer);
    sf_free(pipeline->ctx, pipeline->folder);
    sf_free(pipeline->ctx, pipeline);
}

/* Trailing slashes are no name: "models/emoji/" is "emoji". */
const char *sf_pipeline_name(const sf_pipeline *pipeline) {
    char *folder = pipeline->folder;
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        folder[--length] = '\0';
    return sf_path_base(folder);
}
