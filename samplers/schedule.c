/*
 * The noise schedule of training: betas by name, their cumulative products. See schedule.h.
 */
#include "samplers/schedule.h"

#include <math.h>

#include "core/memory.h"

#define PI 3.14159265358979323846

/*
 * PyTorch computes both halves from their own end, each number with one fused multiply-add (on
 * processors that have one; without it a third of the numbers differ in the last bit).
 */
void sf_linspace_f32(float start, float end, int count, float *values) {
    float step = count > 1 ? (end - start) / (float)(count - 1) : 0;
    for (int i = 0; i < count; i++)
        values[i] =
            i < count / 2 ? fmaf(step, (float)i, start) : fmaf(-step, (float)(count - i - 1), end);
    if (count == 1)
        values[0] = start;
}

double sf_linspace_f64(double start, double end, int count, int i) {
    if (count > 1 && i == count - 1)
        return end;
    return count > 1 ? (double)i * ((end - start) / (double)(count - 1)) + start : start;
}

/* ---- betas ---- */

/* beta_t even between the ends: Ho et al. 2020, section 4. */
static void fill_linear(const sf_scheduler_settings *settings, float *betas, int count) {
    sf_linspace_f32((float)settings->beta_start, (float)settings->beta_end, count, betas);
}

/* sqrt(beta_t) even between the ends: Rombach et al. 2022, their code's "linear". */
static void fill_scaled_linear(const sf_scheduler_settings *settings, float *betas, int count) {
    sf_linspace_f32((float)pow(settings->beta_start, 0.5), (float)pow(settings->beta_end, 0.5),
                    count, betas);
    for (int i = 0; i < count; i++)
        betas[i] = betas[i] * betas[i];
}

/* A logistic curve between the ends: Xu et al. 2022 (GeoDiff), their code. */
static void fill_sigmoid(const sf_scheduler_settings *settings, float *betas, int count) {
    float range = (float)(settings->beta_end - settings->beta_start);
    sf_linspace_f32(-6, 6, count, betas);
    for (int i = 0; i < count; i++) {
        float sigmoid = 1 / (1 + (float)exp(-(double)betas[i]));
        float scaled = sigmoid * range;
        betas[i] = scaled + (float)settings->beta_start;
    }
}

/* alpha_bar(t) = cos^2((t + s) / (1 + s) pi / 2), s = 0.008: Nichol and Dhariwal 2021, eq. 17. */
static double cosine_alpha_bar(double t) {
    return pow(cos((t + 0.008) / 1.008 * PI / 2), 2);
}

/* The logarithm of the signal's share follows a Laplace distribution: Hang et al. 2024, table 1. */
static double laplace_alpha_bar(double t) {
    double log_snr = -0.5 * copysign(1, 0.5 - t) * log(1 - 2 * fabs(0.5 - t) + 1e-6);
    double snr = exp(log_snr);
    return sqrt(snr / (1 + snr));
}

/* The signal's power falls exponentially: diffusers' "exp". */
static double exponential_alpha_bar(double t) {
    return exp(-12 * t);
}

/* beta_i = 1 - alpha_bar(t_{i+1}) / alpha_bar(t_i), at most 0.999. */
static void fill_from_alpha_bar(double (*alpha_bar)(double t), float *betas, int count) {
    for (int i = 0; i < count; i++) {
        double next = alpha_bar((double)(i + 1) / count);
        double beta = 1 - next / alpha_bar((double)i / count);
        betas[i] = (float)(beta < 0.999 ? beta : 0.999);
    }
}

static void fill_cosine(const sf_scheduler_settings *settings, float *betas, int count) {
    (void)settings;
    fill_from_alpha_bar(cosine_alpha_bar, betas, count);
}

static void fill_laplace(const sf_scheduler_settings *settings, float *betas, int count) {
    (void)settings;
    fill_from_alpha_bar(laplace_alpha_bar, betas, count);
}

static void fill_exponential(const sf_scheduler_settings *settings, float *betas, int count) {
    (void)settings;
    fill_from_alpha_bar(exponential_alpha_bar, betas, count);
}

static void (*const fill[])(const sf_scheduler_settings *settings, float *betas, int count) = {
    [SF_BETA_linear] = fill_linear,
    [SF_BETA_scaled_linear] = fill_scaled_linear,
    [SF_BETA_squaredcos_cap_v2] = fill_cosine,
    [SF_BETA_sigmoid] = fill_sigmoid,
    [SF_BETA_laplace] = fill_laplace,
    [SF_BETA_exp] = fill_exponential,
};

/* ---- cumulative products ---- */

/* Multiplied in f64, each product rounded to f32, as PyTorch does. */
static void accumulate(const float *betas, int count, float *alphas_cumprod) {
    double product = 1;
    for (int i = 0; i < count; i++) {
        product *= (double)(1 - betas[i]);
        alphas_cumprod[i] = (float)product;
    }
}

/*
 * Shifts and scales sqrt(alphas_cumprod) so that the last is 0 and the first stays: Lin et al. 2024,
 * "Common diffusion noise schedules and sample steps are flawed", algorithm 1.
 */
static void rescale_to_zero_snr(float *betas, int count, float *roots) {
    accumulate(betas, count, roots);
    for (int i = 0; i < count; i++)
        roots[i] = sqrtf(roots[i]);
    float first = roots[0], last = roots[count - 1];
    float scale = first / (first - last);
    for (int i = 0; i < count; i++) {
        roots[i] -= last;
        roots[i] *= scale;
        roots[i] = roots[i] * roots[i];
    }
    for (int i = count - 1; i > 0; i--)
        betas[i] = 1 - roots[i] / roots[i - 1];
    betas[0] = 1 - roots[0];
}

static int table_size(const sf_scheduler_settings *settings) {
    bool given = settings->trained_betas.values != NULL;
    return given ? settings->trained_betas.count : settings->num_train_timesteps;
}

sf_status sf_betas_new(sf_context *ctx, const sf_scheduler_settings *settings, float **betas,
                       int *count) {
    int n = table_size(settings);
    float *made = SF_NEW_ARRAY(ctx, float, (size_t)n);
    if (!made)
        return SF_ERROR_MEMORY;
    if (settings->trained_betas.values)
        for (int i = 0; i < n; i++)
            made[i] = (float)settings->trained_betas.values[i];
    else
        fill[settings->beta_schedule](settings, made, n);
    if (settings->rescale_betas_zero_snr && n > 1) {
        float *roots = SF_NEW_ARRAY(ctx, float, (size_t)n);
        if (!roots) {
            sf_free(ctx, made);
            return SF_ERROR_MEMORY;
        }
        rescale_to_zero_snr(made, n, roots);
        sf_free(ctx, roots);
    }
    *betas = made;
    *count = n;
    return SF_OK;
}

sf_status sf_alphas_new(sf_context *ctx, const sf_scheduler_settings *settings, sf_alphas *alphas) {
    float *betas;
    int count;
    SF_TRY(sf_betas_new(ctx, settings, &betas, &count));
    accumulate(betas, count, betas);
    *alphas = (sf_alphas){.values = betas, .count = count};
    return SF_OK;
}
