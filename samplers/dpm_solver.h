/*
 * The update of DPM-Solver, which its multistep and singlestep forms share.
 *
 * With h = lambda' - lambda from a base level (alpha, sigma, lambda) to the next (alpha', sigma',
 * lambda'), v the model's answer at the base (the clean sample x_0, or the noise), and D1, D2
 * estimates of h times its slope and h^2 times its curvature there:
 *
 *   dpmsolver++      x' = s'/s x - a'(e^-h - 1) v + a'((e^-h - 1)/h + 1) D1
 *                         - a'((e^-h - 1 + h)/h^2 - 1/2) D2
 *   dpmsolver        x' = a'/a x - s'(e^h - 1) v - s'((e^h - 1)/h - 1) D1
 *                         - s'((e^h - 1 - h)/h^2 - 1/2) D2
 *   sde-dpmsolver++  x' = s'/s e^-h x + a'(1 - e^-2h) v + a'((1 - e^-2h)/(-2h) + 1) D1
 *                         + a'((1 - e^-2h - 2h)/(2h)^2 - 1/2) D2 + s' sqrt(1 - e^-2h) z
 *   sde-dpmsolver    x' = a'/a x - 2s'(e^h - 1) v - 2s'((e^h - 1)/h - 1) D1 + s' sqrt(e^2h - 1) z
 *
 * where a = alpha and s = sigma. Solver type midpoint takes half of v's factor for that of D1 in
 * updates of second order; heun takes the factors above. Lu et al. 2022, "DPM-Solver", eq. 3.4 and
 * appendix B; Lu et al. 2022, "DPM-Solver++", eq. 9 to 14 and algorithms 1 and 2.
 */
#ifndef SF_SAMPLERS_DPM_SOLVER_H
#define SF_SAMPLERS_DPM_SOLVER_H

#include "samplers/lambda.h"

/* What the update takes, at most third order. */
typedef struct sf_dpm_update {
    sf_noise_level from, to;
    const sf_device_tensor *base;      /* x at from */
    const sf_device_tensor *value;     /* v */
    const sf_device_tensor *slope;     /* D1; NULL: first order */
    const sf_device_tensor *curvature; /* D2; NULL: none */
    bool midpoint;
} sf_dpm_update;

/* Which of the options the solver's two forms have in common. */
#define SF_DPM_OPTIONS                                                                             \
    (SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |                \
     SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) | SF_OPTION(prediction_type) |            \
     SF_OPTION(thresholding) | SF_OPTION(dynamic_thresholding_ratio) |                             \
     SF_OPTION(sample_max_value) | SF_OPTION(variance_type) | SF_OPTION(use_karras_sigmas) |       \
     SF_OPTION(use_exponential_sigmas) | SF_OPTION(use_beta_sigmas) | SF_OPTION(use_flow_sigmas) | \
     SF_OPTION(flow_shift) | SF_OPTION(use_dynamic_shifting) | SF_OPTION(time_shift_type) |        \
     SF_OPTION(sigma_min) | SF_OPTION(sigma_max) | SF_OPTION(final_sigmas_type) |                  \
     SF_OPTION(lambda_min_clipped) | SF_OPTION(algorithm_type) | SF_OPTION(solver_type) |          \
     SF_OPTION(solver_order) | SF_OPTION(lower_order_final))

/* Whether algorithm_type predicts the noise (dpmsolver, sde-dpmsolver), and whether it draws. */
bool sf_dpm_predicts_noise(const sf_sampler *sampler);
bool sf_dpm_is_stochastic(const sf_sampler *sampler);

/* Refuses what algorithm_type does not go with: sigma 0 at the end or a flow where noise is
 * predicted. */
sf_status sf_dpm_check(const sf_sampler *sampler);

/* The answer as the algorithm takes it. */
sf_status sf_dpm_convert(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output,
                         sf_device_tensor *out);

/* Sets the sample; z is SF_WORK_NOISE, drawn by the caller if the algorithm is stochastic. */
sf_status sf_dpm_advance(sf_sampler *sampler, const sf_dpm_update *update);

/* Settings of a name: the algorithm and order that it means, sigma_min at the end for noise. */
void sf_dpm_insist(sf_scheduler_settings *settings, int algorithm, int order);

#endif
