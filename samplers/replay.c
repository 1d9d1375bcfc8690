/*
 * sf_sampler_replay(): a sampler on recorded model outputs and noise, everything it computes given
 * back. What `sfumato sample` runs.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "plugins/registry.h"
#include "samplers/loop.h"

typedef struct replay {
    sf_context *ctx;
    const sf_tensors *inputs; /* borrowed */
    sf_tensors *outputs;
    sf_sampler *sampler;
    sf_eager *eager;
    sf_device_tensor *model_input, *model_output;
    int n_draws;
} replay;

void sf_replay_options_init(sf_replay_options *options) {
    *options = (sf_replay_options){.struct_size = sizeof *options, .eta = -1, .mu = NAN};
}

/* ---- in ---- */

/* The recorded tensor NAME.k, or NAME where k is negative; it must be as spec says. */
static sf_status find_input(const replay *r, const char *name, int k, const sf_spec *spec,
                            const sf_tensor **tensor) {
    char full[64], text[SF_SHAPE_TEXT], shape[SF_SHAPE_TEXT];
    snprintf(full, sizeof full, k < 0 ? "%s" : "%s.%d", name, k);
    const sf_tensor *found = sf_tensors_find(r->inputs, full);
    const sf_sampler_info *info = sf_sampler_get_info(r->sampler);
    if (!found)
        SF_FAIL(r->ctx, ERROR_NOT_FOUND,
                "the input has no \"%s\"; %s evaluates the model %s%d times here", full, info->name,
                info->adaptive ? "some " : "", sf_sampler_n_evaluations(r->sampler));
    sf_spec actual = {.dtype = found->dtype, .n_dims = found->n_dims};
    memcpy(actual.dims, found->dims, sizeof actual.dims);
    if (spec && !sf_spec_equal(&actual, spec))
        SF_FAIL(r->ctx, ERROR_SHAPE, "input \"%s\" is %s %s, must be %s", full,
                sf_dtype_name(found->dtype), sf_shape_text(found->n_dims, found->dims, shape),
                sf_spec_text(spec, text));
    *tensor = found;
    return SF_OK;
}

/* The same, onto the device. */
static sf_status load_input(const replay *r, const char *name, int k, sf_device_tensor *to) {
    const sf_tensor *tensor;
    SF_TRY(find_input(r, name, k, &to->spec, &tensor));
    return sf_device_tensor_write(to, tensor->data, tensor->bytes);
}

/* ---- out ---- */

static sf_status add_output(const replay *r, const char *name, int k, const sf_spec *spec,
                            sf_tensor **tensor) {
    char full[64];
    snprintf(full, sizeof full, k < 0 ? "%s" : "%s.%d", name, k);
    SF_TRY(sf_tensor_new(r->ctx, spec->dtype, spec->n_dims, spec->dims, tensor));
    return sf_tensors_add(r->outputs, full, *tensor);
}

static sf_status save_tensor(const replay *r, const char *name, int k,
                             const sf_device_tensor *from) {
    sf_tensor *tensor;
    SF_TRY(add_output(r, name, k, &from->spec, &tensor));
    return sf_device_tensor_read(from, tensor->data, tensor->bytes);
}

/* timesteps and sigmas, f32. */
static sf_status save_numbers(const replay *r, const char *name, int count,
                              double (*get)(const sf_sampler *sampler, int i)) {
    const sf_spec spec = {.dtype = SF_F32, .n_dims = 1, .dims = {count, 1, 1, 1, 1}};
    sf_tensor *tensor;
    SF_TRY(add_output(r, name, -1, &spec, &tensor));
    for (int i = 0; i < count; i++)
        ((float *)tensor->data)[i] = (float)get(r->sampler, i);
    return SF_OK;
}

/* ---- callbacks ---- */

static sf_status draw(void *user, sf_device_tensor *noise) {
    replay *r = user;
    return load_input(r, "step_noise", r->n_draws++, noise);
}

static sf_status evaluate(void *user, const sf_evaluation *evaluation,
                          const sf_device_tensor *sample, const sf_device_tensor **output) {
    replay *r = user;
    SF_TRY(sf_eager_combine(r->eager, r->model_input, 1, &evaluation->input_scale, &sample));
    SF_TRY(save_tensor(r, "model_input", evaluation->index, r->model_input));
    SF_TRY(load_input(r, "model_output", evaluation->index, r->model_output));
    *output = r->model_output;
    return SF_OK;
}

