/*
 * DPM-Solver and DPM-Solver++ as singlestep methods of orders 1 to 3: Lu et al. 2022, "DPM-Solver",
 * algorithms 1 and 2, and "DPM-Solver++", algorithm 1, with the levels of the run as intermediate
 * points.
 *
 * A group of k evaluations makes one step of order k from the level where the group began, whose
 * sample it keeps: its first update is of order 1 to the second level, its second of order 2 to the
 * third, and so on. With v_0, v_1, v_2 the answers from the newest, lambda the group's first level,
 * h = lambda' - lambda and r_i = (lambda_i - lambda) / h, the update of dpm_solver.h takes
 *
 *   order 2           D1 = (v_0 - v_1) / r_0
 *   order 3           d_1 = (v_1 - v_2) / r_1, d_0 = (v_0 - v_2) / r_0
 *           midpoint  D1 = d_0, no D2
 *           heun      D1 = (r_0 d_1 - r_1 d_0) / (r_0 - r_1), D2 = 2 (d_0 - d_1) / (r_0 - r_1)
 *
 * K counts the evaluations, one a level, so that n steps cost n evaluations. The last update is of
 * order 1 where it ends at sigma 0; with lower_order_final, and wherever the groups do not come out
 * even, none ends the run whole. As DPMSolverSinglestepScheduler of diffusers 0.42.1.
 */
#include "samplers/dpm_solver.h"

#define BASE 3 /* kept[0..2] are answers from the newest, kept[BASE] the group's first sample */

static void set_defaults(sf_scheduler_settings *settings) {
    settings->lower_order_final = false;
}

static sf_status begin(sf_sampler *sampler) {
    static const sf_lambda_rules rules = {.spacing_is_even = true};
    SF_TRY(sf_dpm_check(sampler));
    return sf_lambda_begin(sampler, &rules);
}

static int order_of(const sf_sampler *sampler, int evaluation) {
    const sf_scheduler_settings *settings = &sampler->settings;
    int n = sampler->n_timesteps, most = settings->solver_order, order = evaluation % most + 1;
    bool to_zero = settings->final_sigmas_type == SF_FINAL_zero;
    bool lowers = settings->lower_order_final || n % most != 0;
    bool last = evaluation == n - 1;
    return last && (to_zero || (lowers && order == most)) ? 1 : order;
}

static sf_status second_order(sf_sampler *sampler, int evaluation, sf_dpm_update *update) {
    sf_device_tensor *slope = sampler->work[SF_WORK_DENOISED];
    float h = update->to.lambda - update->from.lambda;
    float r = (sf_noise_level_at(sampler, evaluation).lambda - update->from.lambda) / h;
    update->slope = slope;
    return sf_sampler_difference(sampler, slope, 1 / r, sampler->kept[0], sampler->kept[1]);
}

