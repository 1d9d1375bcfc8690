/*
 * DPM-Solver and DPM-Solver++ by several steps' answers, orders 1 to 3: Lu et al. 2022,
 * "DPM-Solver++", algorithm 2 and appendix B; one evaluation a step.
 *
 * With v_0, v_1, v_2 the answers at this level and the two before it, h the step in lambda and
 * r_0, r_1 the two steps before as parts of it, the update of dpm_solver.h takes
 *
 *   order 2  D1 = (v_0 - v_1) / r_0
 *   order 3  d_0 = (v_0 - v_1) / r_0, d_1 = (v_1 - v_2) / r_1
 *            D1 = d_0 + r_0 / (r_0 + r_1) (d_0 - d_1)
 *            D2 = (d_0 - d_1) / (r_0 + r_1)
 *
 * The first steps have the order that their history allows; the last is of first order where it ends
 * at sigma 0, and runs of fewer than 15 steps end with lower orders (lower_order_final). As
 * DPMSolverMultistepScheduler of diffusers 0.42.1; dpmpp_2m_inverse, which goes from a clean sample to
 * its noise by the same formulas, as DPMSolverMultistepInverseScheduler.
 */
#include "samplers/dpm_solver.h"

#define FEW_STEPS 15

static void set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
}

static sf_status begin(sf_sampler *sampler) {
    static const sf_lambda_rules rules = {.rescaled_end = true, .cosine_is_cut = true};
    SF_TRY(sf_dpm_check(sampler));
    return sf_lambda_begin(sampler, &rules);
}

static void set_inverse_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
    settings->final_sigmas_type = SF_FINAL_sigma_min; /* none is 0 */
}

static sf_status begin_inverse(sf_sampler *sampler) {
    static const sf_lambda_rules rules = {.last_is_kept = true, .rises = true};
    SF_TRY(sf_dpm_check(sampler));
    return sf_lambda_begin(sampler, &rules);
}

static int order_of(const sf_sampler *sampler, int evaluation) {
    const sf_scheduler_settings *settings = &sampler->settings;
    int n = sampler->n_timesteps, left = n - evaluation;
    bool lowers = settings->lower_order_final && n < FEW_STEPS;
    bool ends_low =
        settings->euler_at_final || lowers || settings->final_sigmas_type == SF_FINAL_zero;
    int most = left == 1 && ends_low ? 1 : left == 2 && lowers ? 2 : 3;
    int order = settings->solver_order < most ? settings->solver_order : most;
    return order < evaluation + 1 ? order : evaluation + 1;
}

/* D1 of second order. Sets update->slope. */
static sf_status second_order(sf_sampler *sampler, int evaluation, sf_dpm_update *update) {
    sf_device_tensor *slope = sampler->work[SF_WORK_DENOISED];
    float h = update->to.lambda - update->from.lambda;
    float before = update->from.lambda - sf_noise_level_at(sampler, evaluation - 1).lambda;
    float r = before / h;
    update->slope = slope;
    return sf_sampler_difference(sampler, slope, 1 / r, sampler->kept[0], sampler->kept[1]);
}

/* D1 and D2 of third order. */
static sf_status third_order(sf_sampler *sampler, int evaluation, sf_dpm_update *update) {
    sf_device_tensor *slope = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *older = sampler->work[SF_WORK_OUTPUT];
    sf_device_tensor *change = sampler->work[SF_WORK_VARIANCE];
    sf_device_tensor *const *v = sampler->kept;
    float lambda = update->from.lambda, h = update->to.lambda - lambda;
    float lambda_1 = sf_noise_level_at(sampler, evaluation - 1).lambda;
    float lambda_2 = sf_noise_level_at(sampler, evaluation - 2).lambda;
    float r_0 = (lambda - lambda_1) / h, r_1 = (lambda_1 - lambda_2) / h;
    SF_TRY(sf_sampler_difference(sampler, slope, 1 / r_0, v[0], v[1]));
    SF_TRY(sf_sampler_difference(sampler, older, 1 / r_1, v[1], v[2]));
    SF_TRY(sf_sampler_difference(sampler, change, 1, slope, older));
    SF_TRY(sf_sampler_add_scaled(sampler, slope, slope, r_0 / (r_0 + r_1), change));
    SF_TRY(sf_sampler_scale(sampler, change, 1 / (r_0 + r_1), change));
    update->slope = slope;
    update->curvature = change;
    return SF_OK;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    int order = order_of(sampler, evaluation);
    sf_sampler_remember(sampler, 3);
    SF_TRY(sf_dpm_convert(sampler, evaluation, model_output, sampler->kept[0]));
    if (sf_dpm_is_stochastic(sampler))
        SF_TRY(sf_sampler_draw(sampler, sampler->work[SF_WORK_NOISE]));
    sf_dpm_update update = {
        .from = sf_noise_level_at(sampler, evaluation),
        .to = sf_noise_level_at(sampler, evaluation + 1),
        .base = sampler->work[SF_WORK_SAMPLE],
        .value = sampler->kept[0],
        .midpoint = order == 2 && sampler->settings.solver_type != SF_SOLVER_heun,
    };
    if (order == 2)
        SF_TRY(second_order(sampler, evaluation, &update));
    if (order == 3)
        SF_TRY(third_order(sampler, evaluation, &update));
    return sf_dpm_advance(sampler, &update);
}

