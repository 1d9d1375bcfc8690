/*
 * Linear multistep in sigma space: Adams-Bashforth of order up to 4 on uneven levels. k-diffusion.
 *
 *   d_k = (x_k - x_0) / sigma_k
 *   x'  = x + sum over j < order of c_j d_{k-j}
 *   c_j = integral from sigma_k to sigma_{k+1} of L_j, the Lagrange polynomial that is 1 at
 *         sigma_{k-j} and 0 at the other levels remembered
 *
 * Step k has order min(k + 1, 4). diffusers integrates by quadrature, which is exact for polynomials,
 * as is this. As LMSDiscreteScheduler of diffusers 0.42.1.
 */
#include "samplers/sigma_space.h"

#define MOST_ORDER 4

static void set_defaults(sf_scheduler_settings *settings) {
    settings->timestep_spacing = SF_SPACING_linspace;
}

/* c_j of a step: sigmas[-i] are the levels; the polynomial is in sigma - sigmas[0]. */
static double coefficient(const double *sigmas, int order, int j) {
    double polynomial[MOST_ORDER] = {1}, length = sigmas[1] - sigmas[0], sum = 0;
    int degree = 0;
    for (int i = 0; i < order; i++) {
        if (i == j)
            continue;
        double root = sigmas[-i] - sigmas[0], scale = sigmas[-j] - sigmas[-i];
        degree++;
        for (int k = degree; k > 0; k--)
            polynomial[k] = (polynomial[k - 1] - root * polynomial[k]) / scale;
        polynomial[0] = -root * polynomial[0] / scale;
    }
    for (int k = degree; k >= 0; k--)
        sum = sum * length + polynomial[k] / (k + 1);
    return sum * length;
}

static sf_status step(sf_sampler *sampler, int evaluation, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *sum = sampler->work[SF_WORK_NOISE];
    const double *sigmas = sampler->sigmas + evaluation;
    int order = evaluation < MOST_ORDER ? evaluation + 1 : MOST_ORDER;
    SF_TRY(sf_sigma_derivative(sampler, (float)sigmas[0], model_output));
    SF_TRY(sf_sampler_scale(sampler, sampler->kept[evaluation % MOST_ORDER], 1,
                            sampler->work[SF_WORK_DENOISED]));
    for (int j = 0; j < order; j++) {
        const sf_device_tensor *derivative = sampler->kept[(evaluation - j) % MOST_ORDER];
        float factor = (float)coefficient(sigmas, order, j);
        if (j == 0)
            SF_TRY(sf_sampler_scale(sampler, sum, factor, derivative));
        else
            SF_TRY(sf_sampler_add_scaled(sampler, sum, sum, factor, derivative));
    }
    return sf_sampler_add_scaled(sampler, x, x, 1, sum);
}

static const char *const aliases[] = {"k_lms", NULL};

const sf_sampler_class sf_sampler_lms = {
    .info =
        {
            .name = "lms",
            .title = "LMS",
            .class_name = "LMSDiscreteScheduler",
            .description = "linear multistep of order 4",
            .order = 4,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .least_steps = 20,
            .most_steps = 50,
        },
    .options = SF_SIGMA_OPTIONS | SF_SIGMA_SCHEDULES,
    .choices = {[SF_OPTION_beta_schedule] = SF_SIGMA_BETAS,
                [SF_OPTION_prediction_type] = SF_SIGMA_PREDICTIONS | SF_BIT(SF_PREDICTION_sample)},
    .n_kept = MOST_ORDER,
    .aliases = aliases,
    .set_defaults = set_defaults,
    .begin = sf_sigma_begin,
    .input_scale = sf_sigma_input_scale,
    .step = step,
};
