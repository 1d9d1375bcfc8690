/*
 * Schedules that are rules for timesteps; the levels are training's at these. As in
 * stable-diffusion-webui 1.10 and ComfyUI.
 *
 *   simple        T - 1 - floor(i T / n): entries of the table, from the noisiest
 *   sgm_uniform   (T - 1) (1 - i / n): even from the noisiest, the end itself left out, as
 *                 Stability's generative-models and the Turbo and Lightning models are sampled
 */
#include "samplers/schedule.h"

static double simple(int n_training, int n_steps, int i) {
    double ratio = (double)n_training / n_steps;
    return n_training - 1 - (int)(i * ratio);
}

static double sgm_uniform(int n_training, int n_steps, int i) {
    return (n_training - 1) * (1 - (double)i / n_steps);
}

const sf_sigma_schedule sf_sigma_schedule_simple = {
    .info =
        {
            .name = "simple",
            .title = "Simple",
            .description = "entries of training's table, even from the noisiest",
        },
    .option = -1,
    .timestep = simple,
};

const sf_sigma_schedule sf_sigma_schedule_sgm_uniform = {
    .info =
        {
            .name = "sgm_uniform",
            .title = "SGM Uniform",
            .description = "even timesteps without the last one: Turbo and Lightning models",
        },
    .option = -1,
    .timestep = sgm_uniform,
};
