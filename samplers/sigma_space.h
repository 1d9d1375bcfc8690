/*
 * What the methods in sigma space share: x = x_0 + sigma noise, and the model is asked with
 * x / sqrt(sigma^2 + 1). Karras et al. 2022, "Elucidating the design space of diffusion-based
 * generative models"; the names are k-diffusion's.
 */
#ifndef SF_SAMPLERS_SIGMA_SPACE_H
#define SF_SAMPLERS_SIGMA_SPACE_H

#include "samplers/class.h"

/* What all their classes have. */
#define SF_SIGMA_OPTIONS                                                                           \
    (SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |                \
     SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) | SF_OPTION(prediction_type) |            \
     SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset))
#define SF_SIGMA_SCHEDULES                                                                         \
    (SF_OPTION(use_karras_sigmas) | SF_OPTION(use_exponential_sigmas) | SF_OPTION(use_beta_sigmas))

/* The values that most of them take. */
#define SF_SIGMA_BETAS                                                                             \
    (SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) | SF_BIT(SF_BETA_squaredcos_cap_v2))
#define SF_SIGMA_PREDICTIONS (SF_BIT(SF_PREDICTION_epsilon) | SF_BIT(SF_PREDICTION_v_prediction))

/* What those have that diffusers has no class for. */
#define SF_SIGMA_OTHER_OPTIONS                                                                     \
    (SF_SIGMA_OPTIONS | SF_SIGMA_SCHEDULES | SF_OPTION(rescale_betas_zero_snr) |                   \
     SF_OPTION(sigma_min) | SF_OPTION(sigma_max))
#define SF_SIGMA_ALL_PREDICTIONS (SF_SIGMA_PREDICTIONS | SF_BIT(SF_PREDICTION_sample))

/* Both ends of the schedule are visited, x_0 is not clipped. */
void sf_sigma_set_defaults(sf_scheduler_settings *settings);

/* ---- coefficients ---- */

/* sqrt(sigma^2 + 1): the sample's standard deviation, as data has about 1. */
float sf_sigma_deviation(double sigma);

/* -log sigma, and back. */
float sf_sigma_to_time(float sigma);
float sf_sigma_of_time(float time);

/*
 * A step from one level to a lower one as a step down to `down` and fresh noise `up`, with the
 * variance of a step of the reverse process: up^2 = to^2 (from^2 - to^2) / from^2,
 * down^2 = to^2 - up^2.
 */
typedef struct sf_ancestral {
    float down, up;
} sf_ancestral;

sf_ancestral sf_sigma_ancestral(float from, float to);

/* ---- begin ---- */

/* Timesteps, sigmas and initial scale of a method with one evaluation a step. */
sf_status sf_sigma_begin(sf_sampler *sampler);

/* The noise level at which an evaluation asks the model, and the scale of its input there. */
double sf_sigma_level(const sf_sampler *sampler, int evaluation);
double sf_sigma_input_scale(const sf_sampler *sampler, int evaluation);

/*
 * The timesteps, with fractions, at which training had those levels; their logarithms are taken as
 * f32. timesteps may be levels.
 */
sf_status sf_sigma_timesteps(sf_context *ctx, const sf_alphas *alphas, int count,
                             const double *levels, double *timesteps);

/* New lists in place of the sampler's, which it then owns, and the room for them. */
sf_status sf_sigma_room(const sf_sampler *sampler, int n_timesteps, int n_sigmas,
                        double **timesteps, double **sigmas);
void sf_sigma_replace(sf_sampler *sampler, double *timesteps, int n_timesteps, double *sigmas,
                      int n_sigmas);

/*
 * sf_sigma_begin() for a method with two evaluations a step and one in the last: timesteps t0 m0 t1 m1 ...,
 * sigmas s0 s1 s1 s2 s2 ... 0, the last of them n_last times. middle is the level of a step's second
 * evaluation; NULL: the step's end.
 */
sf_status sf_sigma_begin_twice(sf_sampler *sampler, float (*middle)(float from, float to),
                               int n_last);

/* Where an evaluation of such a method is. */
typedef struct sf_sigma_step {
    float from, to, middle;
    bool is_second; /* of the step's evaluations */
    bool is_last;   /* the step has only one */
} sf_sigma_step;

sf_sigma_step sf_sigma_step_of(const sf_sampler *sampler, int evaluation);

/* ---- the model's answer ---- */

/*
 * x_0 from the model's answer m:
 *
 *   epsilon       x_0 = x - sigma m
 *   sample        x_0 = m
 *   v_prediction  x_0 = x / (sigma^2 + 1) - sigma / sqrt(sigma^2 + 1) m
 */
sf_status sf_sigma_predict_denoised(sf_sampler *sampler, float sigma,
                                    const sf_device_tensor *model_output, sf_device_tensor *out);

/* x_0 becomes the derivative (x - x_0) / sigma of the probability flow, in place: eq. 1 and 3. */
sf_status sf_sigma_slope(sf_sampler *sampler, float sigma, sf_device_tensor *denoised);

/* Both, into SF_WORK_DENOISED. */
sf_status sf_sigma_derivative(sf_sampler *sampler, float sigma,
                              const sf_device_tensor *model_output);

/* x + factor z with a fresh z. */
sf_status sf_sigma_add_noise(sf_sampler *sampler, float factor);

/* Of a Brownian path over the run's levels: the lowest above 0, and the highest. */
void sf_sigma_path_ends(const sf_sampler *sampler, double *low, double *high);

/*
 * Churn: raises x from sigma to *raised by noise, where s_tmin <= sigma <= s_tmax. Karras et al. 2022,
 * algorithm 2, but that the model's answer is to x at sigma, as in diffusers. Draws if it raises.
 */
#define SF_SIGMA_CHURN                                                                             \
    (SF_OPTION(s_churn) | SF_OPTION(s_tmin) | SF_OPTION(s_tmax) | SF_OPTION(s_noise))
sf_status sf_sigma_churn(sf_sampler *sampler, float sigma, float *raised);

/* ---- steps ---- */

/* Euler's, from x at level from: x + (to - from) (x - x_0) / from. */
sf_status sf_sigma_euler_step(sf_sampler *sampler, float from, float to,
                              const sf_device_tensor *model_output);

/* Heun's, of a method with two evaluations a step (see heun.c); it keeps that many tensors. */
#define SF_HEUN_KEPT 2
sf_status sf_sigma_heun_step(sf_sampler *sampler, int evaluation,
                             const sf_device_tensor *model_output);

#endif
