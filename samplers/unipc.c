/*
 * UniPC: Zhao et al. 2023, "UniPC: a unified predictor-corrector framework for fast sampling of
 * diffusion models", algorithms 5 to 8, in multistep form with B(h) as in table 5.
 *
 * From level (a, s, lambda) to (a', s', lambda') with h = lambda' - lambda, v the answers (x_0 with
 * predict_x0, or else the noise), v_k that k steps before v and r_k = (lambda_k - lambda) / h:
 *
 *   predict_x0  x' = s'/s x - a'(e^-h - 1) v - a' B sum_k rho_k D_k,    z = -h
 *   otherwise   x' = a'/a x - s'(e^h - 1) v - s' B sum_k rho_k D_k,     z = h
 *
 *   D_k = (v_k - v) / r_k;  B = z (bh1) or e^z - 1 (bh2)
 *   rho solves sum_j r_j^(i-1) rho_j = phi_{i+1}(z) i! z / B for i = 1, 2, ...
 *
 * where the right-hand side is computed by phi_1 = (e^z - 1) / z and phi_{i+1} = (phi_i - 1/i!) / z.
 * The predictor takes k = 1 .. order - 1. The corrector, once the answer v' at the new level is
 * there, takes the same step again with r = 1, D = v' - v in addition; its sample is what the next
 * step leaves from. rho = 1/2 where it is one number. disable_corrector lists the steps after which
 * it is left out. As UniPCMultistepScheduler of diffusers 0.42.1.
 */
#include "samplers/lambda.h"

#define MOST   3 /* orders */
#define SAMPLE 4 /* kept[SAMPLE] is the sample at the level before; kept[0..3] the answers */

static void set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
    settings->solver_type = SF_SOLVER_bh2;
}

static sf_status begin(sf_sampler *sampler) {
    static const sf_lambda_rules rules = {
        .rescaled_end = true,
        .last_is_kept = true,
        .flow_from_one = true,
        .flow_karras = true,
        .mu_is_needed = true,
    };
    if (!sampler->settings.predict_x0)
        SF_TRY(sf_lambda_check_noise(sampler));
    return sf_lambda_begin(sampler, &rules);
}

/* Of the step from an evaluation's level; 1 to sigma 0, where r_k has no value. */
static int order_of(const sf_sampler *sampler, int evaluation) {
    int order = sampler->settings.solver_order, left = sampler->n_timesteps - evaluation;
    if (sampler->settings.lower_order_final && left < order)
        order = left;
    if (!(sampler->sigmas[evaluation + 1] > 0))
        order = 1;
    return order < evaluation + 1 ? order : evaluation + 1;
}

/* ---- numbers of a step ---- */

static void swap(float *a, float *b) {
    float kept = *a;
    *a = *b;
    *b = kept;
}

/* Solves m rho = b for n unknowns by elimination with row pivots; m and b are overwritten. */
static void solve(int n, float m[MOST][MOST], float *b, float *rho) {
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++)
            pivot = fabsf(m[i][k]) > fabsf(m[pivot][k]) ? i : pivot;
        for (int j = 0; j < n; j++)
            swap(&m[k][j], &m[pivot][j]);
        swap(&b[k], &b[pivot]);
        for (int i = k + 1; i < n; i++) {
            float factor = m[i][k] / m[k][k];
            for (int j = k; j < n; j++)
                m[i][j] -= factor * m[k][j];
            b[i] -= factor * b[k];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        rho[i] = b[i];
        for (int j = i + 1; j < n; j++)
            rho[i] -= m[i][j] * rho[j];
        rho[i] /= m[i][i];
    }
}

typedef struct step_numbers {
    float sample_factor, value_factor, sum_factor; /* of x, v, sum rho D */
    float r[MOST], rho[MOST];
} step_numbers;

/* rho of the first n_terms; r is set. */
static void weigh(int n_terms, float z, float b_h, step_numbers *numbers) {
    float m[MOST][MOST], b[MOST], phi = sf_expm1_f32(z) / z - 1;
    float factorial = 1;
    for (int i = 0; i < n_terms; i++) {
        for (int j = 0; j < n_terms; j++)
            m[i][j] = i == 0 ? 1 : m[i - 1][j] * numbers->r[j];
        b[i] = phi * factorial / b_h;
        factorial *= (float)(i + 2);
        phi = phi / z - (float)(1 / (double)factorial);
    }
    if (n_terms == 1)
        numbers->rho[0] = 0.5f;
    else
        solve(n_terms, m, b, numbers->rho);
}

