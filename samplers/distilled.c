/*
 * The timesteps of models that were distilled from a solver with few steps of its own (LCM, TCD).
 */
#include <math.h>

#include "core/memory.h"
#include "samplers/distilled.h"

/*
 * The solver's timesteps were k - 1, 2 k - 1, ... with k = T div original_inference_steps; n of them
 * are taken, even by their number, from the noisiest.
 */
sf_status sf_distilled_timesteps(sf_sampler *sampler) {
    sf_context *ctx = sampler->ctx;
    const sf_scheduler_settings *settings = &sampler->settings;
    int n = sampler->n_steps, n_original = settings->original_inference_steps;
    if (n_original > settings->num_train_timesteps)
        SF_FAIL(ctx, ERROR_FORMAT, "original_inference_steps %d are more than the %d of training",
                n_original, settings->num_train_timesteps);
    if (settings->custom_timesteps.values)
        return sf_custom_timesteps_new(ctx, settings, sampler->alphas.count, &sampler->timesteps,
                                       &sampler->n_timesteps);
    if (n > n_original)
        SF_FAIL(ctx, ERROR_ARGUMENT,
                "%d steps are more than the %d that the model was distilled from "
                "(original_inference_steps)",
                n, n_original);
    int k = settings->num_train_timesteps / n_original;
    if (n_original * k > sampler->alphas.count)
        SF_FAIL(ctx, ERROR_ARGUMENT, "timestep %d is outside the schedule's 0 to %d",
                n_original * k - 1, sampler->alphas.count - 1);
    double *made = SF_NEW_ARRAY(ctx, double, (size_t)n);
    if (!made)
        return SF_ERROR_MEMORY;
    for (int i = 0; i < n; i++) {
        int skipped = (int)floor(i * ((double)n_original / n));
        made[i] = (double)(n_original - skipped) * k - 1;
    }
    sampler->timesteps = made;
    sampler->n_timesteps = n;
    return SF_OK;
}
