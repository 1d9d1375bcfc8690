/*
 * DDPM's ancestral sampling: Ho, Jain and Abbeel 2020, "Denoising diffusion probabilistic models".
 *
 * With alpha = alphas_cumprod at the step's timestep, alpha' at the run's next one (1 past the last)
 * and beta = 1 - alpha / alpha' (eq. 7):
 *
 *   x' = sqrt(alpha') beta / (1 - alpha) x_0 + sqrt(1 - beta) (1 - alpha') / (1 - alpha) x + s z
 *
 *   fixed_small    s^2 = (1 - alpha') / (1 - alpha) beta, at least 1e-20     eq. 7
 *   fixed_large    s^2 = beta                                                section 3.2
 *   learned        s^2 = v, the second half of the model's channels
 *   learned_range  log s^2 = f log(fixed_large) + (1 - f) log(fixed_small), f = (v + 1) / 2
 *                  Nichol and Dhariwal 2021, eq. 15
 *
 * The ..._log forms name the same numbers (diffusers' fixed_large_log takes the root of a negative
 * number; here it is fixed_large, which it means). No noise z is drawn at timestep 0. As
 * DDPMScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "samplers/class.h"

static sf_status begin(sf_sampler *sampler) {
    return sf_timesteps_in_table_new(sampler->ctx, &sampler->settings, &sampler->alphas,
                                     sampler->n_steps, &sampler->timesteps, &sampler->n_timesteps);
}

/* The numbers of one step, in f32 as diffusers has them. */
typedef struct step_numbers {
    float alpha, denoised_factor, sample_factor;
    float small_variance, large_variance;
} step_numbers;

static step_numbers numbers_of(const sf_sampler *sampler, int evaluation) {
    const float *alphas = sampler->alphas.values;
    bool last = evaluation + 1 == sampler->n_timesteps;
    float alpha = alphas[(int)sampler->timesteps[evaluation]];
    float previous = last ? 1 : alphas[(int)sampler->timesteps[evaluation + 1]];
    float ratio = alpha / previous;
    float beta = 1 - ratio;
    float variance = (1 - previous) / (1 - alpha) * beta;
    return (step_numbers){
        .alpha = alpha,
        .denoised_factor = sqrtf(previous) * beta / (1 - alpha),
        .sample_factor = sqrtf(ratio) * (1 - previous) / (1 - alpha),
        .small_variance = variance > 1e-20f ? variance : 1e-20f,
        .large_variance = beta,
    };
}

static bool is_learned(const sf_sampler *sampler) {
    return sampler->settings.variance_type == SF_VARIANCE_learned ||
           sampler->settings.variance_type == SF_VARIANCE_learned_range;
}

/* The model's channels: the first half predicts, the second is the variance. */
static sf_status split(sf_sampler *sampler, const sf_device_tensor *model_output) {
    sf_device_tensor *halves[] = {sampler->work[SF_WORK_OUTPUT], sampler->work[SF_WORK_VARIANCE]};
    for (int i = 0; i < 2; i++) {
        int64_t channels = halves[i]->spec.dims[1];
        const sf_attributes attributes = {
            .slice = {.axis = 1, .start = i * channels, .count = channels}};
        SF_TRY(sf_sampler_apply(sampler, SF_OP_slice, &attributes, halves[i], model_output));
    }
    return SF_OK;
}

/* The predicted variance v becomes the deviation s, in place. Works in DENOISED, free by then. */
static sf_status learned_deviation(sf_sampler *sampler, const step_numbers *numbers,
                                   sf_device_tensor *v) {
    static const sf_attributes to_share = {.affine = {.scale = 0.5f, .shift = 0.5f}};
    static const sf_attributes one_minus = {.affine = {.scale = -1, .shift = 1}};
    sf_device_tensor *rest = sampler->work[SF_WORK_DENOISED];
    if (sampler->settings.variance_type == SF_VARIANCE_learned)
        return sf_sampler_apply(sampler, SF_OP_sqrt, NULL, v, v);
    float large_log = (float)log((double)numbers->large_variance);
    float small_log = (float)log((double)numbers->small_variance);
    SF_TRY(sf_sampler_apply(sampler, SF_OP_affine, &to_share, v, v));
    SF_TRY(sf_sampler_apply(sampler, SF_OP_affine, &one_minus, rest, v));
    SF_TRY(sf_sampler_combine(sampler, v, large_log, v, small_log, rest));
    SF_TRY(sf_sampler_scale(sampler, v, 0.5f, v));
    return sf_sampler_apply(sampler, SF_OP_exp, NULL, v, v);
}

/* sample + s z */
static sf_status add_noise(sf_sampler *sampler, const step_numbers *numbers) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *noise = sampler->work[SF_WORK_NOISE];
    sf_device_tensor *variance = sampler->work[SF_WORK_VARIANCE];
    int type = sampler->settings.variance_type;
    bool large = type == SF_VARIANCE_fixed_large || type == SF_VARIANCE_fixed_large_log;
    SF_TRY(sf_sampler_draw(sampler, noise));
    if (!is_learned(sampler))
        return sf_sampler_add_scaled(
            sampler, x, x, sqrtf(large ? numbers->large_variance : numbers->small_variance), noise);
    SF_TRY(learned_deviation(sampler, numbers, variance));
    SF_TRY(sf_sampler_multiply(sampler, noise, variance, noise));
    return sf_sampler_add_scaled(sampler, x, x, 1, noise);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *denoised = sampler->work[SF_WORK_DENOISED];
    const sf_device_tensor *prediction = model_output;
    step_numbers numbers = numbers_of(sampler, evaluation);
    if (is_learned(sampler)) {
        SF_TRY(split(sampler, model_output));
        prediction = sampler->work[SF_WORK_OUTPUT];
    }
    SF_TRY(sf_sampler_predict_denoised(sampler, numbers.alpha, prediction, denoised));
    SF_TRY(sf_sampler_clip(sampler, denoised));
    SF_TRY(sf_sampler_scale(sampler, denoised, numbers.denoised_factor, denoised));
    SF_TRY(sf_sampler_add_scaled(sampler, x, denoised, numbers.sample_factor, x));
    return sampler->timesteps[evaluation] > 0 ? add_noise(sampler, &numbers) : SF_OK;
}

const sf_sampler_class sf_sampler_ddpm = {
    .info =
        {
            .name = "ddpm",
            .title = "DDPM",
            .class_name = "DDPMScheduler",
            .description = "ancestral: draws noise in every step, wants many",
            .order = 1,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .least_steps = 100,
            .most_steps = 1000,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) |
               SF_OPTION(rescale_betas_zero_snr) | SF_OPTION(prediction_type) |
               SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset) | SF_OPTION(clip_sample) |
               SF_OPTION(clip_sample_range) | SF_OPTION(thresholding) |
               SF_OPTION(dynamic_thresholding_ratio) | SF_OPTION(sample_max_value) |
               SF_OPTION(variance_type),
    .choices =
        {
            [SF_OPTION_beta_schedule] = SF_BIT(SF_BETA_linear) | SF_BIT(SF_BETA_scaled_linear) |
                                        SF_BIT(SF_BETA_squaredcos_cap_v2) |
                                        SF_BIT(SF_BETA_sigmoid) | SF_BIT(SF_BETA_laplace),
            [SF_OPTION_prediction_type] = SF_BIT(SF_PREDICTION_epsilon) |
                                          SF_BIT(SF_PREDICTION_sample) |
                                          SF_BIT(SF_PREDICTION_v_prediction),
        },
    .takes = SF_TAKES_TIMESTEPS,
    .begin = begin,
    .step = step,
};
