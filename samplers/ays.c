/*
 * "Align your steps": noise levels that were optimised for a model and ten steps, Sabour, Fidler and
 * Kreis 2024, and interpolated for another number of them.
 *
 * The authors publish eleven sigmas a model. For n steps they are read at n + 1 points that are even
 * over the list, linear in log sigma; the last of these is replaced by the run's end, 0. As in the
 * authors' howto and in ComfyUI. The tables hold for the sigmas of training of their models.
 */
#include <math.h>

#include "samplers/schedule.h"

#define N_LEVELS 11

static const double sd1[N_LEVELS] = {14.615, 6.475, 3.861, 2.697, 1.886, 1.396,
                                     0.963,  0.652, 0.399, 0.152, 0.029};
static const double sdxl[N_LEVELS] = {14.615, 6.315, 3.771, 2.181, 1.342, 0.862,
                                      0.555,  0.380, 0.234, 0.113, 0.029};
static const double svd[N_LEVELS] = {700,   54.5,  15.886, 7.977, 4.248, 1.789,
                                     0.981, 0.403, 0.173,  0.034, 0.002};

static void read_levels(const double *levels, int count, double *sigmas) {
    for (int i = 0; i < count; i++) {
        double place = (double)i * (N_LEVELS - 1) / count;
        int low = (int)place;
        double weight = place - low;
        sigmas[i] = exp((1 - weight) * log(levels[low]) + weight * log(levels[low + 1]));
    }
}

static void fill_sd1(double low, double high, int count, double *sigmas) {
    (void)low, (void)high;
    read_levels(sd1, count, sigmas);
}

static void fill_sdxl(double low, double high, int count, double *sigmas) {
    (void)low, (void)high;
    read_levels(sdxl, count, sigmas);
}

static void fill_svd(double low, double high, int count, double *sigmas) {
    (void)low, (void)high;
    read_levels(svd, count, sigmas);
}

const sf_sigma_schedule sf_sigma_schedule_ays = {
    .info =
        {
            .name = "ays",
            .title = "Align Your Steps",
            .description = "levels optimised for Stable Diffusion 1.5, best at 10 steps",
        },
    .option = -1,
    .fill = fill_sd1,
};

const sf_sigma_schedule sf_sigma_schedule_ays_sdxl = {
    .info =
        {
            .name = "ays_sdxl",
            .title = "Align Your Steps SDXL",
            .description = "levels optimised for Stable Diffusion XL, best at 10 steps",
        },
    .option = -1,
    .fill = fill_sdxl,
};

const sf_sigma_schedule sf_sigma_schedule_ays_svd = {
    .info =
        {
            .name = "ays_svd",
            .title = "Align Your Steps SVD",
            .description = "levels optimised for Stable Video Diffusion, best at 10 steps",
        },
    .option = -1,
    .fill = fill_svd,
};
