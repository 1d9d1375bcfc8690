/*
 * DEIS in its log-rho form, orders 1 to 3: Zhang and Chen 2023, "Fast sampling of diffusion models
 * with exponential integrator", section 3 and appendix on rhoAB.
 *
 * With rho = sigma / alpha, e_0, e_1, e_2 the noise predicted at this level and at those before it,
 * and L_k the Lagrange polynomial in log rho that is 1 at level k's and 0 at the others',
 *
 *   x' = a' (x / a + sum_k C_k e_k),   C_k = integral of L_k(log rho) d rho from rho_0 to rho'
 *
 * Order 1 is computed as that of DPM-Solver: x' = a'/a x - s'(e^h - 1) e_0. The first steps have the
 * order that their history allows; runs of fewer than 15 steps end with lower orders
 * (lower_order_final). As DEISMultistepScheduler of diffusers 0.42.1.
 */
#include "samplers/lambda.h"

#define FEW_STEPS 15
#define MOST      3 /* orders */

static void set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
    settings->final_sigmas_type = SF_FINAL_sigma_min;
}

static sf_status begin(sf_sampler *sampler) {
    static const sf_lambda_rules rules = {.last_is_kept = true};
    return sf_lambda_begin(sampler, &rules);
}

static int order_of(const sf_sampler *sampler, int evaluation) {
    const sf_scheduler_settings *settings = &sampler->settings;
    int left = sampler->n_timesteps - evaluation, order = settings->solver_order;
    if (settings->lower_order_final && sampler->n_timesteps < FEW_STEPS && left < order)
        order = left;
    return order < evaluation + 1 ? order : evaluation + 1;
}

/* The integral of (log t - log c) / (log b - log c) at t. */
static float linear_integral(float t, float b, float c) {
    float log_b = sf_log_f32(b), log_c = sf_log_f32(c);
    return t * (-log_c + sf_log_f32(t) - 1) / (log_b - log_c);
}

/* The integral of (log t - log c) (log t - log d) / ((log b - log c) (log b - log d)) at t. */
static float square_integral(float t, float b, float c, float d) {
    float log_t = sf_log_f32(t), log_b = sf_log_f32(b), log_c = sf_log_f32(c),
          log_d = sf_log_f32(d);
    float value =
        log_c * (log_d - log_t + 1) - log_d * log_t + log_d + log_t * log_t - 2 * log_t + 2;
    return t * value / ((log_b - log_c) * (log_b - log_d));
}

/* C_k from rho[0] to end. */
static void integrate(int order, float end, const float *rho, float *factors) {
    for (int k = 0; k < order; k++) {
        float b = rho[k], c = rho[(k + 1) % order], d = rho[(k + 2) % order];
        factors[k] = order == 2 ? linear_integral(end, b, c) - linear_integral(rho[0], b, c)
                                : square_integral(end, b, c, d) - square_integral(rho[0], b, c, d);
    }
}

static sf_status first_order(sf_sampler *sampler, int evaluation) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_noise_level from = sf_noise_level_at(sampler, evaluation);
    sf_noise_level to = sf_noise_level_at(sampler, evaluation + 1);
    float grown = sf_exp_f32(to.lambda - from.lambda) - 1;
    const sf_term terms[] = {{to.alpha / from.alpha, x}, {-(to.sigma * grown), sampler->kept[0]}};
    return sf_sampler_sum(sampler, x, 2, terms);
}

static sf_status higher_order(sf_sampler *sampler, int evaluation, int order) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_noise_level to = sf_noise_level_at(sampler, evaluation + 1);
    float rho[MOST], factors[MOST];
    for (int k = 0; k < order; k++) {
        sf_noise_level level = sf_noise_level_at(sampler, evaluation - k);
        rho[k] = level.sigma / level.alpha;
    }
    integrate(order, to.sigma / to.alpha, rho, factors);
    SF_TRY(sf_sampler_divide(sampler, x, x, sf_noise_level_at(sampler, evaluation).alpha));
    for (int k = 0; k < order; k++)
        SF_TRY(sf_sampler_add_scaled(sampler, x, x, factors[k], sampler->kept[k]));
    return sf_sampler_scale(sampler, x, to.alpha, x);
}

/* The noise is computed back from x_0 whatever the model predicts. */
static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    const sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_noise_level level = sf_noise_level_at(sampler, evaluation);
    int order = order_of(sampler, evaluation);
    sf_sampler_remember(sampler, MOST);
    sf_device_tensor *noise = sampler->kept[0];
    SF_TRY(sf_lambda_denoised(sampler, evaluation, model_output, noise));
    SF_TRY(sf_sampler_add_scaled(sampler, noise, x, -level.alpha, noise));
    SF_TRY(sf_sampler_divide(sampler, noise, noise, level.sigma));
    return order == 1 ? first_order(sampler, evaluation) : higher_order(sampler, evaluation, order);
}

const sf_sampler_class sf_sampler_deis = {
    .info =
        {
            .name = "deis",
            .title = "DEIS",
            .class_name = "DEISMultistepScheduler",
            .description = "exponential integrator in the predicted noise",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 10,
            .most_steps = 25,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) | SF_OPTION(prediction_type) |
               SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset) | SF_OPTION(thresholding) |
               SF_OPTION(dynamic_thresholding_ratio) | SF_OPTION(sample_max_value) |
               SF_OPTION(use_karras_sigmas) | SF_OPTION(use_exponential_sigmas) |
               SF_OPTION(use_beta_sigmas) | SF_OPTION(use_flow_sigmas) | SF_OPTION(flow_shift) |
               SF_OPTION(use_dynamic_shifting) | SF_OPTION(time_shift_type) | SF_OPTION(sigma_min) |
               SF_OPTION(sigma_max) | SF_OPTION(algorithm_type) | SF_OPTION(solver_type) |
               SF_OPTION(solver_order) | SF_OPTION(lower_order_final),
    .choices = SF_LAMBDA_CHOICES(SF_BIT(SF_ALGORITHM_deis) | SF_BIT(SF_ALGORITHM_dpmsolver) |
                                 SF_BIT(SF_ALGORITHM_dpmsolverpp)),
    .takes = SF_TAKES_MU,
    .n_kept = MOST,
    .set_defaults = set_defaults,
    .begin = begin,
    .step = step,
};
