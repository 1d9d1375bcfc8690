/*
 * DPM-Solver++ multistep for preconditioned models, orders 1 to 3, and its stochastic form: Lu et al.
 * 2022, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models", algorithm 2
 * and section 5, where alpha is 1 and lambda is -log sigma.
 *
 * With h the step in lambda, h_0 and h_1 those before, r_0 = h_0 / h, r_1 = h_1 / h, m_0 the clean
 * sample predicted at sigma, m_1 and m_2 those before:
 *
 *   D_10 = (m_0 - m_1) / r_0     D_11 = (m_1 - m_2) / r_1
 *   order 2: D_1 = D_10
 *   order 3: D_1 = D_10 + r_0 / (r_0 + r_1) (D_10 - D_11)     D_2 = (D_10 - D_11) / (r_0 + r_1)
 *
 *   x' = sigma' / sigma x - (e^-h - 1) m_0 + c_1 D_1 - ((e^-h - 1 + h) / h^2 - 1/2) D_2
 *   c_1 = -(e^-h - 1) / 2 (midpoint) or (e^-h - 1) / h + 1 (heun, and order 3)
 *
 * and in the stochastic form, which ends at order 2,
 *
 *   x' = sigma' / sigma e^-h x + (1 - e^-2h) m_0 + c_1 D_1 + sigma' sqrt(1 - e^-2h) z
 *   c_1 = (1 - e^-2h) / 2 (midpoint) or (1 - e^-2h) / (-2 h) + 1 (heun)
 *
 * As EDMDPMSolverMultistepScheduler and CosineDPMSolverMultistepScheduler of diffusers 0.42.1.
 */
#include <math.h>

#include "samplers/edm.h"

#define PI        3.14159265358979323846
#define N_KEPT    3
#define FEW_STEPS 15 /* runs of fewer steps end in lower orders */

/* ---- coefficients ---- */

/* In f32, in diffusers' order. */
typedef struct factors {
    float sample, denoised, first, second, noise;
    float difference, older_difference, correction, curvature; /* 1/r_0, 1/r_1, ... */
} factors;

static float lambda_of(const sf_sampler *sampler, int i) {
    return -(float)log(sampler->sigmas[i]);
}

static float exp_of(float x) {
    return (float)exp((double)x);
}

static bool is_stochastic(const sf_scheduler_settings *settings) {
    return settings->algorithm_type == SF_ALGORITHM_sde_dpmsolverpp;
}

static int order_of(const sf_sampler *sampler, int i) {
    const sf_scheduler_settings *settings = &sampler->settings;
    int left = sampler->n_timesteps - 1 - i;
    bool few = settings->lower_order_final && sampler->n_timesteps < FEW_STEPS;
    int most = settings->solver_order < i + 1 ? settings->solver_order : i + 1;
    if (left == 0 &&
        (settings->euler_at_final || few || settings->final_sigmas_type == SF_FINAL_zero))
        return 1;
    return left == 1 && few && most > 2 ? 2 : most;
}

/* Of D_1 and D_2. No step at all (the last of final_sigmas_type sigma_min) has none. */
static void add_higher(const sf_sampler *sampler, int i, int order, float h, factors *f) {
    bool midpoint = sampler->settings.solver_type != SF_SOLVER_heun && order == 2;
    bool stochastic = is_stochastic(&sampler->settings);
    float h_0 = lambda_of(sampler, i) - lambda_of(sampler, i - 1), r_0 = h_0 / h;
    float power = exp_of(-h) - 1, double_power = 1 - exp_of(-2 * h);
    if (h == 0)
        return;
    f->difference = 1 / r_0;
    if (stochastic)
        f->first = midpoint ? 0.5f * double_power : double_power / (-2 * h) + 1;
    else
        f->first = midpoint ? -(0.5f * power) : power / h + 1;
    if (order < 3)
        return;
    float r_1 = (lambda_of(sampler, i - 1) - lambda_of(sampler, i - 2)) / h;
    f->older_difference = 1 / r_1;
    f->correction = r_0 / (r_0 + r_1);
    f->curvature = 1 / (r_0 + r_1);
    f->second = -((power + h) / (h * h) - 0.5f);
}

