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

/* The same, from logarithms in f32: Lu et al. 2022, "DPM-Solver", section 3.4. */
static void fill_lu_lambdas(double low, double high, int count, double *sigmas) {
    double low_log = (double)(float)log(low), high_log = (double)(float)log(high);
    for (int i = 0; i < count; i++)
        sigmas[i] = exp(high_log + sf_linspace_f64(0, 1, count, i) * (low_log - high_log));
}

/* Quantiles of Beta(0.6, 0.6), dense at both ends: Lee et al. 2024, "Beta sampling is all you need". */
static void fill_beta(double low, double high, int count, double *sigmas) {
    for (int i = 0; i < count; i++) {
        double p = 1 - sf_linspace_f64(0, 1, count, i);
        sigmas[i] = low + sf_beta_quantile(p) * (high - low);
    }
}

const sf_sigma_schedule sf_sigma_schedule_normal = {
    .info =
        {
            .name = "normal",
            .title = "Normal",
            .description = "training's own levels at the run's timesteps",
        },
    .option = -1,
};

const sf_sigma_schedule sf_sigma_schedule_karras = {
    .info =
        {
            .name = "karras",
            .title = "Karras",
            .description = "even in sigma^(1/7): dense where there is little noise",
        },
    .option = SF_OPTION_use_karras_sigmas,
    .fill = fill_karras,
};

const sf_sigma_schedule sf_sigma_schedule_exponential = {
    .info =
        {
            .name = "exponential",
            .title = "Exponential",
            .description = "even in log sigma",
        },
    .option = SF_OPTION_use_exponential_sigmas,
    .fill = fill_exponential,
};

const sf_sigma_schedule sf_sigma_schedule_beta = {
    .info =
        {
            .name = "beta",
            .title = "Beta",
            .description = "dense at both ends",
        },
    .option = SF_OPTION_use_beta_sigmas,
    .fill = fill_beta,
};

const sf_sigma_schedule sf_sigma_schedule_lu_lambdas = {
    .info =
        {
            .name = "lu_lambdas",
            .title = "Lu",
            .description = "even in the logarithm of the signal to noise ratio",
        },
    .option = SF_OPTION_use_lu_lambdas,
    .fill = fill_lu_lambdas,
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

/*
 * The timestep, with a fraction, at which training had that sigma: linear in log sigma. The table's
 * logarithms and their difference are f32.
 */
static double timestep_at_log(const sf_sigma_table *table, double log_sigma) {
    const float *log_table = table->logs;
    int count = table->count;
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

double sf_sigma_table_timestep(const sf_sigma_table *table, double sigma) {
    return timestep_at_log(table, log(sigma > 1e-10 ? sigma : 1e-10));
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

/* ---- levels that are listed ---- */

/* The table at a timestep, linear in the logarithm. */
static double interpolate_log(const sf_sigma_table *table, double timestep) {
    int low = (int)timestep < table->count - 1 ? (int)timestep : table->count - 1;
    int high = low < table->count - 1 ? low + 1 : low;
    double weight = timestep - low;
    return exp((1 - weight) * (double)table->logs[low] + weight * (double)table->logs[high]);
}

/* A schedule of timesteps. */
static void visit(const sf_sigma_table *table, const sf_sigma_schedule *schedule, int n_steps,
                  sf_sigma_run *run) {
    run->n_timesteps = run->n_sigmas = n_steps;
    for (int i = 0; i < n_steps; i++) {
        run->timesteps[i] = schedule->timestep(table->count, n_steps, i);
        run->sigmas[i] = interpolate_log(table, run->timesteps[i]);
        run->timesteps[i] = (double)(float)run->timesteps[i];
    }
}

/* The sigmas that the user lists, the last one included, and their timesteps. f32, as diffusers. */
static sf_status take_sigmas(sf_context *ctx, const sf_scheduler_settings *settings,
                             const sf_sigma_table *table, sf_sigma_run *run) {
    run->n_sigmas = settings->custom_sigmas.count - 1;
    run->n_timesteps = run->n_sigmas;
    for (int i = 0; i <= run->n_sigmas; i++) {
        float sigma = (float)settings->custom_sigmas.values[i];
        if (!(sigma >= 0 && isfinite(sigma)) || (i < run->n_sigmas && !(sigma > 0)))
            SF_FAIL(ctx, ERROR_ARGUMENT, "sigma %d of those given is %g", i,
                    settings->custom_sigmas.values[i]);
        run->sigmas[i] = (double)sigma;
        if (i < run->n_sigmas)
            run->timesteps[i] = (double)(float)timestep_at_log(table, (double)logf(sigma));
    }
    return SF_OK;
}

/* As diffusers: timesteps of one's own leave no room for another rule of where the levels are. */
static sf_status check_listed(sf_context *ctx, const sf_scheduler_settings *settings,
                              const sf_sigma_schedule *schedule) {
    bool continuous = settings->timestep_type == SF_TIMESTEP_continuous &&
                      settings->prediction_type == SF_PREDICTION_v_prediction;
    if (settings->custom_timesteps.values && schedule != &sf_sigma_schedule_normal)
        SF_FAIL(ctx, ERROR_ARGUMENT, "timesteps were given and the schedule %s; one is possible",
                schedule->info.name);
    if (settings->custom_timesteps.values && continuous)
        SF_FAIL(ctx, ERROR_ARGUMENT,
                "timesteps were given, but the model's are continuous: give sigmas");
    return SF_OK;
}

/* Rounds to f32, adds the last level, and makes the timesteps of a continuous v-prediction. */
static sf_status finish(sf_context *ctx, const sf_scheduler_settings *settings,
                        const sf_sigma_table *table, sf_sigma_run *run) {
    bool to_zero = settings->final_sigmas_type == SF_FINAL_zero;
    double last = to_zero ? 0 : (double)table->sigmas[0];
    run->sigmas[run->n_sigmas] = settings->custom_sigmas.values ? run->sigmas[run->n_sigmas] : last;
    run->n_sigmas++;
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

/* The timesteps by spacing, or those that the user lists. */
static sf_status base_timesteps(sf_context *ctx, const sf_scheduler_settings *settings,
                                const sf_sigma_table *table, int n_steps, double **timesteps,
                                int *count) {
    if (settings->custom_timesteps.values)
        return sf_custom_timesteps_new(ctx, settings, table->count, timesteps, count);
    return sf_timesteps_new(ctx, settings, n_steps, false, timesteps, count);
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
    SF_TRY_OUT(check_listed(ctx, settings, schedule));
    SF_TRY_OUT(base_timesteps(ctx, settings, &table, n_steps, &timesteps, &n_timesteps));
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
    if (settings->custom_sigmas.values)
        SF_TRY_OUT(take_sigmas(ctx, settings, &table, &made));
    else if (schedule->timestep)
        visit(&table, schedule, n_steps, &made);
    else if (schedule->fill)
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
