/*
 * SA-Solver: Xue et al. 2023, "SA-Solver: stochastic Adams solver for fast sampling of diffusion
 * models", algorithm 1: an Adams-Bashforth predictor and an Adams-Moulton corrector of orders 1 to 4
 * for the reverse equation with noise of strength tau, here 1 from timestep 200 to 800 and else 0.
 *
 * From (a, s, lambda) to (a', s', lambda') with h = lambda' - lambda, c = 1 + tau^2, answers v_i at
 * the levels lambda_i and L_i their Lagrange polynomials in lambda (eq. 14 to 18):
 *
 *   data_prediction   x' = e^(-tau^2 h) s'/s x + c s' e^(-tau^2 lambda') sum_i A_i v_i
 *                          + s' sqrt(1 - e^(-2 tau^2 h)) z,   A_i = integral of e^(c l) L_i(l) dl
 *   noise_prediction  x' = a'/a x - c a' sum_i A_i v_i + tau s' sqrt(e^2h - 1) z,
 *                          A_i = integral of e^-l L_i(l) dl
 *
 * from lambda to lambda'. The predictor's newest level is lambda, the corrector's lambda'. The latter
 * repeats the step before with the same z once the answer at the new level is there. With two
 * levels of data_prediction A_0 and A_1 have a correction of second order (diffusers' code). As
 * SASolverScheduler of diffusers 0.42.1, with its tau.
 */
#include "samplers/lambda.h"

#define MOST   4 /* orders */
#define SAMPLE 4 /* kept[0..3]: answers from the newest; the sample and noise of the step before */
#define NOISE  5

static void set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
    settings->final_sigmas_type = SF_FINAL_sigma_min;
    settings->algorithm_type = SF_ALGORITHM_data_prediction;
}

static bool predicts_noise(const sf_sampler *sampler) {
    return sampler->settings.algorithm_type == SF_ALGORITHM_noise_prediction;
}

static sf_status begin(sf_sampler *sampler) {
    static const sf_lambda_rules rules = {.last_is_kept = true};
    if (predicts_noise(sampler))
        SF_TRY(sf_lambda_check_noise(sampler));
    return sf_lambda_begin(sampler, &rules);
}

/* ---- coefficients ---- */

/* l^k - k l^(k-1) + k (k - 1) l^(k-2) - ..., with sign 1 all terms added. */
static float polynomial(int k, float l, float sign) {
    switch (k) {
    case 0:
        return 1;
    case 1:
        return l + sign;
    case 2:
        return l * l + sign * (2 * l) + 2;
    default:
        return l * l * l + sign * (3 * (l * l)) + 6 * l + sign * 6;
    }
}

/* The integral of l^k e^(c l) from start to end. */
static float rising_integral(int k, float start, float end, float c) {
    float e = c * end, s = c * start, scale = c;
    for (int i = 0; i < k; i++)
        scale *= c;
    float lower = polynomial(k, s, -1) * sf_exp_f32(-(e - s));
    return sf_exp_f32(e) * (polynomial(k, e, -1) - lower) / scale;
}

/* The integral of l^k e^-l from start to end. */
static float falling_integral(int k, float start, float end) {
    float upper = polynomial(k, start, 1) * sf_exp_f32(end - start);
    return sf_exp_f32(-end) * (upper - polynomial(k, end, 1));
}

/* L_i's coefficients from the highest power. */
static void lagrange(int n, const float *lambdas, int i, float *coefficients) {
    float others[MOST] = {0}, divisor = 1;
    int m = 0;
    for (int j = 0; j < n; j++)
        if (j != i) {
            divisor *= lambdas[i] - lambdas[j];
            others[m++] = lambdas[j];
        }
    float a = others[0], b = others[1], c = others[2];
    coefficients[0] = 1 / divisor;
    if (n == 2)
        coefficients[1] = -a / divisor;
    if (n == 3) {
        coefficients[1] = (-a - b) / divisor;
        coefficients[2] = a * b / divisor;
    }
    if (n == 4) {
        coefficients[1] = (-a - b - c) / divisor;
        coefficients[2] = (a * b + a * c + b * c) / divisor;
        coefficients[3] = -a * b * c / divisor;
    }
}

/* One step: from an evaluation's level to the next. */
typedef struct move {
    sf_noise_level from, to;
    float h, tau, c;
    int order;
    bool corrects; /* the newest answer is at to, not at from */
    float lambdas[MOST];
} move;

/* A_i */
static void integrate(const move *m, bool noise, float *integrals) {
    for (int i = 0; i < m->order; i++) {
        float coefficients[MOST] = {1}, sum = 0;
        if (m->order > 1)
            lagrange(m->order, m->lambdas, i, coefficients);
        for (int j = 0; j < m->order; j++) {
            int k = m->order - 1 - j;
            float integral = noise ? falling_integral(k, m->from.lambda, m->to.lambda)
                                   : rising_integral(k, m->from.lambda, m->to.lambda, m->c);
            sum += coefficients[j] * integral;
        }
        integrals[i] = sum;
    }
}

/* What A_0 gains and A_1 loses where there are two. */
static float correction(const move *m) {
    float h = m->h, c = m->c, grown = sf_exp_f32(c * m->to.lambda);
    float rest = h * c - 1 + sf_exp_f32(c * -h);
    if (m->corrects)
        return grown * (h / 2 - rest / (c * c * h));
    return grown * (h * h / 2 - rest / (c * c)) / (m->from.lambda - m->lambdas[1]);
}