static sf_status third_order(sf_sampler *sampler, int evaluation, sf_dpm_update *update) {
    sf_device_tensor *slope = sampler->work[SF_WORK_DENOISED];
    sf_device_tensor *early = sampler->work[SF_WORK_OUTPUT],
                     *late = sampler->work[SF_WORK_VARIANCE];
    sf_device_tensor *const *v = sampler->kept;
    float lambda = update->from.lambda, h = update->to.lambda - lambda;
    float r_0 = (sf_noise_level_at(sampler, evaluation).lambda - lambda) / h;
    float r_1 = (sf_noise_level_at(sampler, evaluation - 1).lambda - lambda) / h;
    SF_TRY(sf_sampler_difference(sampler, late, 1 / r_0, v[0], v[2]));
    update->slope = late;
    if (sampler->settings.solver_type != SF_SOLVER_heun)
        return SF_OK;
    SF_TRY(sf_sampler_difference(sampler, early, 1 / r_1, v[1], v[2]));
    SF_TRY(sf_sampler_combine(sampler, slope, r_0, early, -r_1, late));
    SF_TRY(sf_sampler_divide(sampler, slope, slope, r_0 - r_1));
    SF_TRY(sf_sampler_difference(sampler, late, 2, late, early));
    SF_TRY(sf_sampler_divide(sampler, late, late, r_0 - r_1));
    update->slope = slope;
    update->curvature = late;
    return SF_OK;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    int order = order_of(sampler, evaluation);
    sf_sampler_remember(sampler, BASE);
    SF_TRY(sf_dpm_convert(sampler, evaluation, model_output, sampler->kept[0]));
    if (sf_dpm_is_stochastic(sampler))
        SF_TRY(sf_sampler_draw(sampler, sampler->work[SF_WORK_NOISE]));
    if (order == 1)
        SF_TRY(sf_sampler_scale(sampler, sampler->kept[BASE], 1, sampler->work[SF_WORK_SAMPLE]));
    sf_dpm_update update = {
        .from = sf_noise_level_at(sampler, evaluation - (order - 1)),
        .to = sf_noise_level_at(sampler, evaluation + 1),
        .base = sampler->kept[BASE],
        .value = sampler->kept[order - 1],
        .midpoint = order == 2 && sampler->settings.solver_type != SF_SOLVER_heun,
    };
    if (order == 2)
        SF_TRY(second_order(sampler, evaluation, &update));
    if (order == 3)
        SF_TRY(third_order(sampler, evaluation, &update));
    return sf_dpm_advance(sampler, &update);
}

/* ---- by name ---- */

static void insist_dpmpp_2s(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_dpmsolverpp, 2);
}

static void insist_dpmpp_3s(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_dpmsolverpp, 3);
}

static void insist_dpm_2s(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_dpmsolver, 2);
}

static void insist_dpm_3s(sf_scheduler_settings *settings) {
    sf_dpm_insist(settings, SF_ALGORITHM_dpmsolver, 3);
}

#define SINGLESTEP                                                                                 \
    .options = SF_DPM_OPTIONS,                                                                     \
    .choices =                                                                                     \
        SF_LAMBDA_CHOICES(SF_BIT(SF_ALGORITHM_dpmsolver) | SF_BIT(SF_ALGORITHM_dpmsolverpp) |      \
                          SF_BIT(SF_ALGORITHM_sde_dpmsolverpp) | SF_BIT(SF_ALGORITHM_deis)),       \
    .takes = SF_TAKES_TIMESTEPS | SF_TAKES_MU, .n_kept = BASE + 1, .set_defaults = set_defaults,   \
    .begin = begin, .step = step

const sf_sampler_class sf_sampler_dpmpp_2s = {
    .info =
        {
            .name = "dpmpp_2s",
            .title = "DPM++ 2S",
            .class_name = "DPMSolverSinglestepScheduler",
            .description = "second order over pairs of levels, no noise",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 15,
            .most_steps = 25,
        },
    .aliases = (const char *const[]){"dpm_solver_singlestep", NULL},
    .insist = insist_dpmpp_2s,
    SINGLESTEP,
};

const sf_sampler_class sf_sampler_dpmpp_3s = {
    .info =
        {
            .name = "dpmpp_3s",
            .title = "DPM++ 3S",
            .class_name = "DPMSolverSinglestepScheduler",
            .description = "third order over three levels, for models without guidance",
            .order = 3,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 15,
            .most_steps = 25,
        },
    .insist = insist_dpmpp_3s,
    SINGLESTEP,
};

const sf_sampler_class sf_sampler_dpm_2s = {
    .info =
        {
            .name = "dpm_2s",
            .title = "DPM-Solver 2S",
            .class_name = "DPMSolverSinglestepScheduler",
            .description = "second order over pairs of levels, in the predicted noise",
            .order = 2,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 30,
        },
    .insist = insist_dpm_2s,
    SINGLESTEP,
};

const sf_sampler_class sf_sampler_dpm_3s = {
    .info =
        {
            .name = "dpm_3s",
            .title = "DPM-Solver 3S",
            .class_name = "DPMSolverSinglestepScheduler",
            .description = "third order over three levels, in the predicted noise",
            .order = 3,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 30,
        },
    .insist = insist_dpm_3s,
    SINGLESTEP,
};
