/*
 * Runs a sampler on the reference backend with a model that is a C function on host numbers.
 *
 *     struct sampling run = {.ctx = ctx, .config = "{...}", .options = {.n_steps = 4}, .model = ...};
 *     sampling_run(&run, noise, sample);
 */
#ifndef SF_TESTS_SUPPORT_SAMPLING_H
#define SF_TESTS_SUPPORT_SAMPLING_H

#include "samplers/loop.h"

/* Tensors are [2, 2, 3, 2]. */
#define SAMPLING_SIZE 24

struct sampling {
    sf_context *ctx;
    const char *config; /* JSON text */
    sf_sampler_options options;

    /* The model's answer m to the scaled sample. NULL: 0. */
    void (*model)(void *user, const sf_sampler *sampler, const sf_evaluation *evaluation,
                  const float *model_input, float *m);
    /* Fills the step noise of a draw. NULL: 0. */
    void (*noise)(void *user, int draw, float *noise);
    /* After each step; may be NULL. */
    void (*after)(void *user, const sf_evaluation *evaluation, const float *sample);
    void *user;
    int n_draws, n_evaluations; /* counted */
};

/* Makes a sampler from JSON text. */
sf_status sampling_new(sf_context *ctx, const char *config, const sf_sampler_options *options,
                       sf_sampler **sampler);

/* The status is that of the first call that fails; sample is filled on success. */
sf_status sampling_run(struct sampling *run, const float *noise, float *sample);

/*
 * What a model answers to model_input at an evaluation, which it takes to be of the clean sample
 * x_0: noise, x_0 or a velocity, as the sampler wants it.
 */
double sampling_answer(const sf_sampler *sampler, const sf_evaluation *evaluation,
                       double model_input, double clean);

/* model_input = *signal x_0 + *noise z at an evaluation. */
void sampling_level(const sf_sampler *sampler, const sf_evaluation *evaluation, double *signal,
                    double *noise);

/* The same numbers in every run: normal-like, |x| < 3. */
void sampling_random(unsigned seed, float *values);

#endif
