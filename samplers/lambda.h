/*
 * What the exponential integrators share: noise levels in lambda space, the run's levels, and the
 * model's answer as clean sample or as noise.
 *
 * x = alpha x_0 + sigma noise, and lambda = log(alpha / sigma) is half the logarithm of the
 * signal-to-noise ratio: Lu et al. 2022, "DPM-Solver", section 3. sf_sampler.sigmas has s = sigma /
 * alpha, so that alpha = 1 / sqrt(s^2 + 1) and sigma = s alpha; with use_flow_sigmas alpha = 1 - s
 * and sigma = s. The model is asked with x itself.
 *
 * All f32, each operation rounded, as diffusers has them in 0-dimensional tensors.
 */
#ifndef SF_SAMPLERS_LAMBDA_H
#define SF_SAMPLERS_LAMBDA_H

#include <math.h>

#include "samplers/class.h"

/* The choices of an exponential integrator: algorithms is those of algorithm_type, 0 for none. */
#define SF_LAMBDA_CHOICES(algorithms)                                                              \
    {                                                                                              \
        [SF_OPTION_beta_schedule] = SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) |       \
                                    SF_BIT(SF_BETA_squaredcos_cap_v2),                             \
        [SF_OPTION_prediction_type] =                                                              \
            SF_BIT(SF_PREDICTION_epsilon) | SF_BIT(SF_PREDICTION_sample) |                         \
            SF_BIT(SF_PREDICTION_v_prediction) | SF_BIT(SF_PREDICTION_flow_prediction),            \
        [SF_OPTION_variance_type] =                                                                \
            SF_BIT(SF_VARIANCE_learned) | SF_BIT(SF_VARIANCE_learned_range),                       \
        [SF_OPTION_algorithm_type] = (algorithms),                                                 \
    }

typedef struct sf_noise_level {
    float alpha, sigma, lambda;
} sf_noise_level;

/* That of sampler->sigmas[i]. At sigma 0 lambda is infinite. */
sf_noise_level sf_noise_level_at(const sf_sampler *sampler, int i);

/* ---- a run's levels ---- */

/* What differs between classes. */
typedef struct sf_lambda_rules {
    bool rescaled_end;    /* zero terminal SNR is rescale_betas_zero_snr: end at alpha 2^-24 */
    bool cosine_is_cut;   /* Karras' and Lu's timesteps of a cosine schedule are cut, not rounded */
    bool last_is_kept;    /* final sigma_min repeats the last sigma of a schedule with a fill */
    bool spacing_is_even; /* timestep_spacing is no option: linspace */
    bool flow_from_one;   /* flow sigmas are spread before the shift from 1, not from 1 - 1 / T */
    bool flow_karras;     /* Karras' sigmas can be those of a flow */
    bool mu_is_needed;    /* with use_dynamic_shifting, which can be linear too */
    bool rises;           /* from the cleanest level to the noisiest, each timestep once */
} sf_lambda_rules;

/*
 * Sets timesteps, whole numbers, and sigmas: from timestep_spacing and lambda_min_clipped, the
 * sampler's schedule, or use_flow_sigmas. There can be one timestep more than n_steps or, with
 * lambda_min_clipped, fewer: see timesteps.c.
 */
sf_status sf_lambda_begin(sf_sampler *sampler, const sf_lambda_rules *rules);

/* ---- the model's answer ---- */

/* Where a class can take both: an error if the noise cannot be told from what the model predicts. */
sf_status sf_lambda_check_noise(const sf_sampler *sampler);

/*
 * The answer to an evaluation, as x_0 (with thresholding) or as noise (without); out is not
 * SF_WORK_OUTPUT. Of a predicted variance only the first half of the channels counts.
 *
 *   epsilon          x_0 = (x - sigma m) / alpha    noise = m
 *   sample           x_0 = m                        noise = (x - alpha m) / sigma
 *   v_prediction     x_0 = alpha x - sigma m        noise = alpha m + sigma x
 *   flow_prediction  x_0 = x - s m                  none
 */
sf_status sf_lambda_denoised(sf_sampler *sampler, int evaluation,
                             const sf_device_tensor *model_output, sf_device_tensor *out);
sf_status sf_lambda_noise(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output,
                          sf_device_tensor *out);

/* Thresholding of the x_0 that such a noise means, in place. */
sf_status sf_lambda_threshold_noise(sf_sampler *sampler, int evaluation, sf_device_tensor *noise);

/* ---- functions in f32 ---- */

static inline float sf_exp_f32(float x) {
    return (float)exp((double)x);
}

static inline float sf_log_f32(float x) {
    return (float)log((double)x);
}

static inline float sf_expm1_f32(float x) {
    return (float)expm1((double)x);
}

#endif