static factors factors_of(const sf_sampler *sampler, int i, int order) {
    float sigma = (float)sampler->sigmas[i], next = (float)sampler->sigmas[i + 1];
    float h = lambda_of(sampler, i + 1) - lambda_of(sampler, i);
    factors f = {.sample = next / sigma};
    if (is_stochastic(&sampler->settings)) {
        float variance = 1 - exp_of(-2 * h);
        f.sample *= exp_of(-h);
        f.denoised = variance;
        f.noise = next * (variance > 0 ? sqrtf(variance) : 0);
    } else {
        f.denoised = -(exp_of(-h) - 1);
    }
    if (order > 1)
        add_higher(sampler, i, order, h, &f);
    return f;
}

/* ---- a step ---- */

static sf_device_tensor *kept(const sf_sampler *sampler, int evaluation) {
    return sampler->kept[evaluation % N_KEPT];
}

/* factor (m_i - m_{i-1}) */
static sf_status difference(sf_sampler *sampler, sf_device_tensor *out, float factor, int i) {
    SF_TRY(sf_sampler_add_scaled(sampler, out, kept(sampler, i), -1, kept(sampler, i - 1)));
    return sf_sampler_scale(sampler, out, factor, out);
}

/* The terms in D_1 and D_2. */
static sf_status add_differences(sf_sampler *sampler, int i, int order, const factors *f) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *d = sampler->work[SF_WORK_NOISE];
    sf_device_tensor *change = sampler->work[SF_WORK_OUTPUT];
    SF_TRY(difference(sampler, d, f->difference, i));
    if (order == 2)
        return sf_sampler_add_scaled(sampler, x, x, f->first, d);
    SF_TRY(difference(sampler, change, f->older_difference, i - 1));
    SF_TRY(sf_sampler_add_scaled(sampler, change, d, -1, change));
    SF_TRY(sf_sampler_add_scaled(sampler, d, d, f->correction, change));
    SF_TRY(sf_sampler_add_scaled(sampler, x, x, f->first, d));
    SF_TRY(sf_sampler_scale(sampler, change, f->curvature, change));
    return sf_sampler_add_scaled(sampler, x, x, f->second, change);
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *noise = sampler->work[SF_WORK_NOISE];
    sf_device_tensor *denoised = kept(sampler, evaluation);
    int order = order_of(sampler, evaluation);
    factors f = factors_of(sampler, evaluation, order);
    SF_TRY(sf_edm_predict_denoised(sampler, (float)sampler->sigmas[evaluation], model_output,
                                   denoised));
    SF_TRY(sf_sampler_clip(sampler, denoised));
    SF_TRY(sf_sampler_combine(sampler, x, f.sample, x, f.denoised, denoised));
    if (order > 1)
        SF_TRY(add_differences(sampler, evaluation, order, &f));
    if (!is_stochastic(&sampler->settings))
        return SF_OK;
    SF_TRY(sf_sampler_draw_between(sampler, (float)sampler->sigmas[evaluation],
                                   (float)sampler->sigmas[evaluation + 1], noise));
    return sf_sampler_add_scaled(sampler, x, x, f.noise, noise);
}

/* ---- the classes ---- */

static sf_status check_order(const sf_sampler *sampler) {
    if (is_stochastic(&sampler->settings) && sampler->settings.solver_order > 2)
        SF_FAIL(sampler->ctx, ERROR_UNSUPPORTED,
                "solver_order: %d; the stochastic form (sde-dpmsolver++) has orders 1 and 2",
                sampler->settings.solver_order);
    return SF_OK;
}

static sf_status begin(sf_sampler *sampler) {
    static const sf_edm_form form = {0};
    SF_TRY(check_order(sampler));
    return sf_edm_begin(sampler, &form);
}

static void insist_2m(sf_scheduler_settings *settings) {
    settings->algorithm_type = SF_ALGORITHM_dpmsolverpp;
    settings->solver_order = 2;
}

static void insist_2m_sde(sf_scheduler_settings *settings) {
    settings->algorithm_type = SF_ALGORITHM_sde_dpmsolverpp;
    settings->solver_order = 2;
}

static void insist_3m(sf_scheduler_settings *settings) {
    settings->algorithm_type = SF_ALGORITHM_dpmsolverpp;
    settings->solver_order = 3;
}

#define SOLVER_OPTIONS                                                                             \
    (SF_EDM_OPTIONS | SF_OPTION(solver_order) | SF_OPTION(solver_type) |                           \
     SF_OPTION(lower_order_final) | SF_OPTION(euler_at_final))
