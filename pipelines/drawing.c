/*
 * Setting up a drawing: options checked and completed, stages made. See pipeline.h.
 */
#include <math.h>
#include <string.h>

#include "core/image.h"
#include "core/memory.h"
#include "core/text.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "pipelines/guidance_embedding.h"
#include "pipelines/pipeline.h"

#define DEFAULT_SEED 42
#define MOST_STEPS   10000
#define MOST_BATCH   10000

void sf_generate_options_init(sf_generate_options *options) {
    *options = (sf_generate_options){
        .struct_size = sizeof *options,
        .prompt = "",
        .negative_prompt = "",
        .guidance_scale = -1,
        .seed = DEFAULT_SEED,
        .batch = 1,
        .rng = "torch",
        .precision = "f32",
        .mu = NAN,
    };
}

/* ---- checks ---- */

static sf_status check_numbers(sf_context *ctx, const sf_generate_options *options) {
    bool listed = options->timesteps || options->sigmas;
    if (options->steps < (listed ? 0 : 1) || options->steps > MOST_STEPS)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d steps; 1 to %d are possible", options->steps, MOST_STEPS);
    if (options->batch < 1 || options->batch > MOST_BATCH)
        SF_FAIL(ctx, ERROR_ARGUMENT, "a batch of %d; 1 to %d are possible", options->batch,
                MOST_BATCH);
    if (!isfinite(options->guidance_scale))
        SF_FAIL(ctx, ERROR_ARGUMENT, "guidance scale %g", (double)options->guidance_scale);
    if (!(options->eta >= 0 && options->eta <= 1))
        SF_FAIL(ctx, ERROR_ARGUMENT, "eta %g; 0 to 1 is possible", (double)options->eta);
    if (!(options->guidance_rescale >= 0 && options->guidance_rescale <= 1))
        SF_FAIL(ctx, ERROR_ARGUMENT, "guidance rescale %g; 0 to 1 is possible",
                (double)options->guidance_rescale);
    return SF_OK;
}

static sf_status read_precision(sf_context *ctx, const char *name, sf_dtype *dtype) {
    static const sf_dtype possible[] = {SF_F32, SF_F16, SF_BF16};
    for (size_t i = 0; i < sizeof possible / sizeof *possible; i++)
        if (strcmp(name, sf_dtype_name(possible[i])) == 0) {
            *dtype = possible[i];
            return SF_OK;
        }
    SF_FAIL(ctx, ERROR_NOT_FOUND, "precision \"%.40s\"; f32, f16 and bf16 are possible", name);
}

/* The size of the picture: asked for, or that of the latents that the U-Net was trained on. */
static sf_status find_size(sf_drawing *drawing) {
    sf_generate_options *options = &drawing->options;
    const sf_vae_config *vae = drawing->pipeline->vae->config;
    const sf_unet_config *unet = drawing->pipeline->unet->config;
    int64_t factor = (int64_t)1 << (vae->n_levels - 1);
    int64_t width = options->width ? options->width : unet->sample_width * factor;
    int64_t height = options->height ? options->height : unet->sample_height * factor;
    if (width == 0 || height == 0)
        SF_FAIL(drawing->ctx, ERROR_ARGUMENT,
                "the model does not tell its size (sample_size): width and height are needed");
    if (width < 1 || width > SF_IMAGE_MAX_SIDE || height < 1 || height > SF_IMAGE_MAX_SIDE)
        SF_FAIL(drawing->ctx, ERROR_ARGUMENT, "%lldx%lld pixels; 1 to %d a side are possible",
                (long long)width, (long long)height, SF_IMAGE_MAX_SIDE);
    options->width = (int)width;
    options->height = (int)height;
    if (options->width % factor || options->height % factor)
        SF_FAIL(drawing->ctx, ERROR_ARGUMENT,
                "%dx%d pixels: width and height must be multiples of %lld", options->width,
                options->height, (long long)factor);
    drawing->latents = (sf_spec){
        .dtype = SF_F32,
        .n_dims = 4,
        .dims = {1, vae->latent_channels, options->height / factor, options->width / factor},
    };
    sf_spec_normalize(&drawing->latents);
    if (unet->in_channels != vae->latent_channels)
        SF_FAIL(
            drawing->ctx, ERROR_UNSUPPORTED,
            "%s: the U-Net takes %lld channels, the autoencoder's latents have %lld (an inpainting "
            "model?)",
            drawing->pipeline->folder, (long long)unet->in_channels,
            (long long)vae->latent_channels);
    return SF_OK;
}

