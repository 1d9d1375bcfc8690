/*
 * What the methods for preconditioned models share: Karras et al. 2022, "Elucidating the design space
 * of diffusion-based generative models", section 5. x = x_0 + sigma noise; the model F is asked with
 * x / sqrt(sigma^2 + d^2) at the timestep log(sigma) / 4, where d is sigma_data, and
 *
 *   x_0 = d^2 / (sigma^2 + d^2) x + c F,  c = sigma d / sqrt(sigma^2 + d^2)     table 1, eq. 7
 *
 * With v_prediction c is negative.
 */
#ifndef SF_SAMPLERS_EDM_H
#define SF_SAMPLERS_EDM_H

#include "samplers/class.h"

#define SF_EDM_OPTIONS                                                                             \
    (SF_OPTION(sigma_min) | SF_OPTION(sigma_max) | SF_OPTION(sigma_data) |                         \
     SF_OPTION(sigma_schedule) | SF_OPTION(num_train_timesteps) | SF_OPTION(prediction_type) |     \
     SF_OPTION(rho) | SF_OPTION(final_sigmas_type))
#define SF_EDM_PREDICTIONS (SF_BIT(SF_PREDICTION_epsilon) | SF_BIT(SF_PREDICTION_v_prediction))

/* sigma_min and sigma_max. */
void sf_edm_set_defaults(sf_scheduler_settings *settings);

/* How a class computes what all have. */
typedef struct sf_edm_form {
    bool levels_are_f64; /* Karras levels, until they are rounded to f32 */
    bool ends_at_last;   /* final_sigmas_type sigma_min is the last level, not the option */
    double (*timestep)(double sigma); /* NULL: log(sigma) / 4 */
} sf_edm_form;

/* Timesteps, sigmas and initial scale. A schedule that a user names replaces sigma_schedule. */
sf_status sf_edm_begin(sf_sampler *sampler, const sf_edm_form *form);

double sf_edm_input_scale(const sf_sampler *sampler, int evaluation);

/* x_0 from the model's answer. */
sf_status sf_edm_predict_denoised(sf_sampler *sampler, float sigma,
                                  const sf_device_tensor *model_output, sf_device_tensor *out);

#endif
