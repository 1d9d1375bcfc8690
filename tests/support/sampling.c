#include "tests/support/sampling.h"

#include <math.h>

#include "plugins/registry.h"
#include "samplers/class.h"
#include "tests/support/support.h"

static const sf_spec spec = SF_SPEC(F32, 2, 2, 3, 2);

struct device {
    struct sampling *run;
    sf_sampler *sampler;
    sf_device_tensor *output;
};

sf_status sampling_new(sf_context *ctx, const char *config, const sf_sampler_options *options,
                       sf_sampler **sampler) {
    sf_scheduler_config read = {0};
    SF_TRY(sf_scheduler_config_parse(ctx, "test.json", config, strlen(config), &read));
    sf_status status = sf_sampler_new(ctx, &read, options, sampler);
    sf_scheduler_config_clear(&read);
    return status;
}

static sf_status draw(void *user, sf_device_tensor *noise) {
    struct device *device = user;
    float values[SAMPLING_SIZE] = {0};
    if (device->run->noise)
        device->run->noise(device->run->user, device->run->n_draws, values);
    device->run->n_draws++;
    return sf_device_tensor_write(noise, values, sizeof values);
}

static sf_status evaluate(void *user, const sf_evaluation *evaluation,
                          const sf_device_tensor *sample, const sf_device_tensor **output) {
    struct device *device = user;
    float x[SAMPLING_SIZE], m[SAMPLING_SIZE] = {0};
    SF_TRY(sf_device_tensor_read(sample, x, sizeof x));
    for (int i = 0; i < SAMPLING_SIZE; i++)
        x[i] *= (float)evaluation->input_scale;
    if (device->run->model)
        device->run->model(device->run->user, device->sampler, evaluation, x, m);
    device->run->n_evaluations++;
    *output = device->output;
    return sf_device_tensor_write(device->output, m, sizeof m);
}

static sf_status after(void *user, const sf_evaluation *evaluation,
                       const sf_device_tensor *sample) {
    struct device *device = user;
    float x[SAMPLING_SIZE];
    SF_TRY(sf_device_tensor_read(sample, x, sizeof x));
    if (device->run->after)
        device->run->after(device->run->user, evaluation, x);
    return SF_OK;
}

sf_status sampling_run(struct sampling *run, const float *noise, float *sample) {
    struct device device = {.run = run};
    const sf_noise_source source = {.draw = draw, .user = &device};
    const sf_loop loop = {
        .stage = "sample", .evaluate = evaluate, .after_step = after, .user = &device};
    sf_device_tensor *start = NULL;
    sf_eager *eager = NULL;
    sf_plan_options options;
    sf_status status;
    SF_TRY_OUT(sampling_new(run->ctx, run->config, &run->options, &device.sampler));
    SF_TRY_OUT(sf_plan_options_for(run->ctx, &options));
    SF_TRY_OUT(sf_eager_new(run->ctx, &options, &eager));
    SF_TRY_OUT(sf_device_tensor_new(options.backend, &spec, &start));
    SF_TRY_OUT(sf_device_tensor_new(options.backend, &spec, &device.output));
    SF_TRY_OUT(sf_device_tensor_write(start, noise, SAMPLING_SIZE * sizeof *noise));
    SF_TRY_OUT(sf_sampler_start(device.sampler, eager, &source, start));
    SF_TRY_OUT(sf_sampler_run(device.sampler, &loop));
    SF_TRY_OUT(sf_device_tensor_read(sf_sampler_sample(device.sampler), sample,
                                     SAMPLING_SIZE * sizeof *sample));
out:
    sf_sampler_free(device.sampler);
    sf_device_tensor_free(device.output);
    sf_device_tensor_free(start);
    sf_eager_free(eager);
    return status;
}

/*
 * The sigma of an evaluation. Methods that evaluate between their levels (KDPM2) tell by the timestep
 * alone where: it is taken where it is far from the sigma of the same number.
 */
static double sigma_at(const sf_sampler *sampler, const sf_evaluation *evaluation) {
    const sf_alphas *alphas = &sampler->alphas;
    double t = evaluation->timestep;
    if (sampler->levels)
        return sampler->levels[evaluation->index];
    double sigma = sampler->sigmas[evaluation->index];
    if (!(t >= 0 && t < alphas->count - 1))
        return sigma;
    double logs[2];
    for (int i = 0; i < 2; i++) {
        double alpha = (double)alphas->values[(int)t + i];
        logs[i] = 0.5 * log((1 - alpha) / alpha);
    }
    double by_timestep = exp(logs[0] + (t - (int)t) * (logs[1] - logs[0]));
    return sigma > 0 && fabs(log(by_timestep / sigma)) < 0.05 ? sigma : by_timestep;
}

void sampling_level(const sf_sampler *sampler, const sf_evaluation *evaluation, double *signal,
                    double *noise) {
    if (sampler->class->info.kind == SF_SAMPLER_FLOW) {
        *noise = sampler->sigmas[evaluation->index];
        *signal = 1 - *noise;
        return;
    }
    double alpha;
    if (sampler->class->options & SF_OPTION(sigma_data)) {
        *signal = evaluation->input_scale;
        *noise = sampler->sigmas[evaluation->index] * *signal;
        return;
    }
    if (sampler->sigmas) {
        double sigma = sigma_at(sampler, evaluation);
        alpha = 1 / (sigma * sigma + 1);
    } else {
        alpha = (double)sampler->alphas.values[(int)evaluation->timestep];
    }
    *signal = sqrt(alpha);
    *noise = sqrt(1 - alpha);
}

double sampling_answer(const sf_sampler *sampler, const sf_evaluation *evaluation,
                       double model_input, double clean) {
    const sf_scheduler_settings *settings = &sampler->settings;
    double a, b;
    sampling_level(sampler, evaluation, &a, &b);
    if (sampler->class == &sf_sampler_cm) { /* F of its file's comment */
        double sigma = b / a, data = settings->sigma_data, rise = sigma - settings->sigma_min;
        double skip = data * data / (rise * rise + data * data);
        return (clean - skip * model_input / a) * hypot(sigma, data) / (rise * data);
    }
    if (sampler->class->options & SF_OPTION(sigma_data)) { /* Karras et al. 2022, table 1 */
        double sigma = b / a, data = settings->sigma_data, sum = sigma * sigma + data * data;
        double sign = settings->prediction_type == SF_PREDICTION_v_prediction ? -1 : 1;
        return sign * (clean - data * data / sum * model_input / a) * sqrt(sum) / (sigma * data);
    }
    double noise = (model_input - a * clean) / b;
    if (sampler->class->info.kind == SF_SAMPLER_FLOW)
        return noise - clean;
    switch (settings->prediction_type) {
    case SF_PREDICTION_epsilon:
        return noise;
    case SF_PREDICTION_v_prediction:
        return a * noise - b * clean;
    default:
        return clean;
    }
}

void sampling_random(unsigned seed, float *values) {
    uint32_t state = seed * 2654435761u + 12345;
    for (int i = 0; i < SAMPLING_SIZE; i++) {
        float sum = 0;
        for (int k = 0; k < 4; k++) {
            state = state * 1664525u + 1013904223u;
            sum += (float)(state >> 8) / 16777216.0f - 0.5f;
        }
        values[i] = sum * 1.5f;
    }
}