#define EDM_OPTIONS                                                                                \
    (SOLVER_OPTIONS | SF_OPTION(algorithm_type) | SF_OPTION(thresholding) |                        \
     SF_OPTION(dynamic_thresholding_ratio) | SF_OPTION(sample_max_value))
#define ALGORITHMS                                                                                 \
    (SF_BIT(SF_ALGORITHM_dpmsolverpp) | SF_BIT(SF_ALGORITHM_sde_dpmsolverpp) |                     \
     SF_BIT(SF_ALGORITHM_deis))
#define EDM_CLASS(its_insist)                                                                      \
    .options = EDM_OPTIONS,                                                                        \
    .choices = {[SF_OPTION_prediction_type] = SF_EDM_PREDICTIONS,                                  \
                [SF_OPTION_algorithm_type] = ALGORITHMS},                                          \
    .any_schedule = true, .n_kept = N_KEPT, .insist = (its_insist),                                \
    .set_defaults = sf_edm_set_defaults, .begin = begin, .input_scale = sf_edm_input_scale,        \
    .step = step

const sf_sampler_class sf_sampler_edm_dpmpp_2m = {
    .info =
        {
            .name = "edm_dpmpp_2m",
            .title = "EDM DPM++ 2M",
            .class_name = "EDMDPMSolverMultistepScheduler",
            .description = "DPM++ 2M for models with EDM's preconditioning",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .kind = SF_SAMPLER_EDM,
            .least_steps = 10,
            .most_steps = 25,
        },
    EDM_CLASS(insist_2m),
};

const sf_sampler_class sf_sampler_edm_dpmpp_2m_sde = {
    .info =
        {
            .name = "edm_dpmpp_2m_sde",
            .title = "EDM DPM++ 2M SDE",
            .class_name = "EDMDPMSolverMultistepScheduler",
            .description = "its stochastic form",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .kind = SF_SAMPLER_EDM,
            .least_steps = 15,
            .most_steps = 30,
        },
    EDM_CLASS(insist_2m_sde),
};

const sf_sampler_class sf_sampler_edm_dpmpp_3m = {
    .info =
        {
            .name = "edm_dpmpp_3m",
            .title = "EDM DPM++ 3M",
            .class_name = "EDMDPMSolverMultistepScheduler",
            .description = "the same of third order",
            .order = 3,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .kind = SF_SAMPLER_EDM,
            .least_steps = 15,
            .most_steps = 30,
        },
    EDM_CLASS(insist_3m),
};

/* ---- with a cosine's timesteps, and noise of a Brownian path ---- */

/* The angle of the cosine schedule as a part of a right one, in f32. */
static double angle(double sigma) {
    float radians = (float)atan(sigma);
    return (double)(radians / (float)PI * 2);
}

static sf_status begin_cosine(sf_sampler *sampler) {
    static const sf_edm_form form = {.timestep = angle};
    sampler->settings.algorithm_type = SF_ALGORITHM_sde_dpmsolverpp;
    SF_TRY(check_order(sampler));
    return sf_edm_begin(sampler, &form);
}

/* Those of the configuration, which the run need not visit. */
static void cosine_path_ends(const sf_sampler *sampler, double *low, double *high) {
    *low = (double)(float)sampler->settings.sigma_min;
    *high = (double)(float)sampler->settings.sigma_max;
}

static void set_cosine_defaults(sf_scheduler_settings *settings) {
    settings->sigma_min = 0.3;
    settings->sigma_max = 500;
    settings->sigma_data = 1;
    settings->sigma_schedule = SF_SPREAD_exponential;
    settings->prediction_type = SF_PREDICTION_v_prediction;
    settings->clip_sample = false;
}

const sf_sampler_class sf_sampler_cosine_dpmpp_2m_sde = {
    .info =
        {
            .name = "cosine_dpmpp_2m_sde",
            .title = "Cosine DPM++ 2M SDE",
            .class_name = "CosineDPMSolverMultistepScheduler",
            .description = "for models trained on a cosine schedule with EDM's preconditioning",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .kind = SF_SAMPLER_EDM,
            .least_steps = 50,
            .most_steps = 200,
        },
    .options = SOLVER_OPTIONS,
    .choices = {[SF_OPTION_prediction_type] = SF_EDM_PREDICTIONS},
    .any_schedule = true,
    .n_kept = N_KEPT,
    .set_defaults = set_cosine_defaults,
    .begin = begin_cosine,
    .input_scale = sf_edm_input_scale,
    .path_ends = cosine_path_ends,
    .step = step,
};