/* ---- by name ---- */

static void insist_dpmpp_2m(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_dpmsolverpp, 2);
}

static void insist_dpmpp_2m_sde(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_sde_dpmsolverpp, 2);
}

static void insist_dpmpp_3m(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_dpmsolverpp, 3);
}

static void insist_dpm_2m(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_dpmsolver, 2);
}

static void insist_dpm_3m(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_dpmsolver, 3);
}

#define MULTISTEP                                                                                  \
    .options = SF_DPM_OPTIONS | SF_OPTION(rescale_betas_zero_snr) | SF_OPTION(timestep_spacing) |  \
               SF_OPTION(steps_offset) | SF_OPTION(use_lu_lambdas) | SF_OPTION(euler_at_final),    \
    .choices =                                                                                     \
        SF_LAMBDA_CHOICES(SF_BIT(SF_ALGORITHM_dpmsolver) | SF_BIT(SF_ALGORITHM_dpmsolverpp) |      \
                          SF_BIT(SF_ALGORITHM_sde_dpmsolver) |                                     \
                          SF_BIT(SF_ALGORITHM_sde_dpmsolverpp) | SF_BIT(SF_ALGORITHM_deis)),       \
    .takes = SF_TAKES_TIMESTEPS | SF_TAKES_MU, .n_kept = 3, .set_defaults = set_defaults,          \
    .begin = begin, .step = step

const sf_sampler_class sf_sampler_dpmpp_2m = {
    .info =
        {
            .name = "dpmpp_2m",
            .title = "DPM++ 2M",
            .class_name = "DPMSolverMultistepScheduler",
            .description = "second order from the step before",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 15,
            .most_steps = 25,
        },
    .aliases = (const char *const[]){"dpmsolver++", "dpmpp", "dpm_solver_multistep", NULL},
    .insist = insist_dpmpp_2m,
    MULTISTEP,
};

const sf_sampler_class sf_sampler_dpmpp_2m_sde = {
    .info =
        {
            .name = "dpmpp_2m_sde",
            .title = "DPM++ 2M SDE",
            .class_name = "DPMSolverMultistepScheduler",
            .description = "the same with noise drawn in every step",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 1,
            .least_steps = 20,
            .most_steps = 40,
        },
    .aliases = (const char *const[]){"sde-dpmsolver++", NULL},
    .insist = insist_dpmpp_2m_sde,
    MULTISTEP,
};

const sf_sampler_class sf_sampler_dpmpp_3m = {
    .info =
        {
            .name = "dpmpp_3m",
            .title = "DPM++ 3M",
            .class_name = "DPMSolverMultistepScheduler",
            .description = "third order from two steps before, for models without guidance",
            .order = 3,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 15,
            .most_steps = 25,
        },
    .insist = insist_dpmpp_3m,
    MULTISTEP,
};

const sf_sampler_class sf_sampler_dpm_2m = {
    .info =
        {
            .name = "dpm_2m",
            .title = "DPM-Solver 2M",
            .class_name = "DPMSolverMultistepScheduler",
            .description = "second order in the predicted noise, ends at the least sigma",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 30,
        },
    .aliases = (const char *const[]){"dpmsolver", NULL},
    .insist = insist_dpm_2m,
    MULTISTEP,
};

const sf_sampler_class sf_sampler_dpm_3m = {
    .info =
        {
            .name = "dpm_3m",
            .title = "DPM-Solver 3M",
            .class_name = "DPMSolverMultistepScheduler",
            .description = "third order in the predicted noise, ends at the least sigma",
            .order = 3,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 30,
        },
    .insist = insist_dpm_3m,
    MULTISTEP,
};

/* The noise of an SDE's form would have a negative variance. */
const sf_sampler_class sf_sampler_dpmpp_2m_inverse = {
    .info =
        {
            .name = "dpmpp_2m_inverse",
            .title = "DPM++ 2M Inverse",
            .class_name = "DPMSolverMultistepInverseScheduler",
            .description = "from a clean sample to the noise that leads to it, second order",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .kind = SF_SAMPLER_INVERSION,
            .least_steps = 20,
            .most_steps = 50,
        },
    .options = (SF_DPM_OPTIONS & ~SF_OPTION(final_sigmas_type)) | SF_OPTION(timestep_spacing) |
               SF_OPTION(steps_offset) | SF_OPTION(euler_at_final),
    .choices = SF_LAMBDA_CHOICES(SF_BIT(SF_ALGORITHM_dpmsolver) | SF_BIT(SF_ALGORITHM_dpmsolverpp) |
                                 SF_BIT(SF_ALGORITHM_deis)),
    .n_kept = 3,
    .set_defaults = set_inverse_defaults,
    .begin = begin_inverse,
    .step = step,
};
