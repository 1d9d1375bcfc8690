/*
 * The schedule of training and the points of it that a run visits: betas to alphas_cumprod,
 * timestep spacing, sigmas. Pure functions of the settings; no tensors.
 *
 * Tables are f32 and rounded as PyTorch rounds them: 1 - alphas_cumprod near t = 0 loses four
 * digits of what the table has.
 */
#ifndef SF_SAMPLERS_SCHEDULE_H
#define SF_SAMPLERS_SCHEDULE_H

#include "samplers/config.h"

/* alphas_cumprod: at timestep t a sample is sqrt(values[t]) x_0 + sqrt(1 - values[t]) noise. */
typedef struct sf_alphas {
    float *values; /* owned; sf_free() */
    int count;
} sf_alphas;

/* torch.linspace(start, end, count): f32, symmetric about the middle. */
void sf_linspace_f32(float start, float end, int count, float *values);

/* numpy.linspace(start, end, count), element i. */
double sf_linspace_f64(double start, double end, int count, int i);

/* The betas of training, as many as alphas_cumprod. Freed with sf_free(). */
sf_status sf_betas_new(sf_context *ctx, const sf_scheduler_settings *settings, float **betas,
                       int *count);
sf_status sf_alphas_new(sf_context *ctx, const sf_scheduler_settings *settings, sf_alphas *alphas);

/*
 * The timesteps of a run, from the noisiest, by timestep_spacing and steps_offset. whole: rounded
 * to integers (linspace). There can be one more than n_steps: see timesteps.c.
 */
sf_status sf_timesteps_new(sf_context *ctx, const sf_scheduler_settings *settings, int n_steps,
                           bool whole, double **timesteps, int *count);

/*
 * The same for methods that look alphas_cumprod up at each timestep: whole numbers within the
 * table. A timestep past the table is an error.
 */
sf_status sf_timesteps_in_table_new(sf_context *ctx, const sf_scheduler_settings *settings,
                                    const sf_alphas *alphas, int n_steps, double **timesteps,
                                    int *count);

/*
 * settings.custom_timesteps: falling whole numbers within the table, else an error. Freed with
 * sf_free().
 */
sf_status sf_custom_timesteps_new(sf_context *ctx, const sf_scheduler_settings *settings,
                                  int n_training, double **timesteps, int *count);

/* ---- sigmas: noise per signal, sqrt((1 - alpha) / alpha) ---- */

/* Spreads count noise levels from high to low. */
struct sf_sigma_schedule {
    sf_schedule_info info;
    int option; /* the flag of the configuration that asks for it; -1: none */
    void (*fill)(double low, double high, int count, double *sigmas); /* NULL: the table's */

    /* Step i's timestep where the schedule is one of timesteps, whose sigmas are read from the table
     * of n_training, linear in the logarithm between its entries; or NULL. */
    double (*timestep)(int n_training, int n_steps, int i);
};

#define SF_SCHEDULE(name) extern const sf_sigma_schedule sf_sigma_schedule_##name;
#include "samplers/schedules.def"
#undef SF_SCHEDULE

extern const sf_sigma_schedule *const sf_sigma_schedules[];
extern const int sf_n_sigma_schedules;

/* The sigmas of training. */
typedef struct sf_sigma_table {
    float *sigmas; /* by timestep, rising; owned, as are logs */
    float *logs;
    int count;
} sf_sigma_table;

/* The caller clears the table, also after a failure. */
sf_status sf_sigma_table_new(sf_context *ctx, const sf_alphas *alphas, sf_sigma_table *table);
void sf_sigma_table_clear(sf_context *ctx, sf_sigma_table *table);

/* The timestep, with a fraction, at which training had that sigma: linear in log sigma. */
double sf_sigma_table_timestep(const sf_sigma_table *table, double sigma);

/* Timesteps and sigmas of a run in sigma space; sigmas has the last one in addition. */
typedef struct sf_sigma_run {
    double *timesteps; /* owned, as is sigmas */
    int n_timesteps;
    double *sigmas;
    int n_sigmas;
} sf_sigma_run;

sf_status sf_sigma_run_new(sf_context *ctx, const sf_scheduler_settings *settings,
                           const sf_alphas *alphas, const sf_sigma_schedule *schedule, int n_steps,
                           sf_sigma_run *run);

/* The p-quantile of the beta distribution with both parameters 0.6; p within 0..1. */
double sf_beta_quantile(double p);

#endif
