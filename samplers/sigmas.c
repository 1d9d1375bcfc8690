/*
 * Noise levels of a run in sigma space (x = x_0 + sigma noise), and the timesteps that belong to
 * them. As diffusers' EulerDiscreteScheduler.set_timesteps() computes it.
 */
#include <math.h>

#include "core/memory.h"
#include "samplers/schedule.h"

/* ---- spreading ---- */

/* Even in sigma^(1/7): Karras et al. 2022, eq. 5, rho = 7. */
static void fill_karras(double low, double high, int count, double *sigmas) {
    const double rho = 7;
    double low_root = pow(low, 1 / rho), high_root = pow(high, 1 / rho);
    for (int i = 0; i < count; i++) {
        double ramp = sf_linspace_f64(0, 1, count, i);
        sigmas[i] = pow(high_root + ramp * (low_root - high_root), rho);
    }
}

/* Even in log sigma. */
static void fill_exponential(double low, double high, int count, double *sigmas) {
    for (int i = 0; i < count; i++)
        sigmas[i] = exp(sf_linspace_f64(log(high), log(low), count, i));
}

/* Quantiles of Beta(0.6, 0.6), dense at both ends: Lee et al. 2024, "Beta sampling is all you need". */
static void fill_beta(double low, double high, int count, double *sigmas) {
    for (int i = 0; i < count; i++) {
        double p = 1 - sf_linspace_f64(0, 1, count, i);
        sigmas[i] = low + sf_beta_quantile(p) * (high - low);
    }
}

const sf_sigma_schedule sf_sigma_schedule_normal = {
    .name = "normal",
    .title = "Normal",
    .option = -1,
};

const sf_sigma_schedule sf_sigma_schedule_karras = {
    .name = "karras",
    .title = "Karras",
    .option = SF_OPTION_use_karras_sigmas,
    .fill = fill_karras,
};

const sf_sigma_schedule sf_sigma_schedule_exponential = {
    .name = "exponential",
    .title = "Exponential",
    .option = SF_OPTION_use_exponential_sigmas,
    .fill = fill_exponential,
};

const sf_sigma_schedule sf_sigma_schedule_beta = {
    .name = "beta",
    .title = "Beta",
    .option = SF_OPTION_use_beta_sigmas,
    .fill = fill_beta,
};

const sf_sigma_schedule *const sf_sigma_schedules[] = {
#define SF_SCHEDULE(name) &sf_sigma_schedule_##name,
#include "samplers/schedules.def"
#undef SF_SCHEDULE
};

const int sf_n_sigma_schedules = (int)(sizeof sf_sigma_schedules / sizeof sf_sigma_schedules[0]);

/* ---- the table of training ---- */

static float sigma_of(float alpha) {
    return sqrtf((1 - alpha) / alpha);
}

/* The table at a timestep with a fraction, as numpy.interp: the ends hold beyond the table. */
static double interpolate(const float *table, int count, double timestep) {
    if (!(timestep > 0))
        return (double)table[0];
    if (timestep >= count - 1)
        return (double)table[count - 1];
    int low = (int)timestep;
    double slope = (double)table[low + 1] - (double)table[low];
    return slope * (timestep - low) + (double)table[low];
}

/* The table's logarithms and their difference are f32. */
double sf_sigma_table_timestep(const sf_sigma_table *table, double sigma) {
    const float *log_table = table->logs;
    int count = table->count;
    double log_sigma = log(sigma > 1e-10 ? sigma : 1e-10);
    if (count < 2)
        return 0;
    int low = 0, end = count - 1; /* the last entry but one that is not above, else the first */
    while (end - low > 1) {
        int middle = low + (end - low) / 2;
        if ((double)log_table[middle] <= log_sigma)
            low = middle;
        else
            end = middle;
    }
    float step = log_table[low] - log_table[low + 1];
    double weight = ((double)log_table[low] - log_sigma) / (double)step;
    weight = weight < 0 ? 0 : weight > 1 ? 1 : weight;
    return (1 - weight) * low + weight * (low + 1);
}

void sf_sigma_table_clear(sf_context *ctx, sf_sigma_table *table) {
    sf_free(ctx, table->sigmas);
    sf_free(ctx, table->logs);
}

sf_status sf_sigma_table_new(sf_context *ctx, const sf_alphas *alphas, sf_sigma_table *table) {
    *table = (sf_sigma_table){.count = alphas->count};
    table->sigmas = SF_NEW_ARRAY(ctx, float, (size_t)alphas->count);
    table->logs = SF_NEW_ARRAY(ctx, float, (size_t)alphas->count);
    if (!table->sigmas || !table->logs)
        return SF_ERROR_MEMORY;
    for (int i = 0; i < alphas->count; i++) {
        table->sigmas[i] = sigma_of(alphas->values[i]);
        table->logs[i] = (float)log((double)table->sigmas[i]);
    }
    return SF_OK;
}