static sf_status after_step(void *user, const sf_evaluation *evaluation,
                            const sf_device_tensor *sample) {
    return save_tensor(user, "sample", evaluation->index, sample);
}

/* ---- the run ---- */

static sf_status make_sampler(replay *r, const sf_replay_options *options) {
    sf_scheduler_config config = {0};
    const double mu = (double)options->mu;
    const sf_sampler_options wanted = {
        .sampler = options->sampler,
        .schedule = options->schedule,
        .eta = (double)options->eta,
        .n_steps = options->steps,
        .timesteps = options->timesteps,
        .n_timesteps = options->n_timesteps,
        .sigmas = options->sigmas,
        .n_sigmas = options->n_sigmas,
        .mu = isnan(mu) ? NULL : &mu,
    };
    if (!options->config)
        SF_FAIL(r->ctx, ERROR_ARGUMENT, "no scheduler_config.json was named");
    SF_TRY(sf_scheduler_config_load(r->ctx, options->config, &config));
    sf_status status = sf_sampler_new(r->ctx, &config, &wanted, &r->sampler);
    sf_scheduler_config_clear(&config);
    return status;
}

/* The noise onto the device; the sampler starts on it. */
static sf_status start(replay *r) {
    const sf_noise_source source = {.draw = draw, .user = r};
    const sf_tensor *tensor;
    sf_device_tensor *noise = NULL;
    sf_plan_options options;
    sf_spec output_spec;
    sf_status status;
    SF_TRY(find_input(r, "noise", -1, NULL, &tensor));
    sf_spec spec = {.dtype = tensor->dtype, .n_dims = tensor->n_dims};
    memcpy(spec.dims, tensor->dims, sizeof spec.dims);
    SF_TRY(sf_plan_options_for(r->ctx, &options));
    SF_TRY(sf_eager_new(r->ctx, &options, &r->eager));
    SF_TRY_OUT(sf_device_tensor_new(options.backend, &spec, &noise));
    SF_TRY_OUT(sf_device_tensor_write(noise, tensor->data, tensor->bytes));
    SF_TRY_OUT(sf_sampler_start(r->sampler, r->eager, &source, noise));
    sf_sampler_output_spec(r->sampler, &output_spec);
    SF_TRY_OUT(sf_device_tensor_new(options.backend, &spec, &r->model_input));
    SF_TRY_OUT(sf_device_tensor_new(options.backend, &output_spec, &r->model_output));
out:
    sf_device_tensor_free(noise);
    return status;
}

static sf_status run(replay *r, const sf_replay_options *options) {
    const sf_loop loop = {
        .stage = "sample", .evaluate = evaluate, .after_step = after_step, .user = r};
    SF_TRY(make_sampler(r, options));
    SF_TRY(sf_tensors_new(r->ctx, &r->outputs));
    SF_TRY(start(r));
    SF_TRY(sf_sampler_run(r->sampler, &loop));
    SF_TRY(save_numbers(r, "timesteps", sf_sampler_n_evaluations(r->sampler), sf_sampler_timestep));
    if (sf_sampler_n_sigmas(r->sampler) > 0)
        SF_TRY(save_numbers(r, "sigmas", sf_sampler_n_sigmas(r->sampler), sf_sampler_sigma));
    return SF_OK;
}

sf_status sf_sampler_replay(sf_context *context, const sf_replay_options *options,
                            const sf_tensors *inputs, sf_tensors **outputs) {
    replay r = {.ctx = context, .inputs = inputs};
    sf_replay_options given;
    sf_replay_options_init(&given);
    memcpy(&given, options,
           options->struct_size < sizeof given ? options->struct_size : sizeof given);
    sf_status status = run(&r, &given);
    sf_registry_warn_of_fallbacks(context);
    sf_sampler_free(r.sampler);
    sf_device_tensor_free(r.model_input);
    sf_device_tensor_free(r.model_output);
    sf_eager_free(r.eager);
    if (status == SF_OK)
        *outputs = r.outputs;
    else
        sf_tensors_free(r.outputs);
    return status;
}