static move move_of(const sf_sampler *sampler, int evaluation, int order, bool corrects) {
    double timestep = sampler->timesteps[evaluation];
    move m = {.from = sf_noise_level_at(sampler, evaluation),
              .to = sf_noise_level_at(sampler, evaluation + 1),
              .tau = timestep >= 200 && timestep <= 800 ? 1 : 0,
              .order = order,
              .corrects = corrects};
    m.h = m.to.lambda - m.from.lambda;
    m.c = 1 + m.tau * m.tau;
    for (int i = 0; i < order; i++)
        m.lambdas[i] = sf_noise_level_at(sampler, evaluation + corrects - i).lambda;
    return m;
}

/* ---- steps ---- */

/* The sample at m->to from last at m->from, by the answers kept[0] and older. */
static sf_status take(sf_sampler *sampler, const move *m) {
    sf_device_tensor *sum = sampler->work[SF_WORK_DENOISED], *last = sampler->kept[SAMPLE];
    float integrals[MOST] = {0}, tau_2 = m->tau * m->tau, scale, sample_factor, noise_factor;
    bool noise = predicts_noise(sampler);
    sf_term terms[MOST];
    integrate(m, noise, integrals);
    if (noise) {
        scale = -m->c * m->to.alpha;
        sample_factor = m->to.alpha / m->from.alpha;
        noise_factor = m->tau * m->to.sigma * sqrtf(sf_exp_f32(2 * m->h) - 1);
    } else {
        scale = m->c * m->to.sigma * sf_exp_f32(-tau_2 * m->to.lambda);
        sample_factor = sf_exp_f32(-tau_2 * m->h) * (m->to.sigma / m->from.sigma);
        noise_factor = m->to.sigma * sqrtf(1 - sf_exp_f32(-2 * tau_2 * m->h));
        float change = m->order == 2 ? correction(m) : 0;
        integrals[0] += change;
        integrals[1] -= m->order == 2 ? change : 0;
    }
    for (int i = 0; i < m->order; i++) {
        terms[i].factor = scale * integrals[i];
        terms[i].tensor = sampler->kept[i];
    }
    SF_TRY(sf_sampler_sum(sampler, sum, m->order, terms));
    const sf_term all[] = {{sample_factor, last}, {1, sum}, {noise_factor, sampler->kept[NOISE]}};
    return sf_sampler_sum(sampler, sampler->work[SF_WORK_SAMPLE], 3, all);
}

/* Of a step from an evaluation's level that knows so many levels. */
static int order_of(const sf_sampler *sampler, int evaluation, int wanted, int known) {
    int left = sampler->n_timesteps - evaluation + (known - 1 - evaluation);
    int order = sampler->settings.lower_order_final && left < wanted ? left : wanted;
    return order < known ? order : known;
}

static sf_status correct(sf_sampler *sampler, int evaluation) {
    int order = order_of(sampler, evaluation, sampler->settings.corrector_order, evaluation + 2);
    const move m = move_of(sampler, evaluation, order, true);
    return take(sampler, &m);
}

static sf_status predict(sf_sampler *sampler, int evaluation) {
    int order = order_of(sampler, evaluation, sampler->settings.predictor_order, evaluation + 1);
    const move m = move_of(sampler, evaluation, order, false);
    return take(sampler, &m);
}

static sf_status convert(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output,
                         sf_device_tensor *out) {
    if (!predicts_noise(sampler))
        return sf_lambda_denoised(sampler, evaluation, model_output, out);
    SF_TRY(sf_lambda_noise(sampler, evaluation, model_output, out));
    return sf_lambda_threshold_noise(sampler, evaluation, out);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_sampler_remember(sampler, MOST);
    SF_TRY(convert(sampler, evaluation, model_output, sampler->kept[0]));
    if (evaluation > 0)
        SF_TRY(correct(sampler, evaluation - 1));
    SF_TRY(sf_sampler_draw(sampler, sampler->kept[NOISE]));
    SF_TRY(sf_sampler_scale(sampler, sampler->kept[SAMPLE], 1, sampler->work[SF_WORK_SAMPLE]));
    return predict(sampler, evaluation);
}

const sf_sampler_class sf_sampler_sa_solver = {
    .info =
        {
            .name = "sa_solver",
            .title = "SA-Solver",
            .class_name = "SASolverScheduler",
            .description = "stochastic Adams predictor and corrector",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .least_steps = 20,
            .most_steps = 50,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(beta_start) | SF_OPTION(beta_end) |
               SF_OPTION(beta_schedule) | SF_OPTION(trained_betas) | SF_OPTION(prediction_type) |
               SF_OPTION(timestep_spacing) | SF_OPTION(steps_offset) | SF_OPTION(thresholding) |
               SF_OPTION(dynamic_thresholding_ratio) | SF_OPTION(sample_max_value) |
               SF_OPTION(variance_type) | SF_OPTION(use_karras_sigmas) |
               SF_OPTION(use_exponential_sigmas) | SF_OPTION(use_beta_sigmas) |
               SF_OPTION(use_flow_sigmas) | SF_OPTION(flow_shift) | SF_OPTION(sigma_min) |
               SF_OPTION(sigma_max) | SF_OPTION(lambda_min_clipped) | SF_OPTION(algorithm_type) |
               SF_OPTION(predictor_order) | SF_OPTION(corrector_order) |
               SF_OPTION(lower_order_final),
    .choices = SF_LAMBDA_CHOICES(SF_BIT(SF_ALGORITHM_data_prediction) |
                                 SF_BIT(SF_ALGORITHM_noise_prediction)),
    .n_kept = NOISE + 1,
    .set_defaults = set_defaults,
    .begin = begin,
    .step = step,
};
