/*
 * Timesteps and sigmas of the exponential integrators, as set_timesteps() of diffusers'
 * DPMSolverMultistepScheduler and of its relatives computes them. See lambda.h.
 *
 * The spacings differ from those of timesteps.c: n + 1 points, of which the cleanest is left out.
 */
#include "core/memory.h"
#include "samplers/lambda.h"

/* Training with zero terminal SNR ends at alpha 0, where sigma is infinite. */
#define LEAST_ALPHA 0x1p-24f

typedef struct build {
    const sf_scheduler_settings *settings;
    const sf_lambda_rules *rules;
    const sf_sigma_schedule *schedule;
    sf_sigma_table table;
    int n_steps, n;             /* asked for; timesteps there are */
    double *timesteps, *sigmas; /* room for most and most + 1 */
} build;

/* ---- timesteps by their spacing ---- */

/* How many timesteps of training have lambda below lambda_min_clipped. */
static int count_clipped(const sf_scheduler_settings *settings, const sf_alphas *alphas) {
    int n = 0;
    for (int i = 0; i < alphas->count; i++) {
        float alpha = sqrtf(alphas->values[i]), sigma = sqrtf(1 - alphas->values[i]);
        n += sf_log_f32(alpha) - sf_log_f32(sigma) < (float)settings->lambda_min_clipped;
    }
    return n;
}

/* Timestep i of those between 0 and end - 1: place is that of n + 1 points from the cleanest. */
static double spaced(const build *b, int end, int i) {
    int place = b->rules->rises ? i : b->n_steps - i;
    double ratio = (double)b->settings->num_train_timesteps / b->n_steps;
    double difference = (end - ratio) - end;
    switch (b->rules->spacing_is_even ? (int)SF_SPACING_linspace : b->settings->timestep_spacing) {
    case SF_SPACING_leading:
        return (double)place * (end / (b->n_steps + 1)) + b->settings->steps_offset;
    case SF_SPACING_trailing:
        return rint(end + (b->rules->rises ? b->n - 1 - i : i) * difference) - 1;
    default:
        return rint(sf_linspace_f64(0, end - 1, b->n_steps + 1, place));
    }
}

/* How many timesteps there are at the spacing, of end. */
static int spaced_count(const build *b, int end) {
    double ratio = (double)b->settings->num_train_timesteps / b->n_steps;
    if (b->rules->spacing_is_even || b->settings->timestep_spacing != SF_SPACING_trailing)
        return b->n_steps;
    return (int)ceil(end / ratio);
}

static double at_timestep(const sf_sigma_table *table, double timestep) {
    int last = table->count - 1;
    return (double)table->sigmas[timestep < 0 ? 0 : timestep > last ? last : (int)timestep];
}

static void read_table(build *b, int end) {
    b->n = spaced_count(b, end);
    for (int i = 0; i < b->n; i++) {
        b->timesteps[i] = spaced(b, end, i);
        b->sigmas[i] = at_timestep(&b->table, b->timesteps[i]);
    }
}

/* ---- sigmas by a schedule ---- */

/* Between the ends of training, or sigma_min and sigma_max, which Lu's leaves alone. */
static void spread(build *b) {
    const sf_scheduler_settings *settings = b->settings;
    bool lu = b->schedule == &sf_sigma_schedule_lu_lambdas;
    bool rounded = lu || b->schedule == &sf_sigma_schedule_karras;
    double low = (double)b->table.sigmas[0], high = (double)b->table.sigmas[b->table.count - 1];
    if (!lu && !isnan(settings->sigma_min))
        low = settings->sigma_min;
    if (!lu && !isnan(settings->sigma_max))
        high = settings->sigma_max;
    if (b->rules->cosine_is_cut && settings->beta_schedule == SF_BETA_squaredcos_cap_v2)
        rounded = false;
    b->n = b->n_steps;
    b->schedule->fill(b->rules->rises ? high : low, b->rules->rises ? low : high, b->n, b->sigmas);
    for (int i = 0; i < b->n; i++) {
        double timestep = sf_sigma_table_timestep(&b->table, b->sigmas[i]);
        b->timesteps[i] = rounded ? rint(timestep) : trunc(timestep);
    }
}

/* ---- flow matching ---- */

/* Two forms of one function of s, which round differently. */
static double shifted(const build *b, double s) {
    double shift = b->settings->flow_shift;
    bool dynamic = b->settings->use_dynamic_shifting && b->rules->mu_is_needed;
    return dynamic ? shift / (shift + (1 / s - 1)) : shift * s / (1 + (shift - 1) * s);
}

