/*
 * Timestep spacing: which of the T timesteps of training the n steps of a run visit. Lin et al.
 * 2024, table 2, as diffusers computes it:
 *
 *   leading    i (T div n) + steps_offset      ends near 0, does not begin at the noisiest
 *   trailing   T - i (T / n) - 1, rounded      begins at the noisiest
 *   linspace   i (T - 1) / (n - 1)             both ends; n = 1 is timestep 0
 *
 * Rounding is to the nearest, halves to even. All lists begin at the largest timestep.
 */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "samplers/schedule.h"

static double leading(const sf_scheduler_settings *settings, int n_steps, int i) {
    int ratio = settings->num_train_timesteps / n_steps;
    return (double)(n_steps - 1 - i) * ratio + settings->steps_offset;
}

/*
 * numpy.arange(T, 0, -T / n): element i is T + i d with d = (T - T / n) - T, and there are
 * ceil(T / (T / n)) of them, which by rounding can be n + 1 (T = 1000: n = 61, 103, ...). The one
 * too many is timestep -1.
 */
static double trailing(const sf_scheduler_settings *settings, int n_steps, int i) {
    double total = settings->num_train_timesteps, ratio = total / n_steps;
    double difference = (total - ratio) - total;
    return rint(total + i * difference) - 1;
}

static int trailing_count(const sf_scheduler_settings *settings, int n_steps) {
    double total = settings->num_train_timesteps, ratio = total / n_steps;
    return (int)ceil(total / ratio);
}

static double linspace(const sf_scheduler_settings *settings, int n_steps, int i) {
    return sf_linspace_f64(0, settings->num_train_timesteps - 1, n_steps, n_steps - 1 - i);
}

sf_status sf_timesteps_new(sf_context *ctx, const sf_scheduler_settings *settings, int n_steps,
                           bool whole, double **timesteps, int *count) {
    static double (*const at[])(const sf_scheduler_settings *settings, int n_steps, int i) = {
        [SF_SPACING_leading] = leading,
        [SF_SPACING_trailing] = trailing,
        [SF_SPACING_linspace] = linspace,
    };
    bool is_trailing = settings->timestep_spacing == SF_SPACING_trailing;
    int n = is_trailing ? trailing_count(settings, n_steps) : n_steps;
    double *made = SF_NEW_ARRAY(ctx, double, (size_t)n);
    if (!made)
        return SF_ERROR_MEMORY;
    for (int i = 0; i < n; i++) {
        double timestep = at[settings->timestep_spacing](settings, n_steps, i);
        bool as_it_is = settings->timesteps_are_f64;
        made[i] = whole ? rint(timestep) : as_it_is ? timestep : (double)(float)timestep;
    }
    *timesteps = made;
    *count = n;
    return SF_OK;
}

sf_status sf_custom_timesteps_new(sf_context *ctx, const sf_scheduler_settings *settings,
                                  int n_training, double **timesteps, int *count) {
    const double *given = settings->custom_timesteps.values;
    int n = settings->custom_timesteps.count;
    for (int i = 0; i < n; i++) {
        if (!(given[i] >= 0 && given[i] < n_training) || given[i] != floor(given[i]))
            SF_FAIL(ctx, ERROR_ARGUMENT, "timestep %g is no whole number from 0 to %d", given[i],
                    n_training - 1);
        if (i > 0 && given[i] >= given[i - 1])
            SF_FAIL(ctx, ERROR_ARGUMENT, "timesteps must fall; %g follows %g", given[i],
                    given[i - 1]);
    }
    double *made = SF_NEW_ARRAY(ctx, double, (size_t)n);
    if (!made)
        return SF_ERROR_MEMORY;
    memcpy(made, given, (size_t)n * sizeof *made);
    *timesteps = made;
    *count = n;
    return SF_OK;
}

sf_status sf_timesteps_in_table_new(sf_context *ctx, const sf_scheduler_settings *settings,
                                    const sf_alphas *alphas, int n_steps, double **timesteps,
                                    int *count) {
    double *made;
    int n;
    if (settings->custom_timesteps.values)
        return sf_custom_timesteps_new(ctx, settings, alphas->count, timesteps, count);
    if (n_steps > settings->num_train_timesteps)
        SF_FAIL(ctx, ERROR_ARGUMENT, "%d steps are more than the %d of training", n_steps,
                settings->num_train_timesteps);
    SF_TRY(sf_timesteps_new(ctx, settings, n_steps, true, &made, &n));
    /* Trailing's timestep -1: diffusers takes it for the last of the table, the noisiest. */
    if (n > n_steps && made[n - 1] < 0)
        n--;
    for (int i = 0; i < n; i++)
        if (made[i] < 0 || made[i] >= alphas->count) {
            sf_status status =
                sf_fail(ctx, SF_ERROR_ARGUMENT,
                        "timestep %g of step %d is outside the schedule's 0 to %d (%d steps, "
                        "steps_offset %d)",
                        made[i], i, alphas->count - 1, n_steps, settings->steps_offset);
            sf_free(ctx, made);
            return status;
        }
    *timesteps = made;
    *count = n;
    return SF_OK;
}
