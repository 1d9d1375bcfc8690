/*
 * Drawing: the stages in turn, for each picture of the batch. sf_pipeline_generate() of sfumato.h.
 */
#include <time.h>

#include "core/image.h"
#include "core/memory.h"
#include "pipelines/pipeline.h"
#include "pipelines/recipe.h"
#include "plugins/registry.h"
#include "samplers/loop.h"

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static sf_status report(sf_drawing *drawing, const char *stage, int step, double begin) {
    sf_progress progress = {
        .stage = stage, .step = step, .n_steps = 1, .seconds = seconds() - begin};
    return sf_report_progress(drawing->ctx, &progress);
}

/* ---- noise ---- */

/* One picture's generator, from which the first noise and the sampler's draws come in turn. */
typedef struct noise_maker {
    sf_rng rng;
    uint64_t seed;
    float *buffer;
    sf_eager *eager;       /* borrowed */
    sf_device_tensor *key; /* where the device draws by itself; NULL: on the host */
} noise_maker;

/* Philox's numbers depend on seed, call and element alone, so that a device draws them in place. */
static sf_status draw_on_device(noise_maker *maker, sf_device_tensor *noise) {
    sf_rng_philox *philox = &maker->rng.state.philox;
    const uint64_t key[2] = {philox->seed, philox->n_calls++};
    const sf_device_tensor *inputs[] = {maker->key};
    sf_attributes attributes = {.shape.n_dims = noise->spec.n_dims};
    for (int axis = 0; axis < noise->spec.n_dims; axis++)
        attributes.shape.dims[axis] = noise->spec.dims[axis];
    SF_TRY(sf_device_tensor_write(maker->key, key, sizeof key));
    return sf_eager_run(maker->eager, SF_OP_random_normal, inputs, 1, &attributes, noise);
}

static sf_status noise_maker_init(noise_maker *maker, sf_drawing *drawing, uint64_t seed) {
    const sf_spec key = {.dtype = SF_I64, .n_dims = 1, .dims = {2, 1, 1, 1, 1}};
    *maker = (noise_maker){.seed = seed, .eager = drawing->eager};
    sf_rng_seed(&maker->rng, drawing->rng_kind, seed);
    if (drawing->rng_kind == SF_RNG_PHILOX && !sf_backend_has_host_memory(drawing->ctx->backend))
        return sf_device_tensor_new(drawing->ctx->backend, &key, &maker->key);
    maker->buffer = SF_NEW_ARRAY(drawing->ctx, float, (size_t)sf_spec_elements(&drawing->latents));
    return maker->buffer ? SF_OK : SF_ERROR_MEMORY;
}

static void noise_maker_clear(noise_maker *maker, sf_context *ctx) {
    sf_device_tensor_free(maker->key);
    sf_free(ctx, maker->buffer);
}

static sf_status draw_noise(void *user, sf_device_tensor *noise) {
    noise_maker *maker = user;
    if (maker->key)
        return draw_on_device(maker, noise);
    size_t n = (size_t)sf_spec_elements(&noise->spec);
    sf_rng_normal(&maker->rng, maker->buffer, n);
    return sf_device_tensor_write(noise, maker->buffer, n * sizeof *maker->buffer);
}

/* A Brownian path's: each from a generator of its own, beside the picture's. */
static sf_status draw_seeded(void *user, uint64_t seed, sf_device_tensor *noise) {
    noise_maker *maker = user;
    const sf_rng kept = maker->rng;
    sf_rng_seed(&maker->rng, kept.kind, seed);
    sf_status status = draw_noise(maker, noise);
    maker->rng = kept;
    return status;
}

/* ---- the loop's questions ---- */

static sf_status evaluate(void *user, const sf_evaluation *evaluation,
                          const sf_device_tensor *sample, const sf_device_tensor **output) {
    sf_drawing *drawing = user;
    drawing->sample = sample;
    drawing->timestep = (float)evaluation->timestep;
    drawing->input_scale = (float)evaluation->input_scale;
    SF_TRY(sf_denoise_stage_run(drawing, evaluation->index + 1, evaluation->count));
    *output = drawing->model_output;
    return SF_OK;
}

static sf_status show_preview(void *user, const sf_evaluation *evaluation,
                              const sf_device_tensor *sample) {
    sf_drawing *drawing = user;
    sf_context *ctx = drawing->ctx;
    sf_image *image = NULL;
    if (!ctx->options.preview)
        return SF_OK;
    drawing->sample = sample;
    SF_TRY(sf_decode_stage_run(drawing, &image));
    int stop =
        ctx->options.preview(ctx->options.user, evaluation->index + 1, evaluation->count, image);
    sf_image_free(image);
    if (stop)
        SF_FAIL(ctx, ERROR_CANCELLED, "cancelled by the preview, step %d of %d",
                evaluation->index + 1, evaluation->count);
    return SF_OK;
}

/* ---- one picture ---- */

static sf_status run_sampler(sf_drawing *drawing, sf_sampler *sampler, noise_maker *maker) {
    sf_device_tensor *noise = NULL;
    sf_spec output;
    sf_status status = SF_OK;
    const sf_noise_source source = {
        .draw = draw_noise, .draw_seeded = draw_seeded, .seed = maker->seed, .user = maker};
    const sf_loop loop = {
        .stage = "denoise", .evaluate = evaluate, .after_step = show_preview, .user = drawing};
    SF_TRY_OUT(sf_device_tensor_new(drawing->ctx->backend, &drawing->latents, &noise));
    SF_TRY_OUT(draw_noise(maker, noise));
    SF_TRY_OUT(sf_sampler_start(sampler, drawing->eager, &source, noise));
    sf_sampler_output_spec(sampler, &output);
    if (!drawing->model_output)
        SF_TRY_OUT(sf_device_tensor_new(drawing->ctx->backend, &output, &drawing->model_output));
    SF_TRY_OUT(sf_sampler_run(sampler, &loop));
out:
    sf_device_tensor_free(noise);
    return status;
}