/* Stretches the sigmas such that the last is shift_terminal. A last one of 1 leaves nothing to stretch. */
static void stretch_flow(build *b) {
    double terminal = b->settings->shift_terminal, rest = 1 - b->sigmas[b->n - 1];
    double scale = rest / (1 - terminal);
    if (isnan(terminal) || !(terminal > 0) || !(rest > 0))
        return;
    for (int i = 0; i < b->n; i++)
        b->sigmas[i] = 1 - (1 - b->sigmas[i]) / scale;
}

/*
 * x = (1 - s) x_0 + s noise, s spread evenly, or as the user lists it, and then shifted: Esser et al.
 * 2024, eq. 23.
 */
static void spread_flow(build *b) {
    const double total = b->settings->num_train_timesteps, almost = 1e-6;
    const double *listed = b->settings->custom_sigmas.values;
    int n = b->n = b->n_steps;
    for (int i = 0; i < n; i++) {
        double even = b->rules->flow_from_one ? sf_linspace_f64(1, 1 / total, n + 1, i)
                                              : 1 - sf_linspace_f64(1, 1 / total, n + 1, n - i);
        b->sigmas[i] = shifted(b, listed ? listed[i] : even);
    }
    stretch_flow(b);
    if (b->rules->flow_from_one && fabs(b->sigmas[0] - 1) < almost)
        b->sigmas[0] -= almost; /* lambda is -infinity at 1 */
    for (int i = 0; i < n; i++)
        b->timesteps[i] = trunc(b->sigmas[i] * total);
}

/* use_dynamic_shifting: the shift is exp(mu) or, linear, mu. */
static sf_status shift_by_mu(sf_sampler *sampler, const sf_lambda_rules *rules) {
    sf_scheduler_settings *settings = &sampler->settings;
    bool linear = settings->time_shift_type != SF_SHIFT_exponential;
    if (!settings->use_dynamic_shifting || (!settings->mu && !rules->mu_is_needed))
        return SF_OK;
    if (!settings->mu)
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT,
                "the configuration has use_dynamic_shifting: mu is needed (--mu)");
    if (linear && !rules->mu_is_needed)
        SF_FAIL(sampler->ctx, ERROR_UNSUPPORTED, "mu goes with time_shift_type exponential alone");
    settings->flow_shift = linear ? *settings->mu : exp(*settings->mu);
    if (!(settings->flow_shift > 0 && isfinite(settings->flow_shift)))
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT, "mu %g makes a shift of %g", *settings->mu,
                settings->flow_shift);
    return SF_OK;
}

/* Karras' sigmas, which are noise per signal, as those of a flow. */
static void turn_to_flow(build *b) {
    for (int i = 0; i < b->n; i++) {
        b->sigmas[i] = b->sigmas[i] / (b->sigmas[i] + 1);
        b->timesteps[i] = trunc(b->sigmas[i] * b->settings->num_train_timesteps);
    }
}

static sf_status check_flow(const sf_sampler *sampler, const sf_lambda_rules *rules) {
    const sf_sigma_schedule *schedule = sampler->schedule;
    bool possible =
        !schedule->fill || (rules->flow_karras && schedule == &sf_sigma_schedule_karras);
    if (sampler->settings.use_flow_sigmas && !possible)
        SF_FAIL(sampler->ctx, ERROR_UNSUPPORTED,
                "use_flow_sigmas goes with the schedule normal%s, "
                "not with %s",
                rules->flow_karras ? " or karras" : "", schedule->info.name);
    return SF_OK;
}

/* ---- what the user lists ---- */

/* As diffusers: timesteps in place of a spacing, sigmas in place of those of a flow. */
static sf_status check_listed(const sf_sampler *sampler) {
    const sf_scheduler_settings *settings = &sampler->settings;
    const sf_asked_numbers *sigmas = &settings->custom_sigmas;
    bool flow = settings->use_flow_sigmas;
    if ((settings->custom_timesteps.values || sigmas->values) && sampler->schedule->fill)
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT, "%s were given and the schedule %s; one is possible",
                sigmas->values ? "sigmas" : "timesteps", sampler->schedule->info.name);
    if (settings->custom_timesteps.values && flow)
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT,
                "timesteps were given and use_flow_sigmas; "
                "one is possible");
    if (sigmas->values && !flow)
        SF_FAIL(sampler->ctx, ERROR_ARGUMENT, "sigmas can be given with use_flow_sigmas alone");
    for (int i = 0; i < sigmas->count; i++)
        if (!(sigmas->values[i] > 0 && sigmas->values[i] <= 1) ||
            (i > 0 && sigmas->values[i] >= sigmas->values[i - 1]))
            SF_FAIL(sampler->ctx, ERROR_ARGUMENT,
                    "sigma %d of those given is %g; they must fall, from 1 or less to above 0", i,
                    sigmas->values[i]);
    return SF_OK;
}

