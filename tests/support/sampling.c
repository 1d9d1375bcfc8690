#include "tests/support/sampling.h"

#include "plugins/registry.h"
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