/* They go into the picture's texts, which are UTF-8: better said before the drawing than after. */
static sf_status check_prompts(sf_context *ctx, const sf_generate_options *options) {
    if (!sf_utf8_valid(options->prompt, strlen(options->prompt)))
        SF_FAIL(ctx, ERROR_ARGUMENT, "the prompt is not UTF-8");
    if (!sf_utf8_valid(options->negative_prompt, strlen(options->negative_prompt)))
        SF_FAIL(ctx, ERROR_ARGUMENT, "the negative prompt is not UTF-8");
    return SF_OK;
}

static sf_status complete_options(sf_drawing *drawing, const sf_generate_options *given) {
    sf_generate_options *options = &drawing->options;
    const sf_pipeline *pipeline = drawing->pipeline;
    if (!given)
        SF_FAIL(drawing->ctx, ERROR_ARGUMENT, "no options; sf_generate_options_init() fills them");
    sf_generate_options_init(options);
    memcpy(options, given,
           given->struct_size < sizeof *options ? given->struct_size : sizeof *options);
    options->struct_size = sizeof *options;
    options->prompt = options->prompt ? options->prompt : "";
    options->negative_prompt = options->negative_prompt ? options->negative_prompt : "";
    options->rng = options->rng ? options->rng : "torch";
    options->precision = options->precision ? options->precision : "f32";
    if (options->steps == 0 && !options->timesteps && !options->sigmas)
        options->steps = pipeline->default_steps;
    if (options->guidance_scale < 0)
        options->guidance_scale = pipeline->default_guidance;
    SF_TRY(check_prompts(drawing->ctx, options));
    SF_TRY(check_numbers(drawing->ctx, options));
    if (!sf_rng_kind_from_name(options->rng, &drawing->rng_kind))
        SF_FAIL(drawing->ctx, ERROR_NOT_FOUND, "generator \"%.40s\"; torch and philox are possible",
                options->rng);
    drawing->guided = options->guidance_scale > 1 && !sf_pipeline_guidance_channels(pipeline);
    drawing->mu = (double)options->mu;
    return find_size(drawing);
}

/* A model that was distilled from a guided one knows no condition but the prompt. */
static void warn_of_no_effect(sf_drawing *drawing) {
    sf_pipeline *pipeline = drawing->pipeline;
    const sf_generate_options *options = &drawing->options;
    bool negative = options->negative_prompt[0], rescaled = options->guidance_rescale > 0;
    const char *what = negative && rescaled ? "the negative prompt and guidance rescale have"
                       : negative           ? "the negative prompt has"
                       : rescaled           ? "guidance rescale has"
                                            : NULL;
    if (!what || pipeline->warned_of_guidance || !sf_pipeline_guidance_channels(pipeline))
        return;
    sf_log(drawing->ctx, SF_LOG_WARNING,
           "%s takes the guidance scale as an input (time_cond_proj_dim): %s no "
           "effect",
           sf_pipeline_name(pipeline), what);
    pipeline->warned_of_guidance = true;
}

/* ---- what the stages work on ---- */

int64_t sf_pipeline_guidance_channels(const sf_pipeline *pipeline) {
    const sf_unet_config *unet = pipeline->unet->config;
    return unet->time_cond_proj_dim;
}

int sf_drawing_n_conditions(const sf_drawing *drawing) {
    return drawing->guided ? 2 : 1;
}

