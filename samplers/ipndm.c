/*
 * iPNDM: PLMS in continuous time, as Crowson's v-diffusion of 2021 has it; in the words of Zhang and
 * Chen 2023 ("Fast sampling of diffusion models with exponential integrator", section 4) improved
 * PNDM.
 *
 * At time u, even from 1 to 0 in n steps, x = a x_0 + b noise with b = sin^2(pi u / 2) and
 * a = sqrt(1 - b^2). The model predicts the velocity m = a noise - b x_0 and is asked with the
 * timestep 2 atan2(b, a) / pi.
 *
 *   e_0 = b x + a m;   e = Adams-Bashforth's sum of the last four (adams.h)
 *   x'  = a' (x - b e) / max(a, 1e-8) + b' e
 *
 * trained_betas, one for each time and one for the end, stand for b. As IPNDMScheduler of diffusers
 * 0.42.1.
 */
#include <math.h>

#include "core/memory.h"
#include "samplers/adams.h"

#define PI 3.14159265358979323846

static float b_at(const sf_sampler *sampler, int i) {
    const sf_numbers *trained = &sampler->settings.trained_betas;
    int n = sampler->n_steps;
    if (trained->values)
        return (float)trained->values[i];
    if (i >= n)
        return 0;
    /* torch.linspace(1, 0, n + 1), see schedule.c */
    float step = -1 / (float)n;
    float u = i < (n + 1) / 2 ? fmaf(step, (float)i, 1) : fmaf(-step, (float)(n - i), 0);
    float root = (float)sin((double)(u * (float)PI / 2));
    return root * root;
}

static float a_at(const sf_sampler *sampler, int i) {
    float b = b_at(sampler, i);
    return sqrtf(1 - b * b);
}

static sf_status begin(sf_sampler *sampler) {
    const sf_numbers *trained = &sampler->settings.trained_betas;
    int n = sampler->n_steps;
    if (trained->values && trained->count != n + 1)
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT,
                "trained_betas has %d numbers; %d steps want one each and one for the end",
                trained->count, n);
    sampler->timesteps = SF_NEW_ARRAY(sampler->ctx, double, (size_t)n);
    if (!sampler->timesteps)
        return SF_ERROR_MEMORY;
    for (int i = 0; i < n; i++) {
        float angle = (float)atan2((double)b_at(sampler, i), (double)a_at(sampler, i));
        sampler->timesteps[i] = (double)(angle / (float)PI * 2);
    }
    sampler->n_timesteps = n;
    return SF_OK;
}

static sf_status step(sf_sampler *sampler, int i, const sf_device_tensor *model_output) {
    sf_device_tensor *x = sampler->work[SF_WORK_SAMPLE], *e = sampler->work[SF_WORK_NOISE];
    float a = a_at(sampler, i), b = b_at(sampler, i);
    sf_sampler_remember(sampler, SF_ADAMS_MOST);
    SF_TRY(sf_sampler_combine(sampler, sampler->kept[0], b, x, a, model_output));
    SF_TRY(sf_adams_sum(sampler, i + 1 < SF_ADAMS_MOST ? i + 1 : SF_ADAMS_MOST, e));
    SF_TRY(sf_sampler_add_scaled(sampler, x, x, -b, e));
    SF_TRY(sf_sampler_divide(sampler, x, x, a > 1e-8f ? a : 1e-8f));
    return sf_sampler_combine(sampler, x, a_at(sampler, i + 1), x, b_at(sampler, i + 1), e);
}

const sf_sampler_class sf_sampler_ipndm = {
    .info =
        {
            .name = "ipndm",
            .title = "iPNDM",
            .class_name = "IPNDMScheduler",
            .description = "linear multistep in continuous time, for models of the velocity",
            .order = 4,
            .evaluations_per_step = 1,
            .stochastic = 0,
            .kind = SF_SAMPLER_CONTINUOUS,
            .least_steps = 20,
            .most_steps = 100,
        },
    .options = SF_OPTION(num_train_timesteps) | SF_OPTION(trained_betas),
    .n_kept = SF_ADAMS_MOST,
    .begin = begin,
    .step = step,
};