/* Their sigmas are those of the table. */
static sf_status read_listed(sf_context *ctx, build *b) {
    double *timesteps;
    SF_TRY(sf_custom_timesteps_new(ctx, b->settings, b->table.count, &timesteps, &b->n));
    for (int i = 0; i < b->n; i++) {
        b->timesteps[i] = timesteps[i];
        b->sigmas[i] = at_timestep(&b->table, timesteps[i]);
    }
    sf_free(ctx, timesteps);
    return SF_OK;
}

/* ---- all ---- */

static void fill(build *b, int end) {
    bool flow = b->settings->use_flow_sigmas;
    if (b->schedule->fill)
        spread(b);
    else if (flow)
        spread_flow(b);
    else
        read_table(b, end);
    if (b->schedule->fill && flow)
        turn_to_flow(b);
}

/* Adds the last sigma and rounds all to f32. */
static sf_status finish(sf_context *ctx, build *b, int end) {
    bool repeats = b->rules->last_is_kept && (b->schedule->fill || b->settings->use_flow_sigmas);
    double last = at_timestep(&b->table, b->rules->rises ? end - 1 : 0);
    last = repeats ? b->sigmas[b->n - 1] : last;
    b->sigmas[b->n] = b->settings->final_sigmas_type == SF_FINAL_zero ? 0 : last;
    for (int i = 0; i <= b->n; i++) {
        b->sigmas[i] = (double)(float)b->sigmas[i];
        if (!isfinite(b->sigmas[i]))
            SF_FAIL(ctx, ERROR_NUMERIC, "sigma %d of the schedule is %g", i, b->sigmas[i]);
    }
    return SF_OK;
}

static sf_status build_run(sf_sampler *sampler, build *b) {
    sf_context *ctx = sampler->ctx;
    int end = b->settings->num_train_timesteps - count_clipped(b->settings, &sampler->alphas);
    if (end < 1)
        SF_FAIL(ctx, ERROR_ARGUMENT, "no timestep has a lambda of lambda_min_clipped %g or above",
                b->settings->lambda_min_clipped);
    size_t most = (size_t)b->n_steps + 2;
    SF_TRY(sf_sigma_table_new(ctx, &sampler->alphas, &b->table));
    if (!(b->timesteps = SF_NEW_ARRAY(ctx, double, most)) ||
        !(b->sigmas = SF_NEW_ARRAY(ctx, double, most)))
        return SF_ERROR_MEMORY;
    if (b->settings->custom_timesteps.values)
        SF_TRY(read_listed(ctx, b));
    else
        fill(b, end);
    return finish(ctx, b, end);
}

/*
 * Leaves out timesteps that come again, where they were not cut to whole numbers; the sigmas stay.
 * Returns how many timesteps there are.
 */
static int leave_repeated(const build *b) {
    bool cut =
        b->schedule->fill ? b->schedule != &sf_sigma_schedule_karras : b->settings->use_flow_sigmas;
    int count = 0;
    if (cut)
        return b->n;
    for (int i = 0; i < b->n; i++)
        if (i == 0 || b->timesteps[i] != b->timesteps[count - 1])
            b->timesteps[count++] = b->timesteps[i];
    return count;
}

sf_status sf_lambda_begin(sf_sampler *sampler, const sf_lambda_rules *rules) {
    build b = {.settings = &sampler->settings,
               .rules = rules,
               .schedule = sampler->schedule,
               .n_steps = sampler->n_steps};
    SF_TRY(check_flow(sampler, rules));
    SF_TRY(check_listed(sampler));
    SF_TRY(shift_by_mu(sampler, rules));
    if (rules->rescaled_end && sampler->settings.rescale_betas_zero_snr)
        sampler->alphas.values[sampler->alphas.count - 1] = LEAST_ALPHA;
    sf_status status = build_run(sampler, &b);
    sf_sigma_table_clear(sampler->ctx, &b.table);
    if (status != SF_OK) {
        sf_free(sampler->ctx, b.timesteps);
        sf_free(sampler->ctx, b.sigmas);
        return status;
    }
    sampler->timesteps = b.timesteps;
    sampler->sigmas = b.sigmas;
    sampler->n_timesteps = rules->rises ? leave_repeated(&b) : b.n;
    sampler->n_sigmas = b.n + 1;
    return SF_OK;
}