sf_sampler_options sf_drawing_sampler_options(const sf_drawing *drawing) {
    return (sf_sampler_options){
        .sampler = drawing->options.sampler,
        .schedule = drawing->options.schedule,
        .eta = (double)drawing->options.eta, /* 0 too, as diffusers' pipelines hand it on */
        .n_steps = drawing->options.steps,
        .timesteps = drawing->options.timesteps,
        .n_timesteps = drawing->options.n_timesteps,
        .sigmas = drawing->options.sigmas,
        .n_sigmas = drawing->options.n_sigmas,
        .mu = isnan(drawing->mu) ? NULL : &drawing->mu,
    };
}

/* The guidance embedding, of models that take one. */
static sf_status embed_guidance(sf_drawing *drawing) {
    int64_t n_channels = sf_pipeline_guidance_channels(drawing->pipeline);
    if (!n_channels)
        return SF_OK;
    drawing->guidance_embedding = SF_NEW_ARRAY(drawing->ctx, float, (size_t)n_channels);
    if (!drawing->guidance_embedding)
        return SF_ERROR_MEMORY;
    sf_guidance_embedding(drawing->options.guidance_scale, n_channels, drawing->guidance_embedding);
    return SF_OK;
}

static sf_status allocate(sf_drawing *drawing) {
    const sf_clip_config *clip = drawing->pipeline->text_encoder->config;
    int64_t length = sf_tokenizer_max_length(drawing->pipeline->tokenizer);
    int64_t n_conditions = sf_drawing_n_conditions(drawing);
    drawing->text = (sf_spec){.dtype = SF_I64, .n_dims = 2, .dims = {n_conditions, length}};
    drawing->embedding_spec =
        (sf_spec){.dtype = SF_F32, .n_dims = 3, .dims = {n_conditions, length, clip->hidden_size}};
    sf_spec_normalize(&drawing->text);
    sf_spec_normalize(&drawing->embedding_spec);
    drawing->embeddings_bytes = sf_spec_bytes(&drawing->embedding_spec);
    drawing->ids = sf_alloc(drawing->ctx, sf_spec_bytes(&drawing->text), 1);
    drawing->embeddings = sf_alloc(drawing->ctx, drawing->embeddings_bytes, 1);
    return drawing->ids && drawing->embeddings ? SF_OK : SF_ERROR_MEMORY;
}

static void init_stage(sf_drawing *drawing, sf_stage *stage, sf_dtype compute) {
    stage->ctx = drawing->ctx;
    stage->user = drawing;
    stage->compute = compute;
}

sf_status sf_drawing_init(sf_drawing *drawing, sf_pipeline *pipeline,
                          const sf_generate_options *options) {
    sf_dtype compute = SF_F32;
    *drawing = (sf_drawing){.pipeline = pipeline, .ctx = pipeline->ctx};
    SF_TRY(complete_options(drawing, options));
    SF_TRY(read_precision(drawing->ctx, drawing->options.precision, &compute));
    SF_TRY(allocate(drawing));
    SF_TRY(embed_guidance(drawing));
    warn_of_no_effect(drawing);
    init_stage(drawing, &drawing->text_stage, compute);
    init_stage(drawing, &drawing->denoise_stage, compute);
    init_stage(drawing, &drawing->decode_stage, compute);
    sf_text_stage_init(drawing);
    sf_denoise_stage_init(drawing);
    sf_decode_stage_init(drawing);
    return SF_OK;
}

void sf_drawing_clear(sf_drawing *drawing) {
    sf_stage_clear(&drawing->text_stage);
    sf_stage_clear(&drawing->denoise_stage);
    sf_stage_clear(&drawing->decode_stage);
    sf_device_tensor_free(drawing->model_output);
    sf_eager_free(drawing->eager);
    sf_free(drawing->ctx, drawing->guidance_embedding);
    sf_free(drawing->ctx, drawing->embeddings);
    sf_free(drawing->ctx, drawing->ids);
}