/* The step of that order from an evaluation's level, corrected or predicted. */
static step_numbers numbers_of(const sf_sampler *sampler, int evaluation, int order,
                               bool corrects) {
    const sf_scheduler_settings *settings = &sampler->settings;
    sf_noise_level from = sf_noise_level_at(sampler, evaluation);
    sf_noise_level to = sf_noise_level_at(sampler, evaluation + 1);
    float h = to.lambda - from.lambda, z = settings->predict_x0 ? -h : h;
    float grown = sf_expm1_f32(z), b_h = settings->solver_type == SF_SOLVER_bh1 ? z : grown;
    float weight = settings->predict_x0 ? to.alpha : to.sigma;
    bool ends = !settings->predict_x0 && !(to.sigma > 0); /* the limit of s'(e^h - 1) */
    step_numbers numbers = {
        .sample_factor = settings->predict_x0 ? to.sigma / from.sigma : to.alpha / from.alpha,
        .value_factor = ends ? -(from.sigma / from.alpha) : -(weight * grown),
        .sum_factor = -(weight * b_h),
    };
    for (int k = 1; k < order; k++)
        numbers.r[k - 1] = (sf_noise_level_at(sampler, evaluation - k).lambda - from.lambda) / h;
    numbers.r[order - 1] = 1;
    if (order + corrects > 1)
        weigh(order - 1 + corrects, z, b_h, &numbers);
    return numbers;
}

/* ---- steps ---- */

/*
 * The sample at the level after an evaluation's from x at it, by the answers v[0] there and v[1],
 * v[2] before; next is the answer at the level after, of a corrector, or NULL.
 */
static sf_status move(sf_sampler *sampler, int evaluation, const sf_device_tensor *x,
                      sf_device_tensor *const *v, const sf_device_tensor *next) {
    sf_device_tensor *sample = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *sum = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *difference = sampler->work[SF_WORK_NOISE];
    int order = order_of(sampler, evaluation), n_terms = order - 1 + (next != NULL);
    step_numbers numbers = numbers_of(sampler, evaluation, order, next != NULL);
    for (int k = 0; k < n_terms; k++) {
        const sf_device_tensor *other = k < order - 1 ? v[k + 1] : next;
        SF_TRY(sf_sampler_add_scaled(sampler, difference, other, -1, v[0]));
        if (k < order - 1)
            SF_TRY(sf_sampler_divide(sampler, difference, difference, numbers.r[k]));
        if (k == 0)
            SF_TRY(sf_sampler_scale(sampler, sum, numbers.rho[k], difference));
        else
            SF_TRY(sf_sampler_add_scaled(sampler, sum, sum, numbers.rho[k], difference));
    }
    const sf_term terms[] = {
        {numbers.sample_factor, x},
        {numbers.value_factor, v[0]},
        {numbers.sum_factor, n_terms > 0 ? sum : NULL},
    };
    return sf_sampler_sum(sampler, sample, 3, terms);
}

static bool corrects_after(const sf_sampler *sampler, int evaluation) {
    const sf_numbers *disabled = &sampler->settings.disable_corrector;
    bool corrects = evaluation >= 0;
    for (int i = 0; i < disabled->count; i++)
        corrects = corrects && (int)disabled->values[i] != evaluation;
    return corrects;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE];
    sf_device_tensor *last = sampler->kept[SAMPLE];
    sf_sampler_remember(sampler, SAMPLE);
    sf_device_tensor *const *v = sampler->kept;
    SF_TRY(sampler->settings.predict_x0
               ? sf_lambda_denoised(sampler, evaluation, model_output, v[0])
               : sf_lambda_noise(sampler, evaluation, model_output, v[0]));
    if (corrects_after(sampler, evaluation - 1))
        SF_TRY(move(sampler, evaluation - 1, last, v + 1, v[0]));
    SF_TRY(sf_sampler_scale(sampler, last, 1, x));
    return move(sampler, evaluation, last, v, NULL);
}

const sf_sampler_class sf_sampler_unipc = {
    .info =
        {
            .name = "unipc",
            .title = "UniPC",
            .class_name = "UniPCMultistepScheduler",
            .description = "predictor and corrector from one evaluation",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 8,
            .most_steps = 20,
        },
    .aliases = (const char *const[]){"uni_pc", NULL},
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) |
               SF_OPTION(rescale_betas_zero_snr) | SF_OPTION(prediction_type) |
               SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset) | SF_OPTION(thresholding) |
               SF_OPTION(dynamic_thresholding_ratio) | SF_OPTION(sample_max_value) |
               SF_OPTION(use_karras_sigmas) | SF_OPTION(use_exponential_sigmas) |
               SF_OPTION(use_beta_sigmas) | SF_OPTION(use_flow_sigmas) | SF_OPTION(flow_shift) |
               SF_OPTION(use_dynamic_shifting) | SF_OPTION(time_shift_type) |
               SF_OPTION(shift_terminal) | SF_OPTION(sigma_min) | SF_OPTION(sigma_max) |
               SF_OPTION(final_sigmas_type) | SF_OPTION(solver_type) | SF_OPTION(solver_order) |
               SF_OPTION(lower_order_final) | SF_OPTION(predict_x0) | SF_OPTION(disable_corrector),
    .choices = SF_LAMBDA_CHOICES(0),
    .takes = SF_TAKES_SIGMAS | SF_TAKES_MU,
    .n_kept = SAMPLE + 1,
    .set_defaults = set_defaults,
    .begin = begin,
    .step = step,
};