/* ---- a run ---- */

/* The sigmas without the last one: room for n_timesteps and for n_steps + 1. Returns how many. */
static int read_table(const sf_scheduler_settings *settings, const sf_sigma_table *table,
                      int n_steps, const double *timesteps, int n_timesteps, double *sigmas,
                      float *room) {
    if (settings->interpolation_type == SF_INTERPOLATION_linear) {
        for (int i = 0; i < n_timesteps; i++)
            sigmas[i] = interpolate(table->sigmas, table->count, timesteps[i]);
        return n_timesteps;
    }
    /* log_linear: n + 1 levels from the noisiest of training, whatever the timesteps. */
    sf_linspace_f32(table->logs[table->count - 1], table->logs[0], n_steps + 1, room);
    for (int i = 0; i <= n_steps; i++)
        sigmas[i] = (double)(float)exp((double)room[i]);
    return n_steps + 1;
}

/* Spreads n_steps levels anew between the ends of those read; their timesteps. */
static void spread(const sf_scheduler_settings *settings, const sf_sigma_table *table,
                   const sf_sigma_schedule *schedule, int n_steps, sf_sigma_run *run) {
    double low = isnan(settings->sigma_min) ? run->sigmas[run->n_sigmas - 1] : settings->sigma_min;
    double high = isnan(settings->sigma_max) ? run->sigmas[0] : settings->sigma_max;
    schedule->fill(low, high, n_steps, run->sigmas);
    run->n_sigmas = n_steps;
    for (int i = 0; i < n_steps; i++)
        run->timesteps[i] = (double)(float)sf_sigma_table_timestep(table, run->sigmas[i]);
    run->n_timesteps = n_steps;
}

/* Rounds to f32, adds the last level, and makes the timesteps of a continuous v-prediction. */
static sf_status finish(sf_context *ctx, const sf_scheduler_settings *settings,
                        const sf_sigma_table *table, sf_sigma_run *run) {
    bool to_zero = settings->final_sigmas_type == SF_FINAL_zero;
    run->sigmas[run->n_sigmas++] = to_zero ? 0 : (double)table->sigmas[0];
    for (int i = 0; i < run->n_sigmas; i++) {
        run->sigmas[i] = (double)(float)run->sigmas[i];
        if (!isfinite(run->sigmas[i]))
            SF_FAIL(ctx, ERROR_NUMERIC, "sigma %d of the schedule is %g", i, run->sigmas[i]);
    }
    if (settings->timestep_type == SF_TIMESTEP_continuous &&
        settings->prediction_type == SF_PREDICTION_v_prediction) {
        run->n_timesteps = run->n_sigmas - 1;
        for (int i = 0; i < run->n_timesteps; i++)
            run->timesteps[i] = 0.25 * (double)(float)log(run->sigmas[i]);
    }
    return SF_OK;
}

sf_status sf_sigma_run_new(sf_context *ctx, const sf_scheduler_settings *settings,
                           const sf_alphas *alphas, const sf_sigma_schedule *schedule, int n_steps,
                           sf_sigma_run *run) {
    sf_sigma_table table = {0};
    sf_sigma_run made = {0};
    double *timesteps = NULL;
    float *room = NULL;
    int n_timesteps;
    sf_status status;
    SF_TRY_OUT(sf_sigma_table_new(ctx, alphas, &table));
    SF_TRY_OUT(sf_timesteps_new(ctx, settings, n_steps, false, &timesteps, &n_timesteps));
    size_t most = (size_t)(n_timesteps > n_steps ? n_timesteps : n_steps) + 2;
    status = SF_ERROR_MEMORY;
    if (!(made.timesteps = SF_NEW_ARRAY(ctx, double, most)) ||
        !(made.sigmas = SF_NEW_ARRAY(ctx, double, most)) ||
        !(room = SF_NEW_ARRAY(ctx, float, most)))
        goto out;
    made.n_timesteps = n_timesteps;
    for (int i = 0; i < n_timesteps; i++)
        made.timesteps[i] = timesteps[i];
    made.n_sigmas =
        read_table(settings, &table, n_steps, timesteps, n_timesteps, made.sigmas, room);
    if (schedule->fill)
        spread(settings, &table, schedule, n_steps, &made);
    SF_TRY_OUT(finish(ctx, settings, &table, &made));
    *run = made;
out:
    if (status != SF_OK) {
        sf_free(ctx, made.timesteps);
        sf_free(ctx, made.sigmas);
    }
    sf_free(ctx, timesteps);
    sf_free(ctx, room);
    sf_sigma_table_clear(ctx, &table);
    return status;
}