static sf_status decode(sf_drawing *drawing, const sf_sampler *sampler, sf_image **image) {
    double begin = seconds();
    SF_TRY(report(drawing, "decode", 0, begin));
    drawing->sample = sf_sampler_sample(sampler);
    SF_TRY(sf_decode_stage_run(drawing, image));
    sf_status status = report(drawing, "decode", 1, begin);
    if (status != SF_OK) {
        sf_image_free(*image);
        *image = NULL;
    }
    return status;
}

static sf_status write_recipe(sf_drawing *drawing, const sf_sampler *sampler, uint64_t seed,
                              sf_image *image) {
    const char *hash;
    SF_TRY(sf_pipeline_model_hash(drawing->pipeline, &hash));
    const sf_plugin *plugin = &drawing->ctx->backend->plugin;
    sf_generate_options options = drawing->options;
    options.sampler = sf_sampler_get_info(sampler)->name;
    const sf_recipe_facts facts = {
        .options = &options,
        .seed = seed,
        .model = sf_pipeline_name(drawing->pipeline),
        .model_hash = hash,
        .backend = drawing->ctx->backend->name,
        .plugin_version = plugin->version ? plugin->version : "",
        .sampler_title = sf_sampler_get_info(sampler)->title,
        .schedule_title = sf_sampler_schedule_title(sampler),
    };
    return sf_recipe_write(image, &facts);
}

static sf_status draw_one(sf_drawing *drawing, uint64_t seed, sf_image **image) {
    noise_maker maker = {.key = NULL};
    sf_sampler *sampler = NULL;
    sf_image *made = NULL;
    sf_status status = SF_OK;
    const sf_sampler_options options = sf_drawing_sampler_options(drawing);
    SF_TRY_OUT(noise_maker_init(&maker, drawing, seed));
    SF_TRY_OUT(sf_sampler_new(drawing->ctx, &drawing->pipeline->scheduler, &options, &sampler));
    SF_TRY_OUT(run_sampler(drawing, sampler, &maker));
    SF_TRY_OUT(decode(drawing, sampler, &made));
    SF_TRY_OUT(write_recipe(drawing, sampler, seed, made));
    *image = made;
    made = NULL;
out:
    sf_image_free(made);
    sf_sampler_free(sampler);
    noise_maker_clear(&maker, drawing->ctx);
    return status;
}

/* ---- the batch ---- */

/* Names an unknown sampler or schedule before the text encoder runs; counts listed steps. */
static sf_status check_sampler(sf_drawing *drawing) {
    sf_sampler *sampler = NULL;
    const sf_sampler_options options = sf_drawing_sampler_options(drawing);
    SF_TRY(sf_sampler_new(drawing->ctx, &drawing->pipeline->scheduler, &options, &sampler));
    drawing->options.steps = sf_sampler_n_steps(sampler);
    sf_drawing_keep_room(drawing, sampler);
    sf_sampler_free(sampler);
    return SF_OK;
}

/* Planning for a device brings its weights there, so the sizes are looked at before. */
static sf_status look_ahead(sf_drawing *drawing, sf_stage *const *stages, size_t n_stages) {
    for (size_t i = 0; i < n_stages; i++)
        SF_TRY(sf_stage_plan(stages[i], true));
    SF_TRY(sf_drawing_fit(drawing));
    for (size_t i = 0; i < n_stages; i++)
        sf_stage_clear(stages[i]);
    return SF_OK;
}

static sf_status prepare(sf_drawing *drawing) {
    sf_plan_options options;
    double begin = seconds();
    SF_TRY(check_sampler(drawing));
    SF_TRY(sf_plan_options_for(drawing->ctx, &options));
    SF_TRY(sf_eager_new(drawing->ctx, &options, &drawing->eager));
    /* A picture that does not fit in memory is refused here, before any work is done for it. */
    sf_stage *const stages[] = {&drawing->denoise_stage, &drawing->decode_stage,
                                &drawing->text_stage};
    const size_t n_stages = sizeof stages / sizeof *stages;
    if (!sf_backend_has_host_memory(drawing->ctx->backend))
        SF_TRY(look_ahead(drawing, stages, n_stages));
    for (size_t i = 0; i < n_stages; i++) {
        SF_TRY(sf_stage_plan(stages[i], false));
        sf_stage_rest(stages[i]);
    }
    SF_TRY(sf_drawing_fit(drawing));
    SF_TRY(report(drawing, "text", 0, begin));
    SF_TRY(sf_text_stage_run(drawing));
    return report(drawing, "text", 1, begin);
}

static sf_status draw_all(sf_drawing *drawing, sf_image **images) {
    SF_TRY(prepare(drawing));
    for (int i = 0; i < drawing->options.batch; i++) {
        sf_status status = draw_one(drawing, drawing->options.seed + (uint64_t)i, &images[i]);
        for (int k = 0; status != SF_OK && k < i; k++) {
            sf_image_free(images[k]);
            images[k] = NULL;
        }
        SF_TRY(status);
    }
    return SF_OK;
}

sf_status sf_pipeline_generate(sf_pipeline *pipeline, const sf_generate_options *options,
                               sf_image **images) {
    sf_drawing drawing;
    sf_status status = sf_drawing_init(&drawing, pipeline, options);
    if (status == SF_OK)
        status = draw_all(&drawing, images);
    sf_registry_warn_of_fallbacks(pipeline->ctx);
    sf_drawing_clear(&drawing);
    return status;
}
